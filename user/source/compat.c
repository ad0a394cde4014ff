#include "source.h"

#include "compat.skel.h"
#include "object.h"

OBJECT_SKELETON(compat);

static struct object object = {.open = open_skeleton, .close = close_skeleton};

// The last of the sources, so that the others have said by now whether they watch any 32-bit call.
static int start(const struct source_env *env, struct source_report *ret_report)
{
    const struct hook hook = {.name = "return of 32-bit calls",
                              .program = "compat_exit",
                              .attach_point = "raw_tp/sys_exit",
                              .wanted = true};
    return object_start(&object, env, hook_compat_count() > 0 || env->everything, &hook, 1, ret_report);
}

static void stop(void)
{
    object_stop(&object);
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
