// What sources have measured in the kernel, as metrics: whose it is, what is added up, and what becomes of it
// when nothing is added any more. The kernel's maps are arrays of the test's.
#include "base/cleanup.h"
#include "measured.h"
#include "metric.h"
#include "metric/measured_access.h"
#include "metric/served_by.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

enum { SOURCES = 3, ENTRIES_MAX = 12000, CALLS = 0, BYTES = 1 };

struct entry {
    struct wire_measure_key key;
    struct wire_measure value;
    bool gone;
};

static struct {
    struct entry *entries;
    size_t count;
    size_t latest; // found
    size_t gone;
} maps[SOURCES];

static uint64_t time_ns;

// --- The kernel ---

static size_t sources(void)
{
    return SOURCES;
}

static int map_first(void)
{
    return 0;
}

static int map_second(void)
{
    return 1;
}

static int labels(uint16_t detail, struct label *ret_labels)
{
    if (detail > 1)
        return -1;
    ret_labels[0] = (struct label){"direction", detail ? "out" : "in"};
    return 1;
}

static int kinds(uint16_t detail, struct label *ret_labels)
{
    ret_labels[0] = (struct label){"kind", "any"};
    return detail ? -EINVAL : 1;
}

static const struct measure_family first_families[] = {
    {.name = "test_calls_total", .help = "Calls", .part = MEASURE_COUNT, .measure = CALLS},
    {.name = "test_failed_total", .help = "Failures", .part = MEASURE_FAILED, .measure = CALLS},
    {.name = "test_call_seconds",
     .unit = "seconds",
     .help = "Times",
     .part = MEASURE_TIME,
     .measure = CALLS,
     .first = 2,
     .last = 4},
    {.name = "test_moved_bytes_total",
     .unit = "bytes",
     .help = "Bytes",
     .part = MEASURE_AMOUNT,
     .measure = BYTES,
     .labels = labels},
    {.name = "test_sizes",
     .help = "Sizes",
     .part = MEASURE_AMOUNTS,
     .measure = BYTES,
     .first = 0,
     .last = 3,
     .labels = labels},
    {.name = "test_errors_total",
     .help = "Errors",
     .part = MEASURE_FAILED,
     .measure = CALLS,
     .labels = kinds},
    {.name = "test_errors_total",
     .help = "Errors",
     .part = MEASURE_FAILED,
     .measure = BYTES,
     .labels = labels},
};
static const struct measure_family second_families[] = {
    {.name = "test_others_total", .help = "Others", .part = MEASURE_COUNT, .measure = CALLS},
};
static const struct measures first = {
    .families = first_families, .count = ARRAY_SIZE(first_families), .map_fd = map_first};
static const struct measures second = {
    .families = second_families, .count = ARRAY_SIZE(second_families), .map_fd = map_second};

static const struct measures *measures(size_t source)
{
    return source == 0 ? &first : source == 1 ? &second : NULL;
}

static struct entry *find(int fd, const struct wire_measure_key *key)
{
    for (size_t i = 0; i < maps[fd].count; i++) {
        size_t index = (maps[fd].latest + i) % maps[fd].count;
        struct entry *entry = &maps[fd].entries[index];
        if (entry->gone || memcmp(&entry->key, key, sizeof(*key)) != 0)
            continue;
        maps[fd].latest = index;
        return entry;
    }
    return NULL;
}

// As the kernel does: behind a key that is gone it begins anew.
static int next_key(int fd, const void *key, void *ret_next)
{
    const struct entry *at = key ? find(fd, key) : NULL;
    size_t next = at ? (size_t)(at - maps[fd].entries) + 1 : 0;
    while (next < maps[fd].count && maps[fd].entries[next].gone)
        next++;
    if (next >= maps[fd].count)
        return -ENOENT;
    memcpy(ret_next, &maps[fd].entries[next].key, sizeof(struct wire_measure_key));
    return 0;
}

static int lookup(int fd, const void *key, void *ret_value)
{
    const struct entry *entry = find(fd, key);
    if (!entry)
        return -ENOENT;
    memcpy(ret_value, &entry->value, sizeof(entry->value));
    return 0;
}

static int remove_key(int fd, const void *key)
{
    struct entry *entry = find(fd, key);
    if (!entry)
        return -ENOENT;
    entry->gone = true;
    maps[fd].gone++;
    return 0;
}

static uint64_t now_ns(void)
{
    return time_ns;
}

static const struct measured_access fake = {.sources = sources,
                                            .measures = measures,
                                            .next_key = next_key,
                                            .lookup = lookup,
                                            .remove = remove_key,
                                            .now_ns = now_ns};

static struct wire_measure *entry(int fd, uint64_t cgroup_id, uint16_t measure, uint16_t detail)
{
    const struct wire_measure_key key = {.cgroup_id = cgroup_id, .measure = measure, .detail = detail};
    struct entry *found = find(fd, &key);
    if (found)
        return &found->value;
    cr_assert_lt(maps[fd].count, ENTRIES_MAX);
    found = &maps[fd].entries[maps[fd].count++];
    *found = (struct entry){.key = key, .value = {.pid = (uint32_t)cgroup_id, .last_ns = time_ns}};
    return &found->value;
}

// A call that took so many µs, as the kernel counts it.
static void add(struct wire_measure *value, uint64_t us, uint64_t amount, size_t time_bucket,
                size_t amount_bucket)
{
    value->count++;
    value->time_ns += us * 1000;
    value->amount += amount;
    value->times[time_bucket]++;
    value->amounts[amount_bucket]++;
    value->last_ns = time_ns;
}

// --- Whose ---

// Cgroup 1 is the node's, 2 and 3 two pods' containers of the same names, 4 a container, 5 one that is
// described late, 6 nobody's. From 100 on each has a name of its own.
static bool described;
static size_t asked;

static int whose(uint64_t cgroup_id, pid_t pid, const struct container **ret_container, void *context)
{
    static struct container pod = {.name = "server", .pod_name = "web-0", .pod_namespace = "shop"};
    static struct container plain = {.name = "db"}, late = {}, own = {};
    static char name[32];
    asked++;
    cr_expect_eq((uint64_t)pid, cgroup_id);
    cr_expect_str_eq(context, "context");
    *ret_container = NULL;
    switch (cgroup_id) {
    case 1:
        return 0;
    case 2:
    case 3:
        *ret_container = &pod;
        return 0;
    case 4:
        *ret_container = &plain;
        return 0;
    case 5:
        late.name = described ? "late" : NULL;
        *ret_container = &late;
        return 0;
    case 6:
        return -ENOENT;
    default:
        snprintf(name, sizeof(name), "c%llu", (unsigned long long)cgroup_id);
        own.name = name;
        *ret_container = &own;
        return 0;
    }
}

static void setup(void)
{
    static char context[] = "context";
    for (size_t i = 0; i < SOURCES; i++)
        maps[i].entries = calloc(ENTRIES_MAX, sizeof(struct entry));
    time_ns = 10000 * SECOND;
    measured_set_access(&fake);
    cr_assert_eq(measured_start(whose, context), 0);
}

static void teardown(void)
{
    measured_stop();
    measured_set_access(NULL);
    for (size_t i = 0; i < SOURCES; i++)
        free(maps[i].entries);
}

TestSuite(metric_measured, .init = setup, .fini = teardown);

static const char *page(void)
{
    static struct text text = TEXT_INIT(16 << 20);
    text_reset(&text);
    metric_render(METRIC_PROMETHEUS, &text);
    return text_string(&text);
}

static void expect_line(const char *line)
{
    const char *text = page();
    cr_expect(strstr(text, line), "%s is not in\n%s", line, text);
}

static void expect_no(const char *words)
{
    const char *text = page();
    cr_expect_not(strstr(text, words), "%s is in\n%s", words, text);
}

static size_t count_of(const char *words)
{
    size_t count = 0;
    for (const char *at = page(); (at = strstr(at, words)); at++)
        count++;
    return count;
}

// --- Tests ---

Test(metric_measured, parts_of_a_measure)
{
    struct wire_measure *value = entry(0, 1, CALLS, 0);
    add(value, 1, 0, 0, 0);  // up to 1 µs, in the bucket below the family's first
    add(value, 4, 0, 2, 0);  // up to 4
    add(value, 16, 0, 4, 0); // up to 16
    add(value, 17, 0, 5, 0); // more than the last
    add(value, 1, 0, 31, 0); // the kernel's last
    value->count += 2, value->failed += 2;
    measured_tick();
    expect_line("\ntest_calls_total 7\n");
    expect_line("\ntest_failed_total 2\n");
    expect_line("\ntest_call_seconds_bucket{le=\"4e-06\"} 2\n"
                "test_call_seconds_bucket{le=\"8e-06\"} 2\n"
                "test_call_seconds_bucket{le=\"1.6e-05\"} 3\n"
                "test_call_seconds_bucket{le=\"+Inf\"} 5\n"
                "test_call_seconds_sum 3.9e-05\n"
                "test_call_seconds_count 5\n");
}

Test(metric_measured, details_are_labels)
{
    add(entry(0, 4, BYTES, 0), 0, 3, 0, 2);
    add(entry(0, 4, BYTES, 1), 0, 9, 0, 4);
    add(entry(0, 4, BYTES, 2), 0, 100, 0, 7); // which the family does not show
    measured_tick();
    expect_line("\ntest_moved_bytes_total{container_name=\"db\",direction=\"in\"} 3\n");
    expect_line("\ntest_moved_bytes_total{container_name=\"db\",direction=\"out\"} 9\n");
    expect_line("test_sizes_bucket{container_name=\"db\",direction=\"in\",le=\"2.0\"} 0\n"
                "test_sizes_bucket{container_name=\"db\",direction=\"in\",le=\"4.0\"} 1\n");
    expect_line("test_sizes_bucket{container_name=\"db\",direction=\"out\",le=\"8.0\"} 0\n"
                "test_sizes_bucket{container_name=\"db\",direction=\"out\",le=\"+Inf\"} 1\n");
    cr_expect_eq(count_of("\ntest_moved_bytes_total{"), 2);
}

static void note_labels(const char *name, const char *type, const char *names, const char *help,
                        void *context)
{
    if (strcmp(name, "test_errors_total") == 0)
        snprintf(context, 256, "%s", names);
}

// A metric of several measures is described by the labels of all, before there is a sample of any.
Test(metric_measured, families_of_one_name_are_described_by_all_their_labels)
{
    char names[256] = "";
    metric_describe(note_labels, names);
    cr_expect_str_eq(names, SERVED_BY_LABEL_NAMES " kind direction");
}

// What only failed has no time.
Test(metric_measured, no_histogram_of_failures_alone)
{
    struct wire_measure *value = entry(0, 1, CALLS, 0);
    value->count = value->failed = 3;
    measured_tick();
    expect_line("\ntest_calls_total 3\n");
    expect_no("test_call_seconds_bucket");
}

Test(metric_measured, cgroups_of_one_pod_are_one)
{
    add(entry(0, 2, CALLS, 0), 1, 0, 0, 0);
    add(entry(0, 3, CALLS, 0), 1, 0, 0, 0);
    add(entry(1, 2, CALLS, 0), 1, 0, 0, 0); // another source's
    measured_tick();
    expect_line("\ntest_calls_total{k8s_namespace_name=\"shop\",k8s_pod_name=\"web-0\","
                "k8s_container_name=\"server\"} 2\n");
    expect_line("\ntest_others_total{k8s_namespace_name=\"shop\",k8s_pod_name=\"web-0\","
                "k8s_container_name=\"server\"} 1\n");
    // Twice looked at is not twice counted.
    expect_line("\ntest_calls_total{k8s_namespace_name=\"shop\",k8s_pod_name=\"web-0\","
                "k8s_container_name=\"server\"} 2\n");
}

Test(metric_measured, who_is_known_is_not_asked_again)
{
    add(entry(0, 4, CALLS, 0), 1, 0, 0, 0);
    for (int i = 0; i < 10; i++)
        measured_tick();
    cr_expect_eq(asked, 1);
}

// Shown only when it is known whose it is, or nobody will ever know.
Test(metric_measured, described_late)
{
    add(entry(0, 5, CALLS, 0), 1, 0, 0, 0);
    measured_tick();
    expect_no("test_calls_total ");
    described = true;
    measured_tick();
    expect_line("\ntest_calls_total{container_name=\"late\"} 1\n");
}

Test(metric_measured, never_known_is_the_nodes)
{
    add(entry(0, 6, CALLS, 0), 1, 0, 0, 0);
    for (int i = 0; i < 4; i++)
        measured_tick();
    expect_no("\ntest_calls_total ");
    measured_tick();
    expect_line("\ntest_calls_total 1\n");
}

static void tick_a_minute(void)
{
    for (int i = 0; i < 60; i++)
        measured_tick();
}

// An idle entry makes room in the kernel; what it had stays, and what comes later is added to it.
Test(metric_measured, idle_entries_are_folded)
{
    add(entry(0, 4, CALLS, 0), 4, 0, 2, 0);
    tick_a_minute();
    cr_expect_eq(maps[0].gone, 0, "it is not idle");
    time_ns += 601 * SECOND;
    tick_a_minute();
    cr_expect_eq(maps[0].gone, 1);
    expect_line("\ntest_calls_total{container_name=\"db\"} 1\n");
    add(entry(0, 4, CALLS, 0), 4, 0, 2, 0);
    measured_tick();
    expect_line("\ntest_calls_total{container_name=\"db\"} 2\n");
    expect_line("test_call_seconds_count{container_name=\"db\"} 2\n");
    // Its cgroup has gone, and so has every other of that container.
    time_ns += 601 * SECOND;
    tick_a_minute();
    expect_line("\ntest_calls_total{container_name=\"db\"} 2\n");
}

enum { SERIES_MAX = 4096, FIRST = 100 };

static double number(const char *name)
{
    const char *text = page(), *at = strstr(text, name);
    return at ? strtod(at + strlen(name), NULL) : -1;
}

// More than there may be: some are not shown and counted, and those that were shown stay.
Test(metric_measured, too_many)
{
    for (uint64_t i = 0; i < SERIES_MAX + 10; i++)
        add(entry(1, FIRST + i, CALLS, 0), 1, 0, 0, 0);
    measured_tick();
    cr_expect_eq(count_of("\ntest_others_total{"), SERIES_MAX);
    cr_expect_eq(number("\ninferscope_measures_evicted_total "), 0);
    cr_expect_geq(number("\ninferscope_measures_uncounted_total "), 10);
    expect_line("\ntest_others_total{container_name=\"c100\"} 1\n");
    expect_no("container_name=\"c4205\"");
}

// One that nothing was added to for long gives its place, and none that something was.
Test(metric_measured, idle_series_give_their_place)
{
    for (uint64_t i = 0; i < SERIES_MAX; i++)
        add(entry(1, FIRST + i, CALLS, 0), 1, 0, 0, 0);
    measured_tick();
    cr_expect_eq(count_of("\ntest_others_total{"), SERIES_MAX);
    // One goes on, the others end.
    time_ns += 601 * SECOND;
    add(entry(1, FIRST + 7, CALLS, 0), 1, 0, 0, 0);
    tick_a_minute();
    cr_expect_eq(maps[1].gone, SERIES_MAX - 1);
    cr_expect_eq(count_of("\ntest_others_total{"), SERIES_MAX);
    for (uint64_t i = 0; i < 20; i++)
        add(entry(1, FIRST + SERIES_MAX + i, CALLS, 0), 1, 0, 0, 0);
    measured_tick();
    cr_expect_eq(count_of("\ntest_others_total{"), SERIES_MAX);
    cr_expect_eq(number("\ninferscope_measures_evicted_total "), 20);
    expect_line("\ntest_others_total{container_name=\"c107\"} 2\n");
    expect_line("\ntest_others_total{container_name=\"c4215\"} 1\n");
}

// Nothing of the run before is left.
Test(metric_measured, stop_forgets)
{
    static char context[] = "context";
    add(entry(0, 4, CALLS, 0), 1, 0, 0, 0);
    measured_tick();
    expect_line("\ntest_calls_total{container_name=\"db\"} 1\n");
    measured_stop();
    expect_no("test_calls_total");
    maps[0].count = 0;
    cr_assert_eq(measured_start(whose, context), 0);
    expect_no("test_calls_total{");
}
