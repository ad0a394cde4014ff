// Records of the source `process`.
#pragma once

#include "wire/header.h"

enum wire_process_type {
    WIRE_PROCESS_CLONE,
    WIRE_PROCESS_EXECVE,
    WIRE_PROCESS_PROCEXIT,
    WIRE_PROCESS_TYPES,
};

// A process was forked. The header is the child's, which shares all else with its parent.
struct wire_process_clone {
    struct wire_header header;
    __u64 parent_start_time_ns;
    __u32 parent_pid;
    __u32 loginuid;
};
WIRE_SIZE(struct wire_process_clone, 104);

#define WIRE_PROCESS_FILENAME_MAX 1024
#define WIRE_PROCESS_PATH_MAX 4096
#define WIRE_PROCESS_ARGS_MAX 4096
#define WIRE_PROCESS_CGROUP_MAX 1024

// A process has become another program. After the struct follow, without gaps and in this order:
//   filename_size bytes  what was asked for, as the kernel copied it, NUL included
//   exe_size bytes       the file that runs, as a wire path (include/wire/path.h)
//   args_size bytes      argv, NUL after each; may end early
//   cgroup_size bytes    cgroup names from the leaf up, NUL after each
struct wire_process_execve {
    struct wire_header header;
    __u64 parent_start_time_ns;
    __u32 parent_pid;
    __u32 loginuid; // 0xffffffff: none
    __u32 tty;      // device number of the controlling terminal; 0: none
    __u16 filename_size;
    __u16 exe_size;
    __u16 args_size;
    __u16 cgroup_size;
    __u8 args_truncated;
    __u8 exe_truncated;
    __u16 reserved;
};
WIRE_SIZE(struct wire_process_execve, 120);

// The last thread of a process has gone.
struct wire_process_procexit {
    struct wire_header header;
    __s32 status; // of the last thread: exit code times 256, or the signal
    __u32 reserved;
};
WIRE_SIZE(struct wire_process_procexit, 96);
