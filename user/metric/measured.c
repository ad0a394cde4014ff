#include "measured.h"

#include "base/clock.h"
#include "egress_bytes.h"
#include "measure.h"
#include "measured_access.h"
#include "owners.h"
#include "source.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum {
    SERIES_MAX = 4096,
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
    uint64_t last_ns;           // when something was last added to it
    struct wire_measure folded; // of cgroups that the kernel's map has no entry of any more
    struct wire_measure shown;  // all together, during a scrape
};

static struct measured_series *table;
static bool started;
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

// --- The kernel ---

static const struct measures *measures_of(size_t source)
{
    return source_at(source)->measures;
}

static uint64_t now_ns(void)
{
    return clock_ns(CLOCK_BOOTTIME);
}

static const struct measured_access kernel = {.sources = source_count,
                                              .measures = measures_of,
                                              .next_key = bpf_map_get_next_key,
                                              .lookup = bpf_map_lookup_elem,
                                              .remove = bpf_map_delete_elem,
                                              .now_ns = now_ns};
static const struct measured_access *measuring = &kernel;

void measured_set_access(const struct measured_access *other)
{
    measuring = other ? other : &kernel;
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
        if (!oldest || series->last_ns < oldest->last_ns)
            oldest = series;
    if (!oldest || oldest->last_ns + idle_ns > now_ns)
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
    if (HASH_COUNT(table) >= SERIES_MAX && !series_evict(measuring->now_ns()))
        return NULL;
    series = calloc(1, sizeof(*series));
    if (!series)
        return NULL;
    series->key = *key;
    HASH_ADD(hh, table, key, sizeof(series->key), series);
    return series;
}

static struct measured_series *series_for(uint16_t source, const struct wire_measure_key *kernel_key,
                                          const struct served_by *owner, uint64_t last_ns)
{
    struct key key;
    memset(&key, 0, sizeof(key));
    key.source = source;
    key.measure = kernel_key->measure;
    key.detail = kernel_key->detail;
    key.who = *owner;
    struct measured_series *series = series_of(&key);
    dropped.value += !series;
    if (series && series->last_ns < last_ns)
        series->last_ns = last_ns;
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
    bool more = measuring->next_key(fd, NULL, &next) == 0;
    for (size_t i = 0; more && i < ENTRIES_MAX; i++) {
        key = next;
        more = measuring->next_key(fd, &key, &next) == 0;
        if (measuring->lookup(fd, &key, &value) == 0)
            visit(source, fd, &key, &value);
    }
}

static void visit_all(entry_fn visit)
{
    for (size_t i = 0; i < measuring->sources(); i++) {
        const struct measures *measures = measuring->measures(i);
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
    const struct served_by *owner = owner_of(key->cgroup_id, (pid_t)value->pid, false);
    if (value->last_ns + idle_ns > measuring->now_ns() || !owner)
        return;
    struct measured_series *series = series_for(source, key, owner, value->last_ns);
    if (series && measuring->remove(fd, key) == 0)
        add(&series->folded, value);
}

void measured_tick(void)
{
    owners_tick();
    visit_all(learn_owner);
    egress_bytes_tick();
    if (++ticks % FOLD_EVERY_TICKS == 0)
        visit_all(fold_idle);
}

static void add_entry(uint16_t source, int fd, const struct wire_measure_key *key,
                      const struct wire_measure *value)
{
    const struct served_by *owner = owner_of(key->cgroup_id, (pid_t)value->pid, false);
    struct measured_series *series = owner ? series_for(source, key, owner, value->last_ns) : NULL;
    if (series)
        add(&series->shown, value);
}

// Nothing is kept of it, so a container of which nothing is handed over is not shown.
static void add_now(const struct wire_measure_key *key, uint32_t pid, uint64_t value, void *context)
{
    const uint16_t *source = context;
    const struct served_by *owner = owner_of(key->cgroup_id, (pid_t)pid, false);
    struct measured_series *series = owner ? series_for(*source, key, owner, measuring->now_ns()) : NULL;
    if (!series)
        return;
    series->shown.amount += value;
    series->shown.count++;
}

static void add_all_now(void)
{
    for (uint16_t i = 0; i < measuring->sources(); i++) {
        const struct measures *measures = measuring->measures(i);
        if (measures && measures->now)
            measures->now(add_now, &i);
    }
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
        break;
    case MEASURE_NOW:
        if (series->shown.count)
            writer->number(writer, labels, count, (double)series->shown.amount);
    }
}

static bool has_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += length)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return true;
    return false;
}

// Of the detail that has the most of them.
static int most_labels(const struct measure_family *family, struct label *ret_labels)
{
    enum { DETAILS_TRIED = 64 };
    uint16_t with_most = 0;
    int most = 0;
    for (uint16_t detail = 0; family->labels && detail < DETAILS_TRIED; detail++) {
        int count = family->labels(detail, ret_labels);
        with_most = count > most ? detail : with_most;
        most = count > most ? count : most;
    }
    return most > 0 ? family->labels(with_most, ret_labels) : 0;
}

// All that a sample may have, for who describes the metric before there is one. Families of one name are one.
static void own_labels(const struct measures *measures, size_t first, char *ret_names, size_t size)
{
    const char *name = measures->families[first].name;
    size_t used = (size_t)snprintf(ret_names, size, "%s", SERVED_BY_LABEL_NAMES);
    for (size_t k = first; k < measures->count && strcmp(measures->families[k].name, name) == 0; k++) {
        struct label labels[MEASURE_LABELS_MAX];
        int count = most_labels(&measures->families[k], labels);
        for (int i = 0; i < count && used < size; i++)
            if (!has_word(ret_names, labels[i].name))
                used += (size_t)snprintf(ret_names + used, size - used, " %s", labels[i].name);
    }
}

static enum series_type type_of(enum measure_part part)
{
    if (is_time(part) || part == MEASURE_AMOUNTS)
        return SERIES_HISTOGRAM;
    return part == MEASURE_NOW ? SERIES_GAUGE : SERIES_COUNTER;
}

static void begin_family(const struct measures *measures, size_t first, struct series_writer *writer)
{
    const struct measure_family *family = &measures->families[first];
    char labels[256];
    own_labels(measures, first, labels, sizeof(labels));
    struct series_family described = {.name = family->name,
                                      .type = type_of(family->part),
                                      .unit = family->unit,
                                      .help = family->help,
                                      .labels = labels};
    writer->family(writer, &described);
}

static void write_family(uint16_t source, const struct measure_family *family, struct series_writer *writer)
{
    for (const struct measured_series *series = table; series; series = series->hh.next)
        if (series->key.source == source && series->key.measure == family->measure)
            write_series(family, series, writer);
}

static void collect(struct series_writer *writer, void *context)
{
    if (!started)
        return;
    for (struct measured_series *series = table; series; series = series->hh.next)
        series->shown = series->folded;
    visit_all(add_entry);
    add_all_now();
    for (size_t i = 0; i < measuring->sources(); i++) {
        const struct measures *measures = measuring->measures(i);
        for (size_t k = 0; measures && k < measures->count; k++) {
            const struct measure_family *family = &measures->families[k];
            if (k == 0 || strcmp(family->name, measures->families[k - 1].name) != 0)
                begin_family(measures, k, writer);
            write_family((uint16_t)i, family, writer);
        }
    }
}

int measured_start(measured_whose_fn whose, void *context)
{
    static bool registered;
    owners_start(whose, context);
    started = true;
    counter_register(&evicted);
    counter_register(&dropped);
    int error = registered ? 0 : series_register(collect, NULL);
    if (!registered && !error)
        error = egress_bytes_start();
    registered |= !error;
    return error;
}

void measured_stop(void)
{
    struct measured_series *series, *next_series;
    HASH_ITER (hh, table, series, next_series) {
        HASH_DEL(table, series);
        free(series);
    }
    owners_stop();
    started = false;
}
