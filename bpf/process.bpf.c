// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `process`: fork, exec and exit of processes (not of threads).
#include "wire/process.h"
#include "bpf/lib/common.h"
#include "bpf/lib/path.h"
#include "bpf/lib/task.h"
#include "bpf/lib/wake.h"

// Whether a rule judges this type, so that the reader is woken; the process table alone can wait.
bool wake_clone, wake_execve, wake_procexit;

// Where a part may start at the latest, so that its largest size still fits.
#define EXECVE_EXE_LIMIT (WIRE_PROCESS_FILENAME_MAX + WIRE_PROCESS_PATH_MAX - WIRE_PATH_COMPONENT_MAX)
#define EXECVE_ARGS_LIMIT (WIRE_PROCESS_FILENAME_MAX + WIRE_PROCESS_PATH_MAX)
#define EXECVE_DATA_MAX (EXECVE_ARGS_LIMIT + WIRE_PROCESS_ARGS_MAX + WIRE_PROCESS_CGROUP_MAX)

struct execve_record {
    struct wire_process_execve event;
    char data[EXECVE_DATA_MAX];
};

SCRATCH(scratch, struct execve_record)

INLINE __u32 task_tty(struct task_struct *task)
{
    struct tty_struct *tty = BPF_CORE_READ(task, signal, tty);
    if (!tty)
        return 0;
    struct tty_driver *driver = BPF_CORE_READ(tty, driver);
    __u32 major = BPF_CORE_READ(driver, major);
    __u32 minor = BPF_CORE_READ(driver, minor_start) + BPF_CORE_READ(tty, index);
    return (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12); // new_encode_dev()
}

// Names from the leaf to the root's child; the root itself has no parent and no name. At least the leaf and
// what is above it fit; eight levels are more than any runtime nests.
INLINE void cgroup_append(struct kernfs_node *node, char *data, volatile __u32 *cursor, __u32 limit)
{
    for (int i = 0; i < 8; i++) {
        struct kernfs_node *parent = cgroup_parent(node);
        __u32 at = *cursor;
        if (!parent || at > limit)
            return;
        long length =
            bpf_probe_read_kernel_str(data + at, WIRE_PATH_COMPONENT_MAX, BPF_CORE_READ(node, name));
        if (length <= 0)
            return;
        *cursor = at + length;
        node = parent;
    }
}

INLINE void process_forked(struct task_struct *parent, struct task_struct *child)
{
    if (BPF_CORE_READ(child, pid) != BPF_CORE_READ(child, tgid))
        return;
    struct wire_process_clone event = {};
    header_fill(&event.header, child, WIRE_PROCESS_CLONE, sizeof(event));
    event.parent_pid = BPF_CORE_READ(parent, tgid);
    event.parent_start_time_ns = BPF_CORE_READ(parent, group_leader, start_boottime);
    event.loginuid = task_loginuid(child);
    ring_write(&event, sizeof(event), wake_clone);
}

INLINE void process_execed(struct task_struct *task, struct linux_binprm *bprm)
{
    struct scratch_slot *slot = scratch_take();
    if (!slot)
        return;
    struct wire_process_execve *event = &slot->record.event;
    char *data = slot->record.data;
    struct task_struct *parent = BPF_CORE_READ(task, real_parent);
    struct mm_struct *mm = BPF_CORE_READ(task, mm);
    volatile __u32 *used = &slot->used;

    event->parent_pid = BPF_CORE_READ(parent, tgid);
    event->parent_start_time_ns = BPF_CORE_READ(parent, group_leader, start_boottime);
    event->loginuid = task_loginuid(task);
    event->tty = task_tty(task);
    event->reserved = 0;

    long size = bpf_probe_read_kernel_str(data, WIRE_PROCESS_FILENAME_MAX, BPF_CORE_READ(bprm, filename));
    *used = size > 0 ? size : 0;
    event->filename_size = *used;

    struct file *exe = BPF_CORE_READ(mm, exe_file);
    __u32 before = *used;
    event->exe_truncated = path_append(&exe->f_path, data, used, EXECVE_EXE_LIMIT);
    event->exe_size = *used - before;

    // The kernel has just written the arguments to the new stack and the program has not run yet: this user
    // memory cannot have been changed by anyone.
    unsigned long start = BPF_CORE_READ(mm, arg_start);
    unsigned long length = BPF_CORE_READ(mm, arg_end) - start;
    event->args_truncated = length > WIRE_PROCESS_ARGS_MAX;
    if (length > WIRE_PROCESS_ARGS_MAX)
        length = WIRE_PROCESS_ARGS_MAX;
    event->args_size = 0;
    before = *used;
    if (before <= EXECVE_ARGS_LIMIT && bpf_probe_read_user(data + before, length, (void *)start) == 0) {
        event->args_size = length;
        *used = before + length;
    }

    before = *used;
    cgroup_append(task_cgroup(task), data, used, EXECVE_DATA_MAX - WIRE_PATH_COMPONENT_MAX);
    event->cgroup_size = *used - before;

    __u32 total = *used;
    if (total > EXECVE_DATA_MAX)
        total = EXECVE_DATA_MAX;
    header_fill(&event->header, task, WIRE_PROCESS_EXECVE, sizeof(*event) + total);
    ring_write(event, sizeof(*event) + total, wake_execve && wake_for_name(&event->header));
    scratch_give(slot);
}

INLINE void process_exited(struct task_struct *task)
{
    // Counted down before the tracepoint (kernel/exit.c), so 0 means that the last thread is going.
    if (BPF_CORE_READ(task, signal, live.counter) != 0)
        return;
    struct wire_process_procexit event = {};
    header_fill(&event.header, task, WIRE_PROCESS_PROCEXIT, sizeof(event));
    event.status = BPF_CORE_READ(task, exit_code);
    ring_write(&event, sizeof(event), wake_procexit);
}

// The adapters: how this kernel calls us. Another attach point is another adapter.

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork_tp, struct task_struct *parent, struct task_struct *child)
{
    process_forked(parent, child);
    return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec_tp, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
    process_execed(task, bprm);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit_tp, struct task_struct *task)
{
    process_exited(task);
    return 0;
}
