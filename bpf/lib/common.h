// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What every program starts from: types, helpers, the shared ring and the counters of what was lost.
#pragma once

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "wire/header.h"

#define INLINE static __always_inline

char LICENSE[] SEC("license") = "Dual BSD/GPL";

// This source's position in SOURCE_LIST; set before loading.
const volatile __u16 source_id;

// One ring for all sources: the loader replaces this map by the shared one.
struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} ring SEC(".maps");

// Records lost, per CPU, by source and reason; shared like the ring.
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, WIRE_SOURCES_MAX *WIRE_LOST_COUNT);
    __type(key, __u32);
    __type(value, __u64);
} lost SEC(".maps");

INLINE void lost_add(enum wire_lost reason)
{
    __u32 key = source_id * WIRE_LOST_COUNT + reason;
    __u64 *count = bpf_map_lookup_elem(&lost, &key);
    if (count)
        *count += 1;
}

// A record that matters wakes the reader at once. Others wait for the next one that does, or for the
// reader's own timer, unless the ring is filling up.
INLINE __u64 ring_flags(bool wake)
{
    if (wake || bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE) / 4)
        return BPF_RB_FORCE_WAKEUP;
    return BPF_RB_NO_WAKEUP;
}

INLINE void ring_write(void *record, __u64 size, bool wake)
{
    if (bpf_ringbuf_output(&ring, record, size, ring_flags(wake)))
        lost_add(WIRE_LOST_RING_FULL);
}

// Declares a per-CPU buffer for records too large for the stack. A cgroup program can be preempted and a
// tracepoint can interrupt another, so a buffer is claimed while it is used; who finds it taken counts a
// loss.
#define SCRATCH(name, record_type)                                    \
    struct name##_slot {                                              \
        __u32 taken;                                                  \
        __u32 used; /* bytes of the record's variable part, so far */ \
        record_type record;                                           \
    };                                                                \
    struct {                                                          \
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                      \
        __uint(max_entries, 1);                                       \
        __type(key, __u32);                                           \
        __type(value, struct name##_slot);                            \
    } name SEC(".maps");                                              \
    INLINE struct name##_slot *name##_take(void)                      \
    {                                                                 \
        __u32 zero = 0;                                               \
        struct name##_slot *slot = bpf_map_lookup_elem(&name, &zero); \
        if (!slot)                                                    \
            return NULL;                                              \
        if (slot->taken) {                                            \
            lost_add(WIRE_LOST_SCRATCH_BUSY);                         \
            return NULL;                                              \
        }                                                             \
        slot->taken = 1;                                              \
        slot->used = 0;                                               \
        return slot;                                                  \
    }                                                                 \
    INLINE void name##_give(struct name##_slot *slot)                 \
    {                                                                 \
        slot->taken = 0;                                              \
    }
