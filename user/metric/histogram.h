// A histogram with bounds that its owner knows.
#pragma once

#include "base/series.h"

#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BOUNDS_MAX = 20 };

struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1];
    double sum;
    uint64_t total;
};

static inline void histogram_add(struct histogram *histogram, const double *bounds, size_t count,
                                 double value)
{
    size_t bucket = 0;
    while (bucket < count && value > bounds[bucket])
        bucket++;
    histogram->counts[bucket]++;
    histogram->sum += value;
    histogram->total++;
}

static inline void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS_MAX; i++)
        histogram->counts[i] += other->counts[i];
    histogram->sum += other->sum;
    histogram->total += other->total;
}

// A histogram without a single value is not written.
static inline void histogram_write(const struct histogram *histogram, const double *bounds, size_t count,
                                   struct series_writer *writer, const struct label *labels,
                                   size_t labels_count)
{
    struct series_histogram shown = {
        .buckets = count, .bounds = bounds, .counts = histogram->counts, .sum = histogram->sum};
    if (histogram->total)
        writer->histogram(writer, labels, labels_count, &shown);
}
