#include "client_hello.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum {
    RECORD_HEADER = 5,
    RECORD_HANDSHAKE = 22,
    HANDSHAKE_CLIENT_HELLO = 1,
    VERSION_AND_RANDOM = 34,
    EXTENSION_SERVER_NAME = 0,
    NAME_HOST = 0,
};

struct reader {
    const uint8_t *data;
    size_t size;
};

static bool skip(struct reader *reader, size_t count)
{
    if (count > reader->size)
        return false;
    reader->data += count;
    reader->size -= count;
    return true;
}

// A number of that many bytes, the highest first.
static bool take(struct reader *reader, size_t bytes, size_t *ret_number)
{
    size_t number = 0;
    if (bytes > reader->size)
        return false;
    for (size_t i = 0; i < bytes; i++)
        number = number << 8 | reader->data[i];
    *ret_number = number;
    return skip(reader, bytes);
}

// What a length of that many bytes says follows.
static bool take_part(struct reader *reader, size_t bytes, struct reader *ret_part)
{
    size_t length;
    if (!take(reader, bytes, &length) || length > reader->size)
        return false;
    *ret_part = (struct reader){reader->data, length};
    return skip(reader, length);
}

static bool skip_part(struct reader *reader, size_t bytes)
{
    struct reader part;
    return take_part(reader, bytes, &part);
}

static bool copy_name(const struct reader *name, char *ret_name)
{
    char copy[CLIENT_HELLO_NAME_MAX + 1];
    if (name->size == 0 || name->size > CLIENT_HELLO_NAME_MAX)
        return false;
    for (size_t i = 0; i < name->size; i++) {
        unsigned char c = name->data[i];
        if (!isalnum(c) && c != '-' && c != '.' && c != '_')
            return false;
        copy[i] = (char)tolower(c);
    }
    memcpy(ret_name, copy, name->size);
    ret_name[name->size] = '\0';
    return true;
}

static int read_names(struct reader extension, char *ret_name)
{
    struct reader names, name;
    size_t type;
    if (!take_part(&extension, 2, &names))
        return -EPROTO;
    while (names.size > 0) {
        if (!take(&names, 1, &type) || !take_part(&names, 2, &name))
            return -EPROTO;
        if (type == NAME_HOST)
            return copy_name(&name, ret_name) ? 0 : -EPROTO;
    }
    return -ENOMSG;
}

static int read_extensions(struct reader extensions, char *ret_name)
{
    while (extensions.size > 0) {
        size_t type;
        struct reader extension;
        // The message may go on behind the bytes that are there.
        if (!take(&extensions, 2, &type) || !take_part(&extensions, 2, &extension))
            return -ENOMSG;
        if (type == EXTENSION_SERVER_NAME)
            return read_names(extension, ret_name);
    }
    return -ENOMSG;
}

int client_hello_name(const uint8_t *data, size_t size, char ret_name[CLIENT_HELLO_NAME_MAX + 1])
{
    struct reader reader = {data, size};
    size_t type, length;
    if (!take(&reader, 1, &type) || type != RECORD_HANDSHAKE || !skip(&reader, RECORD_HEADER - 1) ||
        !take(&reader, 1, &type) || type != HANDSHAKE_CLIENT_HELLO || !take(&reader, 3, &length) ||
        !skip(&reader, VERSION_AND_RANDOM))
        return -EPROTO;
    // The session, the ciphers, the compressions.
    if (!skip_part(&reader, 1) || !skip_part(&reader, 2) || !skip_part(&reader, 1))
        return -EPROTO;
    if (!take(&reader, 2, &length))
        return -ENOMSG;
    if (length < reader.size)
        reader.size = length;
    return read_extensions(reader, ret_name);
}
