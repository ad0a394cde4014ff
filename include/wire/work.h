// What processes have computed of late and which requests they answer: the sources of runtimes add up the
// one, the source `api` counts the other, and tells by both what went into a request.
#pragma once

#include "wire/header.h"

enum wire_work_phase {
    WIRE_WORK_PREFILL, // batches of prompts
    WIRE_WORK_DECODE,  // batches of one token for each sequence that is being generated
    WIRE_WORK_MIXED,   // batches of both
    WIRE_WORK_RUN,     // runs of models for which there are no such phases
    WIRE_WORK_PHASES,
};

// Never falls.
struct wire_work_sum {
    __u64 time_ns;
    __u64 count;
    __u64 sequences; // in all batches together
};
WIRE_SIZE(struct wire_work_sum, 24);

// By process.
struct wire_work {
    struct wire_work_sum sums[WIRE_WORK_PHASES];
    __u64 run_queue_ns; // so long its threads waited for a CPU (source `sched`); 0: nobody looks
    __u64 abandoned_ns; // CLOCK_BOOTTIME when a request was last lost, which it may not know yet; 0: never
    __u32 first;     // the clock when this was made: requests count from there, so that no two are the same
    __u32 begun;     // the number of the request that it has begun to read last; may overflow
    __u32 in_flight; // requests that have no whole answer yet
    __u32 waiting;   // of those have sent no generated text yet
};
WIRE_SIZE(struct wire_work, 128);

#define WIRE_WORK_PROCESSES 4096 // the map's entries; those used longest ago go first
