#include "secret.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

void secret_free(char **text)
{
    if (*text)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

// As much as there is, up to the buffer's size.
static ssize_t read_all(int fd, char *buffer, size_t size)
{
    size_t length = 0;
    while (length < size) {
        ssize_t count = read(fd, buffer + length, size - length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            break;
        length += (size_t)count;
    }
    return (ssize_t)length;
}

static int read_file(const char *path, char *ret_text, size_t size)
{
    // Whatever has the name, nobody is waited for.
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    ssize_t length = read_all(fd, ret_text, size);
    if (length < 0)
        return (int)length;
    if ((size_t)length == size)
        return -EINVAL;
    if (length > 0 && ret_text[length - 1] == '\n')
        length--;
    if (length > 0 && ret_text[length - 1] == '\r')
        length--;
    ret_text[length] = '\0';
    return strlen(ret_text) == (size_t)length ? 0 : -EINVAL;
}

// It becomes part of a header: a line break in it would begin another one.
static bool is_clean(const char *text)
{
    for (const unsigned char *byte = (const unsigned char *)text; *byte; byte++)
        if (*byte < 0x20 || *byte == 0x7f)
            return false;
    return true;
}

int secret_read(const struct config_secret *secret, char **ret_text)
{
    char buffer[SECRET_MAX + 2] = "";
    int error = 0;
    if (secret->file) {
        error = read_file(secret->file, buffer, sizeof(buffer));
    } else if (secret->environment) {
        const char *value = getenv(secret->environment);
        error = value && strlen(value) <= SECRET_MAX ? 0 : -EINVAL;
        if (!error)
            strcpy(buffer, value);
    }
    if (!error && !is_clean(buffer))
        error = -EINVAL;
    char *text = error ? NULL : strdup(buffer);
    explicit_bzero(buffer, sizeof(buffer));
    if (!text)
        return error ? error : -ENOMEM;
    *ret_text = text;
    return 0;
}

void secret_describe(const struct config_secret *secret, char *ret_text, size_t size)
{
    if (secret->file)
        snprintf(ret_text, size, "the file %s", secret->file);
    else
        snprintf(ret_text, size, "the variable %s", secret->environment ? secret->environment : "");
}
