// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `nccl`: calls of NCCL, from beginning to return, which is when they are in a stream or, inside of a
// group, noted for its end.
#include "wire/nccl.h"
#include "bpf/lib/measure.h"
#include "bpf/lib/under_way.h"

#define CALL 1

// By ncclDataType_t (nccl.h), in bytes; of others it is not known how much a call moves.
INLINE __u64 size_of(__u32 type)
{
    switch (type) {
    case 0:  // ncclInt8
    case 1:  // ncclUint8
    case 10: // ncclFloat8e4m3
    case 11: // ncclFloat8e5m2
        return 1;
    case 6: // ncclFloat16
    case 9: // ncclBfloat16
        return 2;
    case 2: // ncclInt32
    case 3: // ncclUint32
    case 7: // ncclFloat32
        return 4;
    case 4: // ncclInt64
    case 5: // ncclUint64
    case 8: // ncclFloat64
        return 8;
    }
    return 0;
}

INLINE int enter(struct pt_regs *regs, __u64 operation, __u64 elements, __u32 type)
{
    __u64 words[UNDER_WAY_WORDS] = {operation, elements * size_of(type)};
    under_way_enter(regs, CALL, words);
    return 0;
}

// (from, to, how many, of what type, …)
#define BETWEEN(name, operation)                                                 \
    SEC("uprobe")                                                                \
    int nccl_##name(struct pt_regs *regs)                                        \
    {                                                                            \
        return enter(regs, operation, PT_REGS_PARM3(regs), PT_REGS_PARM4(regs)); \
    }
// (where, how many, of what type, …)
#define OF_ONE(name, operation)                                                  \
    SEC("uprobe")                                                                \
    int nccl_##name(struct pt_regs *regs)                                        \
    {                                                                            \
        return enter(regs, operation, PT_REGS_PARM2(regs), PT_REGS_PARM3(regs)); \
    }

BETWEEN(all_reduce, WIRE_NCCL_ALL_REDUCE)
BETWEEN(broadcast, WIRE_NCCL_BROADCAST)
OF_ONE(bcast, WIRE_NCCL_BROADCAST)
BETWEEN(reduce, WIRE_NCCL_REDUCE)
BETWEEN(all_gather, WIRE_NCCL_ALL_GATHER)
BETWEEN(reduce_scatter, WIRE_NCCL_REDUCE_SCATTER)
OF_ONE(send, WIRE_NCCL_SEND)
OF_ONE(recv, WIRE_NCCL_RECV)
BETWEEN(all_to_all, WIRE_NCCL_ALL_TO_ALL)
BETWEEN(gather, WIRE_NCCL_GATHER)
BETWEEN(scatter, WIRE_NCCL_SCATTER)

#define IN_PROGRESS 7 // ncclInProgress: of a communicator that does not block

SEC("uretprobe")
int nccl_return(struct pt_regs *regs)
{
    struct under_way call;
    __u64 took_ns;
    if (!under_way_leave(regs, CALL, &call, &took_ns))
        return 0;
    __u32 result = PT_REGS_RC(regs);
    struct wire_measure_key key = measure_key(measure_cgroup(), WIRE_NCCL_CALL, call.words[0]);
    if (result && result != IN_PROGRESS)
        measure_add_failed(&key);
    else
        measure_add(&key, took_ns, call.words[1]);
    return 0;
}
