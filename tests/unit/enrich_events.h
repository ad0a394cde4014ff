// Synthetic records, and an enrich stage that sees a /proc and a node made for the test.
#pragma once

#include "../../user/enrich/enrich_private.h"
#include "base/cleanup.h"
#include "enrich_tree.h"
#include "wire/process.h"

#define MS 1000000ULL
#define SECOND 1000000000ULL
#define EPOCH_NS 1700000000000000000ULL // wall clock time of boot

static bool test_get_pid(const struct event *event, const struct field_arg *arg, size_t nth,
                         struct value *ret_value)
{
    return value_set_int(ret_value, ((const struct wire_process_session *)event->wire)->pid);
}

static bool test_get_missing(const struct event *event, const struct field_arg *arg, size_t nth,
                             struct value *ret_value)
{
    return false;
}

static bool test_get_path(const struct event *event, const struct field_arg *arg, size_t nth,
                          struct value *ret_value)
{
    return value_set_string(ret_value, "/a b");
}

static const struct field session_fields[] = {
    {.name = "evt.rawres", .type = FIELD_INT, .help = "what it returned", .get = test_get_pid},
    {.name = "evt.arg.pid", .type = FIELD_INT, .help = "who is moved", .get = test_get_pid},
    {.name = "evt.arg.path", .type = FIELD_STRING, .help = "a text", .get = test_get_path},
    {.name = "evt.arg.gone", .type = FIELD_INT, .help = "never there", .get = test_get_missing},
};

static const struct event_type test_types[] = {
    {.name = "clone"},
    {.name = "execve"},
    {.name = "procexit"},
    {.name = "setsid"},
    {.name = "setpgid", .fields = session_fields, .fields_count = 4},
};
static const struct event_type other_types[] = {{.name = "openat"}};

struct stage {
    char root[64]; // /proc is below it, and so is /etc
    char proc[80];
    struct enrich *enrich;
    struct event event; // the latest
    struct scratch scratch;
    uint64_t record[2048]; // the latest
};

static inline void stage_start(struct stage *stage, size_t processes_max)
{
    cr_assert_eq(event_type_register("process", test_types, 5), 0);
    cr_assert_eq(event_type_register("file", other_types, 1), 0);
    tree_make(stage->root);
    snprintf(stage->proc, sizeof(stage->proc), "%s/proc", stage->root);
    cr_assert_eq(mkdir(stage->proc, 0755), 0);
    struct enrich_options options = {.processes_max = processes_max, .host_root = stage->root};
    cr_assert_eq(enrich_new(&options, &stage->enrich), 0);
    stage->enrich->proc_root = stage->proc;
}

static inline void stage_stop(struct stage *stage)
{
    enrich_free(&stage->enrich);
    cr_assert_null(stage->enrich);
    tree_remove(stage->root);
}

// A process as /proc shows it; started at that many clock ticks (1/100 s).
static inline void stage_proc(struct stage *stage, int pid, int ppid, const char *name, unsigned start_ticks,
                              const char *args, size_t args_size)
{
    char file[64], text[512];
    snprintf(file, sizeof(file), "/proc/%d/stat", pid);
    snprintf(
        text, sizeof(text),
        "%d (%s) S %d %d %d 34816 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 %u 1000 100 18446744073709551615\n",
        pid, name, ppid, pid, pid, start_ticks);
    tree_write(stage->root, file, text);
    snprintf(file, sizeof(file), "/proc/%d/status", pid);
    snprintf(text, sizeof(text), "Name:\t%s\nUid:\t1000\t1001\t1000\t1000\nGid:\t2000\t2001\t2000\t2000\n",
             name);
    snprintf(text + strlen(text), sizeof(text) - strlen(text),
             "NStgid:\t%d\t7\nNSpid:\t%d\t7\nNSpgid:\t%d\t5\nNSsid:\t%d\t0\n", pid, pid, pid - 1, pid - 2);
    tree_write(stage->root, file, text);
    snprintf(file, sizeof(file), "/proc/%d/environ", pid);
    tree_write_bytes(stage->root, file, "HOME=/root\0A=b c\0HOME=/second", 30);
    snprintf(file, sizeof(file), "/proc/%d/cmdline", pid);
    tree_write_bytes(stage->root, file, args, args_size);
    snprintf(file, sizeof(file), "/proc/%d/exe", pid);
    snprintf(text, sizeof(text), "/usr/bin/%s", name);
    char path[PATH_MAX];
    tree_path(stage->root, file, path);
    unlink(path);
    tree_link(stage->root, file, text);
    snprintf(file, sizeof(file), "/proc/%d/loginuid", pid);
    tree_write(stage->root, file, "1000");
    snprintf(file, sizeof(file), "/proc/%d/cgroup", pid);
    tree_write(stage->root, file, "0::/\n");
}

// Who a record is about.
struct who {
    uint32_t pid;
    uint64_t start_ns;
    const char *comm;
    uint32_t uid, gid;
    uint64_t cgroup_id;
};

static inline struct wire_header *stage_record(struct stage *stage, uint16_t type, size_t size,
                                               struct who who, uint64_t time_ns)
{
    static uint64_t num;
    struct wire_header *header = (struct wire_header *)stage->record;
    memset(header, 0, size);
    *header = (struct wire_header){
        .size = (uint32_t)size,
        .type = type,
        .time_ns = time_ns,
        .start_time_ns = who.start_ns,
        .cgroup_id = who.cgroup_id,
        .pid = who.pid,
        .tid = who.pid,
        .uid = who.uid,
        .gid = who.gid,
    };
    cr_assert_lt(strlen(who.comm), sizeof(header->comm));
    memcpy(header->comm, who.comm, strlen(who.comm));
    stage->scratch.used = 0;
    stage->event = (struct event){
        .type = &test_types[type],
        .wire = header,
        .num = ++num,
        .time_ns = EPOCH_NS + time_ns,
        .scratch = &stage->scratch,
    };
    return header;
}

static inline struct process *stage_enrich(struct stage *stage)
{
    enrich_event(stage->enrich, &stage->event);
    cr_assert_not_null(stage->event.process);
    return stage->event.process;
}

// Each of these leaves the event as it is while it is handled; stage_done() ends that.
static inline struct process *stage_clone(struct stage *stage, struct who child, uint32_t parent_pid,
                                          uint64_t parent_start_ns)
{
    struct wire_process_clone *wire = (struct wire_process_clone *)stage_record(
        stage, WIRE_PROCESS_CLONE, sizeof(*wire), child, child.start_ns);
    wire->parent_pid = parent_pid;
    wire->parent_start_time_ns = parent_start_ns;
    wire->loginuid = LOGINUID_NONE;
    return stage_enrich(stage);
}

struct exec {
    uint32_t parent_pid;
    uint64_t parent_start_ns;
    uint32_t loginuid, tty;
    const char *exe; // a wire path
    size_t exe_size;
    const char *args;
    size_t args_size;
    const char *cgroup;
    size_t cgroup_size;
    const char *cwd;
    size_t cwd_size;
    const char *env;
    size_t env_size;
    uint8_t exe_flags, cgroup_truncated;
    uint64_t exe_ino, exe_ctime_ns, exe_mtime_ns;
    struct wire_process_ids ids;
};

#define PART(name, text) .name = (text), .name##_size = sizeof(text)

static inline struct wire_process_execve *stage_exec_record(struct stage *stage, struct who who,
                                                            struct exec exec, uint64_t time_ns)
{
    static const char filename[] = "program";
    size_t size = sizeof(struct wire_process_execve) + sizeof(filename) + exec.exe_size + exec.args_size +
                  exec.cgroup_size + exec.cwd_size + exec.env_size;
    cr_assert_leq(size, sizeof(stage->record));
    struct wire_process_execve *wire =
        (struct wire_process_execve *)stage_record(stage, WIRE_PROCESS_EXECVE, size, who, time_ns);
    wire->parent_pid = exec.parent_pid;
    wire->parent_start_time_ns = exec.parent_start_ns;
    wire->loginuid = exec.loginuid;
    wire->tty = exec.tty;
    wire->filename_size = sizeof(filename);
    wire->exe_size = (uint16_t)exec.exe_size;
    wire->args_size = (uint16_t)exec.args_size;
    wire->cgroup_size = (uint16_t)exec.cgroup_size;
    wire->cwd_size = (uint16_t)exec.cwd_size;
    wire->has_cwd = exec.cwd != NULL;
    wire->env_size = (uint16_t)exec.env_size;
    wire->exe_flags = exec.exe_flags;
    wire->cgroup_truncated = exec.cgroup_truncated;
    wire->exe_ino = exec.exe_ino;
    wire->exe_ctime_ns = exec.exe_ctime_ns;
    wire->exe_mtime_ns = exec.exe_mtime_ns;
    wire->ids = exec.ids;
    char *to = (char *)(wire + 1);
    to = mempcpy(to, filename, sizeof(filename));
    if (exec.exe_size)
        to = mempcpy(to, exec.exe, exec.exe_size);
    if (exec.args_size)
        to = mempcpy(to, exec.args, exec.args_size);
    if (exec.cgroup_size)
        to = mempcpy(to, exec.cgroup, exec.cgroup_size);
    if (exec.cwd_size)
        to = mempcpy(to, exec.cwd, exec.cwd_size);
    if (exec.env_size)
        memcpy(to, exec.env, exec.env_size);
    return wire;
}

static inline struct process *stage_exec(struct stage *stage, struct who who, struct exec exec,
                                         uint64_t time_ns)
{
    stage_exec_record(stage, who, exec, time_ns);
    return stage_enrich(stage);
}

static inline struct process *stage_exit(struct stage *stage, struct who who, uint64_t time_ns)
{
    stage_record(stage, WIRE_PROCESS_PROCEXIT, sizeof(struct wire_process_procexit), who, time_ns);
    return stage_enrich(stage);
}

static inline struct process *stage_session(struct stage *stage, uint16_t type, struct who who,
                                            struct wire_process_ids ids, int pid, int pgid, uint64_t time_ns)
{
    struct wire_process_session *wire =
        (struct wire_process_session *)stage_record(stage, type, sizeof(*wire), who, time_ns);
    wire->ids = ids;
    wire->pid = pid;
    wire->pgid = pgid;
    return stage_enrich(stage);
}

// A record of another source.
static inline struct process *stage_other(struct stage *stage, struct who who, uint64_t time_ns)
{
    stage_record(stage, 0, sizeof(struct wire_header), who, time_ns);
    stage->event.type = &other_types[0];
    return stage_enrich(stage);
}

static inline void stage_done(struct stage *stage)
{
    enrich_event_done(stage->enrich, &stage->event);
}
