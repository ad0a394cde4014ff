// What /proc says about a process.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PROC_ARGS_MAX = 4096, PROC_CGROUP_MAX = 8192 };

struct proc_info {
    pid_t pid;
    pid_t ppid;
    uint64_t start_time_ns; // the beginning of the clock tick
    uint32_t uid, gid;      // effective
    uint32_t loginuid;
    uint32_t tty;
    bool kernel_thread;
    char name[16];
    char exepath[4097];
    size_t exepath_size; // without a NUL; 0: not known
    char args[PROC_ARGS_MAX];
    size_t args_size;
    char cgroup[PROC_CGROUP_MAX];
    size_t cgroup_size;
};

// Reads /proc/PID below `root` ("/proc"). -ENOENT or -ESRCH for a process that is gone.
int proc_read(const char *root, pid_t pid, struct proc_info *ret_info);
// The text of /proc/PID/cgroup, as far as `capacity` goes. The bytes or a negative errno.
ssize_t proc_read_cgroup(const char *root, pid_t pid, char *ret_text, size_t capacity);

typedef void (*proc_visit_fn)(const struct proc_info *info, void *context);

// Reads every process below `root` into *info, one after the other. The number visited, or a negative errno.
int proc_scan(const char *root, struct proc_info *info, proc_visit_fn visit, void *context);
