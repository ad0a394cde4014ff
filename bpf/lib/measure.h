// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Adding up what a source measures, by cgroup (include/wire/measure.h).
#pragma once

#include "bpf/lib/task.h"
#include "wire/measure.h"

// A source whose programs run where memory must not be allocated says otherwise.
#ifndef MEASURE_FLAGS
#define MEASURE_FLAGS BPF_F_NO_PREALLOC
#define MEASURE_CGROUPS 4096 // entries: cgroups, times what is measured in each
#endif

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, MEASURE_FLAGS);
    __uint(max_entries, MEASURE_CGROUPS);
    __type(key, struct wire_measure_key);
    __type(value, struct wire_measure);
} measures SEC(".maps");

// Never written: what a new entry starts from.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct wire_measure);
} measure_blank SEC(".maps");

// The smallest n for which value <= 2^n; the last bucket's for all above.
INLINE __u32 measure_bucket(__u64 value)
{
    __u32 n = 0;
    if (value < 2)
        return 0;
    value--;
    if (value >> 31)
        return WIRE_MEASURE_BUCKETS - 1;
    if (value >> 16) {
        n += 16;
        value >>= 16;
    }
    if (value >> 8) {
        n += 8;
        value >>= 8;
    }
    if (value >> 4) {
        n += 4;
        value >>= 4;
    }
    if (value >> 2) {
        n += 2;
        value >>= 2;
    }
    n += (value >> 1) + 1;
    return n < WIRE_MEASURE_BUCKETS - 1 ? n : WIRE_MEASURE_BUCKETS - 1;
}

// `pid`: a process of that cgroup.
INLINE struct wire_measure *measure_entry_of(const struct wire_measure_key *key, __u32 pid)
{
    struct wire_measure *entry = bpf_map_lookup_elem(&measures, key);
    if (entry)
        return entry;
    __u32 zero = 0;
    struct wire_measure *blank = bpf_map_lookup_elem(&measure_blank, &zero);
    if (!blank)
        return NULL;
    // Another CPU can have been faster, which is as well.
    bpf_map_update_elem(&measures, key, blank, BPF_NOEXIST);
    entry = bpf_map_lookup_elem(&measures, key);
    if (entry)
        entry->pid = pid;
    else
        lost_add(WIRE_LOST_STATE_FULL);
    return entry;
}

INLINE struct wire_measure *measure_entry(const struct wire_measure_key *key)
{
    return measure_entry_of(key, bpf_get_current_pid_tgid() >> 32);
}

INLINE struct wire_measure_key measure_key(__u64 cgroup_id, __u16 measure, __u16 detail)
{
    return (struct wire_measure_key){.cgroup_id = cgroup_id, .measure = measure, .detail = detail};
}

// Of a task whose type the verifier knows: plain loads, which cost next to nothing.
INLINE __u64 measure_cgroup_of(struct task_struct *task)
{
    struct cgroup *cgroup = task->cgroups->dfl_cgrp;
    return cgroup->level ? cgroup->kn->id : BPF_CORE_READ(task_cgroup(task), id);
}

// The current task's.
INLINE __u64 measure_cgroup(void)
{
    if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf))
        return measure_cgroup_of(bpf_get_current_task_btf());
    struct task_struct *task = (void *)bpf_get_current_task();
    return BPF_CORE_READ(task_cgroup(task), id);
}

// One that went well. Where a time or an amount means nothing, no family shows it.
INLINE void measure_count(struct wire_measure *entry, __u64 time_ns, __u64 amount)
{
    __u32 time_bucket = measure_bucket((time_ns + 999) / 1000) & (WIRE_MEASURE_BUCKETS - 1);
    __u32 amount_bucket = measure_bucket(amount) & (WIRE_MEASURE_BUCKETS - 1);
    __sync_fetch_and_add(&entry->count, 1);
    // Where it is always 0, clang makes an atomic "or" of it, which kernels before 5.12 do not know.
    if (time_ns)
        __sync_fetch_and_add(&entry->time_ns, time_ns);
    if (amount)
        __sync_fetch_and_add(&entry->amount, amount);
    __sync_fetch_and_add(&entry->times[time_bucket], 1);
    __sync_fetch_and_add(&entry->amounts[amount_bucket], 1);
    entry->last_ns = bpf_ktime_get_boot_ns();
}

// `now_ns`, here and below: CLOCK_BOOTTIME.

// One of which only the number is shown.
INLINE void measure_count_one(struct wire_measure *entry, __u64 now_ns)
{
    __sync_fetch_and_add(&entry->count, 1);
    entry->last_ns = now_ns;
}

// One of which only the time is shown.
INLINE void measure_count_time(struct wire_measure *entry, __u64 time_ns, __u64 now_ns)
{
    __u32 bucket = measure_bucket((time_ns + 999) / 1000) & (WIRE_MEASURE_BUCKETS - 1);
    __sync_fetch_and_add(&entry->count, 1);
    __sync_fetch_and_add(&entry->time_ns, time_ns);
    __sync_fetch_and_add(&entry->times[bucket], 1);
    entry->last_ns = now_ns;
}

// Some of which only the sum is shown.
INLINE void measure_count_amount(struct wire_measure *entry, __u64 amount, __u64 now_ns)
{
    __sync_fetch_and_add(&entry->count, 1);
    __sync_fetch_and_add(&entry->amount, amount);
    entry->last_ns = now_ns;
}

// One whose time is short (MEASURE_SHORT_TIME) and that happens so often that an amount would cost too much.
INLINE void measure_count_short(struct wire_measure *entry, __u64 time_ns, __u64 now_ns)
{
    __u64 ticks = (time_ns + WIRE_MEASURE_SHORT_TICK_NS - 1) / WIRE_MEASURE_SHORT_TICK_NS;
    __u32 bucket = measure_bucket(ticks) & (WIRE_MEASURE_BUCKETS - 1);
    __sync_fetch_and_add(&entry->count, 1);
    __sync_fetch_and_add(&entry->time_ns, time_ns);
    __sync_fetch_and_add(&entry->times[bucket], 1);
    entry->last_ns = now_ns;
}

INLINE void measure_add_one(const struct wire_measure_key *key)
{
    struct wire_measure *entry = measure_entry(key);
    if (entry)
        measure_count_one(entry, bpf_ktime_get_boot_ns());
}

INLINE void measure_add(const struct wire_measure_key *key, __u64 time_ns, __u64 amount)
{
    struct wire_measure *entry = measure_entry(key);
    if (entry)
        measure_count(entry, time_ns, amount);
}

INLINE void measure_add_failed(const struct wire_measure_key *key)
{
    struct wire_measure *entry = measure_entry(key);
    if (!entry)
        return;
    __sync_fetch_and_add(&entry->count, 1);
    __sync_fetch_and_add(&entry->failed, 1);
    entry->last_ns = bpf_ktime_get_boot_ns();
}
