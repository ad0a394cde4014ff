#include "proc_scan.h"

#include "base/cleanup.h"
#include "base/outside.h"
#include "process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PF_KTHREAD 0x00200000

void proc_close(struct proc_dir *dir)
{
    cleanup_close(&dir->fd);
}

struct proc_file {
    const struct proc_dir *dir;
    const char *name;
};

static ssize_t file_read_now(void *context, void *ret_data, size_t capacity)
{
    const struct proc_file *file = context;
    _cleanup_close_ int fd = openat(file->dir->fd, file->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    size_t used = 0;
    while (used < capacity) {
        ssize_t got = read(fd, (char *)ret_data + used, capacity - used);
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

static ssize_t link_read_now(void *context, void *ret_data, size_t capacity)
{
    const struct proc_file *file = context;
    ssize_t length = readlinkat(file->dir->fd, file->name, ret_data, capacity);
    return length < 0 ? -errno : length;
}

// `what` names the question, for one file may be asked more than one.
static ssize_t dir_ask(const struct proc_dir *dir, const char *name, const char *what, outside_fn now,
                       void *ret_data, size_t capacity)
{
    char question[sizeof(dir->path) + 64];
    snprintf(question, sizeof(question), "%s/%s", dir->path, what);
    struct proc_file file = {.dir = dir, .name = name};
    return outside_ask(OUTSIDE_ONCE, question, now, &file, ret_data, capacity);
}

// As much of a file as fits. The bytes, or a negative errno.
static ssize_t file_read(const struct proc_dir *dir, const char *name, char *ret_data, size_t capacity)
{
    return dir_ask(dir, name, name, file_read_now, ret_data, capacity);
}

// The same as a string.
static ssize_t file_read_text(const struct proc_dir *dir, const char *name, char *ret_text, size_t capacity)
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

// The real and the effective ids: the first two numbers of the lines Uid and Gid.
static int status_parse(const char *text, struct proc_info *info)
{
    ids_parse(text, "\nNStgid:", &info->ids);
    const char *uid = strstr(text, "\nUid:");
    const char *gid = strstr(text, "\nGid:");
    if (!uid || !gid || sscanf(uid, "\nUid: %u %u", &info->real_uid, &info->uid) != 2 ||
        sscanf(gid, "\nGid: %*u %u", &info->gid) != 1)
        return -EPROTO;
    return 0;
}

// A link to a file. The kernel's own paths, in the records, have no mark on those that were deleted.
static ssize_t link_read(const struct proc_dir *dir, const char *name, char *ret_path, size_t capacity)
{
    static const char deleted[] = " (deleted)";
    ssize_t length = dir_ask(dir, name, name, link_read_now, ret_path, capacity);
    if (length <= 0)
        return length < 0 ? length : -ENOENT;
    size_t mark = sizeof(deleted) - 1;
    if ((size_t)length > mark && memcmp(ret_path + length - mark, deleted, mark) == 0)
        length -= (ssize_t)mark;
    return length;
}

struct exe_inode {
    uint64_t ino, links, ctime_ns, mtime_ns;
};

static ssize_t exe_inode_now(void *context, void *ret_data, size_t capacity)
{
    const struct proc_file *file = context;
    struct stat status;
    if (fstatat(file->dir->fd, file->name, &status, 0))
        return -errno;
    struct exe_inode inode = {
        .ino = status.st_ino,
        .links = status.st_nlink,
        .ctime_ns = (uint64_t)status.st_ctim.tv_sec * 1000000000 + (uint64_t)status.st_ctim.tv_nsec,
        .mtime_ns = (uint64_t)status.st_mtim.tv_sec * 1000000000 + (uint64_t)status.st_mtim.tv_nsec,
    };
    memcpy(ret_data, &inode, sizeof(inode));
    return sizeof(inode);
}

int proc_read_exe(const struct proc_dir *dir, struct process_exe *ret_exe)
{
    struct exe_inode inode;
    ssize_t size = dir_ask(dir, "exe", "exe inode", exe_inode_now, &inode, sizeof(inode));
    if (size != sizeof(inode))
        return size < 0 ? (int)size : -EPROTO;
    *ret_exe = (struct process_exe){.flags = PROCESS_EXE_INODE | (inode.links == 0 ? PROCESS_EXE_MEMFD : 0),
                                    .ino = inode.ino,
                                    .ctime_ns = inode.ctime_ns,
                                    .mtime_ns = inode.mtime_ns};
    return 0;
}

static void exe_read(const struct proc_dir *dir, struct proc_info *info)
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

static void args_read(const struct proc_dir *dir, struct proc_info *info)
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

static ssize_t dir_open_now(void *context, void *ret_data, size_t capacity)
{
    struct proc_dir *dir = context;
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir->fd < 0 ? -errno : 0;
}

static int dir_open(const char *root, pid_t pid, struct proc_dir *ret_dir)
{
    int length = snprintf(ret_dir->path, sizeof(ret_dir->path), "%s/%d", root, pid);
    if (length < 0 || (size_t)length >= sizeof(ret_dir->path))
        return -ENAMETOOLONG;
    return (int)outside_ask(OUTSIDE_ONCE, ret_dir->path, dir_open_now, ret_dir, NULL, 0);
}

int proc_read(const char *root, pid_t pid, struct proc_info *info)
{
    struct proc_dir opened _cleanup_proc_dir_ = PROC_DIR_NONE;
    const struct proc_dir *dir = &opened;
    int err = dir_open(root, pid, &opened);
    if (err < 0)
        return err;

    info->pid = pid;
    info->exepath_size = info->args_size = info->cgroup_size = 0;
    info->exe = (struct process_exe){};
    char text[4096];
    ssize_t length = file_read_text(dir, "stat", text, sizeof(text));
    err = length < 0 ? (int)length : stat_parse(text, info);
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
    info->cgroup_too_long = length == -ENAMETOOLONG;
    return 0;
}

int proc_open(const char *root, pid_t pid, struct proc_dir *ret_dir, uint64_t *ret_start_time_ns)
{
    struct proc_dir dir _cleanup_proc_dir_ = PROC_DIR_NONE;
    int err = dir_open(root, pid, &dir);
    if (err < 0)
        return err;
    struct proc_info info;
    char text[1024];
    ssize_t length = file_read_text(&dir, "stat", text, sizeof(text));
    err = length < 0 ? (int)length : stat_parse(text, &info);
    if (err < 0)
        return err;
    *ret_start_time_ns = info.start_time_ns;
    *ret_dir = dir;
    dir.fd = -1;
    return 0;
}

int proc_read_ids(const struct proc_dir *dir, const char *status, struct process_ids *ret_ids)
{
    char text[4096];
    ssize_t length = file_read_text(dir, status, text, sizeof(text));
    if (length < 0)
        return (int)length;
    ids_parse(text, "\nNSpid:", ret_ids);
    return 0;
}

ssize_t proc_read_env(const struct proc_dir *dir, char *ret_env, size_t capacity)
{
    return file_read(dir, "environ", ret_env, capacity);
}

ssize_t proc_read_cwd(const struct proc_dir *dir, char *ret_path, size_t capacity)
{
    return link_read(dir, "cwd", ret_path, capacity);
}

ssize_t proc_read_cgroup(const struct proc_dir *dir, char *ret_text, size_t capacity)
{
    return file_read(dir, "cgroup", ret_text, capacity);
}

static void cleanup_closedir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

// The pids below a root, as many as fit; no kernel has more than 4 million (PID_MAX_LIMIT).
static ssize_t pids_now(void *context, void *ret_data, size_t capacity)
{
    _cleanup_(cleanup_closedir) DIR *dir = opendir(context);
    if (!dir)
        return -errno;
    int32_t *pids = ret_data;
    size_t count = 0;
    const struct dirent *entry;
    while ((count + 1) * sizeof(*pids) <= capacity && (entry = readdir(dir))) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        if (*end == '\0' && pid > 0 && pid <= INT32_MAX)
            pids[count++] = (int32_t)pid;
    }
    return (ssize_t)(count * sizeof(*pids));
}

int proc_scan(const char *root, struct proc_info *info, proc_visit_fn visit, void *context)
{
    enum { PIDS_MAX = OUTSIDE_ANSWER_MAX / sizeof(int32_t) };
    _cleanup_free_ int32_t *pids = malloc(PIDS_MAX * sizeof(*pids));
    if (!pids)
        return -ENOMEM;
    ssize_t size = outside_ask(OUTSIDE_ONCE, root, pids_now, (void *)root, pids, PIDS_MAX * sizeof(*pids));
    if (size < 0)
        return (int)size;
    int count = 0;
    for (size_t i = 0; i < (size_t)size / sizeof(*pids); i++) {
        // One that cannot be read has gone in the meantime.
        if (pids[i] <= 0 || proc_read(root, pids[i], info) < 0)
            continue;
        visit(info, context);
        count++;
    }
    return count;
}
