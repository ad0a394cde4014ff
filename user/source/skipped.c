#include "skipped.h"

#include "base/cleanup.h"
#include "base/series.h"
#include "wire/header.h"

#include <bpf/bpf.h>
#include <stdio.h>
#include <string.h>

static struct skipped {
    char source[BPF_OBJ_NAME_LEN];
    const struct bpf_object *object; // NULL: stopped
    uint64_t before;                 // by programs that have gone
} list[WIRE_SOURCES_MAX];

static uint64_t skipped_by(const struct bpf_object *object)
{
    uint64_t sum = 0;
    struct bpf_program *program;
    bpf_object__for_each_program(program, object)
    {
        struct bpf_prog_info info = {};
        __u32 size = sizeof(info);
        int fd = bpf_program__fd(program);
        if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0)
            sum += info.recursion_misses;
    }
    return sum;
}

static void collect(struct series_writer *writer, void *context)
{
    static const struct series_family family = {
        .name = "inferscope_programs_skipped_total",
        .type = SERIES_COUNTER,
        .help = "Times the kernel did not run a source's program, because it was at work on that CPU already",
    };
    writer->family(writer, &family);
    for (size_t i = 0; i < ARRAY_SIZE(list) && list[i].source[0]; i++) {
        struct label label = {"source", list[i].source};
        uint64_t now = list[i].object ? skipped_by(list[i].object) : 0;
        writer->number(writer, &label, 1, (double)(list[i].before + now));
    }
}

// The entry of an object's source; a free one where there is none yet. NULL: the list is full.
static struct skipped *entry_of(const struct bpf_object *object)
{
    // The skeleton of the source `file` is called file_bpf.
    char source[BPF_OBJ_NAME_LEN];
    snprintf(source, sizeof(source), "%s", bpf_object__name(object));
    source[strcspn(source, "_")] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
        if (!list[i].source[0])
            memcpy(list[i].source, source, sizeof(source));
        if (strcmp(list[i].source, source) == 0)
            return &list[i];
    }
    return NULL;
}

void skipped_watch(const struct bpf_object *object)
{
    static bool registered;
    if (!registered)
        registered = series_register(collect, NULL) == 0;
    struct skipped *entry = entry_of(object);
    if (entry)
        entry->object = object;
}

void skipped_unwatch(const struct bpf_object *object)
{
    struct skipped *entry = entry_of(object);
    if (!entry || entry->object != object)
        return;
    entry->before += skipped_by(object);
    entry->object = NULL;
}
