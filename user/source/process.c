#include "source.h"

#include "base/cleanup.h"
#include "calls.h"
#include "filter_set.h"
#include "object.h"
#include "process.skel.h"
#include "result.h"
#include "wire/process.h"

#include <string.h>

OBJECT_SKELETON(process);

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

static bool get_session_pid(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value)
{
    return value_set_int(ret_value, ((const struct wire_process_session *)event->wire)->pid);
}

static bool get_session_pgid(const struct event *event, const struct field_arg *arg, size_t nth,
                             struct value *ret_value)
{
    return value_set_int(ret_value, ((const struct wire_process_session *)event->wire)->pgid);
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

static const struct field setsid_fields[] = {
    RESULT_FIELDS("What the call returned: the new session's id, as the caller counts"),
};

static const struct field setpgid_fields[] = {
    RESULT_FIELDS("What the call returned"),
    {.name = "evt.arg.pid",
     .type = FIELD_INT,
     .help = "The process that is moved, as the caller counts; 0 for the caller",
     .get = get_session_pid},
    {.name = "evt.arg.pgid",
     .type = FIELD_INT,
     .help = "The group it is moved to, as the caller counts; 0 for one of its own",
     .get = get_session_pgid},
};

static const struct event_type types[] = {
    [WIRE_PROCESS_CLONE] = {.name = "clone", .help = "A process was forked; the event is the child's"},
    [WIRE_PROCESS_EXECVE] = {.name = "execve",
                             .help = "A process has become another program (execve and execveat)",
                             .fields = execve_fields,
                             .fields_count = ARRAY_SIZE(execve_fields)},
    [WIRE_PROCESS_PROCEXIT] = {.name = "procexit",
                               .help = "The last thread of a process has gone",
                               .fields = procexit_fields,
                               .fields_count = ARRAY_SIZE(procexit_fields)},
    [WIRE_PROCESS_SETSID] = {.name = "setsid",
                             .help = "A process began a session of its own, or tried to",
                             .fields = setsid_fields,
                             .fields_count = ARRAY_SIZE(setsid_fields)},
    [WIRE_PROCESS_SETPGID] = {.name = "setpgid",
                              .help = "A process was moved to another process group, or that was tried",
                              .fields = setpgid_fields,
                              .fields_count = ARRAY_SIZE(setpgid_fields)},
};

static size_t record_size(uint16_t type)
{
    static const size_t sizes[] = {
        [WIRE_PROCESS_CLONE] = sizeof(struct wire_process_clone),
        [WIRE_PROCESS_EXECVE] = sizeof(struct wire_process_execve),
        [WIRE_PROCESS_PROCEXIT] = sizeof(struct wire_process_procexit),
        [WIRE_PROCESS_SETSID] = sizeof(struct wire_process_session),
        [WIRE_PROCESS_SETPGID] = sizeof(struct wire_process_session),
    };
    return sizes[type];
}

static bool record_valid(const struct wire_header *wire)
{
    if (wire->type != WIRE_PROCESS_EXECVE)
        return true;
    const struct wire_process_execve *record = (const struct wire_process_execve *)wire;
    size_t parts = (size_t)record->filename_size + record->exe_size + record->args_size +
                   record->cgroup_size + record->cwd_size + record->env_size;
    const char *filename = (const char *)(record + 1);
    return sizeof(*record) + parts <= wire->size &&
           (record->filename_size == 0 || filename[record->filename_size - 1] == '\0');
}

// What a rule must read for something to be looked for in the kernel. A name stands for all fields that begin
// with it.
static const char *const ids_fields[] = {"proc.sid",
                                         "proc.sname",
                                         "proc.pgid",
                                         "proc.vpid",
                                         "proc.pvpid",
                                         "proc.vpgid",
                                         "proc.pidns_init_start_ts",
                                         "proc.is_sid_leader",
                                         "proc.is_pgid_leader",
                                         "proc.is_vpgid_leader",
                                         "proc.exe_ino.ctime_duration_pidns_start",
                                         "thread.vtid",
                                         NULL};
static const char *const exe_fields[] = {"proc.exe_ino", "proc.is_exe_writable", "proc.is_exe_upper_layer",
                                         "proc.is_exe_lower_layer", NULL};
static const char *const cwd_fields[] = {"proc.cwd", NULL};
static const char *const env_fields[] = {"proc.env", "proc.aenv", NULL};
static const char *const container_fields[] = {"container.", "k8s.", NULL};

static bool reads_any(const struct demand *demand, const char *const *names)
{
    for (size_t i = 0; i < demand->reads_count; i++)
        for (size_t k = 0; names[k]; k++)
            if (strncmp(demand->reads[i]->name, names[k], strlen(names[k])) == 0)
                return true;
    return demand->reads_all;
}

// Groups and sessions that change after the exec are followed by these. A process can do without them.
static const struct call_watch calls[] = {
    CALL_WATCH(setsid, WIRE_PROCESS_SETSID),
    CALL_WATCH(setpgid, WIRE_PROCESS_SETPGID),
};

static void prepare(const struct source_env *env)
{
    calls_number(calls, ARRAY_SIZE(calls), skeleton->rodata->call_types, skeleton->rodata->call_types_compat);
}

static struct object object = {.open = open_skeleton, .close = close_skeleton, .prepare = prepare};

// The process table lives on these, so all three are always wanted.
static const struct hook always[] = {
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

static void make_hooks(const struct source_env *env, bool follow_ids, struct call_hooks *ret_hooks)
{
    struct demand demand = *env->demand;
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        demand.wanted[event_type_index(&types[calls[i].type])] |= follow_ids;
    struct source_env own = *env;
    own.demand = &demand;
    calls_hooks(calls, ARRAY_SIZE(calls), types, &own, ret_hooks);
    for (size_t i = 0; i < ARRAY_SIZE(always); i++)
        ret_hooks->hooks[ret_hooks->count++] = always[i];
}

// Where rules read what containers are called, the exec of a program that makes them wakes the reader, so
// that it looks at a container's files before they can be gone (user/enrich/runtime_exec.c).
static void wake_for_runtimes(void)
{
    static const char runtimes[][WIRE_COMM_LEN] = {"runc", "crun", "youki", "runsc", "kata-runtime"};
    for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++)
        filter_set_add(skeleton->bss->wake_names, filter_set_bytes(runtimes[i]));
    skeleton->bss->wake_execve = true;
}

static void set_demand(const struct demand *demand)
{
    const bool *wanted = demand->wanted;
    skeleton->bss->wake_clone = wanted[event_type_index(&types[WIRE_PROCESS_CLONE])];
    skeleton->bss->wake_execve = wanted[event_type_index(&types[WIRE_PROCESS_EXECVE])];
    skeleton->bss->wake_procexit = wanted[event_type_index(&types[WIRE_PROCESS_PROCEXIT])];
    skeleton->bss->wake_session = wanted[event_type_index(&types[WIRE_PROCESS_SETSID])] ||
                                  wanted[event_type_index(&types[WIRE_PROCESS_SETPGID])];
    // An exec gives no other clue than the name.
    skeleton->data->wake_all =
        filter_set_clues(demand, &types[WIRE_PROCESS_EXECVE], skeleton->bss->wake_names, NULL);
    if (reads_any(demand, container_fields))
        wake_for_runtimes();
    skeleton->bss->read_ids = reads_any(demand, ids_fields);
    skeleton->bss->read_exe = reads_any(demand, exe_fields);
    skeleton->bss->read_cwd = reads_any(demand, cwd_fields);
    skeleton->bss->read_env = reads_any(demand, env_fields);
}

static int start(const struct source_env *env, struct source_report *ret_report)
{
    struct call_hooks hooks;
    make_hooks(env, reads_any(env->demand, ids_fields), &hooks);
    int error = object_load(&object, env, hooks.hooks, hooks.count, ret_report);
    if (error)
        return error;
    set_demand(env->demand);
    return object_attach(&object, hooks.hooks, hooks.count, ret_report);
}

static void stop(void)
{
    object_stop(&object);
}

const struct source source_process = {
    .name = "process",
    .help = "Processes: fork, exec, exit, groups and sessions",
    .types = types,
    .types_count = ARRAY_SIZE(types),
    .types_always = WIRE_PROCESS_PROCEXIT + 1,
    .record_size = record_size,
    .record_valid = record_valid,
    .start = start,
    .stop = stop,
};
