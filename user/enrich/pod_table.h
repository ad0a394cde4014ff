// The node's pods, by uid.
#pragma once

#include "pods.h"

#include <sys/types.h>

// What one who asks again and again was told.
struct pods_asked {
    unsigned version; // of the list; 0: he was told nothing
    unsigned misses;
};

// Writes what is known of a pod and of one of its containers, as texts with a NUL each: name, namespace,
// address, digest of the image, the bytes of the labels, then these, name and value each. The bytes, -ENOENT
// where it is not in the list, -EALREADY where the same list was asked before, -ENOBUFS.
ssize_t pods_describe(const char *uid, const char *container_id, struct pods_asked *asked, char *ret_data,
                      size_t capacity);
