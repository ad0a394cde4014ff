#include "source.h"

#include "filter_set.h"
#include "hook.h"
#include "process.skel.h"
#include "wire/process.h"

#include <errno.h>

static struct process_bpf *skeleton;
static struct hooks attached;

static const struct wire_process_execve *execve_of(const struct event *event)
{
    return (const struct wire_process_execve *)event->wire;
}

static bool get_filename(const struct event *event, const struct field_arg *arg, size_t nth,
                         struct value *ret_value)
{
    const struct wire_process_execve *record = execve_of(event);
    if (record->filename_size < 2)
        return false;
    return value_set_bytes(ret_value, (const char *)(record + 1), record->filename_size - 1u);
}

static bool get_rawres(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    return value_set_int(ret_value, 0);
}

static bool get_failed(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    return value_set_bool(ret_value, false);
}

static bool get_status(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    return value_set_int(ret_value, ((const struct wire_process_procexit *)event->wire)->status);
}

static const struct field execve_fields[] = {
    {.name = "evt.rawres", .type = FIELD_INT, .help = "What the call returned", .get = get_rawres},
    {.name = "evt.failed", .type = FIELD_BOOL, .help = "Whether the call failed", .get = get_failed},
    {.name = "evt.arg.filename",
     .type = FIELD_STRING,
     .help = "The program as the caller named it, from the kernel's copy",
     .get = get_filename},
};

static const struct field procexit_fields[] = {
    {.name = "evt.arg.status",
     .type = FIELD_INT,
     .help = "How the last thread ended: exit code times 256, or the signal",
     .get = get_status},
};

static const struct event_type types[] = {
    [WIRE_PROCESS_CLONE] = {.name = "clone", .help = "A process was forked; the event is the child's"},
    [WIRE_PROCESS_EXECVE] = {.name = "execve",
                             .help = "A process has become another program (execve and execveat)",
                             .fields = execve_fields,
                             .fields_count = sizeof(execve_fields) / sizeof(execve_fields[0])},
    [WIRE_PROCESS_PROCEXIT] = {.name = "procexit",
                               .help = "The last thread of a process has gone",
                               .fields = procexit_fields,
                               .fields_count = sizeof(procexit_fields) / sizeof(procexit_fields[0])},
};

static size_t record_size(uint16_t type)
{
    static const size_t sizes[] = {
        [WIRE_PROCESS_CLONE] = sizeof(struct wire_process_clone),
        [WIRE_PROCESS_EXECVE] = sizeof(struct wire_process_execve),
        [WIRE_PROCESS_PROCEXIT] = sizeof(struct wire_process_procexit),
    };
    return sizes[type];
}

static bool record_valid(const struct wire_header *wire)
{
    if (wire->type != WIRE_PROCESS_EXECVE)
        return true;
    const struct wire_process_execve *record = (const struct wire_process_execve *)wire;
    size_t parts = (size_t)record->filename_size + record->exe_size + record->args_size + record->cgroup_size;
    const char *filename = (const char *)(record + 1);
    return sizeof(*record) + parts <= wire->size &&
           (record->filename_size == 0 || filename[record->filename_size - 1] == '\0');
}

static void stop(void)
{
    hook_detach_all(&attached);
    process_bpf__destroy(skeleton);
    skeleton = NULL;
}

static int load(const struct source_env *env, const struct hook *hooks, size_t count,
                struct source_report *ret_report)
{
    skeleton = process_bpf__open();
    if (!skeleton)
        return hook_load_failed(-errno, ret_report);
    skeleton->rodata->source_id = env->id;
    int error = hook_prepare(skeleton->obj, env, hooks, count);
    if (!error)
        error = process_bpf__load(skeleton);
    if (error) {
        hook_load_failed(error, ret_report);
        stop();
    }
    return error;
}

// The process table lives on these, so all three are always wanted.
static int start(const struct source_env *env, struct source_report *ret_report)
{
    const struct hook hooks[] = {
        {.name = "fork",
         .program = "process_fork_tp",
         .attach_point = "tp_btf/sched_process_fork",
         .wanted = true},
        {.name = "exec",
         .program = "process_exec_tp",
         .attach_point = "tp_btf/sched_process_exec",
         .wanted = true},
        {.name = "exit",
         .program = "process_exit_tp",
         .attach_point = "tp_btf/sched_process_exit",
         .wanted = true},
    };
    size_t count = sizeof(hooks) / sizeof(hooks[0]);
    int error = skeleton ? 0 : load(env, hooks, count, ret_report);
    if (error)
        return error;
    const bool *wanted = env->demand->wanted;
    skeleton->bss->wake_clone = wanted[event_type_index(&types[WIRE_PROCESS_CLONE])];
    skeleton->bss->wake_execve = wanted[event_type_index(&types[WIRE_PROCESS_EXECVE])];
    skeleton->bss->wake_procexit = wanted[event_type_index(&types[WIRE_PROCESS_PROCEXIT])];
    // An exec gives no other clue than the name.
    skeleton->data->wake_all =
        filter_set_clues(env->demand, &types[WIRE_PROCESS_EXECVE], skeleton->bss->wake_names, NULL);
    error = hook_update(skeleton->obj, hooks, count, &attached, ret_report);
    if (error)
        stop();
    return error;
}

const struct source source_process = {
    .name = "process",
    .help = "Processes: fork, exec, exit",
    .types = types,
    .types_count = sizeof(types) / sizeof(types[0]),
    .record_size = record_size,
    .record_valid = record_valid,
    .start = start,
    .stop = stop,
};
