#include "base/cleanup.h"
#include "base/text.h"
#include "base/yaml.h"

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

static int read_all(int fd, struct text *text)
{
    char data[16384];
    for (;;) {
        ssize_t count = read(fd, data, sizeof(data));
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count < 0 ? -errno : 0;
        text_add_bytes(text, data, (size_t)count);
        if (text->truncated)
            return text->length == text->max ? -EFBIG : -ENOMEM;
    }
}

int file_read(int fd, struct arena *arena, const char **ret_data, size_t *ret_length)
{
    _cleanup_text_ struct text text = TEXT_INIT(YAML_FILE_MAX);
    int error = read_all(fd, &text);
    if (error)
        return error;
    const char *kept = arena_copy(arena, text_string(&text), text.length);
    if (!kept)
        return -ENOMEM;
    *ret_data = kept;
    *ret_length = text.length;
    return 0;
}

const char *file_error(int error)
{
    return error == -ENOTSUP ? "it is not a regular file"
           : error == -EFBIG ? "it is larger than 32 MiB; split it"
                             : strerror(-error);
}
