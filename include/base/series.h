// What any stage may export as metrics, without knowing the format: counters that are simply declared,
// and collectors that are called at each scrape and describe families to a writer.
// Everything here runs on the main thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct label {
    const char *name;
    const char *value;
};

enum series_type { SERIES_COUNTER, SERIES_GAUGE, SERIES_HISTOGRAM };

struct series_family {
    const char *name; // a counter's ends in _total
    enum series_type type;
    const char *unit; // "seconds", "bytes", or NULL; then the name must end in it (before _total)
    const char *help;
    // The labels that its samples may have, separated by blanks, where there may be none yet to show them.
    // For docs/METRICS.md; NULL: those that samples show.
    const char *labels;
};

struct series_histogram {
    size_t buckets;         // without the +Inf one
    const double *bounds;   // upper bounds, rising
    const uint64_t *counts; // buckets + 1 of them, each its own (not cumulative), +Inf last
    double sum;
};

// The metric stage implements this. family() opens a family; the samples that follow belong to it.
struct series_writer {
    void (*family)(struct series_writer *writer, const struct series_family *family);
    void (*number)(struct series_writer *writer, const struct label *labels, size_t count, double value);
    void (*histogram)(struct series_writer *writer, const struct label *labels, size_t count,
                      const struct series_histogram *histogram);
};

// A counter with static storage. Counters of one name form one family and differ in their label's value.
struct counter {
    const char *name;
    const char *help;
    const char *label;       // NULL when the family has no label
    const char *label_value; // static storage
    uint64_t value;
    struct counter *next; // owned by the registry
};

// Adds a counter to those exported; doing so twice is harmless.
void counter_register(struct counter *counter);

typedef void (*series_collect_fn)(struct series_writer *writer, void *context);

// 0, or -ENOSPC when the registry's fixed number of collectors is reached.
int series_register(series_collect_fn collect, void *context);

// Describes all registered counters and collectors to the writer.
void series_collect(struct series_writer *writer);
