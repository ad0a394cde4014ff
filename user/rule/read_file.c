#include "base/cleanup.h"
#include "yaml_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int file_open(const char *path, struct stat *ret_status)
{
    // Opening a pipe must not wait for its writer.
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    if (fd < 0 || fstat(fd, &status))
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -ENOTSUP;
    *ret_status = status;
    return TAKE_FD(fd);
}

// At most YAML_FILE_MAX bytes.
static ssize_t read_all(int fd, char *data)
{
    size_t length = 0;
    for (;;) {
        ssize_t count = read(fd, data + length, YAML_FILE_MAX + 1 - length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        length += (size_t)count;
        if (length > YAML_FILE_MAX)
            return -EFBIG;
        if (count == 0)
            return (ssize_t)length;
    }
}

int file_read(int fd, struct arena *arena, const char **ret_data, size_t *ret_length)
{
    _cleanup_free_ char *data = malloc(YAML_FILE_MAX + 1);
    if (!data)
        return -ENOMEM;
    ssize_t length = read_all(fd, data);
    if (length < 0)
        return (int)length;
    const char *kept = arena_copy(arena, data, (size_t)length);
    if (!kept)
        return -ENOMEM;
    *ret_data = kept;
    *ret_length = (size_t)length;
    return 0;
}

const char *file_error(int error)
{
    return error == -ENOTSUP ? "it is not a regular file"
           : error == -EFBIG ? "it is larger than 32 MiB; split it"
                             : strerror(-error);
}
