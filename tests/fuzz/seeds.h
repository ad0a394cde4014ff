// Seeds that are made instead of kept: records of each type of each source, and what real servers said.
#pragma once

#include "../bench/rules/rules.h"
#include "source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void (*seed_fn)(const char *name, const void *data, size_t size, void *context);

enum { SEED_RECORDS = 40, SEED_ROOM = 512 };

// Whatever the kernel side writes begins with what its type always has; zeros make paths and texts behind it.
static inline void seeds_of_types(seed_fn take, void *context)
{
    for (uint16_t id = 0; source_at(id); id++) {
        const struct source *source = source_at(id);
        for (uint16_t type = 0; type < source->types_count; type++) {
            size_t size = source->record_size(type) + SEED_ROOM;
            struct wire_header *header = calloc(1, size);
            if (!header)
                return;
            memset(header + 1, 'a', size - sizeof(*header));
            *header = (struct wire_header){.size = (uint32_t)size,
                                           .source = id,
                                           .type = type,
                                           .time_ns = 2,
                                           .start_time_ns = 1,
                                           .pid = 5000001};
            take(source->types[type].name, header, size, context);
            memset(header + 1, 0, size - sizeof(*header));
            char name[64];
            snprintf(name, sizeof(name), "%s-empty", source->types[type].name);
            take(name, header, size, context);
            free(header);
        }
    }
}

// Records as they come, a few in a row.
static inline void seeds_of_records(seed_fn take, void *context)
{
    struct records records = {0};
    seeds_of_types(take, context);
    if (records_of_events(&records, SEED_RECORDS) == 0)
        for (size_t i = 0; i + 4 <= records.count; i += 4) {
            size_t end = i + 4 < records.count ? records.offsets[i + 4] : records.used;
            char name[32];
            snprintf(name, sizeof(name), "row-%zu", i / 4);
            take(name, records.data + records.offsets[i], (end - records.offsets[i]) * 8, context);
        }
    records_free(&records);
}

// A transcript behind a mark of whose it is (fuzz_http.c); how many bytes it has then.
static inline size_t seed_add(uint8_t *data, size_t used, size_t room, uint8_t mark, const char *name,
                              const char *suffix)
{
    char path[256];
    snprintf(path, sizeof(path), "tests/data/api/%s.%s", name, suffix);
    FILE *file = fopen(path, "re");
    data[used++] = mark;
    if (!file)
        return used;
    used += fread(data + used, 1, room - used, file);
    fclose(file);
    return used;
}

static inline void seeds_of_transcripts(seed_fn take, void *context)
{
    static const char *const names[] = {
        "chat", "chat-error", "chat-stream", "chat-stream-usage", "completion-stream", "completions-stream"};
    static uint8_t data[65536];
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        data[0] = 0;
        size_t used = seed_add(data, 1, sizeof(data) - 1, 1, names[i], "request");
        take(names[i], data, seed_add(data, used, sizeof(data) - 1, 2, names[i], "response"), context);
    }
}
