// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `sched`: how long threads of inference processes wait for a CPU, and for everything else, by
// container. Which processes those are user space says.
//
// How long a thread was ready and did not run the kernel adds up itself, in task_struct.sched_info, which
// /proc/PID/schedstat shows, too (CONFIG_SCHED_INFO, which SCHEDSTATS brings). So nothing has to be noted
// when a thread is woken or moved, which happens to all threads of the node, and looking at switches is
// enough.
#include "wire/sched.h"
// The scheduler holds its lock, so nothing may be allocated here.
#define MEASURE_FLAGS 0
#define MEASURE_CGROUPS 1024
#include "bpf/lib/measure.h"
#include "bpf/lib/work.h"

// include/linux/sched.h, the same since 4.14 but for the freezer's, of 6.1
#define TASK_INTERRUPTIBLE 0x1
#define TASK_UNINTERRUPTIBLE 0x2
#define TASK_STOPPED_OR_TRACED 0xc
#define TASK_DEAD 0x80
#define TASK_FROZEN 0x8000

// What user space marks. Most threads on the node belong to none of these processes, and for them the
// program ends here.
__u64 marks[WIRE_SCHED_MARKS / 64];
__u64 processes_gone; // of those that are measured

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, WIRE_SCHED_PROCESSES);
    __type(key, __u32);
    __type(value, struct wire_sched_process);
} processes SEC(".maps");

struct thread {
    __u64 born_ns;  // as in task_struct.start_time: a number can be another thread's by now
    __u64 left_ns;  // CLOCK_BOOTTIME, when it left the CPU; 0: it runs, or left before we looked
    __u64 ready_ns; // how long it was ready and did not run in all its life, as of when it last ran
    __u32 state;    // enum wire_sched_state
    __u32 reserved;
};

// By number of the thread.
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, WIRE_SCHED_THREADS);
    __type(key, __u32);
    __type(value, struct thread);
} threads SEC(".maps");

INLINE bool is_marked(__u32 process)
{
    return marks[process / 64 % (WIRE_SCHED_MARKS / 64)] >> process % 64 & 1;
}

INLINE void measure(struct task_struct *task, __u64 cgroup_id, __u16 what, __u16 detail, __u64 time_ns,
                    __u64 now)
{
    struct wire_measure_key key = measure_key(cgroup_id, what, detail);
    struct wire_measure *entry = measure_entry_of(&key, task->tgid);
    if (entry)
        measure_count_short(entry, time_ns, now);
}

// What is known of the process that a thread is of, if it is measured and no other that has its number now.
INLINE const struct wire_sched_process *process_of(struct task_struct *task)
{
    __u32 number = task->tgid;
    const struct wire_sched_process *process = bpf_map_lookup_elem(&processes, &number);
    return process && task->group_leader->start_time <= process->since_ns ? process : NULL;
}

INLINE struct thread *thread_of(struct task_struct *task)
{
    __u32 tid = task->pid;
    struct thread *thread = bpf_map_lookup_elem(&threads, &tid);
    return thread && thread->born_ns == task->start_time ? thread : NULL;
}

INLINE struct thread *thread_new(struct task_struct *task, __u64 ready_ns)
{
    struct thread first = {.born_ns = task->start_time, .ready_ns = ready_ns, .state = WIRE_SCHED_READY};
    __u32 tid = task->pid;
    bpf_map_update_elem(&threads, &tid, &first, BPF_ANY);
    struct thread *thread = thread_of(task);
    if (!thread)
        lost_add(WIRE_LOST_STATE_FULL);
    return thread;
}

INLINE __u32 state_of(struct task_struct *task)
{
    if (bpf_core_field_exists(task->__state))
        return task->__state;
    return ((struct task_struct___older *)task)->state;
}

// Somebody may be waking it already, on another CPU, and has overwritten its state then: it was asleep, for
// no time at all.
INLINE __u32 state_kind(__u32 state)
{
    if (!state)
        return WIRE_SCHED_READY;
    if (state & (TASK_STOPPED_OR_TRACED | TASK_FROZEN))
        return WIRE_SCHED_STOPPED;
    return state & TASK_UNINTERRUPTIBLE ? WIRE_SCHED_BLOCKED : WIRE_SCHED_SLEEPING;
}

INLINE void leaves(struct task_struct *task, bool preempted)
{
    __u32 tid = task->pid, state = state_of(task);
    if (state & TASK_DEAD) {
        bpf_map_delete_elem(&threads, &tid);
        return;
    }
    if (!process_of(task))
        return;
    struct thread *thread = thread_of(task);
    if (!thread)
        thread = thread_new(task, task->sched_info.run_delay);
    if (!thread)
        return;
    thread->left_ns = bpf_ktime_get_boot_ns();
    thread->state = preempted ? WIRE_SCHED_READY : state_kind(state);
    if (thread->state != WIRE_SCHED_READY)
        return;
    struct wire_measure_key key = measure_key(measure_cgroup_of(task), WIRE_SCHED_PREEMPTED, 0);
    struct wire_measure *entry = measure_entry_of(&key, task->tgid);
    if (entry)
        measure_count_one(entry, thread->left_ns);
}

// What the kernel will have added up when the thread runs, in a moment (sched_info_arrive()).
INLINE __u64 ready_time(struct task_struct *task)
{
    __u64 since = task->sched_info.last_queued;
    __u64 now = task->se.cfs_rq->rq->clock; // the CPU's, whatever the task's class (set_task_rq())
    return task->sched_info.run_delay + (since && now > since ? now - since : 0);
}

// For the requests that the process answers.
INLINE void add_to_work(__u32 process, __u64 delay_ns)
{
    struct wire_work *entry = work_of(process);
    if (entry)
        __sync_fetch_and_add(&entry->run_queue_ns, delay_ns + !entry->run_queue_ns);
}

INLINE void comes(struct task_struct *task)
{
    const struct wire_sched_process *process = process_of(task);
    if (!process)
        return;
    __u64 ready = ready_time(task), away = 0;
    struct thread *thread = thread_of(task);
    if (!thread) {
        // One from before its process was measured counts from now on.
        bool fresh = task->start_time > process->since_ns;
        thread = thread_new(task, fresh ? 0 : ready);
        if (!thread || !fresh)
            return;
    }
    __u64 now = bpf_ktime_get_boot_ns();
    if (thread->left_ns)
        away = now - thread->left_ns;
    __u64 delay = ready - thread->ready_ns;
    // What was preempted on its way to sleep the kernel takes for asleep.
    if (thread->state == WIRE_SCHED_READY && !delay)
        delay = away;
    __u64 cgroup_id = measure_cgroup_of(task);
    measure(task, cgroup_id, WIRE_SCHED_DELAY, 0, delay, now);
    if (thread->state != WIRE_SCHED_READY && away > delay)
        measure(task, cgroup_id, WIRE_SCHED_OFF_CPU, thread->state, away - delay, now);
    thread->ready_ns = ready;
    thread->left_ns = 0;
    add_to_work(task->tgid, delay);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(switched_btf, bool preempted, struct task_struct *previous, struct task_struct *next)
{
    if (is_marked(previous->tgid))
        leaves(previous, preempted);
    if (is_marked(next->tgid))
        comes(next);
    return 0;
}

// --- Processes that are no longer what they were ---

INLINE void forget(__u32 process)
{
    bpf_map_delete_elem(&work, &process);
    // As an int: before 6.4 the upper half of what this returns is not set.
    int error = (int)bpf_map_delete_elem(&processes, &process);
    if (!error)
        __sync_fetch_and_add(&processes_gone, 1);
}

// Of the first thread this comes last, when all others are gone and its number is just free again, which
// comes to another process only after all other numbers.
SEC("tp_btf/sched_process_free")
int BPF_PROG(freed_btf, struct task_struct *task)
{
    if (task->pid == task->tgid)
        forget(task->tgid);
    return 0;
}

// Another program, in the only thread that is left; `old_tid` is what its number was.
SEC("tp_btf/sched_process_exec")
int BPF_PROG(execed_btf, struct task_struct *task, pid_t old_tid, struct linux_binprm *binprm)
{
    __u32 process = task->tgid, before = old_tid;
    if (!is_marked(process))
        return 0;
    forget(process);
    bpf_map_delete_elem(&threads, &process);
    bpf_map_delete_elem(&threads, &before);
    return 0;
}
