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
const volatile __u8 call_types_compat[WIRE_CALL_NUMBERS_MAX]; // by the numbers of 32-bit callers

struct call {
    struct task_struct *task;
    struct pt_regs *regs;
    __s64 result;
    __u16 type;
    bool compat; // a 32-bit caller: structures in its memory have another layout
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

// False for a call that is not watched.
INLINE bool call_begin(struct call *call, const volatile __u8 *types, long number, long result)
{
    if (number < 0 || number >= WIRE_CALL_NUMBERS_MAX || types[number] == 0)
        return false;
    call->type = types[number] - 1;
    call->result = result;
    call->task = (void *)bpf_get_current_task();
    call->regs = task_registers(call->task);
    return true;
}

// The adapters. The kernel's tracepoints leave 32-bit calls out; those come from bpf/compat.bpf.c.
#define CALL_PROGRAMS                                                            \
    SEC("tracepoint/syscalls") int call_tp(struct syscall_exit_context *context) \
    {                                                                            \
        struct call call = {};                                                   \
        if (call_begin(&call, call_types, context->number, context->result))     \
            call_returned(&call);                                                \
        return 0;                                                                \
    }                                                                            \
    SEC("raw_tp/sys_exit") int call_compat(__u64 *args)                          \
    {                                                                            \
        struct call call = {.compat = true};                                     \
        long number = registers_syscall((struct pt_regs *)args[0]);              \
        if (call_begin(&call, call_types_compat, number, (long)args[1]))         \
            call_returned(&call);                                                \
        return 0;                                                                \
    }
