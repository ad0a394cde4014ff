#include "weights.h"

#include "base/series.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

static const uint64_t remembered_ns = UINT64_C(3600) * 1000000000;

static const char *const suffixes[] = {".safetensors", ".gguf", ".onnx"};
enum { SUFFIXES = sizeof(suffixes) / sizeof(suffixes[0]) };

struct opened {
    uint64_t cgroup_id;
    UT_hash_handle hh; // the one noted longest ago first
    uint64_t time_ns;
    char path[WEIGHTS_PATH_MAX];
};

static struct opened *table;

static struct counter evicted = {
    .name = "inferscope_weights_evicted_total",
    .help =
        "Cgroups of which it was forgotten that they had opened model weights, because there are too many",
};

bool weights_demand(struct demand *demand)
{
    static const char *const types[] = {"open", "openat", "openat2", "creat", "open_by_handle_at"};
    bool wanted = false;
    for (size_t i = 0; i < demand->reads_count; i++)
        wanted |= strcmp(demand->reads[i]->name, "net.egress.weights") == 0;
    if (!wanted)
        return false;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const struct event_type *type = event_type_find(types[i]);
        if (type)
            demand->wanted[event_type_index(type)] = true;
    }
    for (size_t i = 0; i < SUFFIXES; i++)
        demand_add_suffix(demand, suffixes[i], strlen(suffixes[i]));
    return true;
}

static bool is_weights(const char *path, size_t length)
{
    for (size_t i = 0; i < SUFFIXES; i++) {
        size_t end = strlen(suffixes[i]);
        if (length > end && strcmp(path + length - end, suffixes[i]) == 0)
            return true;
    }
    return false;
}

static void note(uint64_t cgroup_id, const char *path, uint64_t time_ns)
{
    struct opened *opened;
    HASH_FIND(hh, table, &cgroup_id, sizeof(cgroup_id), opened);
    if (opened) {
        HASH_DEL(table, opened);
    } else {
        while (HASH_COUNT(table) >= WEIGHTS_CGROUPS_MAX) {
            struct opened *oldest = table;
            counter_register(&evicted);
            evicted.value += oldest->time_ns + remembered_ns > time_ns;
            HASH_DEL(table, oldest);
            free(oldest);
        }
        opened = calloc(1, sizeof(*opened));
    }
    if (!opened)
        return;
    opened->cgroup_id = cgroup_id;
    opened->time_ns = time_ns;
    snprintf(opened->path, sizeof(opened->path), "%s", path);
    HASH_ADD(hh, table, cgroup_id, sizeof(opened->cgroup_id), opened);
}

void weights_event(const struct event *event)
{
    static const char name[] = "fd.name", read[] = "evt.is_open_read";
    const struct field_arg none = {};
    struct value value;
    const char *source = event_type_source(event->type);
    if (!source || strcmp(source, "file") != 0)
        return;
    const struct field *reads = field_find(event->type, read, strlen(read));
    const struct field *path = field_find(event->type, name, strlen(name));
    if (!path || !reads || !field_get(reads, event, &none, 0, &value) || !value.b ||
        !field_get(path, event, &none, 0, &value) || !is_weights(value.string.data, value.string.length))
        return;
    note(event->wire->cgroup_id, value.string.data, event->wire->time_ns);
}

const char *weights_of(uint64_t cgroup_id, uint64_t now_ns)
{
    struct opened *opened;
    HASH_FIND(hh, table, &cgroup_id, sizeof(cgroup_id), opened);
    return opened && opened->time_ns + remembered_ns > now_ns ? opened->path : NULL;
}
