// Memory that is given back all at once. Everything that loading rules makes lives in one.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { ARENA_MAX = 1 << 30 }; // bytes; no rule file that makes sense comes near

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; // the newest first
    size_t total;
    bool failed; // some allocation was refused: what was made is not complete
};

// Zeroed memory for any type, or NULL, which also sets `failed`.
void *arena_alloc(struct arena *arena, size_t size);
// A copy with a NUL after it.
char *arena_copy(struct arena *arena, const char *data, size_t length);
// Room for twice the `capacity` of `size`-byte elements, the old ones copied. NULL changes nothing.
void *arena_grow(struct arena *arena, const void *elements, size_t size, size_t *capacity);
// Empties the arena; a little memory is kept for the next use.
void arena_reset(struct arena *arena);
void arena_free(struct arena *arena);
#define _cleanup_arena_ __attribute__((cleanup(arena_free)))
