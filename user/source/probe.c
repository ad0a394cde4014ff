// The user's own probes. Each is a kind of its own with one symbol, and an object of its own.
#include "base/cleanup.h"
#include "config.h"
#include "elf_symbols.h"
#include "hook.h"
#include "probe.skel.h"
#include "probes.h"
#include "threads.h"
#include "uprobe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

_Static_assert((int)CONFIG_SYMBOL_MAX < (int)ELF_NAME_MAX, "symbols are found by their whole names");

struct own {
    struct probe_bpf *skeleton;
    struct probe_kind kind;
    struct probe_symbol symbol;
    char label[80]; // the kind's name
    char metric[CONFIG_METRIC_MAX + 8];
    char help[256];
};

static struct own owns[CONFIG_PROBES_MAX];
static struct measure_family families[CONFIG_PROBES_MAX + 1];
static size_t count;

static struct bpf_program *program(const struct probe_kind *kind, const char *name)
{
    const struct own *own = kind->owner;
    return own->skeleton ? bpf_object__find_program_by_name(own->skeleton->obj, name) : NULL;
}

static int map_fd(void)
{
    return count && owns[0].skeleton ? bpf_map__fd(owns[0].skeleton->maps.measures) : -1;
}

static struct measures measures = {.families = families, .map_fd = map_fd};

// --- Tables ---

static void fill_kind(struct own *own, const struct config_probe *probe)
{
    bool latency = probe->measure == MEASURED_LATENCY;
    snprintf(own->label, sizeof(own->label), "probe_%s", probe->name);
    own->symbol = (struct probe_symbol){.name = probe->symbol,
                                        .enter = latency ? "probe_enter" : "probe_call",
                                        .leave = latency ? "probe_leave" : NULL};
    own->kind = (struct probe_kind){.name = own->label,
                                    .libraries = (const char *const *)probe->files.items,
                                    .executables = true,
                                    .by_name = true,
                                    .throws = probe->throws || strncmp(probe->symbol, "_Z", 2) == 0,
                                    .symbols = &own->symbol,
                                    .symbols_count = 1,
                                    .program = program,
                                    .owner = own};
}

static void fill_family(struct own *own, size_t index, const struct config_probe *probe)
{
    static const enum measure_part parts[] = {[MEASURED_COUNT] = MEASURE_COUNT,
                                              [MEASURED_LATENCY] = MEASURE_TIME,
                                              [MEASURED_AMOUNT] = MEASURE_AMOUNT,
                                              [MEASURED_AMOUNTS] = MEASURE_AMOUNTS};
    static const char *const what[] = {[MEASURED_COUNT] = "Calls of",
                                       [MEASURED_LATENCY] = "Time that it took to call",
                                       [MEASURED_AMOUNT] = "Sum of an argument of",
                                       [MEASURED_AMOUNTS] = "An argument of"};
    config_probe_metric(probe, own->metric);
    bool counter = probe->measure == MEASURED_COUNT || probe->measure == MEASURED_AMOUNT;
    if (counter)
        strncat(own->metric, "_total", sizeof(own->metric) - strlen(own->metric) - 1);
    if (probe->help)
        snprintf(own->help, sizeof(own->help), "%s", probe->help);
    else
        snprintf(own->help, sizeof(own->help), "%s %s()", what[probe->measure], probe->symbol);
    families[index] = (struct measure_family){
        .name = own->metric,
        .unit = probe->measure == MEASURED_LATENCY ? "seconds" : probe->unit,
        .help = own->help,
        .part = parts[probe->measure],
        .measure = (uint16_t)index,
        .first = 0,
        .last = probe->measure == MEASURED_LATENCY ? 26 : WIRE_MEASURE_BUCKETS - 2, // a minute
    };
}

// --- Objects ---

static int load(size_t index, const struct config_probe *probe, const struct source_env *env,
                struct source_report *ret_report)
{
    static const struct hook hooks[] = {{.name = "call", .program = "probe_call"},
                                        {.name = "call", .program = "probe_enter"},
                                        {.name = "call", .program = "probe_leave"}};
    struct own *own = &owns[index];
    bool latency = probe->measure == MEASURED_LATENCY;
    own->skeleton = probe_bpf__open();
    if (!own->skeleton)
        return hook_load_failed(-errno, ret_report);
    struct probe_bpf *skeleton = own->skeleton;
    skeleton->rodata->source_id = env->id;
    skeleton->rodata->probe_number = (uint16_t)index;
    skeleton->rodata->probe_argument = (uint8_t)probe->argument;
    skeleton->rodata->probe_is_int = probe->bits == 1;
    skeleton->rodata->probe_throws = own->kind.throws;
    int error = 0;
    if (index) {
        error = bpf_map__reuse_fd(skeleton->maps.measures, map_fd());
        if (!error)
            error = bpf_map__reuse_fd(skeleton->maps.calls_under_way,
                                      bpf_map__fd(owns[0].skeleton->maps.calls_under_way));
    }
    struct bpf_program *each;
    bpf_object__for_each_program(each, skeleton->obj) uprobe_prepare(each);
    if (error)
        return hook_load_failed(error, ret_report);
    return hook_load(skeleton->skeleton, env, latency ? hooks + 1 : hooks, latency ? 2 : 1, ret_report);
}

static void stop(void)
{
    for (size_t i = 0; i < count; i++) {
        probes_remove(&owns[i].kind);
        probe_bpf__destroy(owns[i].skeleton);
        owns[i].skeleton = NULL;
    }
    count = measures.count = 0;
}

static int start_all(const struct source_env *env, struct source_report *ret_report)
{
    for (size_t i = 0; i < env->probes_count; i++) {
        count = i + 1;
        fill_kind(&owns[i], &env->probes[i]);
        fill_family(&owns[i], i, &env->probes[i]);
        int error = load(i, &env->probes[i], env, ret_report);
        if (error)
            return error;
    }
    measures.count = count;
    for (size_t i = 0; i < count; i++) {
        int error = probes_add(&owns[i].kind);
        if (error)
            return probes_add_failed(error, ret_report);
    }
    return 0;
}

static void report(struct source_report *ret_report)
{
    for (size_t i = 0; i < count && ret_report->hooks_count < SOURCE_HOOKS_MAX; i++) {
        struct hook_report *hook = &ret_report->hooks[ret_report->hooks_count++];
        *hook = (struct hook_report){.state = HOOK_UP};
        snprintf(hook->name, sizeof(hook->name), "%.24s in %zu files", owns[i].kind.name,
                 probes_files(&owns[i].kind));
        snprintf(hook->attach_point, sizeof(hook->attach_point), "uprobe/%.50s", owns[i].symbol.name);
    }
}

// Whether this kernel takes it, for `agent doctor`.
static int start_any(const struct source_env *env, struct source_report *ret_report)
{
    static char *nothing[] = {NULL};
    const struct config_probe probe = {.name = "none", .symbol = "none", .files = {.items = nothing}};
    struct source_env with = *env;
    with.probes = &probe;
    with.probes_count = 1;
    return start_all(&with, ret_report);
}

// Their list takes a restart to change, so they are started once.
static int start(const struct source_env *env, struct source_report *ret_report)
{
    ret_report->needed = env->probes_count || env->everything;
    int error = 0;
    if (ret_report->needed && !count)
        error = env->probes_count ? start_all(env, ret_report) : start_any(env, ret_report);
    if (error || !ret_report->needed)
        stop();
    else
        report(ret_report);
    return error;
}

static void tick(void)
{
    static uint64_t swept_ns;
    probes_tick();
    threads_sweep(bpf_map__fd(owns[0].skeleton->maps.calls_under_way), &swept_ns); // all have the first one's
}

const struct source source_probe = {
    .name = "probe",
    .help = "Functions of programs and libraries that the configuration names under probes",
    .attaches_later = uprobe_is_privileged,
    .start = start,
    .stop = stop,
    .measures = &measures,
    .tick = tick,
};
