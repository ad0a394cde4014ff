// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// System calls on their way out, those of 32-bit callers included. A source that watches calls defines
//   INLINE void call_returned(struct call *call);
// and includes this file's programs by CALL_PROGRAMS. One program serves all calls of a source, since
// verifying it is most of the time it takes to start; the call's number tells them apart.
#pragma once

#include "bpf/lib/common.h"
#include "bpf/lib/task.h"
#include "wire/call.h"

// Wire type plus one, by the call's number; 0: not watched. Set before loading.
const volatile __u8 call_types[WIRE_CALL_NUMBERS_MAX];
const volatile __u8 call_types_compat[WIRE_CALL_COMPAT_MAX]; // by call_compat_number()

struct call {
    struct task_struct *task;
    struct pt_regs *regs;
    __s64 result;
    __u16 type;
    bool compat; // a 32-bit caller: structures in its memory have another layout
    // Not 0: what socketcall() was called for; its arguments are in the caller's memory (call_socket_arg()).
    __u8 socketcall;
};

// The call's arguments, which the registers keep until it returns. Take them into a variable of the
// parameter's own type: an `int` of a 32-bit caller is not sign-extended.
// (BPF_CORE_READ() must not pass through a structure of our own.)
#if defined(__TARGET_ARCH_x86)
// Of a 32-bit caller's registers only the lower half counts; a 64-bit program may leave something above it.
#define CALL_REGISTER(call, name)                     \
    ({                                                \
        struct pt_regs *registers = (call)->regs;     \
        __u64 value = BPF_CORE_READ(registers, name); \
        (call)->compat ? (__u64)(__u32)value : value; \
    })
#define CALL_ARG1(call) ((call)->compat ? CALL_REGISTER(call, bx) : CALL_REGISTER(call, di))
#define CALL_ARG2(call) ((call)->compat ? CALL_REGISTER(call, cx) : CALL_REGISTER(call, si))
#define CALL_ARG3(call) CALL_REGISTER(call, dx)
#define CALL_ARG4(call) ((call)->compat ? CALL_REGISTER(call, si) : CALL_REGISTER(call, r10))
#define CALL_ARG5(call) ((call)->compat ? CALL_REGISTER(call, di) : CALL_REGISTER(call, r8))
#define CALL_ARG6(call) ((call)->compat ? CALL_REGISTER(call, bp) : CALL_REGISTER(call, r9))
#else
#define CALL_PARAMETER(call, n)                            \
    ({                                                     \
        struct pt_regs *registers = (call)->regs;          \
        (__u64) PT_REGS_PARM##n##_CORE_SYSCALL(registers); \
    })
#define CALL_ARG1(call) CALL_PARAMETER(call, 1)
#define CALL_ARG2(call) CALL_PARAMETER(call, 2)
#define CALL_ARG3(call) CALL_PARAMETER(call, 3)
#define CALL_ARG4(call) CALL_PARAMETER(call, 4)
#define CALL_ARG5(call) CALL_PARAMETER(call, 5)
#define CALL_ARG6(call) CALL_PARAMETER(call, 6)
#endif

#define I386_SOCKETCALL 102

// The number of a 32-bit caller's call; what socketcall() was called for has a number of its own.
INLINE long call_compat_number(struct pt_regs *regs)
{
    long number = registers_syscall(regs);
#if defined(__TARGET_ARCH_x86)
    // Numbers from there on are ours; no call has them.
    if (number >= WIRE_CALL_SOCKETCALL)
        return -1;
    if (number != I386_SOCKETCALL)
        return number;
    __u32 which = BPF_CORE_READ(regs, bx);
    if (which < WIRE_CALL_SOCKETCALLS_MAX)
        return WIRE_CALL_SOCKETCALL + which;
#endif
    return number;
}

// One of the first five arguments, from 0, of a call about sockets, which socketcall() takes from an array in
// user memory: read when the call returns, so another thread may have changed it.
INLINE __u64 call_socket_arg(const struct call *call, int index)
{
    __u32 word = 0;
    if (call->socketcall) {
        bpf_probe_read_user(&word, sizeof(word), (void *)(CALL_ARG2(call) + index * sizeof(word)));
        return word;
    }
    switch (index) {
    case 0:
        return CALL_ARG1(call);
    case 1:
        return CALL_ARG2(call);
    case 2:
        return CALL_ARG3(call);
    case 3:
        return CALL_ARG4(call);
    default:
        return CALL_ARG5(call);
    }
}

INLINE __u8 call_type_plus_one(long number, bool compat)
{
    if (number < 0 || number >= (compat ? WIRE_CALL_COMPAT_MAX : WIRE_CALL_NUMBERS_MAX))
        return 0;
    return compat ? call_types_compat[number] : call_types[number];
}

// False for a call that is not watched.
INLINE bool call_begin(struct call *call, long number)
{
    __u8 type = call_type_plus_one(number, call->compat);
    if (!type)
        return false;
    call->type = type - 1;
    call->socketcall = call->compat && number >= WIRE_CALL_SOCKETCALL ? number - WIRE_CALL_SOCKETCALL : 0;
    return true;
}

// Fills in the watched call that the current task has not returned from yet. False where there is none, as
// for io_uring and kernel threads.
INLINE bool call_under_way(struct call *call, struct task_struct *task)
{
    call->task = task;
    call->regs = task_registers(task);
    call->compat = task_in_compat_call();
    long number = call->compat ? call_compat_number(call->regs) : registers_syscall(call->regs);
    return call_begin(call, number) && registers_inside(call->regs);
}

#define EINTR 4
#define ERESTARTSYS 512 // and other ways to begin anew up to …
#define ERESTART_RESTARTBLOCK 516

// What the caller will see of a call that a signal has ended, unless the kernel begins it anew by itself.
INLINE long call_visible_result(long result)
{
    return result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK ? -EINTR : result;
}

INLINE bool call_ended(struct call *call, long number, long result)
{
    if (!call_begin(call, number))
        return false;
    call->result = call_visible_result(result);
    call->task = (void *)bpf_get_current_task();
    call->regs = task_registers(call->task);
    return true;
}

// The adapters. The kernel's tracepoints leave 32-bit calls out; those come from bpf/compat.bpf.c.
#define CALL_PROGRAMS                                                            \
    SEC("tracepoint/syscalls") int call_tp(struct syscall_exit_context *context) \
    {                                                                            \
        struct call call = {};                                                   \
        if (call_ended(&call, context->number, context->result))                 \
            call_returned(&call);                                                \
        return 0;                                                                \
    }                                                                            \
    SEC("raw_tp/sys_exit") int call_compat(__u64 *args)                          \
    {                                                                            \
        struct call call = {.compat = true};                                     \
        long number = call_compat_number((struct pt_regs *)args[0]);             \
        if (call_ended(&call, number, (long)args[1]))                            \
            call_returned(&call);                                                \
        return 0;                                                                \
    }
