// Paths as text: from the kernel's leaf-first components, and from what a caller wrote.
#include "wire/path.h"
#include "base/path.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

int path_decode(const char *wire, size_t size, char *ret_path, size_t capacity)
{
    if (size == 0) {
        if (capacity < 2)
            return -ENOBUFS;
        memcpy(ret_path, "/", 2);
        return 1;
    }

    // Each component trades its NUL for a slash in front, so the path is as long as the record's bytes.
    if (wire[size - 1] != '\0')
        return -EPROTO;
    for (size_t i = 0, length; i < size; i += length + 1) {
        length = strlen(wire + i);
        if (length == 0 || length >= WIRE_PATH_COMPONENT_MAX)
            return -EPROTO;
    }
    if (size >= capacity)
        return -ENOBUFS;

    char *end = ret_path + size;
    *end = '\0';
    for (size_t i = 0, length; i < size; i += length + 1) {
        length = strlen(wire + i);
        end -= length;
        memcpy(end, wire + i, length);
        *--end = '/';
    }
    return (int)size;
}

// A walk over the components of a path from its end. ".." is remembered until a component pays for it.
struct walk {
    size_t skip;
    size_t length; // of the path so far
    char *end;     // where the path written so far begins; NULL while it is only measured
};

static void walk_part(struct walk *walk, const char *text, size_t length)
{
    while (length > 0) {
        const char *slash = memrchr(text, '/', length);
        const char *name = slash ? slash + 1 : text;
        size_t name_length = (size_t)(text + length - name);
        length = slash ? (size_t)(slash - text) : 0;

        if (name_length == 0 || (name_length == 1 && name[0] == '.'))
            continue;
        if (name_length == 2 && memcmp(name, "..", 2) == 0) {
            walk->skip++;
            continue;
        }
        if (walk->skip > 0) {
            walk->skip--;
            continue;
        }
        walk->length += name_length + 1;
        if (walk->end) {
            walk->end -= name_length;
            memcpy(walk->end, name, name_length);
            *--walk->end = '/';
        }
    }
}

static size_t walk_both(const char *directory, const char *name, char *end)
{
    struct walk walk = {.end = end};
    walk_part(&walk, name, strlen(name));
    if (name[0] != '/')
        walk_part(&walk, directory, strlen(directory));
    return walk.length;
}

int path_join(const char *directory, const char *name, char *ret_path, size_t capacity)
{
    if (name[0] != '/' && directory[0] != '/')
        return -EPROTO;

    size_t length = walk_both(directory, name, NULL);
    if ((length ? length : 1) >= capacity)
        return -ENOBUFS;
    if (length == 0) {
        memcpy(ret_path, "/", 2);
        return 1;
    }
    ret_path[length] = '\0';
    walk_both(directory, name, ret_path + length);
    return (int)length;
}
