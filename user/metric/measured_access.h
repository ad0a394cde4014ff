// How measured.c gets at what sources measure; a test puts something else in its place.
#pragma once

#include "measure.h"

#include <stddef.h>
#include <stdint.h>

struct measured_access {
    size_t (*sources)(void);
    const struct measures *(*measures)(size_t source); // NULL: it measures nothing
    // As bpf_map_get_next_key(), bpf_map_lookup_elem() and bpf_map_delete_elem().
    int (*next_key)(int fd, const void *key, void *ret_next);
    int (*lookup)(int fd, const void *key, void *ret_value);
    int (*remove)(int fd, const void *key);
    uint64_t (*now_ns)(void); // CLOCK_BOOTTIME
};

// NULL: the kernel again.
void measured_set_access(const struct measured_access *access);
