// What rules cost: ns for each event that reaches the agent, by the number of rules. Records are decoded,
// enriched and judged as in the agent, with its own getters; what that costs without rules is taken off.
// Rules name the three types of event that the records are of, so that no event is judged by few of them.
// Every rule that holds is looked for (`--rule-matching all`), and the thread's own time is measured, so that
// a busy machine shows less.
#include "rules.h"

#include "base/cleanup.h"
#include "decode.h"
#include "enrich.h"
#include "rule.h"
#include "source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 4096, PASSES = 8, ROUNDS = 9, SIZES = 4 };

static const size_t sizes[SIZES] = {0, 1, 100, 1000};

// Targets.
static const double at_100_max_ns = 1000, growth_max = 3;

struct run {
    struct rule_set *sets[SIZES];
    struct enrich *enrich;
    struct records processes, events;
    struct scratch scratch;
    size_t matched; // events
    double ns[SIZES][ROUNDS];
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int load(size_t count, struct rule_set **ret_set)
{
    _cleanup_text_ struct text yaml = TEXT_INIT(16 << 20);
    rules_write(count, &yaml);
    char path[] = "/tmp/inferscope-bench-rules-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0)
        return -errno;
    bool ok = write(fd, text_string(&yaml), yaml.length) == (ssize_t)yaml.length;
    close(fd);
    struct rule_report report = {0};
    struct rule_input input = {.path = path};
    int error = ok && !yaml.truncated ? rule_set_load(&input, 1, &report, ret_set) : -EIO;
    if (error)
        rule_report_print(&report, stderr, false);
    rule_report_free(&report);
    unlink(path);
    return error;
}

static void ignore(const struct rule *rule, const struct event *event, void *context)
{
}

static int pass(struct run *run, const struct records *records, const struct rule_set *set)
{
    struct event event;
    for (size_t i = 0; i < records->count; i++) {
        const struct wire_header *record = record_at(records, i);
        if (decode_record(record, record->size, &run->scratch, &event))
            return -EPROTO;
        enrich_event(run->enrich, &event);
        if (set && rule_set_match(set, &event, RULE_MATCHING_ALL, ignore, NULL) > 0)
            run->matched++;
        enrich_event_done(run->enrich, &event);
    }
    return 0;
}

static int measure(struct run *run)
{
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < SIZES; i++) {
            uint64_t begin = now_ns();
            for (int k = 0; k < PASSES; k++)
                if (pass(run, &run->events, run->sets[i]))
                    return -EPROTO;
            run->ns[i][round] = (double)(now_ns() - begin) / (EVENTS * PASSES);
        }
    }
    return 0;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(*values), compare);
    return values[ROUNDS / 2];
}

static void print(struct run *run)
{
    double without = median(run->ns[0]), ns[SIZES] = {0};
    printf("Rules on a mix of opens, execs and connections; ns of CPU time an event, medians of %d rounds. "
           "Without\n"
           "rules an event takes %.0f ns to be decoded and enriched.\n\n"
           "| Rules | judging an event | growth | target |\n|---:|---:|---:|---:|\n",
           ROUNDS, without);
    for (size_t i = 1; i < SIZES; i++) {
        ns[i] = median(run->ns[i]) - without;
        char growth[32] = "", target[64] = "";
        if (i > 1)
            snprintf(growth, sizeof(growth), "%.1f×", ns[i] / ns[i - 1]);
        if (sizes[i] == 100)
            snprintf(target, sizeof(target), "< %.0f ns %s", at_100_max_ns,
                     ns[i] < at_100_max_ns ? "ok" : "MISSED");
        if (sizes[i] == 1000)
            snprintf(target, sizeof(target), "< %.0f× %s", growth_max,
                     ns[i] / ns[i - 1] < growth_max ? "ok" : "MISSED");
        printf("| %zu | %.0f ns | %s | %s |\n", sizes[i], ns[i], growth, target);
    }
    printf("\n");
}

int main(void)
{
    static struct run run;
    struct enrich_options options = {.processes_max = 4096, .containers_max = 64, .host_root = ""};
    int error = enrich_register_fields();
    if (!error)
        error = source_register_all();
    if (!error)
        error = enrich_new(&options, &run.enrich);
    for (size_t i = 1; !error && i < SIZES; i++)
        error = load(sizes[i], &run.sets[i]);
    decode_set_clock();
    if (!error)
        error = records_of_processes(&run.processes);
    if (!error)
        error = records_of_events(&run.events, EVENTS);
    // Once to know the processes, and once for the caches.
    if (!error)
        error = pass(&run, &run.processes, NULL);
    if (!error)
        error = pass(&run, &run.events, run.sets[SIZES - 1]);
    size_t matched = run.matched;
    if (!error)
        error = measure(&run);
    if (error) {
        fprintf(stderr, "bench: could not measure rules: %s\n", strerror(-error));
        return 1;
    }
    print(&run);
    printf("%.1f%% of the events matched a rule of the %zu.\n\n", 100.0 * (double)matched / EVENTS,
           sizes[SIZES - 1]);
    for (size_t i = 1; i < SIZES; i++)
        rule_set_free(&run.sets[i]);
    records_free(&run.processes);
    records_free(&run.events);
    enrich_free(&run.enrich);
    return 0;
}
