#include "mapping.h"

#include "base/cleanup.h"
#include "mapping.skel.h"
#include "object.h"
#include "probes.h"
#include "wire/mapping.h"

OBJECT_SKELETON(mapping);

static struct counter told = {
    .name = "inferscope_mappings_new_total",
    .help = "Times that the kernel told of a program or library which nobody had run before",
};

static size_t record_size(uint16_t type)
{
    return sizeof(struct wire_mapping);
}

void mapping_renew(void)
{
    if (skeleton)
        skeleton->bss->round_now++;
}

// A recording is read where nothing is attached.
static void learn(const struct wire_header *wire)
{
    if (!skeleton)
        return;
    told.value++;
    probes_look();
}

static struct object object = {.open = open_skeleton, .close = close_skeleton};

static int start(const struct source_env *env, struct source_report *ret_report)
{
    // Without its second hook libraries are found by the tick, as are those of 32-bit programs anyway.
    static const struct hook hooks[] = {
        {.name = "exec",
         .program = "mapping_exec_btf",
         .attach_point = "tp_btf/sched_process_exec",
         .wanted = true},
        {.name = "mmap",
         .program = "mapping_mmap_tp",
         .attach_point = "tracepoint/syscalls/sys_exit_mmap",
         .attach = hook_attach_tracepoint,
         .optional = true,
         .wanted = true},
    };
    counter_register(&told);
    return object_start(&object, env, probes_wanted() || env->everything, hooks, ARRAY_SIZE(hooks),
                        ret_report);
}

static void stop(void)
{
    object_stop(&object);
}

const struct source source_mapping = {
    .name = "mapping",
    .help = "Programs and libraries that nobody ran before, so that they are probed at once",
    .record_size = record_size,
    .learn = learn,
    .start = start,
    .stop = stop,
    .tick = probes_tick,
};
