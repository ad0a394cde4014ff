// Paths as text: from the kernel's components, and from what a caller wrote.
#pragma once

#include <stddef.h>

// Turns a wire path (include/wire/path.h) into /an/absolute/path. Returns its length, or -ENOBUFS where
// `capacity` is too small, or -EPROTO. `ret_path` is untouched on failure.
int path_decode(const char *wire, size_t size, char *ret_path, size_t capacity);

// Joins a directory and a name as the caller gave it and removes ".", ".." and double slashes by text alone.
// The same returns.
int path_join(const char *directory, const char *name, char *ret_path, size_t capacity);
