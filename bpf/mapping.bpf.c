// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `mapping`: says when a process runs a program, or maps a library to be executed, that nobody has
// run before, so that it can be probed before much of it has run. Files that are known cost a look into a
// map.
#include "wire/mapping.h"
#include "bpf/lib/task.h"

#define PROT_EXEC 4
#define MAP_ANONYMOUS 0x20
#define MAX_ERRNO 4095ul

// The reader is woken so many times at once, and then once each so long. What comes faster it finds when it
// next looks around, within a second.
#define WAKES_MAX 64
#define WAKE_EACH_NS 5000000ull

// The same number comes again when a file has gone; its generation does not, where the file system has those.
struct mapping_file {
    __u64 inode;
    __u64 size;
    __u32 device;
    __u32 generation;
};

// A file that is pushed out is told of once more.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, struct mapping_file);
    __type(value, __u32); // the round in which it was told of
} known SEC(".maps");

__u32 round_now; // the agent counts it up where it has let go of files, which are news again then
__u64 paid_ns;   // up to when wakes are paid for; two CPUs that change it at once allow one more

INLINE bool may_wake(void)
{
    __u64 now_ns = bpf_ktime_get_ns(), saved_ns = WAKES_MAX * WAKE_EACH_NS;
    __u64 from_ns = now_ns - paid_ns > saved_ns ? now_ns - saved_ns : paid_ns;
    if (now_ns - from_ns < WAKE_EACH_NS)
        return false;
    paid_ns = from_ns + WAKE_EACH_NS;
    return true;
}

INLINE void mapping_seen(struct file *file)
{
    struct inode *inode = BPF_CORE_READ(file, f_inode);
    struct mapping_file key = {.inode = BPF_CORE_READ(inode, i_ino),
                               .size = BPF_CORE_READ(inode, i_size),
                               .device = BPF_CORE_READ(inode, i_sb, s_dev),
                               .generation = BPF_CORE_READ(inode, i_generation)};
    __u32 round = round_now;
    __u32 *told = bpf_map_lookup_elem(&known, &key);
    if (told && *told == round)
        return;
    bpf_map_update_elem(&known, &key, &round, BPF_ANY);
    if (!may_wake())
        return;
    struct wire_mapping record = {};
    header_fill(&record.header, (void *)bpf_get_current_task(), 0, sizeof(record));
    ring_write(&record, sizeof(record), true);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(mapping_exec_btf, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
    mapping_seen(BPF_CORE_READ(bprm, file));
    return 0;
}

// The kernel has noted the mapping (PERF_RECORD_MMAP2) by then, and the loader has not run any of it.
SEC("tracepoint/syscalls")
int mapping_mmap_tp(struct syscall_exit_context *context)
{
    if ((unsigned long)context->result >= -MAX_ERRNO)
        return 0;
    struct task_struct *task = (void *)bpf_get_current_task();
    struct pt_regs *regs = task_registers(task);
    unsigned long protection = PT_REGS_PARM3_CORE_SYSCALL(regs), flags = PT_REGS_PARM4_CORE_SYSCALL(regs);
    if (!(protection & PROT_EXEC) || flags & MAP_ANONYMOUS)
        return 0;
    struct file *file = task_file(task, (int)PT_REGS_PARM5_CORE_SYSCALL(regs));
    if (file)
        mapping_seen(file);
    return 0;
}
