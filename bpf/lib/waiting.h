// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Connections on which a first request has begun whose head is not whole share these places, so that whoever
// begins requests and goes no further drives out his like, and not those that have asked for something. Only
// who takes a key out of its place may use or delete what it stands for.
#pragma once

#include "bpf/lib/common.h"

#define WAITING_BITS 9

__u64 waiting[1 << WAITING_BITS]; // struct sock *, or 0

INLINE __u64 *waiting_place(__u64 key)
{
    // Of a pointer that the verifier knows, only the lower half may be taken for a number.
    __u64 number;
    asm volatile("r0 = %1; w0 = w0; %0 = r0" : "=r"(number) : "r"(key) : "r0");
    return &waiting[(__u32)number * 0x9e3779b1u >> (32 - WAITING_BITS)];
}

// The key of whom it drives out, or 0.
INLINE __u64 waiting_begin(__u64 key)
{
    return __sync_lock_test_and_set(waiting_place(key), key);
}

// False where it has been driven out, or was not there.
INLINE bool waiting_end(__u64 key)
{
    __u64 *place = waiting_place(key);
    return *(volatile __u64 *)place == key && __sync_val_compare_and_swap(place, key, 0) == key;
}
