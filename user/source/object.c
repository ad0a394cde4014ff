#include "object.h"

#include <errno.h>

bool object_needed(struct object *object, bool needed, struct source_report *ret_report)
{
    ret_report->needed = needed;
    if (!needed)
        object_stop(object);
    return needed;
}

int object_load(struct object *object, const struct source_env *env, const struct hook *hooks, size_t count,
                struct source_report *ret_report)
{
    if (object->skeleton)
        return 0;
    object->skeleton = object->open(env->id);
    if (!object->skeleton)
        return hook_load_failed(-errno, ret_report);
    if (object->prepare)
        object->prepare(env);
    int error = hook_load(object->skeleton, env, hooks, count, ret_report);
    if (error)
        object_stop(object);
    return error;
}

int object_attach(struct object *object, const struct hook *hooks, size_t count,
                  struct source_report *ret_report)
{
    int error = hook_update(*object->skeleton->obj, hooks, count, &object->attached, ret_report);
    if (error)
        object_stop(object);
    return error;
}

int object_start(struct object *object, const struct source_env *env, bool needed, const struct hook *hooks,
                 size_t count, struct source_report *ret_report)
{
    if (!object_needed(object, needed, ret_report))
        return 0;
    int error = object_load(object, env, hooks, count, ret_report);
    return error ? error : object_attach(object, hooks, count, ret_report);
}

void object_stop(struct object *object)
{
    hook_detach_all(&object->attached);
    if (object->stopping)
        object->stopping();
    object->close();
    object->skeleton = NULL;
}
