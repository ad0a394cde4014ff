// The source `sched` sends no records: what it measures stays in the kernel (wire/measure.h), where this says
// what its measures and their details are.
#pragma once

#include "wire/header.h"

enum wire_sched_measure {
    WIRE_SCHED_DELAY,   // time: ready to run, until it runs
    WIRE_SCHED_OFF_CPU, // time: from leaving the CPU until ready to run again; detail: enum wire_sched_state
    WIRE_SCHED_PREEMPTED, // it left the CPU and could have gone on
};

// What a thread is that is not on a CPU. The order is that of the names in user/source/sched.c.
enum wire_sched_state {
    WIRE_SCHED_SLEEPING, // a signal would wake it
    WIRE_SCHED_BLOCKED,  // only what it waits for does, or being killed
    WIRE_SCHED_STOPPED,  // by a signal, a debugger or the freezer
    WIRE_SCHED_STATES,
    WIRE_SCHED_READY = WIRE_SCHED_STATES,
};

#define WIRE_SCHED_PROCESSES 4096 // that are measured at a time
#define WIRE_SCHED_THREADS 16384  // of those

// By the low bits of its number, whether a process may be one that is measured: a bit each.
#define WIRE_SCHED_MARKS 65536

struct wire_sched_process {
    __u64 since_ns; // CLOCK_MONOTONIC, from when on it is measured; who is younger only has the same number
};
WIRE_SIZE(struct wire_sched_process, 8);
