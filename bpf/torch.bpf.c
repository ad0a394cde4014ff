// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `torch`: TorchScript models that libtorch runs, by uprobes in its library. Exceptions pass through
// these functions, so their return instructions are probed, and where exceptions are caught.
#include "wire/torch.h"
#include "bpf/lib/measure.h"
#include "bpf/lib/under_way.h"
#include "bpf/lib/work.h"

enum { CALL_FORWARD };

// A model that runs another is one forward.
SEC("uprobe")
int torch_enter(struct pt_regs *regs)
{
    under_way_enter_throwing(regs, CALL_FORWARD, NULL);
    return 0;
}

SEC("uprobe")
int torch_leave(struct pt_regs *regs)
{
    struct under_way call;
    __u64 took_ns;
    if (!under_way_leave(regs, CALL_FORWARD, &call, &took_ns))
        return 0;
    struct wire_measure_key key = measure_key(measure_cgroup(), WIRE_TORCH_FORWARD, 0);
    measure_add(&key, took_ns, 0);
    work_add(WIRE_WORK_RUN, took_ns, 1, 0);
    return 0;
}

// An exception is caught, by a function that is on the stack: calls that are not are over.
SEC("uprobe")
int torch_catch(struct pt_regs *regs)
{
    if (!under_way_leave_by_exception(regs, CALL_FORWARD))
        return 0;
    struct wire_measure_key key = measure_key(measure_cgroup(), WIRE_TORCH_FORWARD, 0);
    measure_add_failed(&key);
    return 0;
}
