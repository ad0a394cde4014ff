// Reads a database of bbolt (go.etcd.io/bbolt, file format 2), in which containerd and podman before 5 keep
// what their other files do not tell. The file's owner goes on writing to it meanwhile.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// One key of a bucket and its value; neither has a NUL. False ends the walk.
typedef bool (*bolt_visit_fn)(void *context, const char *key, size_t key_size, const char *value,
                              size_t value_size);

// Goes down by `keys`, which end with NULL, and visits the value that is there, or each value of the bucket
// that is there, at most BOLT_VALUES_MAX. 0, -ENOENT where there is nothing, -EBADMSG where the file is no
// such database or too large to be one, -EAGAIN where its owner has written over what was being read: then
// what was visited is worth nothing.
int bolt_walk(const char *path, const char *const *keys, bolt_visit_fn visit, void *context);

enum { BOLT_VALUES_MAX = 4096 };
