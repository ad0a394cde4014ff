// The bit sets by which programs in the kernel tell what matters (include/wire/path_filter.h), as user space
// fills them.
#pragma once

#include "wire/path_filter.h"

#include <string.h>

static inline void filter_set_add(__u64 *set, __u32 bit)
{
    set[bit >> 6] |= 1ull << (bit & 63);
}

// A name's bit: its length and first 16 bytes count.
static inline __u32 filter_set_name(const char *name, size_t length)
{
    __u64 words[2] = {};
    memcpy(words, name, length < sizeof(words) ? length : sizeof(words));
    return path_filter_hash(words[0], words[1], (__u32)length);
}

// The bit of 16 bytes that are compared whole.
static inline __u32 filter_set_bytes(const void *bytes)
{
    __u64 words[2];
    memcpy(words, bytes, sizeof(words));
    return path_filter_hash(words[0], words[1], 0);
}
