#include "probe_account.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/series.h"
#include "probe_attach.h"
#include "probe_budget.h"
#include "probe_charge.h"
#include "probe_cost.h"
#include "probing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GROUPS_MAX = ELF_NAMES_MAX, ITEMS_MAX = PROBES_KINDS_MAX * GROUPS_MAX, CHANGES_MAX = 64 };

struct account {
    const struct probe_kind *kind; // NULL: the place is free
    uint8_t groups[GROUPS_MAX];    // of each symbol
    probe_set stepped;
    struct probe_spent total[GROUPS_MAX];
    uint64_t shed_times;
};

static struct account accounts[PROBES_KINDS_MAX];
static struct probe_charge *charges; // of all kinds, in the order in which those came
static size_t charges_count;
static struct budget_item items[ITEMS_MAX];
static struct budget budget = {.items = items, .items_count = ITEMS_MAX};
static uint64_t looked_ns;
static long cpus;
static struct probing_change changes[CHANGES_MAX];
static size_t changes_first, changes_count;

static bool leads(const struct account *account, size_t symbol)
{
    return account->kind && symbol < account->kind->symbols_count && account->groups[symbol] == symbol;
}

// --- What others ask for ---

void probing_set_budget(double percent)
{
    cpus = sysconf(_SC_NPROCESSORS_ONLN);
    budget.ceiling = percent / 100 * (double)(cpus > 0 ? cpus : 1);
}

bool probing_next_change(struct probing_change *ret_change)
{
    if (!changes_count)
        return false;
    *ret_change = changes[changes_first];
    changes_first = (changes_first + 1) % CHANGES_MAX;
    changes_count--;
    return true;
}

// The oldest gives way where nobody listens.
static void note_change(const struct probing_change *change)
{
    if (changes_count == CHANGES_MAX) {
        changes_first = (changes_first + 1) % CHANGES_MAX;
        changes_count--;
    }
    changes[(changes_first + changes_count++) % CHANGES_MAX] = *change;
}

probe_set probe_account_left_out(size_t index)
{
    probe_set groups = 0;
    for (size_t i = 0; i < GROUPS_MAX; i++)
        if (items[index * GROUPS_MAX + i].shed)
            groups |= (probe_set)1 << i;
    return groups;
}

// --- Metrics ---

typedef void (*visit_fn)(struct series_writer *writer, const struct label *labels,
                         const struct account *account, size_t group);

static void visit_groups(struct series_writer *writer, visit_fn visit)
{
    for (size_t i = 0; i < PROBES_KINDS_MAX; i++)
        for (size_t k = 0; k < GROUPS_MAX; k++) {
            if (!leads(&accounts[i], k))
                continue;
            const struct label labels[] = {{"kind", accounts[i].kind->name},
                                           {"symbol", accounts[i].kind->symbols[k].name}};
            visit(writer, labels, &accounts[i], k);
        }
}

static void write_cost(struct series_writer *writer, const struct label *labels,
                       const struct account *account, size_t group)
{
    if (probe_cost_is_known())
        writer->number(writer, labels, 2, account->total[group].seconds);
}

static void write_runs(struct series_writer *writer, const struct label *labels,
                       const struct account *account, size_t group)
{
    if (probe_cost_is_known())
        writer->number(writer, labels, 2, (double)account->total[group].runs);
}

static void write_away(struct series_writer *writer, const struct label *labels,
                       const struct account *account, size_t group)
{
    writer->number(writer, labels, 2, items[(size_t)(account - accounts) * GROUPS_MAX + group].shed);
}

static void collect(struct series_writer *writer, void *context)
{
    static const struct series_family cost = {
        .name = "inferscope_probe_cost_seconds_total",
        .type = SERIES_COUNTER,
        .unit = "seconds",
        .help =
            "CPU time that probes took in the programs they are in: their programs by the kernel's account, "
            "and the ways there and back as measured at the start. A symbol stands for those it comes and "
            "goes with"};
    static const struct series_family runs = {
        .name = "inferscope_probe_runs_total",
        .type = SERIES_COUNTER,
        .help = "How often programs of probes ran, by the kernel's account"};
    static const struct series_family trap = {
        .name = "inferscope_probe_trap_seconds",
        .type = SERIES_GAUGE,
        .unit = "seconds",
        .help = "What it took at the start to get to a probe and back: at an instruction that the kernel "
                "emulates, "
                "at one that it steps over, and at a return beside that at the beginning"};
    static const struct series_family shed = {
        .name = "inferscope_probe_shed_total",
        .type = SERIES_COUNTER,
        .help = "Times that probes were taken away as all together took more than probes_budget"};
    static const struct series_family away = {
        .name = "inferscope_probe_away",
        .type = SERIES_GAUGE,
        .help = "1: taken away for a while, as all probes together took more than probes_budget"};
    writer->family(writer, &cost);
    visit_groups(writer, write_cost);
    writer->family(writer, &runs);
    visit_groups(writer, write_runs);
    writer->family(writer, &trap);
    const struct probe_traps *traps = probe_cost_traps();
    const struct {
        const char *at;
        double seconds;
    } each[] = {{"emulated", traps->emulated}, {"stepped", traps->stepped}, {"return", traps->at_return}};
    for (size_t i = 0; i < ARRAY_SIZE(each) && probe_cost_is_known(); i++) {
        const struct label label = {"at", each[i].at};
        writer->number(writer, &label, 1, each[i].seconds);
    }
    writer->family(writer, &shed);
    for (size_t i = 0; i < PROBES_KINDS_MAX; i++) {
        const struct label label = {"kind", accounts[i].kind ? accounts[i].kind->name : NULL};
        if (accounts[i].kind)
            writer->number(writer, &label, 1, (double)accounts[i].shed_times);
    }
    writer->family(writer, &away);
    visit_groups(writer, write_away);
}

// --- The account ---

static void start(void)
{
    static bool tried;
    if (budget.ceiling <= 0 || tried)
        return;
    tried = true;
    int error = probe_cost_start();
    if (error)
        log_warning("what probes cost cannot be known: %s; probes_budget has no effect", strerror(-error));
    looked_ns = clock_ns(CLOCK_MONOTONIC);
}

static const char *program_of(const struct probe_symbol *symbol, bool at_return)
{
    return at_return ? symbol->leave : symbol->enter;
}

static bool is_first(const struct probe_kind *kind, size_t index, bool at_return)
{
    const char *name = program_of(&kind->symbols[index], at_return);
    for (size_t i = 0; name && i < index; i++) {
        const char *other = program_of(&kind->symbols[i], at_return);
        if (other && strcmp(other, name) == 0)
            return false;
    }
    return name != NULL;
}

static void look_at_program(struct probe_charge *charge)
{
    const struct probe_kind *kind = accounts[charge->kind].kind;
    const struct bpf_program *program = kind->program(kind, charge->name);
    charge->program = program;
    if (program)
        charge->now = probe_cost_runs(program);
}

// What its programs did before is not the kind's.
static int add_charges(size_t index, const struct probe_kind *kind)
{
    struct probe_charge *more =
        reallocarray(charges, charges_count + 2 * kind->symbols_count, sizeof(*charges));
    if (!more)
        return -ENOMEM;
    charges = more;
    for (size_t i = 0; i < 2 * kind->symbols_count; i++) {
        size_t symbol = i / 2;
        bool at_return = i % 2;
        if (!is_first(kind, symbol, at_return))
            continue;
        struct probe_charge *charge = &charges[charges_count++];
        *charge = (struct probe_charge){.kind = index,
                                        .name = program_of(&kind->symbols[symbol], at_return),
                                        .symbol = (uint8_t)symbol,
                                        .group = accounts[index].groups[symbol],
                                        .at_return = at_return};
        look_at_program(charge);
        charge->seen = charge->now;
    }
    return 0;
}

static void remove_charges(size_t index)
{
    size_t kept = 0;
    for (size_t i = 0; i < charges_count; i++)
        if (charges[i].kind != index)
            charges[kept++] = charges[i];
    charges_count = kept;
}

int probe_account_add(size_t index, const struct probe_kind *kind)
{
    static bool registered;
    if (!registered)
        registered = series_register(collect, NULL) == 0;
    start();
    accounts[index] = (struct account){.kind = kind};
    probe_groups(kind, accounts[index].groups);
    memset(&items[index * GROUPS_MAX], 0, GROUPS_MAX * sizeof(items[0]));
    int error = add_charges(index, kind);
    if (error)
        accounts[index] = (struct account){};
    return error;
}

void probe_account_remove(size_t index)
{
    remove_charges(index);
    accounts[index] = (struct account){};
    memset(&items[index * GROUPS_MAX], 0, GROUPS_MAX * sizeof(items[0]));
}

void probe_account_stepped(size_t index, probe_set symbols)
{
    accounts[index].stepped |= symbols;
}

// What each group took since the last time.
static void spend(const struct probe_account_acts *acts, double *ret_spent)
{
    probe_set attached[PROBES_KINDS_MAX] = {};
    for (size_t i = 0; i < PROBES_KINDS_MAX; i++)
        attached[i] = accounts[i].kind ? acts->attached(i) : 0;
    for (size_t i = 0; i < charges_count; i++) {
        struct probe_charge *charge = &charges[i];
        const struct account *account = &accounts[charge->kind];
        look_at_program(charge);
        charge->attached = attached[charge->kind] >> charge->group & 1;
        charge->trap_s = probe_cost_trap(account->kind, charge->symbol, charge->at_return,
                                         account->stepped >> charge->symbol & 1);
    }
    probe_charges_settle(charges, charges_count);
    memset(ret_spent, 0, ITEMS_MAX * sizeof(*ret_spent));
    for (size_t i = 0; i < charges_count; i++) {
        const struct probe_charge *charge = &charges[i];
        struct probe_spent *total = &accounts[charge->kind].total[charge->group];
        total->runs += charge->spent.runs;
        total->seconds += charge->spent.seconds;
        ret_spent[charge->kind * GROUPS_MAX + charge->group] += charge->spent.seconds;
    }
}

static void shed(size_t item, const struct probe_account_acts *acts)
{
    struct account *account = &accounts[item / GROUPS_MAX];
    size_t group = item % GROUPS_MAX;
    double node = 100 / (double)(cpus > 0 ? cpus : 1);
    const struct probing_change change = {.kind = account->kind->name,
                                          .symbol = account->kind->symbols[group].name,
                                          .shed = true,
                                          .percent = budget.shed_share * node,
                                          .own_percent = budget.shed_own_share * node};
    account->shed_times++;
    acts->shed(item / GROUPS_MAX, (probe_set)1 << group);
    note_change(&change);
    log_warning(
        "probes took %.2f%% of the node's CPU time, more than probes_budget: those of %s (%s, %.2f%%) are "
        "taken away for %d s",
        change.percent, change.kind, change.symbol, change.own_percent, items[item].wait_s);
}

static void resume(size_t item, const struct probe_account_acts *acts)
{
    const struct account *account = &accounts[item / GROUPS_MAX];
    const struct probing_change change = {.kind = account->kind->name,
                                          .symbol = account->kind->symbols[item % GROUPS_MAX].name};
    acts->resume(item / GROUPS_MAX);
    note_change(&change);
    log_info("%s (%s) is probed again", change.kind, change.symbol);
}

void probe_account_tick(const struct probe_account_acts *acts)
{
    static double spent[ITEMS_MAX];
    if (!probe_cost_is_known())
        return;
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    double elapsed_s = (double)(now_ns - looked_ns) / 1e9;
    time_t now = (time_t)(now_ns / 1000000000);
    looked_ns = now_ns;
    spend(acts, spent);
    int item = budget_spend(&budget, spent, elapsed_s, now);
    if (item >= 0)
        shed((size_t)item, acts);
    item = budget_resume(&budget, now);
    if (item >= 0)
        resume((size_t)item, acts);
}
