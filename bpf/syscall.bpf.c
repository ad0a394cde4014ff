// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `syscall`: how long chosen system calls take, by container, as histograms that stay here until they
// are read.
// Only the tracepoints of the chosen calls are attached.
#include "wire/syscall.h"
#include "bpf/lib/measure.h"

// Which histogram a call's number belongs to, plus one; 0: not watched.
const volatile __u8 slots[WIRE_SYSCALL_NR_MAX];

struct begun {
    __u64 time_ns;
    __u64 call;
};

// Threads inside a watched call. What those leave that never return (exit), user space takes out
// (user/source/threads.h). Nothing is pushed out: that would be the calls that take the longest.
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, __u64);
    __type(value, struct begun);
} inside SEC(".maps");

SEC("tracepoint/syscalls")
int syscall_enter_tp(struct syscall_enter_context *context)
{
    __u64 key = bpf_get_current_pid_tgid();
    struct begun begun = {.time_ns = bpf_ktime_get_boot_ns(), .call = (__u64)context->number};
    if (bpf_map_update_elem(&inside, &key, &begun, BPF_ANY))
        lost_add(WIRE_LOST_STATE_FULL);
    return 0;
}

SEC("tracepoint/syscalls")
int syscall_exit_tp(struct syscall_exit_context *context)
{
    __u64 now = bpf_ktime_get_boot_ns();
    __u64 key = bpf_get_current_pid_tgid();
    struct begun *begun = bpf_map_lookup_elem(&inside, &key);
    // Another call's entry: this call began before we were attached.
    if (!begun || begun->call != (__u64)context->number || begun->call >= WIRE_SYSCALL_NR_MAX)
        return 0;
    __u64 duration = now - begun->time_ns;
    __u32 slot = slots[begun->call];
    bpf_map_delete_elem(&inside, &key);
    if (slot == 0)
        return 0;
    struct wire_measure_key measured = measure_key(measure_cgroup(), WIRE_SYSCALL_DURATION, slot - 1);
    struct wire_measure *entry = measure_entry(&measured);
    if (entry)
        measure_count_short(entry, duration, now);
    return 0;
}
