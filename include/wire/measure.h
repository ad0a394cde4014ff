// What a source measures it adds up in the kernel: for each cgroup and each thing that is measured, how
// often, how long and how much. Nothing of it goes through the ring; user space reads it at each scrape.
#pragma once

#include "wire/header.h"

// Powers of two: bucket i has times up to 2^i µs, or amounts up to
// 2^i; the last one all that is more.
#define WIRE_MEASURE_BUCKETS 32
#define WIRE_MEASURE_SHORT_TICK_NS 128 // instead of a µs, for times that are often shorter

struct wire_measure_key {
    __u64 cgroup_id; // as in struct wire_header
    __u16 measure;   // the source's own numbering
    __u16 detail;    // what that measure tells apart: a direction, a phase
    __u32 reserved;
};
WIRE_SIZE(struct wire_measure_key, 16);

struct wire_measure {
    __u64 count;
    __u64 failed;  // of those; neither their time nor their amount is counted
    __u64 time_ns; // the sum
    __u64 amount;  // the sum
    __u64 last_ns; // CLOCK_BOOTTIME of the latest
    __u32 pid;     // a process of that cgroup, the first one
    __u32 reserved;
    __u64 times[WIRE_MEASURE_BUCKETS];
    __u64 amounts[WIRE_MEASURE_BUCKETS];
};
WIRE_SIZE(struct wire_measure, 48 + 16 * WIRE_MEASURE_BUCKETS);
