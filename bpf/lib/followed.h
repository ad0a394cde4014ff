// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which sockets may be followed, told by one load: most are not, and need no look into a map.
#pragma once

#include "bpf/lib/common.h"

#define FOLLOWED_BITS 14 // of the slots' number: twice as many as connections

// How many followed sockets have their slot there.
__u32 followed[1 << FOLLOWED_BITS];

INLINE __u32 *followed_slot(const void *sk)
{
    // Of a pointer that the verifier knows, only the lower half may be taken for a number.
    __u64 number;
    asm volatile("r0 = %1; w0 = w0; %0 = r0" : "=r"(number) : "r"(sk) : "r0");
    __u32 low = number;
    return &followed[low * 0x9e3779b1u >> (32 - FOLLOWED_BITS)];
}

INLINE bool followed_maybe(const void *sk)
{
    return *followed_slot(sk) != 0;
}

INLINE void followed_add(const void *sk)
{
    __sync_fetch_and_add(followed_slot(sk), 1);
}

INLINE void followed_remove(const void *sk)
{
    __sync_fetch_and_sub(followed_slot(sk), 1);
}
