// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Who is running: identity, cgroup and the registers of the system call under way.
#pragma once

#include "bpf/lib/common.h"

// The cgroup that names a container: v2 where the task is in a v2 cgroup below the root, else that of the v1
// memory controller (hosts with v1 or both).
INLINE struct kernfs_node *task_cgroup(struct task_struct *task)
{
    struct css_set *set = BPF_CORE_READ(task, cgroups);
    struct cgroup *cgroup = BPF_CORE_READ(set, dfl_cgrp);
    if (BPF_CORE_READ(cgroup, level) == 0 &&
        bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id)) {
        struct cgroup_subsys_state *css = NULL;
        int memory = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
        bpf_core_read(&css, sizeof(css), &set->subsys[memory]);
        if (css)
            cgroup = BPF_CORE_READ(css, cgroup);
    }
    return BPF_CORE_READ(cgroup, kn);
}

INLINE struct kernfs_node *cgroup_parent(struct kernfs_node *node)
{
    if (bpf_core_field_exists(node->parent))
        return BPF_CORE_READ(node, parent);
    struct kernfs_node___newer *newer = (void *)node;
    return BPF_CORE_READ(newer, __parent);
}

// Fills a header on behalf of a task; `type` is the source's own numbering.
INLINE void header_fill(struct wire_header *header, struct task_struct *task, __u16 type, __u32 size)
{
    struct task_struct *leader = BPF_CORE_READ(task, group_leader);
    const struct cred *cred = BPF_CORE_READ(task, cred);
    header->size = size;
    header->source = source_id;
    header->type = type;
    header->time_ns = bpf_ktime_get_boot_ns();
    header->start_time_ns = BPF_CORE_READ(leader, start_boottime);
    header->cgroup_id = BPF_CORE_READ(task_cgroup(task), id);
    header->pid = BPF_CORE_READ(task, tgid);
    header->tid = BPF_CORE_READ(task, pid);
    header->uid = BPF_CORE_READ(cred, euid.val);
    header->gid = BPF_CORE_READ(cred, egid.val);
    // The three sets lie side by side in this order (include/linux/cred.h, since 2.6.29).
    bpf_core_read(&header->cap_inheritable, 3 * sizeof(__u64), &cred->cap_inheritable);
    // As a string behind zeroes, so that what lies behind the name does not come along.
    __builtin_memset(header->comm, 0, sizeof(header->comm));
    bpf_core_read_str(&header->comm, sizeof(header->comm), &leader->comm);
}

INLINE __u32 task_loginuid(struct task_struct *task)
{
    if (bpf_core_field_exists(task->loginuid))
        return BPF_CORE_READ(task, loginuid.val);
    return (__u32)-1;
}

// The registers with which the current task entered the kernel.
INLINE struct pt_regs *task_registers(struct task_struct *task)
{
    if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
        return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
    // Before 5.15: the top of the kernel stack, whose size was 16 KiB with 4 KiB pages on both architectures.
    return BPF_CORE_READ(task, stack) + 16384 - bpf_core_type_size(struct pt_regs);
}

INLINE long registers_syscall(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
    return (int)BPF_CORE_READ(regs, orig_ax); // the kernel, too, looks at the lower half only
#else
    return BPF_CORE_READ(regs, syscallno);
#endif
}

// Whether the call has not returned yet. A task works for io_uring on its way out of a call, too, when the
// registers still name that call; x86 keeps -ENOSYS for the result until there is one.
INLINE bool registers_inside(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
    return (long)BPF_CORE_READ(regs, ax) == -38;
#else
    return true;
#endif
}

#define TS_COMPAT 2 // arch/x86/include/asm/thread_info.h

// Whether the call under way came through the 32-bit interface.
INLINE bool task_in_compat_call(void)
{
#if defined(__TARGET_ARCH_x86)
    if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf))
        return bpf_get_current_task_btf()->thread_info.status & TS_COMPAT;
    struct task_struct *task = (void *)bpf_get_current_task();
    return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
#else
    return false;
#endif
}

// The open file behind a descriptor of the current task, or NULL.
INLINE struct file *task_file(struct task_struct *task, long fd)
{
    struct file **slots;
    struct file *file = NULL;
    __u32 max_fds;
    if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) {
        // Plain loads, which cost next to nothing.
        struct fdtable *table = bpf_get_current_task_btf()->files->fdt;
        max_fds = table->max_fds;
        slots = table->fd;
    } else {
        struct fdtable *table = BPF_CORE_READ(task, files, fdt);
        max_fds = BPF_CORE_READ(table, max_fds);
        slots = BPF_CORE_READ(table, fd);
    }
    if (fd < 0 || fd >= max_fds)
        return NULL;
    bpf_probe_read_kernel(&file, sizeof(file), slots + fd);
    return file;
}
