// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a process has computed, for the requests that it answers (include/wire/work.h).
#pragma once

#include "bpf/lib/common.h"
#include "wire/work.h"

// By thread group; where one is pushed out, requests under way say that it is not known. Shared by all
// sources: the loader replaces this map by the one that there is.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, WIRE_WORK_PROCESSES);
    __type(key, __u32);
    __type(value, struct wire_work);
} work SEC(".maps");

// What a new entry starts from: not on the stack, of which calls inside of calls have 512 bytes together.
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct wire_work);
} work_blank SEC(".maps");

INLINE struct wire_work *work_of(__u32 pid)
{
    return bpf_map_lookup_elem(&work, &pid);
}

// The same, with a new entry where there is none. NULL: no room.
INLINE struct wire_work *work_of_new(__u32 pid)
{
    struct wire_work *entry = work_of(pid);
    if (entry)
        return entry;
    __u32 zero = 0;
    struct wire_work *blank = bpf_map_lookup_elem(&work_blank, &zero);
    if (!blank)
        return NULL;
    blank->first = blank->begun = bpf_ktime_get_ns() >> 16;
    bpf_map_update_elem(&work, &pid, blank, BPF_NOEXIST);
    return work_of(pid);
}

// The current process has computed for so long. `count` 0: it was part of what was counted before.
INLINE void work_add(enum wire_work_phase phase, __u64 time_ns, __u32 count, __u32 sequences)
{
    struct wire_work *entry = work_of_new(bpf_get_current_pid_tgid() >> 32);
    if (!entry || phase >= WIRE_WORK_PHASES)
        return;
    __sync_fetch_and_add(&entry->sums[phase].time_ns, time_ns);
    // Where they are always 0, clang makes an atomic "or" of that, which kernels before 5.12 do not know.
    if (count)
        __sync_fetch_and_add(&entry->sums[phase].count, count);
    if (sequences)
        __sync_fetch_and_add(&entry->sums[phase].sequences, sequences);
}
