#include "probe_file.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

static const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

// Overlays keep the number of a file's inode in the low bits of their own, and have a device of their own.
bool probe_file_equal(const struct probe_file *left, const struct probe_file *right)
{
    bool overlay = !left->device || !right->device;
    bool same_inode = overlay ? (uint32_t)left->inode == (uint32_t)right->inode
                              : left->device == right->device && left->inode == right->inode;
    return same_inode && left->size == right->size && left->modified.tv_sec == right->modified.tv_sec &&
           left->modified.tv_nsec == right->modified.tv_nsec &&
           left->changed.tv_sec == right->changed.tv_sec && left->changed.tv_nsec == right->changed.tv_nsec;
}

// As the process sees the path, whatever links its root holds.
static int open_in_root(const struct mapped_file *mapped)
{
    char root_path[32];
    snprintf(root_path, sizeof(root_path), "/proc/%d/root", mapped->pid);
    _cleanup_close_ int root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct open_how how = {.flags = (uint64_t)flags, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    if (root < 0)
        return -errno;
    int fd = (int)syscall(SYS_openat2, root, mapped->path, &how, sizeof(how));
    return fd < 0 ? -errno : fd;
}

static int open_in_proc(const struct mapped_file *mapped, bool as_program)
{
    char path[96];
    if (as_program)
        snprintf(path, sizeof(path), "/proc/%d/exe", mapped->pid);
    else
        // Also where the file has no name any more; but only as long as the agent has all its capabilities.
        snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", mapped->pid,
                 (unsigned long long)mapped->start, (unsigned long long)mapped->end);
    int fd = open(path, flags);
    return fd < 0 ? -errno : fd;
}

static bool is_mapped(int fd, const struct mapped_file *mapped, struct probe_file *ret_file)
{
    struct stat status;
    struct statfs system;
    if (fd < 0 || fstat(fd, &status) || fstatfs(fd, &system) || !S_ISREG(status.st_mode))
        return false;
    bool overlay = system.f_type == OVERLAYFS_SUPER_MAGIC;
    if (overlay ? (uint32_t)status.st_ino != (uint32_t)mapped->inode : status.st_ino != mapped->inode)
        return false;
    *ret_file = (struct probe_file){.device = overlay ? 0 : status.st_dev,
                                    .inode = status.st_ino,
                                    .size = status.st_size,
                                    .modified = status.st_mtim,
                                    .changed = status.st_ctim};
    return true;
}

int probe_file_open(const struct mapped_file *mapped, struct probe_file *ret_file)
{
    for (int way = 0; way < 3; way++) {
        _cleanup_close_ int fd = way == 0 ? open_in_root(mapped) : open_in_proc(mapped, way == 1);
        if (is_mapped(fd, mapped, ret_file))
            return TAKE_FD(fd);
    }
    return -ESTALE;
}
