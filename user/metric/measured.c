#include "measured.h"

#include "base/clock.h"
#include "measure.h"
#include "served_by.h"
#include "source.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
    SERIES_MAX = 4096,
    OWNERS_MAX = 8192,
    TRIES_MAX = 5, // ticks; then a cgroup is the node's
    FOLD_EVERY_TICKS = 60,
};
static const uint64_t idle_ns = UINT64_C(600) * 1000000000;

// Zero-filled.
struct key {
    uint16_t source;
    uint16_t measure;
    uint16_t detail;
    struct served_by who;
};

// What cgroups with the same labels have measured.
struct measured_series {
    struct key key;
    UT_hash_handle hh;
    struct wire_measure folded; // of cgroups that the kernel's map has no entry of any more
    struct wire_measure shown;  // all together, during a scrape
};

struct owner {
    uint64_t cgroup_id;
    UT_hash_handle hh;
    unsigned tries;
    bool known;
    struct served_by who;
};

static struct measured_series *table;
static struct owner *owners;
static measured_whose_fn ask_whose;
static void *ask_context;
static unsigned ticks;

static struct counter evicted = {
    .name = "inferscope_measures_evicted_total",
    .help = "Series of what is measured in the kernel that gave their place to others after ten minutes "
            "without anything",
};
static struct counter dropped = {
    .name = "inferscope_measures_uncounted_total",
    .help = "Times that what a cgroup measured was not shown, as there were too many series",
};

// --- Whose ---

static void copy_name(char *ret_name, const char *name)
{
    snprintf(ret_name, SERVED_BY_NAME, "%s", name ? name : "");
}

static struct owner *owner_add(uint64_t cgroup_id)
{
    if (HASH_COUNT(owners) >= OWNERS_MAX) {
        struct owner *oldest = owners;
        HASH_DEL(owners, oldest);
        free(oldest);
    }
    struct owner *owner = calloc(1, sizeof(*owner));
    if (!owner)
        return NULL;
    owner->cgroup_id = cgroup_id;
    HASH_ADD(hh, owners, cgroup_id, sizeof(owner->cgroup_id), owner);
    return owner;
}

// Whose a cgroup is stays what it was when it was first known. `tick`: time has passed since the last try.
static const struct owner *owner_of(uint64_t cgroup_id, pid_t pid, bool tick)
{
    struct owner *owner;
    HASH_FIND(hh, owners, &cgroup_id, sizeof(cgroup_id), owner);
    if (!owner)
        owner = owner_add(cgroup_id);
    if (!owner || owner->known)
        return owner;
    const struct container *container = NULL;
    int error = ask_whose(cgroup_id, pid, &container, ask_context);
    owner->tries += tick;
    // The runtime may not have written yet what describes it.
    owner->known = (!error && (!container || container->name)) || owner->tries >= TRIES_MAX;
    if (container) {
        copy_name(owner->who.pod_namespace, container->pod_namespace);
        copy_name(owner->who.pod, container->pod_name);
        copy_name(owner->who.container, container->name);
    }
    return owner->known ? owner : NULL;
}

// --- Adding up ---

static void add(struct wire_measure *sum, const struct wire_measure *value)
{
    sum->count += value->count;
    sum->failed += value->failed;
    sum->time_ns += value->time_ns;
    sum->amount += value->amount;
    if (value->last_ns > sum->last_ns)
        sum->last_ns = value->last_ns;
    for (size_t i = 0; i < WIRE_MEASURE_BUCKETS; i++) {
        sum->times[i] += value->times[i];
        sum->amounts[i] += value->amounts[i];
    }
}

// Makes room for one more where nothing was added to some series for long.
static bool series_evict(uint64_t now_ns)
{
    struct measured_series *oldest = NULL;
    for (struct measured_series *series = table; series; series = series->hh.next)
        if (!oldest || series->shown.last_ns < oldest->shown.last_ns)
            oldest = series;
    if (!oldest || oldest->shown.last_ns + idle_ns > now_ns)
        return false;
    HASH_DEL(table, oldest);
    free(oldest);
    evicted.value++;
    return true;
}

static struct measured_series *series_of(const struct key *key)
{
    struct measured_series *series;
    HASH_FIND(hh, table, key, sizeof(*key), series);
    if (series)
        return series;
    if (HASH_COUNT(table) >= SERIES_MAX && !series_evict(clock_ns(CLOCK_BOOTTIME)))
        return NULL;
    series = calloc(1, sizeof(*series));
    if (!series)
        return NULL;
    series->key = *key;
    HASH_ADD(hh, table, key, sizeof(series->key), series);
    return series;
}

static struct measured_series *series_for(uint16_t source, const struct wire_measure_key *kernel_key,
                                          const struct owner *owner)
{
    struct key key;
    memset(&key, 0, sizeof(key));
    key.source = source;
    key.measure = kernel_key->measure;
    key.detail = kernel_key->detail;
    key.who = owner->who;
    struct measured_series *series = series_of(&key);
    dropped.value += !series;
    return series;
}

typedef void (*entry_fn)(uint16_t source, int fd, const struct wire_measure_key *key,
                         const struct wire_measure *value);

// Entries can come and go meanwhile; where the one is gone behind which to go on, the kernel begins anew, so
// there is an end to it.
static void visit_entries(uint16_t source, int fd, entry_fn visit)
{
    enum { ENTRIES_MAX = 16384 };
    struct wire_measure_key key, next;
    struct wire_measure value;
    bool more = bpf_map_get_next_key(fd, NULL, &next) == 0;
    for (size_t i = 0; more && i < ENTRIES_MAX; i++) {
        key = next;
        more = bpf_map_get_next_key(fd, &key, &next) == 0;
        if (bpf_map_lookup_elem(fd, &key, &value) == 0)
            visit(source, fd, &key, &value);
    }
}

static void visit_all(entry_fn visit)
{
    for (size_t i = 0; i < source_count(); i++) {
        const struct measures *measures = source_at(i)->measures;
        int fd = measures ? measures->map_fd() : -1;
        if (fd >= 0)
            visit_entries((uint16_t)i, fd, visit);
    }
}

static void learn_owner(uint16_t source, int fd, const struct wire_measure_key *key,
                        const struct wire_measure *value)
{
    owner_of(key->cgroup_id, (pid_t)value->pid, true);
}

// An idle entry makes room in the kernel. That something is added to it right now, after ten minutes, is
// all that could be missed.
static void fold_idle(uint16_t source, int fd, const struct wire_measure_key *key,
                      const struct wire_measure *value)
{
    const struct owner *owner = owner_of(key->cgroup_id, (pid_t)value->pid, false);
    if (value->last_ns + idle_ns > clock_ns(CLOCK_BOOTTIME) || !owner)
        return;
    struct measured_series *series = series_for(source, key, owner);
    if (series && bpf_map_delete_elem(fd, key) == 0)
        add(&series->folded, value);
}

void measured_tick(void)
{
    visit_all(learn_owner);
    if (++ticks % FOLD_EVERY_TICKS == 0)
        visit_all(fold_idle);
}

static void add_entry(uint16_t source, int fd, const struct wire_measure_key *key,
                      const struct wire_measure *value)
{
    const struct owner *owner = owner_of(key->cgroup_id, (pid_t)value->pid, false);
    struct measured_series *series = owner ? series_for(source, key, owner) : NULL;
    if (series)
        add(&series->shown, value);
}

// --- Showing ---

static bool is_time(enum measure_part part)
{
    return part == MEASURE_TIME || part == MEASURE_SHORT_TIME;
}

static void write_histogram(const struct measure_family *family, const struct wire_measure *value,
                            struct series_writer *writer, const struct label *labels, size_t labels_count)
{
    bool time = is_time(family->part);
    double unit = family->part == MEASURE_SHORT_TIME ? WIRE_MEASURE_SHORT_TICK_NS / 1e9 : time ? 1e-6 : 1;
    const __u64 *buckets = time ? value->times : value->amounts;
    double bounds[WIRE_MEASURE_BUCKETS];
    uint64_t counts[WIRE_MEASURE_BUCKETS] = {};
    size_t count = 0;
    for (size_t i = 0; i < WIRE_MEASURE_BUCKETS; i++) {
        counts[count] += buckets[i];
        if (i < family->first || i > family->last)
            continue;
        bounds[count++] = (double)(UINT64_C(1) << i) * unit;
    }
    struct series_histogram histogram = {.buckets = count,
                                         .bounds = bounds,
                                         .counts = counts,
                                         .sum = time ? (double)value->time_ns / 1e9 : (double)value->amount};
    if (value->count > value->failed)
        writer->histogram(writer, labels, labels_count, &histogram);
}

static void write_series(const struct measure_family *family, const struct measured_series *series,
                         struct series_writer *writer)
{
    struct label labels[SERVED_BY_LABELS + MEASURE_LABELS_MAX];
    size_t count = served_by_labels(&series->key.who, labels);
    int own = family->labels ? family->labels(series->key.detail, labels + count) : 0;
    if (own < 0)
        return;
    count += (size_t)own;
    switch (family->part) {
    case MEASURE_COUNT:
        writer->number(writer, labels, count, (double)series->shown.count);
        break;
    case MEASURE_FAILED:
        writer->number(writer, labels, count, (double)series->shown.failed);
        break;
    case MEASURE_AMOUNT:
        writer->number(writer, labels, count, (double)series->shown.amount);
        break;
    case MEASURE_TIME:
    case MEASURE_SHORT_TIME:
    case MEASURE_AMOUNTS:
        write_histogram(family, &series->shown, writer, labels, count);
    }
}

static void write_family(uint16_t source, const struct measure_family *family, bool first,
                         struct series_writer *writer)
{
    struct series_family described = {
        .name = family->name,
        .type = is_time(family->part) || family->part == MEASURE_AMOUNTS ? SERIES_HISTOGRAM : SERIES_COUNTER,
        .unit = family->unit,
        .help = family->help};
    if (first)
        writer->family(writer, &described);
    for (const struct measured_series *series = table; series; series = series->hh.next)
        if (series->key.source == source && series->key.measure == family->measure)
            write_series(family, series, writer);
}

static void collect(struct series_writer *writer, void *context)
{
    if (!ask_whose)
        return;
    for (struct measured_series *series = table; series; series = series->hh.next)
        series->shown = series->folded;
    visit_all(add_entry);
    for (size_t i = 0; i < source_count(); i++) {
        const struct measures *measures = source_at(i)->measures;
        for (size_t k = 0; measures && k < measures->count; k++) {
            const struct measure_family *family = &measures->families[k];
            bool first = k == 0 || strcmp(family->name, measures->families[k - 1].name) != 0;
            write_family((uint16_t)i, family, first, writer);
        }
    }
}

int measured_start(measured_whose_fn whose, void *context)
{
    static bool registered;
    ask_whose = whose;
    ask_context = context;
    counter_register(&evicted);
    counter_register(&dropped);
    int error = registered ? 0 : series_register(collect, NULL);
    registered |= !error;
    return error;
}

void measured_stop(void)
{
    struct measured_series *series, *next_series;
    struct owner *owner, *next_owner;
    HASH_ITER (hh, table, series, next_series) {
        HASH_DEL(table, series);
        free(series);
    }
    HASH_ITER (hh, owners, owner, next_owner) {
        HASH_DEL(owners, owner);
        free(owner);
    }
    ask_whose = NULL;
}
