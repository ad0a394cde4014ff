// The source `syscall` sends no records: its histograms stay in the kernel (wire/measure.h).
#pragma once

#ifdef __bpf__
#include "vmlinux.h"
#else
#include <linux/types.h>
#endif

#define WIRE_SYSCALL_CALLS_MAX 24 // calls that can be watched at once: 15, and the usual nine
#define WIRE_SYSCALL_NR_MAX 512

// struct wire_measure_key.measure; the detail is the call's slot.
enum wire_syscall_measure { WIRE_SYSCALL_DURATION };
