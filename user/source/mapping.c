#include "mapping.h"

#include "base/cleanup.h"
#include "hook.h"
#include "mapping.skel.h"
#include "probes.h"
#include "wire/mapping.h"

#include <errno.h>

static struct mapping_bpf *skeleton;
static struct hooks attached;

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

static void stop(void)
{
    hook_detach_all(&attached);
    mapping_bpf__destroy(skeleton);
    skeleton = NULL;
}

// A recording is read where nothing is attached.
static void learn(const struct wire_header *wire)
{
    if (!skeleton)
        return;
    told.value++;
    probes_look();
}

static int load(const struct source_env *env, const struct hook *hooks, size_t count,
                struct source_report *ret_report)
{
    skeleton = mapping_bpf__open();
    if (!skeleton)
        return hook_load_failed(-errno, ret_report);
    skeleton->rodata->source_id = env->id;
    return hook_load(skeleton->skeleton, env, hooks, count, ret_report);
}

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
    ret_report->needed = probes_wanted() || env->everything;
    if (!ret_report->needed) {
        stop();
        return 0;
    }
    int error = skeleton ? 0 : load(env, hooks, ARRAY_SIZE(hooks), ret_report);
    if (!error)
        error = hook_update(skeleton->obj, hooks, ARRAY_SIZE(hooks), &attached, ret_report);
    if (error)
        stop();
    return error;
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
