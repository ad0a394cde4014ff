// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `tls`: says when a process first connects or listens by TCP, which is when it has loaded what
// encrypts its connections, and before it has encrypted anything. The uprobes themselves are the source
// `api`'s (bpf/lib/tls.h).
#include "wire/tls.h"
#include "bpf/lib/task.h"

#define TCP_SYN_SENT 2
#define TCP_LISTEN 10
#define APART_NS 5000000ull // between two records

// Processes that have been told of.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 8192);
    __type(key, __u32);
    __type(value, __u64); // when its last exec was, or it was forked
} told SEC(".maps");

__u64 last_ns;

INLINE void tcp_used(void)
{
    struct task_struct *task = (void *)bpf_get_current_task();
    __u32 pid = bpf_get_current_pid_tgid() >> 32;
    __u64 program = BPF_CORE_READ(task, self_exec_id);
    __u64 *known = bpf_map_lookup_elem(&told, &pid);
    if (known && *known == program)
        return;
    bpf_map_update_elem(&told, &pid, &program, BPF_ANY);
    // Who comes too soon after another is looked at when the agent next looks around, within a second.
    __u64 now_ns = bpf_ktime_get_boot_ns();
    if (now_ns - last_ns < APART_NS)
        return;
    last_ns = now_ns;
    struct wire_tls record = {};
    header_fill(&record.header, task, 0, sizeof(record));
    ring_write(&record, sizeof(record), true);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tls_used_btf, struct sock *sk, int old_state, int state)
{
    if (state == TCP_SYN_SENT || state == TCP_LISTEN)
        tcp_used();
    return 0;
}
