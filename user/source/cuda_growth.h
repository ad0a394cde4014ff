// Whether a process's memory of GPUs grows without end. What only warms up, or fills a cache, levels off;
// what is used for each request comes and goes. So it is the least that was in use in each third of the last
// half hour that counts: it has to rise from each to the next, and neither step may be less than a quarter of
// both.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { CUDA_GROWTH_MINUTES = 30, CUDA_GROWTH_PARTS = 3 };

struct cuda_growth {
    uint64_t lows[CUDA_GROWTH_MINUTES]; // the least of each minute that is over, in a ring
    size_t count;                       // of those there ever were
    uint64_t minute;                    // that is under way
    uint64_t low;                       // of that one, until now
};

// All zero is the beginning. `seconds` of a clock that does not go back.
void cuda_growth_add(struct cuda_growth *growth, uint64_t seconds, uint64_t in_use);
// By how many bytes the least in use is more in the last third than in the first; 0 where that is no growth,
// or less than half an hour is known.
uint64_t cuda_growth_bytes(const struct cuda_growth *growth);
