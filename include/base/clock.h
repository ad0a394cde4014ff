// What the kernel's clocks say: CLOCK_REALTIME since the Unix epoch, CLOCK_BOOTTIME and CLOCK_MONOTONIC since
// the machine started, with and without the time that it slept.
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_ms(clockid_t clock)
{
    return clock_ns(clock) / 1000000;
}
