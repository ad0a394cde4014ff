// What a source measures in the kernel and keeps there (wire/measure.h), as the metrics that it gives. One
// table feeds /metrics, OTLP and docs/METRICS.md.
#pragma once

#include "base/series.h"
#include "wire/measure.h"

#include <stddef.h>
#include <stdint.h>

enum { MEASURE_LABELS_MAX = 4 };

enum measure_part {
    MEASURE_COUNT,      // counter: how many, failed ones included
    MEASURE_FAILED,     // counter
    MEASURE_TIME,       // histogram, in seconds, of those that went well
    MEASURE_SHORT_TIME, // the same of what a source adds up in ticks of WIRE_MEASURE_SHORT_TICK_NS
    MEASURE_AMOUNT,     // counter: the sum of amounts
    MEASURE_AMOUNTS,    // histogram of amounts
    MEASURE_NOW,        // gauge: the sum of what measures.now() hands over
};

// Several families may show parts of one measure.
struct measure_family {
    const char *name; // a counter's ends in _total, MEASURE_TIME's in _seconds
    const char *unit; // as in struct series_family
    const char *help;
    enum measure_part part;
    uint16_t measure;
    uint8_t first,
        last; // of a histogram: its bounds are 2^first … 2^last ticks, or as many of what it is; last < 31
    // The labels that a measure's detail stands for; their number. NULL: none. A negative number: this detail
    // is not shown in this family. The values are static.
    int (*labels)(uint16_t detail, struct label *ret_labels);
};

// Takes a part of what is so now. The measure's number is none that the kernel's map has; `pid` as in struct
// wire_measure.
typedef void (*measure_now_fn)(const struct wire_measure_key *key, uint32_t pid, uint64_t value,
                               void *context);

struct measures {
    const struct measure_family *families; // those of one name behind each other
    size_t count;
    int (*map_fd)(void); // of the map `measures`; negative while the source is not up
    void (*now)(measure_now_fn take, void *context); // NULL where nothing is a MEASURE_NOW
};
