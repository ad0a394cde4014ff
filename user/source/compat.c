#include "source.h"

#include "calls.h"
#include "compat.skel.h"

#include <errno.h>

static struct compat_bpf *skeleton;
static struct hooks attached;

static void stop(void)
{
    hook_detach_all(&attached);
    compat_bpf__destroy(skeleton);
    skeleton = NULL;
}

// The last of the sources, so that the others have said by now whether they watch any 32-bit call.
static int start(const struct source_env *env, struct source_report *ret_report)
{
    const struct hook hook = {.name = "return of 32-bit calls",
                              .program = "compat_exit",
                              .attach_point = "raw_tp/sys_exit",
                              .wanted = true};
    ret_report->needed = hook_compat_count() > 0 || env->everything;
    if (!ret_report->needed) {
        stop();
        return 0;
    }
    if (skeleton)
        return hook_update(skeleton->obj, &hook, 1, &attached, ret_report);
    skeleton = compat_bpf__open();
    if (!skeleton)
        return hook_load_failed(-errno, ret_report);
    skeleton->rodata->source_id = env->id;
    int error = hook_load(skeleton->skeleton, env, &hook, 1, ret_report);
    if (!error)
        error = hook_update(skeleton->obj, &hook, 1, &attached, ret_report);
    if (error)
        stop();
    return error;
}

static size_t record_size(uint16_t type)
{
    return SIZE_MAX; // sends no records of its own
}

const struct source source_compat = {
    .name = "compat",
    .help = "Hands system calls of 32-bit callers to the sources that watch them",
    .record_size = record_size,
    .start = start,
    .stop = stop,
};
