// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Arguments of functions in user space behind the fifth, at a probe at their beginning.
#pragma once

#include "bpf/lib/common.h"

#if defined(__TARGET_ARCH_x86)
#define ARGUMENT6(regs) ((regs)->r9)
// The seventh one and those behind it lie above the address to return to.
INLINE __u64 argument_from_7(struct pt_regs *regs, __u32 number)
{
    __u64 value = 0;
    bpf_probe_read_user(&value, sizeof(value), (void *)(PT_REGS_SP(regs) + 8 * (number - 6)));
    return value;
}
#elif defined(__TARGET_ARCH_arm64)
#define ARGUMENT6(regs) (((struct user_pt_regs *)(regs))->regs[5])
// Eight are passed in registers.
INLINE __u64 argument_from_7(struct pt_regs *regs, __u32 number)
{
    return ((struct user_pt_regs *)regs)->regs[number == 7 ? 6 : 7];
}
#endif
