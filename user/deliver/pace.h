// How fast an output goes: the rate that its configuration allows, and how long it waits after failures.
#pragma once

#include <stddef.h>
#include <stdint.h>

// A token bucket that holds what a second allows, and is full at first. All zero but the rate: ready for use.
struct bucket {
    unsigned rate; // a second; 0: no limit
    double spent;
    uint64_t since_ms;
};

// How many of `wanted` may go now; they are taken out.
size_t bucket_take(struct bucket *bucket, uint64_t now_ms, size_t wanted);
// Milliseconds until another may.
unsigned bucket_wait(const struct bucket *bucket, uint64_t now_ms);

// How long to wait after so many failures in a row (1 at least): anything from nothing to `initial` ms,
// doubled at each failure, up to `max`. The whole span is random ("full jitter"), so that many agents do not
// come back to a receiver at the same moment.
unsigned backoff_ms(unsigned initial, unsigned max, unsigned failures, uint32_t random);
