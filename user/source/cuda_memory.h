// How much memory of GPUs processes have, out of what the kernel side notes of them (bpf/lib/cuda_memory.h).
#pragma once

#include "measure.h"
#include "wire/cuda.h"

// Numbers behind those that the kernel's map has.
enum cuda_now { CUDA_IN_USE = 64, CUDA_GROWTH, CUDA_PROCESSES };

// What CUDA_IN_USE and CUDA_PROCESSES tell apart.
enum cuda_seen {
    CUDA_SEEN_WHOLE,   // all calls of the process
    CUDA_SEEN_PART,    // it is older than the probes: it may have more than that
    CUDA_SEEN_UNKNOWN, // enum wire_cuda_unknown
    CUDA_SEEN_KINDS,
};

struct cuda_memory {
    int processes_fd;
    int allocations_fd;
    uint64_t left_behind; // the kernel side's counter
    uint64_t probed_ns;   // CLOCK_BOOTTIME of the latest probes
};

// About once a second.
void cuda_memory_tick(const struct cuda_memory *memory);
// For struct measures.
void cuda_memory_now(const struct cuda_memory *memory, measure_now_fn take, void *context);
void cuda_memory_stop(void);
