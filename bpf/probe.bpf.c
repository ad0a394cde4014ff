// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `probe`: functions that the user has named. One loaded object for each of them, which share the
// maps, so that each has statistics of its own.
#include "bpf/lib/measure.h"
#include "bpf/lib/under_way.h"

const volatile __u16 probe_number;  // which one it is
const volatile __u8 probe_argument; // from 1; 0: none is looked at
const volatile __u8 probe_is_int;   // the argument has 32 bits
const volatile __u8 probe_throws;   // its return instructions are probed, as exceptions pass through it

INLINE __u64 probe_register(struct pt_regs *regs)
{
    switch (probe_argument) {
    case 1:
        return PT_REGS_PARM1_CORE(regs);
    case 2:
        return PT_REGS_PARM2_CORE(regs);
    case 3:
        return PT_REGS_PARM3_CORE(regs);
    case 4:
        return PT_REGS_PARM4_CORE(regs);
    case 5:
        return PT_REGS_PARM5_CORE(regs);
#if defined(__TARGET_ARCH_x86)
    case 6:
        return BPF_CORE_READ(regs, r9);
#else
    case 6:
        return BPF_CORE_READ((struct user_pt_regs *)regs, regs[5]);
#endif
    default:
        return 0;
    }
}

SEC("uprobe")
int probe_call(struct pt_regs *regs)
{
    struct wire_measure_key key = measure_key(measure_cgroup(), probe_number, 0);
    __s64 amount = probe_register(regs);
    if (probe_is_int)
        amount = (__s32)amount;
    if (amount < 0)
        measure_add_failed(&key);
    else
        measure_add(&key, 0, amount);
    return 0;
}

SEC("uprobe")
int probe_enter(struct pt_regs *regs)
{
    if (probe_throws)
        under_way_enter_throwing(regs, probe_number, NULL);
    else
        under_way_enter(regs, probe_number, NULL);
    return 0;
}

SEC("uretprobe")
int probe_leave(struct pt_regs *regs)
{
    struct under_way call;
    __u64 took_ns;
    if (!under_way_leave(regs, probe_number, &call, &took_ns))
        return 0;
    struct wire_measure_key key = measure_key(measure_cgroup(), probe_number, 0);
    measure_add(&key, took_ns, 0);
    return 0;
}
