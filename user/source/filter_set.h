// The bit sets by which programs in the kernel tell what matters (include/wire/path_filter.h), as user space
// fills them.
#pragma once

#include "demand.h"
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

// The sets by which bpf/lib/path_filter.h knows paths, until they are put in the place of the old ones.
struct filter_path_sets {
    __u64 leaf[PATH_FILTER_WORDS];
    __u64 directory[PATH_FILTER_WORDS];
    __u64 suffix[PATH_FILTER_WORDS];
};

// False where nothing stands for the path, so that it cannot be filtered for.
static inline bool filter_set_path(struct filter_path_sets *sets, const struct demand_path *path)
{
    size_t length;
    const char *anchor = demand_path_anchor(path->text, strlen(path->text), path->prefix, &length);
    if (anchor)
        filter_set_add(path->prefix ? sets->directory : sets->leaf, filter_set_name(anchor, length));
    return anchor;
}

// Puts a set in the place of another one, word by word: a program that reads meanwhile sees the old or the
// new word, both of which hold every bit that stays.
static inline void filter_set_replace(__u64 *set, const __u64 *fresh)
{
    for (size_t i = 0; i < PATH_FILTER_WORDS; i++)
        __atomic_store_n(&set[i], fresh[i], __ATOMIC_RELAXED);
}

// Fills the sets of a program that includes bpf/lib/wake.h with the clues of all these types; `addresses` may
// be NULL. Returns wake_types: a bit for each type of which some rule gives no clue.
static inline uint32_t filter_set_all_clues(const struct demand *demand, const struct event_type *types,
                                            size_t count, __u64 *names, __u64 *addresses)
{
    __u64 fresh_names[PATH_FILTER_WORDS] = {};
    __u64 fresh_addresses[PATH_FILTER_WORDS] = {};
    uint32_t any = 0;
    for (size_t k = 0; k < count; k++) {
        size_t index = event_type_index(&types[k]);
        any |= (uint32_t)demand->any_clue[index] << k;
        for (size_t i = 0; i < demand->clues_count; i++) {
            const struct demand_clue *clue = &demand->clues[i];
            if (clue->type == index && clue->name[0])
                filter_set_add(fresh_names, filter_set_bytes(clue->name));
            else if (clue->type == index)
                filter_set_add(fresh_addresses, filter_set_bytes(clue->address.bytes));
        }
    }
    filter_set_replace(names, fresh_names);
    if (addresses)
        filter_set_replace(addresses, fresh_addresses);
    return any;
}

// The same for one type: whether some rule gives no clue, which is wake_all.
static inline bool filter_set_clues(const struct demand *demand, const struct event_type *type, __u64 *names,
                                    __u64 *addresses)
{
    return filter_set_all_clues(demand, type, 1, names, addresses) != 0;
}
