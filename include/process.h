// A process as the enrich stage knows it.
#pragma once

#include "container.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LOGINUID_NONE UINT32_MAX

struct process {
    pid_t pid;
    uint64_t start_time_ns; // CLOCK_BOOTTIME; from /proc only as exact as a clock tick
    struct process *parent; // who forked it, also after that one has exited; NULL where not known
    pid_t ppid;             // 0 where not known
    uint32_t uid, gid;      // effective; of the latest event
    uint32_t loginuid;      // LOGINUID_NONE: none
    uint32_t tty;           // device number of the controlling terminal; 0: none
    bool exited;
    char name[16]; // comm, as at exec
    char *exepath; // the file that runs; NULL where not known (a kernel thread)
    char *args;    // argv joined by NUL bytes, each with its NUL; NULL where not known
    size_t args_size;
    const struct container *container; // NULL: not in a container, or not known
};

// argv[0], or NULL.
const char *process_exe(const struct process *process);
