// A process as the enrich stage knows it.
#pragma once

#include "container.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LOGINUID_NONE UINT32_MAX

// The numbers of a process, its group and its session; 0: not known. The virtual ones are as its own pid
// namespace counts, where those of a group or session from outside are 0.
struct process_ids {
    uint64_t pidns_start_ns; // CLOCK_BOOTTIME when the first process of its pid namespace started
    pid_t sid, pgid;
    pid_t vpid, vsid, vpgid;
};

enum process_exe_flags {
    PROCESS_EXE_MEMFD = 1 << 0, // a file in memory; told wherever exepath is
    PROCESS_EXE_INODE = 1 << 1, // the inode's number and times are known
    PROCESS_EXE_LAYER = 1 << 2, // what is below is known
    PROCESS_EXE_UPPER = 1 << 3,
    PROCESS_EXE_LOWER = 1 << 4,
    PROCESS_EXE_WRITABLE = 1 << 5,
};

// The file that runs.
struct process_exe {
    unsigned flags;
    uint64_t ino;
    uint64_t ctime_ns, mtime_ns; // since the Unix epoch
};

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
    struct process_exe exe;
    struct process_ids ids;
    char *args; // argv joined by NUL bytes, each with its NUL; NULL where not known
    size_t args_size;
    const struct container *container; // NULL: not in a container, or not known
};

// argv[0], or NULL.
const char *process_exe(const struct process *process);
