#include "base/cleanup.h"
#include "base/log.h"
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

// Whether only an old recording, or nothing, would be lost by replacing the file. 0 or a negative errno,
// after having said why.
static int check_replaceable(const char *path, const struct stat *status)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char magic[RECORD_MAGIC_SIZE];
    if (status->st_size > 0 && (fd < 0 || read(fd, magic, sizeof(magic)) != sizeof(magic) ||
                                memcmp(magic, RECORD_MAGIC, sizeof(magic)) != 0)) {
        log_error("%s exists and is not a recording, so it is left as it is", path);
        return -EEXIST;
    }
    // Whoever writes one holds a lock on it.
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
        log_error("%s is being written by another recorder, so it is left as it is", path);
        return -EBUSY;
    }
    return 0;
}

int record_create(const char *path, int *ret_fd)
{
    struct stat status;
    bool standard = strcmp(path, "-") == 0;
    if (standard && isatty(STDOUT_FILENO)) {
        log_error("a recording is not for a terminal: name a file, or lead standard output into a pipe");
        return -EINVAL;
    }
    bool exists = !standard && lstat(path, &status) == 0;
    if (exists && S_ISLNK(status.st_mode)) {
        log_error("%s is a symbolic link; name the file itself", path);
        return -ELOOP;
    }
    if (exists && S_ISREG(status.st_mode)) {
        int error = check_replaceable(path, &status);
        if (error)
            return error;
        if (unlink(path)) {
            log_error("cannot replace %s: %s", path, strerror(errno));
            return -errno;
        }
        log_warning("%s existed and is replaced", path);
        exists = false;
    }
    // A new file is nobody else's; what is no regular file (a pipe) is written as it is.
    int fd = standard ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
             : exists ? open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW)
                      : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        log_error("cannot write %s: %s", path, strerror(errno));
        return -errno;
    }
    if (!standard && !exists)
        flock(fd, LOCK_EX | LOCK_NB); // nobody else has it yet; a file system without locks goes without
    *ret_fd = fd;
    return 0;
}
