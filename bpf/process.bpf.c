// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `process`: fork, exec and exit of processes (not of threads), and their groups and sessions.
#include "wire/process.h"
#include "bpf/lib/call.h"
#include "bpf/lib/common.h"
#include "bpf/lib/exe.h"
#include "bpf/lib/path.h"
#include "bpf/lib/pids.h"
#include "bpf/lib/task.h"
#include "bpf/lib/wake.h"

// Whether a rule judges this type, so that the reader is woken; the process table alone can wait.
bool wake_clone, wake_execve, wake_procexit, wake_session;

// What some rule reads; the rest is not looked for.
bool read_ids, read_exe, read_cwd, read_env;

// Where a part may start at the latest, so that its largest size still fits.
#define EXECVE_EXE_LIMIT (WIRE_PROCESS_FILENAME_MAX + WIRE_PROCESS_PATH_MAX - WIRE_PATH_COMPONENT_MAX)
#define EXECVE_ARGS_LIMIT (WIRE_PROCESS_FILENAME_MAX + WIRE_PROCESS_PATH_MAX)
#define EXECVE_CGROUP_END (EXECVE_ARGS_LIMIT + WIRE_PROCESS_ARGS_MAX + WIRE_PROCESS_CGROUP_MAX)
#define EXECVE_ENV_LIMIT (EXECVE_CGROUP_END + WIRE_PROCESS_CWD_MAX)
#define EXECVE_DATA_MAX (EXECVE_ENV_LIMIT + WIRE_PROCESS_ENV_MAX)

struct execve_record {
    struct wire_process_execve event;
    char data[EXECVE_DATA_MAX];
};

SCRATCH(scratch, struct execve_record)

// Processes that are ending and were reported. Of one that is pushed out, whose threads take so long to end,
// there could be a second record.
struct ending {
    __u64 start_time_ns;
    __u64 pid;
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct ending);
    __type(value, __u8);
} endings SEC(".maps");

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
// what is above it fit; sixteen levels are more than any runtime nests. Returns 1 where there are more, which
// a container with a cgroup file system of its own may have, else 0.
INLINE int cgroup_append(struct kernfs_node *node, char *data, volatile __u32 *cursor, __u32 limit)
{
    for (int i = 0; i < 16; i++) {
        struct kernfs_node *parent = cgroup_parent(node);
        __u32 at = *cursor;
        if (!parent)
            return 0;
        if (at > limit)
            return 1;
        long length =
            bpf_probe_read_kernel_str(data + at, WIRE_PATH_COMPONENT_MAX, BPF_CORE_READ(node, name));
        if (length <= 0)
            return 1;
        *cursor = at + length;
        node = parent;
    }
    return 1;
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
    if (read_ids)
        pids_fill(&event.ids, child);
    ring_write(&event, sizeof(event), wake_clone);
}

// Copies what the kernel has just written to the new stack; the program has not run yet, so nobody can have
// changed it. Returns how much there is; 0 where it is not in memory.
INLINE __u32 stack_append(unsigned long from, unsigned long length, char *data, volatile __u32 *cursor,
                          __u32 limit)
{
    __u32 at = *cursor;
    if (at > limit || bpf_probe_read_user(data + at, length, (void *)from))
        return 0;
    *cursor = at + length;
    return length;
}

// What only some rules read.
INLINE void execve_extend(struct wire_process_execve *event, struct task_struct *task, struct mm_struct *mm,
                          char *data, volatile __u32 *used)
{
    __u32 before = *used;
    event->has_cwd = 0;
    if (read_cwd) {
        struct fs_struct *fs = BPF_CORE_READ(task, fs);
        if (path_append(&fs->pwd, data, used, EXECVE_ENV_LIMIT - WIRE_PATH_COMPONENT_MAX))
            *used = before;
        else
            event->has_cwd = 1;
    }
    event->cwd_size = *used - before;

    event->env_size = event->env_truncated = 0;
    if (read_env) {
        unsigned long start = BPF_CORE_READ(mm, env_start);
        unsigned long length = BPF_CORE_READ(mm, env_end) - start;
        event->env_truncated = length > WIRE_PROCESS_ENV_MAX;
        if (length > WIRE_PROCESS_ENV_MAX)
            length = WIRE_PROCESS_ENV_MAX;
        event->env_size = stack_append(start, length, data, used, EXECVE_ENV_LIMIT);
    }

    event->exe_ino = event->exe_ctime_ns = event->exe_mtime_ns = 0;
    if (read_exe)
        exe_fill(event, BPF_CORE_READ(task, cred), BPF_CORE_READ(mm, exe_file, f_inode));
    __builtin_memset(&event->ids, 0, sizeof(event->ids));
    if (read_ids)
        pids_fill(&event->ids, task);
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
    __builtin_memset(event->reserved, 0, sizeof(event->reserved));

    long size = bpf_probe_read_kernel_str(data, WIRE_PROCESS_FILENAME_MAX, BPF_CORE_READ(bprm, filename));
    *used = size > 0 ? size : 0;
    event->filename_size = *used;

    struct file *exe = BPF_CORE_READ(mm, exe_file);
    __u32 before = *used;
    event->exe_truncated = path_append(&exe->f_path, data, used, EXECVE_EXE_LIMIT);
    event->exe_size = *used - before;
    struct dentry *dentry = BPF_CORE_READ(exe, f_path.dentry);
    event->exe_flags = BPF_CORE_READ(dentry, d_parent) == dentry ? WIRE_EXE_ALONE : 0;
    const struct cred *cred = BPF_CORE_READ(task, cred);
    if (BPF_CORE_READ(cred, uid.val) != BPF_CORE_READ(cred, euid.val))
        event->exe_flags |= WIRE_EXE_OTHER_USER;

    unsigned long start = BPF_CORE_READ(mm, arg_start);
    unsigned long length = BPF_CORE_READ(mm, arg_end) - start;
    event->args_truncated = length > WIRE_PROCESS_ARGS_MAX;
    if (length > WIRE_PROCESS_ARGS_MAX)
        length = WIRE_PROCESS_ARGS_MAX;
    event->args_size = stack_append(start, length, data, used, EXECVE_ARGS_LIMIT);

    before = *used;
    event->cgroup_truncated =
        cgroup_append(task_cgroup(task), data, used, EXECVE_CGROUP_END - WIRE_PATH_COMPONENT_MAX);
    event->cgroup_size = *used - before;
    execve_extend(event, task, mm, data, used);

    __u32 total = *used;
    if (total > EXECVE_DATA_MAX)
        total = EXECVE_DATA_MAX;
    header_fill(&event->header, task, WIRE_PROCESS_EXECVE, sizeof(*event) + total);
    ring_write(event, sizeof(*event) + total, wake_execve && wake_for_name(&event->header));
    scratch_give(slot);
}

// The threads of a process are counted down before the tracepoint (kernel/exit.c), so two that end at the
// same instant can both find 0. The first one is then still counted in nr_threads; when it is not any more,
// its time was added to that of the threads that are gone. A process that never had a second thread, which is
// most of them, has neither and pays for one read.
INLINE bool process_was_reported(const struct signal_struct *signal, const struct wire_header *header)
{
    if (BPF_CORE_READ(signal, nr_threads) <= 1 && BPF_CORE_READ(signal, sum_sched_runtime) == 0)
        return false;
    struct ending ending = {.start_time_ns = header->start_time_ns, .pid = header->pid};
    __u8 reported = 1;
    // As an int: before 6.4 the upper half of what this returns is not set.
    int error = (int)bpf_map_update_elem(&endings, &ending, &reported, BPF_NOEXIST);
    return error == -17; // EEXIST
}

INLINE void process_exited(struct task_struct *task)
{
    struct signal_struct *signal = BPF_CORE_READ(task, signal);
    if (BPF_CORE_READ(signal, live.counter) != 0)
        return;
    struct wire_process_procexit event = {};
    header_fill(&event.header, task, WIRE_PROCESS_PROCEXIT, sizeof(event));
    if (process_was_reported(signal, &event.header))
        return;
    event.status = BPF_CORE_READ(task, exit_code);
    ring_write(&event, sizeof(event), wake_procexit);
}

// setsid() and setpgid(): the caller's numbers by now.
INLINE void call_returned(struct call *call)
{
    struct wire_process_session event = {};
    header_fill(&event.call.header, call->task, call->type, sizeof(event));
    event.call.result = call->result;
    if (call->type == WIRE_PROCESS_SETPGID) {
        event.pid = (__s32)CALL_ARG1(call);
        event.pgid = (__s32)CALL_ARG2(call);
    }
    pids_fill(&event.ids, call->task);
    ring_write(&event, sizeof(event), wake_session);
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

CALL_PROGRAMS
