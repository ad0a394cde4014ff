// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Calls of functions in user space, from the probe at their beginning to the one at their return. A thread
// can be in one of each kind; of a kind's calls inside of each other the outer one counts.
#pragma once

#include "bpf/lib/task.h"

#define UNDER_WAY_WORDS 4

struct under_way_key {
    __u32 thread;
    __u32 kind;
};

struct under_way {
    __u64 born_ns; // the thread: another may get its number
    __u64 stack;   // the pointer at the beginning: with it, which call it is
    __u64 start_ns;
    __u64 caller;                 // where it returns to, where that matters and is known; else 0
    __u64 words[UNDER_WAY_WORDS]; // what the source wants to know again at the return
};

// Full, it takes no more and counts that: one that pushed others out would do so silently, and first to the
// calls that take the longest. User space takes out what threads have left that died inside of a call
// (user/source/threads.h).
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, struct under_way_key);
    __type(value, struct under_way);
} calls_under_way SEC(".maps");

INLINE __u64 under_way_born(void)
{
    struct task_struct *task = (void *)bpf_get_current_task();
    return BPF_CORE_READ(task, start_boottime);
}

// The current thread's; NULL: none.
INLINE const struct under_way *under_way_find(const struct under_way_key *key)
{
    const struct under_way *call = bpf_map_lookup_elem(&calls_under_way, key);
    return call && call->born_ns == under_way_born() ? call : NULL;
}

// Where a call returns to, as the stack says.
INLINE __u64 under_way_caller(__u64 stack)
{
    __u64 caller = 0;
#if defined(__TARGET_ARCH_x86)
    bpf_probe_read_user(&caller, sizeof(caller), (const void *)stack);
#endif
    return caller;
}

INLINE bool under_way_begin(struct pt_regs *regs, __u32 kind, const __u64 *words, bool throws)
{
    struct under_way_key key = {.thread = bpf_get_current_pid_tgid(), .kind = kind};
    struct under_way call = {.born_ns = under_way_born(), .stack = PT_REGS_SP(regs)};
    const struct under_way *outer = bpf_map_lookup_elem(&calls_under_way, &key);
    if (outer && outer->born_ns != call.born_ns)
        outer = NULL;
    // One with a lower stack has ended, whatever way: by an exception, for example. One with a higher stack
    // has, too, where something else lies there now.
    if (outer && call.stack < outer->stack && (!throws || under_way_caller(outer->stack) == outer->caller))
        return false;
    if (throws)
        call.caller = under_way_caller(call.stack);
    if (words)
        __builtin_memcpy(call.words, words, sizeof(call.words));
    call.start_ns = bpf_ktime_get_ns();
    if (bpf_map_update_elem(&calls_under_way, &key, &call, BPF_ANY)) {
        lost_add(WIRE_LOST_STATE_FULL);
        return false;
    }
    return true;
}

// False where the call is one inside of another, or could not be noted.
INLINE bool under_way_enter(struct pt_regs *regs, __u32 kind, const __u64 *words)
{
    return under_way_begin(regs, kind, words, false);
}

// The same for a function through which exceptions pass, and that has no return probe for that: where its
// last call does not return, the next is still noticed.
INLINE bool under_way_enter_throwing(struct pt_regs *regs, __u32 kind, const __u64 *words)
{
    return under_way_begin(regs, kind, words, true);
}

// For a probe in __cxa_begin_catch(), which the function that catches an exception calls, with its stack as
// deep as where the exception came out of a call. True where a call is over by that.
INLINE bool under_way_leave_by_exception(struct pt_regs *regs, __u32 kind)
{
    struct under_way_key key = {.thread = bpf_get_current_pid_tgid(), .kind = kind};
    const struct under_way *call = under_way_find(&key);
    if (!call || call->stack > PT_REGS_SP(regs))
        return false;
    bpf_map_delete_elem(&calls_under_way, &key);
    return true;
}

// What was noted at the beginning, and how long the call took. False where this is the return of a call
// inside of another, or of one that began before the probes were there or that was not noted. At the return
// instruction the stack is as it was at the beginning; a return probe finds the address to return to popped
// (x86).
INLINE bool under_way_leave(struct pt_regs *regs, __u32 kind, struct under_way *ret_call, __u64 *ret_took_ns)
{
    struct under_way_key key = {.thread = bpf_get_current_pid_tgid(), .kind = kind};
    const struct under_way *call = under_way_find(&key);
    if (!call || (PT_REGS_SP(regs) != call->stack && PT_REGS_SP(regs) != call->stack + 8))
        return false;
    *ret_call = *call;
    *ret_took_ns = bpf_ktime_get_ns() - call->start_ns;
    bpf_map_delete_elem(&calls_under_way, &key);
    return true;
}
