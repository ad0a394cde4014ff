// What the source `cuda` keeps in the kernel beside its measures: who has how much memory of a GPU.
#pragma once

#include "wire/measure.h"

enum wire_cuda_measure {
    WIRE_CUDA_LAUNCH,
    WIRE_CUDA_GRAPH,       // launches of a graph
    WIRE_CUDA_COPY,        // detail: enum wire_cuda_copy; amount: bytes
    WIRE_CUDA_SYNCHRONIZE, // detail: enum wire_cuda_scope
    WIRE_CUDA_ALLOCATE,    // amount: bytes
    WIRE_CUDA_FREE,        // amount: bytes, where it is known what was freed
    WIRE_CUDA_MEASURES,
    WIRE_CUDA_RESET = WIRE_CUDA_MEASURES, // no measure: a context goes, and what it had with it
};

// As in enum cudaMemcpyKind.
enum wire_cuda_copy {
    WIRE_CUDA_HOST_TO_HOST,
    WIRE_CUDA_HOST_TO_DEVICE,
    WIRE_CUDA_DEVICE_TO_HOST,
    WIRE_CUDA_DEVICE_TO_DEVICE,
    WIRE_CUDA_BY_ADDRESS, // the caller leaves it to the addresses
    WIRE_CUDA_COPIES,
};

enum wire_cuda_scope { WIRE_CUDA_DEVICE, WIRE_CUDA_STREAM, WIRE_CUDA_EVENT, WIRE_CUDA_SCOPES };

// Why it is not known how much memory a process has.
enum wire_cuda_unknown {
    WIRE_CUDA_FULL = 1,     // there was no room to note one of its allocations
    WIRE_CUDA_UNREAD = 2,   // where one of them lies could not be read
    WIRE_CUDA_CONTEXTS = 4, // it had several contexts, and one of them was destroyed
};

// Of a process, by its pid.
struct wire_cuda_process {
    __u64 cgroup_id;
    __u64 start_ns; // CLOCK_BOOTTIME when the process started
    // CLOCK_BOOTTIME. What was noted for the same pid under another such time does not count any more.
    __u64 since_ns;
    __u64 in_use;   // bytes
    __u64 devices;  // those it has used, as bits
    __u32 contexts; // created by itself
    __u32 unknown;  // enum wire_cuda_unknown, as bits
};
WIRE_SIZE(struct wire_cuda_process, 48);

enum wire_cuda_what { WIRE_CUDA_POINTER, WIRE_CUDA_HANDLE };

// Memory that was allocated and not freed yet; the value is its size.
struct wire_cuda_allocation {
    __u64 address; // or the handle
    __u64 since_ns;
    __u32 pid;
    __u32 what; // enum wire_cuda_what
};
WIRE_SIZE(struct wire_cuda_allocation, 24);
