#include "table.h"

#include <string.h>

enum { WALK_MAX = 8 }; // up to so many, comparing each is faster than a hash

// FNV-1a.
static uint64_t hash(const char *data, size_t length)
{
    uint64_t value = 0xcbf29ce484222325;
    for (size_t i = 0; i < length; i++)
        value = (value ^ (unsigned char)data[i]) * 0x100000001b3;
    return value ^ value >> 32;
}

static bool same(const struct table_entry *entry, const char *data, size_t length)
{
    return entry->length == length && memcmp(entry->data, data, length) == 0;
}

// The slot where the name is, or where it would go.
static size_t slot_of(const struct table *table, const char *data, size_t length)
{
    size_t mask = table->slots_count - 1;
    size_t slot = hash(data, length) & mask;
    while (table->slots[slot] && !same(&table->entries[table->slots[slot] - 1], data, length))
        slot = (slot + 1) & mask;
    return slot;
}

const struct table_entry *table_find(const struct table *table, const char *data, size_t length)
{
    if (!table->slots) {
        for (size_t i = 0; i < table->count; i++)
            if (same(&table->entries[i], data, length))
                return &table->entries[i];
        return NULL;
    }
    uint32_t position = table->slots[slot_of(table, data, length)];
    return position ? &table->entries[position - 1] : NULL;
}

// At most half of the slots are in use, so that walks stay short.
static bool slots_grow(struct table *table, struct arena *arena)
{
    size_t count = table->slots_count ? table->slots_count * 4 : 64;
    uint32_t *slots = arena_alloc(arena, count * sizeof(*slots));
    if (!slots)
        return false;
    table->slots = slots;
    table->slots_count = count;
    for (size_t i = 0; i < table->count; i++)
        slots[slot_of(table, table->entries[i].data, table->entries[i].length)] = (uint32_t)i + 1;
    return true;
}

struct table_entry *table_add(struct table *table, struct arena *arena, const char *data, size_t length)
{
    const struct table_entry *known = table_find(table, data, length);
    if (known)
        return &table->entries[known - table->entries];
    if (table->count == UINT32_MAX - 1)
        return NULL;
    if (table->count == table->capacity) {
        struct table_entry *entries = arena_grow(arena, table->entries, sizeof(*entries), &table->capacity);
        if (!entries)
            return NULL;
        table->entries = entries;
    }
    if (table->count >= WALK_MAX && table->count * 2 >= table->slots_count && !slots_grow(table, arena))
        return NULL;
    struct table_entry *entry = &table->entries[table->count++];
    *entry = (struct table_entry){.data = data, .length = length};
    if (table->slots)
        table->slots[slot_of(table, data, length)] = (uint32_t)table->count;
    return entry;
}
