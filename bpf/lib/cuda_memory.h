// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Which memory of GPUs each process has. What is noted of a process counts as long as it bears the time since
// which the process is followed; to forget it all, that time is changed, and user space clears up.
#pragma once

#include "bpf/lib/task.h"
#include "wire/cuda.h"

#define CUDA_PROCESSES 4096
#define CUDA_ALLOCATIONS 131072

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, CUDA_PROCESSES);
    __type(key, __u32); // pid
    __type(value, struct wire_cuda_process);
} cuda_processes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, CUDA_ALLOCATIONS);
    __type(key, struct wire_cuda_allocation);
    __type(value, __u64);
} cuda_allocations SEC(".maps");

// How often allocations were left behind, for user space to clear up.
__u64 cuda_left_behind;

INLINE struct wire_cuda_process *cuda_process(void)
{
    __u32 pid = bpf_get_current_pid_tgid() >> 32;
    return bpf_map_lookup_elem(&cuda_processes, &pid);
}

INLINE struct wire_cuda_process *cuda_process_new(__u64 cgroup_id)
{
    __u32 pid = bpf_get_current_pid_tgid() >> 32;
    struct wire_cuda_process *known = bpf_map_lookup_elem(&cuda_processes, &pid);
    if (known)
        return known;
    struct task_struct *task = (void *)bpf_get_current_task();
    struct wire_cuda_process process = {.cgroup_id = cgroup_id,
                                        .start_ns = BPF_CORE_READ(task, group_leader, start_boottime),
                                        .since_ns = bpf_ktime_get_boot_ns()};
    // Another thread can have been faster, which is as well.
    bpf_map_update_elem(&cuda_processes, &pid, &process, BPF_NOEXIST);
    known = bpf_map_lookup_elem(&cuda_processes, &pid);
    if (!known)
        lost_add(WIRE_LOST_STATE_FULL);
    return known;
}

INLINE struct wire_cuda_allocation cuda_allocation(const struct wire_cuda_process *process, __u64 address,
                                                   __u32 what)
{
    return (struct wire_cuda_allocation){.address = address,
                                         .since_ns = process->since_ns,
                                         .pid = bpf_get_current_pid_tgid() >> 32,
                                         .what = what};
}

INLINE void cuda_process_forget(struct wire_cuda_process *process)
{
    process->since_ns = bpf_ktime_get_boot_ns();
    process->in_use = 0;
    __sync_fetch_and_add(&cuda_left_behind, 1);
}

INLINE void cuda_note(struct wire_cuda_process *process, __u64 address, __u32 what, __u64 size)
{
    if (process->unknown & WIRE_CUDA_FULL)
        return;
    struct wire_cuda_allocation key = cuda_allocation(process, address, what);
    // What was there has been freed in a way that nobody saw.
    const __u64 *before = bpf_map_lookup_elem(&cuda_allocations, &key);
    if (before)
        __sync_fetch_and_add(&process->in_use, -*before);
    if (bpf_map_update_elem(&cuda_allocations, &key, &size, BPF_ANY)) {
        lost_add(WIRE_LOST_STATE_FULL);
        // Those that are noted would not tell much, and others can use their room.
        process->unknown |= WIRE_CUDA_FULL;
        cuda_process_forget(process);
        return;
    }
    __sync_fetch_and_add(&process->in_use, size);
}

// Its size; 0 where it is not known.
INLINE __u64 cuda_take(struct wire_cuda_process *process, __u64 address, __u32 what)
{
    struct wire_cuda_allocation key = cuda_allocation(process, address, what);
    const __u64 *found = bpf_map_lookup_elem(&cuda_allocations, &key);
    if (!found)
        return 0;
    __u64 size = *found;
    if (bpf_map_delete_elem(&cuda_allocations, &key))
        return 0;
    __sync_fetch_and_add(&process->in_use, -size);
    return size;
}

// One of its contexts has gone, and all memory in it. With a single one that is all.
INLINE void cuda_context_gone(struct wire_cuda_process *process)
{
    __u64 devices = process->devices;
    bool one_device = (devices & (devices - 1)) == 0;
    if (one_device && process->contexts + (devices != 0) <= 1) {
        process->devices = process->contexts = process->unknown = 0;
        cuda_process_forget(process);
        return;
    }
    process->unknown |= WIRE_CUDA_CONTEXTS;
}

// By exit or exec.
INLINE void cuda_process_gone(__u32 pid)
{
    if (bpf_map_delete_elem(&cuda_processes, &pid) == 0)
        __sync_fetch_and_add(&cuda_left_behind, 1);
}
