// The source `syscall` sends no records: its histograms stay in a map that is read at each scrape.
#pragma once

#ifdef __bpf__
#include "vmlinux.h"
#else
#include <linux/types.h>
#endif

#define WIRE_SYSCALL_CALLS_MAX 16 // calls that can be watched at once
#define WIRE_SYSCALL_NR_MAX 512
#define WIRE_SYSCALL_BUCKETS 28 // of 2^(n+7) ns, from 128 ns; the last one has no upper bound
#define WIRE_SYSCALL_BUCKET_SHIFT 7

struct wire_syscall_histogram {
    __u64 counts[WIRE_SYSCALL_BUCKETS];
    __u64 sum_ns;
};
