#include "source.h"

#include "base/cleanup.h"
#include "calls.h"
#include "descriptor.h"
#include "dup.skel.h"
#include "filter_set.h"
#include "object.h"
#include "result.h"
#include "values.h"
#include "wire/dup.h"

#include <fcntl.h>

OBJECT_SKELETON(dup);

static const struct wire_dup *dup_of(const struct event *event)
{
    return (const struct wire_dup *)event->wire;
}

static bool get_old_fd(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    return value_set_int(ret_value, dup_of(event)->old_fd);
}

static bool get_new_fd(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    return value_set_int(ret_value, dup_of(event)->new_fd);
}

static bool get_flags(const struct event *event, const struct field_arg *arg, size_t nth,
                      struct value *ret_value)
{
    static const struct named_number names[] = {{O_CLOEXEC, "O_CLOEXEC"}};
    return value_set_flags(ret_value, event, names, ARRAY_SIZE(names), dup_of(event)->flags);
}

#define OLD_FD(field_name)                                                                                 \
    {                                                                                                      \
        .name = field_name, .type = FIELD_INT, .help = "The descriptor that was copied", .get = get_old_fd \
    }
#define NEW_FD                                                                                           \
    {                                                                                                    \
        .name = "evt.arg.newfd", .type = FIELD_INT, .help = "The number asked for it", .get = get_new_fd \
    }
#define DUP_RESULT RESULT_FIELDS("The new descriptor, or a negative error number")

static const struct field dup_fields[] = {DUP_RESULT, OLD_FD("evt.arg.fd"), DESCRIPTOR_FIELDS,
                                          ENDPOINT_ADDRESS_FIELDS};

static const struct field dup2_fields[] = {DUP_RESULT, OLD_FD("evt.arg.oldfd"), NEW_FD, DESCRIPTOR_FIELDS,
                                           ENDPOINT_ADDRESS_FIELDS};

static const struct field dup3_fields[] = {
    DUP_RESULT,
    OLD_FD("evt.arg.oldfd"),
    NEW_FD,
    {.name = "evt.arg.flags", .type = FIELD_STRING, .help = "O_CLOEXEC or 0", .get = get_flags},
    DESCRIPTOR_FIELDS,
    ENDPOINT_ADDRESS_FIELDS,
};

static const struct event_type types[] = {
    [WIRE_DUP_DUP] = {.name = "dup",
                      .help =
                          "A descriptor was copied to the lowest free number. The fields of fd are those of "
                          "the copy; fcntl(F_DUPFD) is not seen",
                      .fields = dup_fields,
                      .fields_count = ARRAY_SIZE(dup_fields)},
    [WIRE_DUP_DUP2] = {.name = "dup2",
                       .help = "A descriptor was copied to a number that the caller chose",
                       .fields = dup2_fields,
                       .fields_count = ARRAY_SIZE(dup2_fields)},
    [WIRE_DUP_DUP3] = {.name = "dup3",
                       .help = "A descriptor was copied to a number that the caller chose, with flags",
                       .fields = dup3_fields,
                       .fields_count = ARRAY_SIZE(dup3_fields)},
};

static size_t record_size(uint16_t type)
{
    return sizeof(struct wire_dup);
}

static const struct call_watch calls[] = {
    CALL_WATCH(dup, WIRE_DUP_DUP, .mandatory = true),
    CALL_WATCH(dup2, WIRE_DUP_DUP2, .mandatory = true),
    CALL_WATCH(dup3, WIRE_DUP_DUP3, .mandatory = true),
};

static void prepare(const struct source_env *env)
{
    calls_number(calls, ARRAY_SIZE(calls), skeleton->rodata->call_types, skeleton->rodata->call_types_compat);
}

static struct object object = {.open = open_skeleton, .close = close_skeleton, .prepare = prepare};

static int start(const struct source_env *env, struct source_report *ret_report)
{
    struct call_hooks hooks;
    calls_hooks(calls, ARRAY_SIZE(calls), types, env, &hooks);
    if (!object_needed(&object, calls_wanted(&hooks), ret_report))
        return 0;
    int error = object_load(&object, env, hooks.hooks, hooks.count, ret_report);
    if (error)
        return error;
    skeleton->data->wake_types =
        filter_set_all_clues(env->demand, types, ARRAY_SIZE(types), skeleton->bss->wake_names, NULL);
    return object_attach(&object, hooks.hooks, hooks.count, ret_report);
}

static void stop(void)
{
    object_stop(&object);
}

const struct source source_dup = {
    .name = "dup",
    .help = "Descriptors copied to another number, and what they are",
    .types = types,
    .types_count = ARRAY_SIZE(types),
    .record_size = record_size,
    .record_valid = descriptor_valid,
    .start = start,
    .stop = stop,
};
