// Bytes that never change, shared by counting: forks are frequent and a child has its parent's arguments.
#pragma once

#include <stddef.h>

struct blob {
    size_t refs;
    size_t size;
    char data[];
};

// Room for `size` bytes and a NUL that `size` does not count. NULL when memory is short.
struct blob *blob_new(size_t size);
struct blob *blob_copy(const char *data, size_t size);
// Both accept NULL.
struct blob *blob_ref(struct blob *blob);
void blob_unref(struct blob *blob);
