// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The numbers that a process, its group and its session go by: those of the initial pid namespace, and those
// that the process itself sees.
#pragma once

#include "bpf/lib/common.h"
#include "wire/process.h"

enum { PIDS_PROCESS = 1, PIDS_GROUP = 2, PIDS_SESSION = 3 }; // enum pid_type, since 4.19

INLINE struct upid *pid_at(struct pid *pid, __u32 level)
{
    return (void *)pid + bpf_core_field_offset(struct pid, numbers) + level * bpf_core_type_size(struct upid);
}

// 0 where it does not exist on that level: a group or session from above the namespace.
INLINE __u32 pid_number(struct pid *pid, __u32 level)
{
    if (BPF_CORE_READ(pid, level) < level)
        return 0;
    struct upid *number = pid_at(pid, level);
    return BPF_CORE_READ(number, nr);
}

INLINE void pids_fill(struct wire_process_ids *ids, struct task_struct *task)
{
    struct pid *pids[4] = {};
    struct signal_struct *signal = BPF_CORE_READ(task, signal);
    bpf_core_read(pids, sizeof(pids), &signal->pids);
    __u32 level = BPF_CORE_READ(pids[PIDS_PROCESS], level);
    struct upid *own = pid_at(pids[PIDS_PROCESS], level);
    ids->pidns_start_ns = BPF_CORE_READ(own, ns, child_reaper, group_leader, start_boottime);
    ids->sid = pid_number(pids[PIDS_SESSION], 0);
    ids->pgid = pid_number(pids[PIDS_GROUP], 0);
    ids->vpid = BPF_CORE_READ(own, nr);
    ids->vsid = pid_number(pids[PIDS_SESSION], level);
    ids->vpgid = pid_number(pids[PIDS_GROUP], level);
}
