// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Drops paths that no loaded rule could name, before anything is copied. The test may let a path through
// that no rule names (user space decides in the end) but never the other way round.
//
// A rule's path is known by one of its components: an exact path by its last one, a prefix by its last whole
// directory. Sets of components are bit arrays indexed by a hash.
#pragma once

#include "bpf/lib/path.h"
#include "wire/path_filter.h"

__u64 filter_leaf[PATH_FILTER_WORDS];
__u64 filter_directory[PATH_FILTER_WORDS];
__u64 filter_suffix[PATH_FILTER_WORDS]; // of a leaf, by its last four bytes
bool filter_suffixes;                   // there are any

INLINE bool filter_has(const __u64 *set, __u32 bit)
{
    return set[(bit >> 6) & (PATH_FILTER_WORDS - 1)] >> (bit & 63) & 1;
}

// The hash of a component, from its length and first 16 bytes. The name of a dentry has at least 16 bytes of
// memory, but only `length` of them count.
INLINE __u32 filter_hash_name(struct path_name *name)
{
    __u64 *words = name->words;
    if (!name->has_words)
        bpf_probe_read_kernel(words, sizeof(name->words), name->bytes);
    if (name->length < 8) {
        words[0] &= (1ull << (name->length * 8)) - 1;
        words[1] = 0;
    } else if (name->length < 16) {
        words[1] &= (1ull << ((name->length - 8) * 8)) - 1;
    }
    return path_filter_hash(words[0], words[1], name->length);
}

INLINE bool filter_has_suffix(const struct path_name *name)
{
    __u32 last = 0;
    if (!filter_suffixes || name->length < sizeof(last))
        return false;
    bpf_probe_read_kernel(&last, sizeof(last), name->bytes + name->length - sizeof(last));
    return filter_has(filter_suffix, path_filter_hash(last, 0, sizeof(last)));
}

// What a path is: a file's own, or the directory that a name is relative to. With "." and ".." in that name,
// any part of the directory may turn out to be the last one.
enum filter_what { FILTER_FILE, FILTER_BASE };

// Whether one of the directories on the way is in the set, or the leaf is in the leaf set.
INLINE bool filter_walk(const struct path *path, enum filter_what what)
{
    bool leaf = true;
    struct path_walk walk;
    struct path_name name = {};
    path_walk_begin(&walk, path);
    for (int i = 0; i < WIRE_PATH_DEPTH_MAX; i++) {
        enum path_step step = path_walk_up(&walk, &name);
        if (step == PATH_END)
            return false;
        if (step == PATH_MOUNT)
            continue;
        __u32 bit = filter_hash_name(&name);
        if (leaf && (filter_has(filter_leaf, bit) || filter_has_suffix(&name)))
            return true;
        // The leaf counts as a directory too: opening /etc/secrets itself is below no directory of a rule,
        // but costs nothing to let through.
        if (filter_has(filter_directory, bit))
            return true;
        leaf = what == FILTER_BASE;
    }
    return true; // deeper than we look: let it through
}

// A component as it is put together byte by byte. It lies in a map's memory for the reason that path_append()
// gives.
struct filter_component {
    __u64 words[2];
    __u64 length;
};

// The same for a name as a caller gave it, `size` bytes with its NUL. Behind slashes and dots anything may be
// the leaf.
INLINE bool filter_raw_suffix(const char *raw, __u32 size)
{
    __u32 last = 0, at = size - 1 - sizeof(last);
    if (!filter_suffixes || size < 1 + sizeof(last))
        return false;
    barrier_var(at);
    at &= PATH_FILTER_RAW_ROOM - 1;
    __builtin_memcpy(&last, raw + at, sizeof(last));
    __u8 end = last >> 24;
    return end == '/' || end == '.' || filter_has(filter_suffix, path_filter_hash(last, 0, sizeof(last)));
}

// The same test for a name as a caller gave it, in `raw` (NUL-terminated, `size` bytes with NUL).
INLINE bool filter_raw(const char *raw, __u32 size, volatile struct filter_component *component)
{
    component->words[0] = component->words[1] = component->length = 0;
    for (__u32 i = 0; i < PATH_FILTER_RAW_MAX && i < size; i++) {
        __u64 byte = (__u8)raw[i];
        __u64 length = component->length;
        if (byte == 0 || byte == '/') {
            __u32 bit = path_filter_hash(component->words[0], component->words[1], length);
            // Behind any part there may come only "." and slashes, so each can be the last.
            if (length && (filter_has(filter_directory, bit) || filter_has(filter_leaf, bit)))
                return true;
            if (byte == 0)
                return false;
            component->words[0] = component->words[1] = component->length = 0;
            continue;
        }
        if (length < 16)
            component->words[length >> 3 & 1] |= byte << (length * 8 & 63);
        component->length = length + 1;
    }
    return true; // longer than we look
}
