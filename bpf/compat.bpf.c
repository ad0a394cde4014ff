// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `compat`: system calls through the 32-bit interface, which 64-bit programs can use too (int 0x80).
// The kernel's per-call tracepoints leave these out, so this one program runs at the end of every call, looks
// at one word and hands 32-bit calls over to the program of the source that watches them.
#include "bpf/lib/call.h"

// By the number of the 32-bit call. The loader replaces this map by the one that the sources fill.
struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, WIRE_CALL_COMPAT_MAX);
    __type(key, __u32);
    __type(value, __u32);
} compat_calls SEC(".maps");

SEC("raw_tp/sys_exit")
int compat_exit(__u64 *args)
{
    if (task_in_compat_call())
        bpf_tail_call(args, &compat_calls, call_compat_number((struct pt_regs *)args[0]));
    return 0;
}
