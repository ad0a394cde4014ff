#include "proc_scan.h"

#include "base/cleanup.h"
#include "process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PF_KTHREAD 0x00200000

static int file_open(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static ssize_t fd_read(int fd, char *ret_data, size_t capacity)
{
    size_t used = 0;
    while (used < capacity) {
        ssize_t got = read(fd, ret_data + used, capacity - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        used += (size_t)got;
    }
    return (ssize_t)used;
}

// As much of a file as fits. The bytes, or a negative errno.
static ssize_t file_read(int dir, const char *name, char *ret_data, size_t capacity)
{
    _cleanup_close_ int fd = file_open(dir, name);
    return fd < 0 ? fd : fd_read(fd, ret_data, capacity);
}

// The same as a string.
static ssize_t file_read_text(int dir, const char *name, char *ret_text, size_t capacity)
{
    ssize_t length = file_read(dir, name, ret_text, capacity - 1);
    if (length >= 0)
        ret_text[length] = '\0';
    return length;
}

static int stat_parse(const char *text, struct proc_info *info)
{
    // The name may hold anything, brackets and spaces too: it ends at the last bracket.
    const char *name = strchr(text, '(');
    const char *name_end = strrchr(text, ')');
    if (!name || !name_end || name_end < name)
        return -EPROTO;
    name++;
    size_t length = (size_t)(name_end - name);
    if (length >= sizeof(info->name))
        length = sizeof(info->name) - 1;
    memcpy(info->name, name, length);
    info->name[length] = '\0';

    // Fields 3, 4, 7, 9 and 22 of proc(5).
    int ppid;
    unsigned tty, flags;
    unsigned long long start;
    if (sscanf(name_end + 1, " %*c %d %*d %*d %u %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &ppid, &tty, &flags, &start) != 4)
        return -EPROTO;
    info->ppid = ppid;
    info->tty = tty;
    info->kernel_thread = flags & PF_KTHREAD;
    long ticks = sysconf(_SC_CLK_TCK);
    info->start_time_ns = start * (1000000000ULL / (unsigned long long)(ticks > 0 ? ticks : 100));
    return 0;
}

// A line of numbers, one for each pid namespace from ours down to the process's own: the first and the last.
static void numbers_parse(const char *text, const char *name, pid_t *ret_first, pid_t *ret_last)
{
    const char *line = strstr(text, name);
    *ret_first = *ret_last = 0;
    if (!line)
        return;
    bool first = true;
    for (line += strlen(name); *line == '\t' || *line == ' '; first = false) {
        char *end;
        long number = strtol(line, &end, 10);
        if (end == line || number < 0 || number > INT32_MAX)
            return;
        if (first)
            *ret_first = (pid_t)number;
        *ret_last = (pid_t)number;
        line = end;
    }
}

static void ids_parse(const char *text, const char *own, struct process_ids *ids)
{
    pid_t pid;
    *ids = (struct process_ids){};
    numbers_parse(text, own, &pid, &ids->vpid);
    numbers_parse(text, "\nNSpgid:", &ids->pgid, &ids->vpgid);
    numbers_parse(text, "\nNSsid:", &ids->sid, &ids->vsid);
}

// The effective ids: the second number of the lines Uid and Gid.
static int status_parse(const char *text, struct proc_info *info)
{
    ids_parse(text, "\nNStgid:", &info->ids);
    const char *uid = strstr(text, "\nUid:");
    const char *gid = strstr(text, "\nGid:");
    if (!uid || !gid || sscanf(uid, "\nUid: %*u %u", &info->uid) != 1 ||
        sscanf(gid, "\nGid: %*u %u", &info->gid) != 1)
        return -EPROTO;
    return 0;
}

// A link to a file. The kernel's own paths, in the records, have no mark on those that were deleted.
static ssize_t link_read(int dir, const char *name, char *ret_path, size_t capacity)
{
    static const char deleted[] = " (deleted)";
    ssize_t length = readlinkat(dir, name, ret_path, capacity);
    if (length <= 0)
        return length < 0 ? -errno : -ENOENT;
    size_t mark = sizeof(deleted) - 1;
    if ((size_t)length > mark && memcmp(ret_path + length - mark, deleted, mark) == 0)
        length -= (ssize_t)mark;
    return length;
}

int proc_read_exe(int dir, struct process_exe *ret_exe)
{
    struct stat status;
    if (fstatat(dir, "exe", &status, 0))
        return -errno;
    *ret_exe = (struct process_exe){
        .flags = PROCESS_EXE_INODE | (status.st_nlink == 0 ? PROCESS_EXE_MEMFD : 0),
        .ino = status.st_ino,
        .ctime_ns = (uint64_t)status.st_ctim.tv_sec * 1000000000 + (uint64_t)status.st_ctim.tv_nsec,
        .mtime_ns = (uint64_t)status.st_mtim.tv_sec * 1000000000 + (uint64_t)status.st_mtim.tv_nsec,
    };
    return 0;
}

static void exe_read(int dir, struct proc_info *info)
{
    static const char memory[] = "/memfd:";
    ssize_t length = link_read(dir, "exe", info->exepath, sizeof(info->exepath) - 1);
    if (length <= 0)
        return;
    info->exepath_size = (size_t)length;
    proc_read_exe(dir, &info->exe);
    // Only a file in memory has such a name and no link in any directory.
    size_t mark = sizeof(memory) - 1;
    if (info->exepath_size <= mark || memcmp(info->exepath, memory, mark) != 0)
        info->exe.flags &= ~(unsigned)PROCESS_EXE_MEMFD;
    if (info->exe.flags & PROCESS_EXE_MEMFD)
        memmove(info->exepath, info->exepath + 1, --info->exepath_size);
}

static void args_read(int dir, struct proc_info *info)
{
    ssize_t size = file_read(dir, "cmdline", info->args, sizeof(info->args));
    if (size <= 0)
        return;
    info->args_size = (size_t)size;
    // Programs that write their own title leave a tail of NULs, which are no arguments.
    while (info->args_size > 1 && info->args[info->args_size - 1] == '\0' &&
           info->args[info->args_size - 2] == '\0')
        info->args_size--;
}

static int dir_open(const char *root, pid_t pid)
{
    char path[4096];
    int length = snprintf(path, sizeof(path), "%s/%d", root, pid);
    if (length < 0 || (size_t)length >= sizeof(path))
        return -ENAMETOOLONG;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int proc_read(const char *root, pid_t pid, struct proc_info *info)
{
    // All is read below one descriptor, which stays with this process whoever gets its pid next.
    _cleanup_close_ int dir = dir_open(root, pid);
    if (dir < 0)
        return dir;

    info->pid = pid;
    info->exepath_size = info->args_size = info->cgroup_size = 0;
    info->exe = (struct process_exe){};
    char text[4096];
    ssize_t length = file_read_text(dir, "stat", text, sizeof(text));
    int err = length < 0 ? (int)length : stat_parse(text, info);
    if (err < 0)
        return err;
    length = file_read_text(dir, "status", text, sizeof(text));
    err = length < 0 ? (int)length : status_parse(text, info);
    if (err < 0)
        return err;

    if (!info->kernel_thread) {
        exe_read(dir, info);
        args_read(dir, info);
    }
    // Kernels without auditing have no such file.
    info->loginuid = LOGINUID_NONE;
    if (file_read_text(dir, "loginuid", text, sizeof(text)) > 0)
        info->loginuid = (uint32_t)strtoul(text, NULL, 10);
    length = file_read(dir, "cgroup", info->cgroup, sizeof(info->cgroup));
    info->cgroup_size = length > 0 ? (size_t)length : 0;
    return 0;
}

int proc_open(const char *root, pid_t pid, uint64_t *ret_start_time_ns)
{
    _cleanup_close_ int dir = dir_open(root, pid);
    if (dir < 0)
        return dir;
    struct proc_info info;
    char text[1024];
    ssize_t length = file_read_text(dir, "stat", text, sizeof(text));
    int err = length < 0 ? (int)length : stat_parse(text, &info);
    if (err < 0)
        return err;
    *ret_start_time_ns = info.start_time_ns;
    return TAKE_FD(dir);
}

int proc_read_ids(int dir, const char *status, struct process_ids *ret_ids)
{
    char text[4096];
    ssize_t length = file_read_text(dir, status, text, sizeof(text));
    if (length < 0)
        return (int)length;
    ids_parse(text, "\nNSpid:", ret_ids);
    return 0;
}

ssize_t proc_read_env(int dir, char *ret_env, size_t capacity, bool *ret_truncated)
{
    _cleanup_close_ int fd = file_open(dir, "environ");
    if (fd < 0)
        return fd;
    ssize_t size = fd_read(fd, ret_env, capacity);
    char more;
    *ret_truncated = size == (ssize_t)capacity && read(fd, &more, 1) == 1;
    return size;
}

ssize_t proc_read_cwd(int dir, char *ret_path, size_t capacity)
{
    return link_read(dir, "cwd", ret_path, capacity);
}

ssize_t proc_read_cgroup(const char *root, pid_t pid, char *ret_text, size_t capacity)
{
    _cleanup_close_ int dir = dir_open(root, pid);
    return dir < 0 ? dir : file_read(dir, "cgroup", ret_text, capacity);
}

static void cleanup_closedir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

int proc_scan(const char *root, struct proc_info *info, proc_visit_fn visit, void *context)
{
    _cleanup_(cleanup_closedir) DIR *dir = opendir(root);
    if (!dir)
        return -errno;
    int count = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        if (*end != '\0' || pid <= 0 || pid > INT32_MAX)
            continue;
        // One that cannot be read has gone in the meantime.
        if (proc_read(root, (pid_t)pid, info) < 0)
            continue;
        visit(info, context);
        count++;
    }
    return count;
}
