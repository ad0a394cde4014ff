// A table of byte strings, each with something that belongs to it; in the order in which they were added.
#pragma once

#include "base/arena.h"

#include <stdint.h>

struct table_entry {
    const char *data; // borrowed
    size_t length;
    void *item;
};

struct table {
    struct table_entry *entries;
    size_t count;
    size_t capacity;
    uint32_t *slots; // positions in `entries` plus 1; NULL while a plain walk is faster
    size_t slots_count;
};

// The entry of that name, new (with no item) where there was none. NULL: memory is short.
struct table_entry *table_add(struct table *table, struct arena *arena, const char *data, size_t length);
// NULL: there is none.
const struct table_entry *table_find(const struct table *table, const char *data, size_t length);
