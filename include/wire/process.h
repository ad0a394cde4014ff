// Records of the source `process`.
#pragma once

#include "wire/call.h"

enum wire_process_type {
    WIRE_PROCESS_CLONE,
    WIRE_PROCESS_EXECVE,
    WIRE_PROCESS_PROCEXIT,
    WIRE_PROCESS_SETSID,
    WIRE_PROCESS_SETPGID,
    WIRE_PROCESS_TYPES,
};

// The numbers of a process, its group and its session. All zero where nobody reads them. The virtual ones are
// as its own pid namespace counts, and 0 where they do not exist there.
struct wire_process_ids {
    __u64 pidns_start_ns; // CLOCK_BOOTTIME when the first process of its pid namespace started
    __u32 sid;
    __u32 pgid;
    __u32 vpid;
    __u32 vsid;
    __u32 vpgid;
    __u32 reserved;
};
WIRE_SIZE(struct wire_process_ids, 32);

// A process was forked. The header is the child's, which shares all else with its parent.
struct wire_process_clone {
    struct wire_header header;
    __u64 parent_start_time_ns;
    __u32 parent_pid;
    __u32 loginuid;
    struct wire_process_ids ids;
};
WIRE_SIZE(struct wire_process_clone, 136);

#define WIRE_PROCESS_FILENAME_MAX 1024
#define WIRE_PROCESS_PATH_MAX 4096
#define WIRE_PROCESS_ARGS_MAX 4096
#define WIRE_PROCESS_CGROUP_MAX 1024
#define WIRE_PROCESS_CWD_MAX 4096
#define WIRE_PROCESS_ENV_MAX 4096

enum wire_process_exe {
    WIRE_EXE_ALONE = 1 << 0, // it is in no directory, such as one in memory (memfd_create)
    WIRE_EXE_KNOWN = 1 << 1, // the inode's numbers and what is below are told
    WIRE_EXE_UPPER_LAYER = 1 << 2,
    WIRE_EXE_LOWER_LAYER = 1 << 3, // neither: not on overlayfs
    WIRE_EXE_WRITABLE = 1 << 4,    // who runs it may write it, or give themselves that right
    WIRE_EXE_OTHER_USER = 1 << 5,  // the effective user, by the file's set-user-id bit, is not the real one
};

// A process has become another program. After the struct follow, without gaps and in this order:
//   filename_size bytes  what was asked for, as the kernel copied it, NUL included
//   exe_size bytes       the file that runs, as a wire path (include/wire/path.h)
//   args_size bytes      argv, NUL after each; may end early
//   cgroup_size bytes    cgroup names from the leaf up, NUL after each
//   cwd_size bytes       the working directory, as a wire path; only where it is asked for
//   env_size bytes       the environment, NUL after each; may end early; only where it is asked for
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
    __u16 cwd_size;
    __u16 env_size;
    __u8 args_truncated;
    __u8 exe_truncated;
    __u8 env_truncated;
    __u8 exe_flags;        // enum wire_process_exe
    __u8 has_cwd;          // cwd_size counts, and 0 is the root
    __u8 cgroup_truncated; // there are more names above those
    __u8 reserved[2];
    __u64 exe_ino;
    __u64 exe_ctime_ns; // since the Unix epoch
    __u64 exe_mtime_ns;
    struct wire_process_ids ids;
};
WIRE_SIZE(struct wire_process_execve, 184);

// The last thread of a process has gone.
struct wire_process_procexit {
    struct wire_header header;
    __s32 status; // of the last thread: exit code times 256, or the signal
    __u32 reserved;
};
WIRE_SIZE(struct wire_process_procexit, 96);

// setsid() or setpgid() has returned. What `ids` tells is the caller's, who may have changed another process.
struct wire_process_session {
    struct wire_call call;
    struct wire_process_ids ids;
    __s32 pid; // of setpgid(), as the caller wrote them
    __s32 pgid;
};
WIRE_SIZE(struct wire_process_session, 136);
