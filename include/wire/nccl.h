// What the source `nccl` measures: calls, by operation.
#pragma once

#include "wire/measure.h"

enum { WIRE_NCCL_CALL }; // detail: enum wire_nccl_operation; amount: bytes

enum wire_nccl_operation {
    WIRE_NCCL_ALL_REDUCE,
    WIRE_NCCL_BROADCAST,
    WIRE_NCCL_REDUCE,
    WIRE_NCCL_ALL_GATHER,
    WIRE_NCCL_REDUCE_SCATTER,
    WIRE_NCCL_SEND,
    WIRE_NCCL_RECV,
    WIRE_NCCL_ALL_TO_ALL,
    WIRE_NCCL_GATHER,
    WIRE_NCCL_SCATTER,
    WIRE_NCCL_OPERATIONS,
};
