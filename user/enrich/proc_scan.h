// What /proc says about a process.
#pragma once

#include "process.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROC_ARGS_MAX = 4096, PROC_ENV_MAX = 4096, PROC_CGROUP_MAX = 8192 };

struct proc_info {
    pid_t pid;
    pid_t ppid;
    uint64_t start_time_ns; // the beginning of the clock tick
    uint32_t uid, gid;      // effective
    uint32_t real_uid;
    uint32_t loginuid;
    uint32_t tty;
    bool kernel_thread;
    struct process_exe exe;
    struct process_ids ids;
    char name[16];
    char exepath[4097];
    size_t exepath_size; // without a NUL; 0: not known
    char args[PROC_ARGS_MAX];
    size_t args_size;
    char cgroup[PROC_CGROUP_MAX];
    size_t cgroup_size;
    bool cgroup_too_long; // its path is longer than the kernel tells: cgroup_size is 0
};

// Reads /proc/PID below `root` ("/proc"). -ENOENT or -ESRCH for a process that is gone.
int proc_read(const char *root, pid_t pid, struct proc_info *ret_info);

typedef void (*proc_visit_fn)(const struct proc_info *info, void *context);

// Reads every process below `root` into *info, one after the other. The number visited, or a negative errno.
int proc_scan(const char *root, struct proc_info *info, proc_visit_fn visit, void *context);

// What is read only where a rule asks, of a process that is there and started then; each below one
// descriptor, which stays with that process whoever gets its pid next.

struct proc_dir {
    int fd; // -1 also while a recording is replayed
    char path[4096];
};
#define PROC_DIR_NONE \
    {                 \
        .fd = -1      \
    }

// Opens /proc/PID and reads when it started. 0 or a negative errno.
int proc_open(const char *root, pid_t pid, struct proc_dir *ret_dir, uint64_t *ret_start_time_ns);
void proc_close(struct proc_dir *dir);
#define _cleanup_proc_dir_ __attribute__((cleanup(proc_close)))

// The numbers of the process, or of one of its threads ("task/TID/status").
int proc_read_ids(const struct proc_dir *dir, const char *status, struct process_ids *ret_ids);
// PROCESS_EXE_MEMFD stands for a file without links, which one that was deleted is too.
int proc_read_exe(const struct proc_dir *dir, struct process_exe *ret_exe);
// As much as `capacity` takes. The bytes or a negative errno.
ssize_t proc_read_env(const struct proc_dir *dir, char *ret_env, size_t capacity);
// Not NUL-terminated. The bytes or a negative errno.
ssize_t proc_read_cwd(const struct proc_dir *dir, char *ret_path, size_t capacity);
// The text of its file `cgroup`, as far as `capacity` goes. The bytes or a negative errno.
ssize_t proc_read_cgroup(const struct proc_dir *dir, char *ret_text, size_t capacity);
