#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_SIZE = 32768, ALIGNMENT = 16 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    size_t used;
    _Alignas(ALIGNMENT) char data[];
};

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > ARENA_MAX - arena->total) {
        arena->failed = true;
        return NULL;
    }
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct arena_chunk *chunk = arena->chunks;
    if (!chunk || size > chunk->size - chunk->used) {
        size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
        struct arena_chunk *fresh = malloc(sizeof(*fresh) + room);
        if (!fresh) {
            arena->failed = true;
            return NULL;
        }
        fresh->size = room;
        fresh->used = 0;
        fresh->next = chunk;
        arena->chunks = chunk = fresh;
    }
    void *memory = chunk->data + chunk->used;
    chunk->used += size;
    arena->total += size;
    return memset(memory, 0, size);
}

char *arena_copy(struct arena *arena, const char *data, size_t length)
{
    char *copy = arena_alloc(arena, length + 1);
    if (copy && length)
        memcpy(copy, data, length);
    return copy;
}

void *arena_grow(struct arena *arena, const void *elements, size_t size, size_t *capacity)
{
    size_t wanted = *capacity ? *capacity * 2 : 8;
    void *room = arena_alloc(arena, wanted * size);
    if (!room)
        return NULL;
    if (*capacity)
        memcpy(room, elements, *capacity * size);
    *capacity = wanted;
    return room;
}

void arena_reset(struct arena *arena)
{
    while (arena->chunks && (arena->chunks->next || arena->chunks->size > CHUNK_SIZE)) {
        struct arena_chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
    if (arena->chunks)
        arena->chunks->used = 0;
    arena->total = 0;
}

void arena_free(struct arena *arena)
{
    while (arena->chunks) {
        struct arena_chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
    arena->total = 0;
}
