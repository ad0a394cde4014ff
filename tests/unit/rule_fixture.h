// Event types and fields of the tests' own, by the names of the real ones, and events made of text.
#pragma once

#include "base/cleanup.h"
#include "rule.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What a field holds in a made event: text, elements of a field with several values separated by commas.
// clang-format off
#define CONTEXT_FIELDS(X)                                   \
    X(evt_type, "evt.type", STRING, NONE, false)            \
    X(evt_time, "evt.time", TIME, NONE, false)              \
    X(evt_num, "evt.num", UINT, NONE, false)                \
    X(proc_name, "proc.name", STRING, NONE, false)          \
    X(proc_exe, "proc.exe", STRING, NONE, false)            \
    X(proc_exepath, "proc.exepath", STRING, NONE, false)    \
    X(proc_cmdline, "proc.cmdline", STRING, NONE, false)    \
    X(proc_args, "proc.args", STRING, NONE, false)          \
    X(proc_pid, "proc.pid", INT, NONE, false)               \
    X(proc_ppid, "proc.ppid", INT, NONE, false)             \
    X(proc_pname, "proc.pname", STRING, NONE, false)        \
    X(proc_pexepath, "proc.pexepath", STRING, NONE, false)  \
    X(proc_pcmdline, "proc.pcmdline", STRING, NONE, false)  \
    X(proc_aname, "proc.aname", STRING, INDEX, true)        \
    X(proc_acmdline, "proc.acmdline", STRING, INDEX, true)  \
    X(proc_env, "proc.env", STRING, KEY, false)             \
    X(proc_tty, "proc.tty", UINT, NONE, false)              \
    X(proc_is_memfd, "proc.is_exe_from_memfd", BOOL, NONE, false) \
    X(proc_is_upper, "proc.is_exe_upper_layer", BOOL, NONE, false) \
    X(proc_duration, "proc.duration", DURATION, NONE, false) \
    X(thread_tid, "thread.tid", INT, NONE, false)           \
    X(user_uid, "user.uid", UINT, NONE, false)              \
    X(user_name, "user.name", STRING, NONE, false)          \
    X(user_loginuid, "user.loginuid", INT, NONE, false)     \
    X(group_gid, "group.gid", UINT, NONE, false)            \
    X(group_name, "group.name", STRING, NONE, false)        \
    X(container_id, "container.id", STRING, NONE, false)    \
    X(container_name, "container.name", STRING, NONE, false) \
    X(container_image, "container.image", STRING, NONE, false) \
    X(container_image_repository, "container.image.repository", STRING, NONE, false) \
    X(container_image_tag, "container.image.tag", STRING, NONE, false) \
    X(container_type, "container.type", STRING, NONE, false) \
    X(k8s_pod_name, "k8s.pod.name", STRING, NONE, false)    \
    X(k8s_ns_name, "k8s.ns.name", STRING, NONE, false)

#define FILE_FIELDS(X)                                      \
    X(file_rawres, "evt.rawres", INT, NONE, false)          \
    X(file_failed, "evt.failed", BOOL, NONE, false)         \
    X(is_open_read, "evt.is_open_read", BOOL, NONE, false)  \
    X(is_open_write, "evt.is_open_write", BOOL, NONE, false) \
    X(file_num, "fd.num", INT, NONE, false)                 \
    X(file_name, "fd.name", STRING, NONE, false)            \
    X(file_nameraw, "fd.nameraw", STRING, NONE, false)      \
    X(file_directory, "fd.directory", STRING, NONE, false)  \
    X(file_filename, "fd.filename", STRING, NONE, false)

#define CONNECT_FIELDS(X)                                   \
    X(connect_rawres, "evt.rawres", INT, NONE, false)       \
    X(connect_failed, "evt.failed", BOOL, NONE, false)      \
    X(connect_num, "fd.num", INT, NONE, false)              \
    X(connect_name, "fd.name", STRING, NONE, false)         \
    X(fd_type, "fd.type", STRING, NONE, false)              \
    X(fd_ip, "fd.ip", IP, NONE, true)                       \
    X(fd_sip, "fd.sip", IP, NONE, false)                    \
    X(fd_cip, "fd.cip", IP, NONE, false)                    \
    X(fd_port, "fd.port", UINT, NONE, true)                 \
    X(fd_sport, "fd.sport", UINT, NONE, false)              \
    X(fd_cport, "fd.cport", UINT, NONE, false)              \
    X(fd_l4proto, "fd.l4proto", STRING, NONE, false)

#define CHANGE_FIELDS(X)                                    \
    X(change_rawres, "evt.rawres", INT, NONE, false)        \
    X(change_failed, "evt.failed", BOOL, NONE, false)       \
    X(change_oldpath, "evt.arg.oldpath", STRING, NONE, false) \
    X(change_newpath, "evt.arg.newpath", STRING, NONE, false) \
    X(change_source, "fs.path.source", STRING, NONE, false) \
    X(change_target, "fs.path.target", STRING, NONE, false) \
    X(change_flags, "evt.arg.flags", STRING, NONE, false)

#define CONTROL_FIELDS(X)                                   \
    X(control_rawres, "evt.rawres", INT, NONE, false)       \
    X(control_failed, "evt.failed", BOOL, NONE, false)      \
    X(control_res, "evt.res", STRING, NONE, false)          \
    X(control_request, "evt.arg.request", STRING, NONE, false) \
    X(control_pid, "evt.arg.pid", INT, NONE, false)

#define CALL_FIELDS(X)                                      \
    X(call_provider, "infer.provider", STRING, NONE, false) \
    X(call_host, "infer.host", STRING, NONE, false)         \
    X(call_model, "infer.model", STRING, NONE, false)

#define EGRESS_FIELDS(X)                                    \
    X(egress_bytes, "net.egress.bytes", UINT, NONE, false)  \
    X(egress_hour, "net.egress.bytes.hour", UINT, NONE, false) \
    X(egress_sent, "net.egress.sent", UINT, NONE, false)    \
    X(egress_sum, "net.egress.sum", UINT, WINDOW, false)    \
    X(egress_weights, "net.egress.weights", STRING, NONE, false) \
    X(egress_domain, "net.dest.domain", STRING, NONE, true) \
    X(egress_sip, "fd.sip", IP, NONE, false)                \
    X(egress_sip_name, "fd.sip.name", STRING, NONE, true)   \
    X(egress_sport, "fd.sport", UINT, NONE, false)          \
    X(egress_l4proto, "fd.l4proto", STRING, NONE, false)
// clang-format on

#define ALL_FIELDS(X) \
    CONTEXT_FIELDS(X) \
    FILE_FIELDS(X) CONNECT_FIELDS(X) CHANGE_FIELDS(X) CONTROL_FIELDS(X) CALL_FIELDS(X) EGRESS_FIELDS(X)

#define FIELD_ID(id, name, type, arg, many) ID_##id,
enum { ALL_FIELDS(FIELD_ID) FIELD_IDS };

#define FIELD_NAME(id, name, type, arg, many) name,
static const char *const fixture_names[] = {ALL_FIELDS(FIELD_NAME)};

struct made_event {
    struct event event; // first, so that a getter finds the rest
    struct scratch scratch;
    struct wire_header wire;
    char text[4096];
    const char *values[FIELD_IDS]; // NULL: missing
    size_t reads;                  // of any field
};

// The `nth` element of a text with commas, in the event's scratch room.
static inline const char *fixture_element(const struct event *event, const char *text, size_t nth)
{
    for (; nth > 0 && text; nth--) {
        text = strchr(text, ',');
        text = text ? text + 1 : NULL;
    }
    return text ? event_printf(event, "%.*s", (int)strcspn(text, ","), text) : NULL;
}

static inline bool fixture_get(const struct event *event, size_t id, enum field_type type, bool many,
                               const struct field_arg *arg, size_t nth, struct value *ret_value)
{
    struct made_event *made = (struct made_event *)event;
    const char *text = made->values[id];
    made->reads++;
    if (id == ID_egress_sum)
        return event->sum && value_set_uint(ret_value, *event->sum);
    if (id == ID_evt_type)
        text = event->type->name;
    if (many && arg->set && nth > 0)
        return false;
    if (many)
        text = fixture_element(event, text, arg->set ? arg->index : nth);
    else if (nth > 0)
        return false;
    if (id == ID_proc_env && text && strcmp(arg->key, "HOME") != 0)
        return false;
    if (!text)
        return false;
    switch (type) {
    case FIELD_STRING:
        return value_set_string(ret_value, text);
    case FIELD_INT:
        return value_set_int(ret_value, strtoll(text, NULL, 10));
    case FIELD_BOOL:
        return value_set_bool(ret_value, strcmp(text, "true") == 0);
    case FIELD_IP:
        ret_value->type = FIELD_IP;
        memset(&ret_value->ip, 0, sizeof(ret_value->ip));
        ret_value->ip.family = strchr(text, ':') ? 6 : 4;
        return inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, ret_value->ip.bytes) == 1;
    default:
        return value_set_uint(ret_value, strtoull(text, NULL, 10));
    }
}

#define FIELD_GETTER(id, name, type, arg_kind, many)                                                 \
    static bool fixture_get_##id(const struct event *event, const struct field_arg *arg, size_t nth, \
                                 struct value *ret_value)                                            \
    {                                                                                                \
        return fixture_get(event, ID_##id, FIELD_##type, many, arg, nth, ret_value);                 \
    }
ALL_FIELDS(FIELD_GETTER)

#define FIELD_ENTRY(id, field_name, field_type, arg_kind, has_many) \
    {.name = field_name,                                            \
     .type = FIELD_##field_type,                                    \
     .arg = FIELD_ARG_##arg_kind,                                   \
     .many = has_many,                                              \
     .help = "",                                                    \
     .get = fixture_get_##id,                                       \
     .summed = FIELD_ARG_##arg_kind == FIELD_ARG_WINDOW ? "net.egress.sent" : NULL},
static const struct field fixture_context[] = {CONTEXT_FIELDS(FIELD_ENTRY)};
static const struct field fixture_file[] = {FILE_FIELDS(FIELD_ENTRY)};
static const struct field fixture_connect[] = {CONNECT_FIELDS(FIELD_ENTRY)};
static const struct field fixture_change[] = {CHANGE_FIELDS(FIELD_ENTRY)};
static const struct field fixture_control[] = {CONTROL_FIELDS(FIELD_ENTRY)};
static const struct field fixture_call[] = {CALL_FIELDS(FIELD_ENTRY)};
static const struct field fixture_egress[] = {EGRESS_FIELDS(FIELD_ENTRY)};

#define FILE_TYPE(type_name)                                                                \
    {                                                                                       \
        .name = type_name, .fields = fixture_file, .fields_count = ARRAY_SIZE(fixture_file) \
    }
static const struct event_type fixture_process_types[] = {
    {.name = "clone"}, {.name = "execve"}, {.name = "procexit"}};
static const struct event_type fixture_file_types[] = {FILE_TYPE("open"), FILE_TYPE("openat"),
                                                       FILE_TYPE("openat2"), FILE_TYPE("creat"),
                                                       FILE_TYPE("open_by_handle_at")};
static const struct event_type fixture_connect_types[] = {
    {.name = "connect", .fields = fixture_connect, .fields_count = ARRAY_SIZE(fixture_connect)}};

#define TYPE_WITH(type_name, table)                                           \
    {                                                                         \
        .name = type_name, .fields = table, .fields_count = ARRAY_SIZE(table) \
    }
static const struct event_type fixture_inode_types[] = {
    TYPE_WITH("rename", fixture_change),    TYPE_WITH("renameat", fixture_change),
    TYPE_WITH("renameat2", fixture_change), TYPE_WITH("link", fixture_change),
    TYPE_WITH("linkat", fixture_change),    TYPE_WITH("symlink", fixture_change),
    TYPE_WITH("symlinkat", fixture_change)};
static const struct event_type fixture_control_types[] = {TYPE_WITH("ptrace", fixture_control),
                                                          TYPE_WITH("init_module", fixture_control),
                                                          TYPE_WITH("finit_module", fixture_control)};
static const struct event_type fixture_dup_types[] = {TYPE_WITH("dup", fixture_connect),
                                                      TYPE_WITH("dup2", fixture_connect),
                                                      TYPE_WITH("dup3", fixture_connect)};
static const struct event_type fixture_egress_types[] = {TYPE_WITH("egress", fixture_egress)};
static const struct event_type fixture_api_types[] = {TYPE_WITH("infer_call", fixture_call)};

// Use it as the .init of a test: each test is a process of its own.
static inline void fixture_register(void)
{
    cr_assert_eq(field_register_context("context", fixture_context, ARRAY_SIZE(fixture_context)), 0);
    cr_assert_eq(event_type_register("process", fixture_process_types, ARRAY_SIZE(fixture_process_types)), 0);
    cr_assert_eq(event_type_register("file", fixture_file_types, ARRAY_SIZE(fixture_file_types)), 0);
    cr_assert_eq(event_type_register("connect", fixture_connect_types, ARRAY_SIZE(fixture_connect_types)), 0);
    cr_assert_eq(event_type_register("inode", fixture_inode_types, ARRAY_SIZE(fixture_inode_types)), 0);
    cr_assert_eq(event_type_register("control", fixture_control_types, ARRAY_SIZE(fixture_control_types)), 0);
    cr_assert_eq(event_type_register("dup", fixture_dup_types, ARRAY_SIZE(fixture_dup_types)), 0);
    cr_assert_eq(event_type_register("egress", fixture_egress_types, ARRAY_SIZE(fixture_egress_types)), 0);
    cr_assert_eq(event_type_register("api", fixture_api_types, ARRAY_SIZE(fixture_api_types)), 0);
}

// "openat; fd.name=/etc/passwd; proc.name=cat"
static inline void fixture_event(struct made_event *made, const char *description)
{
    memset(made, 0, sizeof(*made));
    made->event.wire = &made->wire;
    made->event.scratch = &made->scratch;
    made->event.num = 1;
    snprintf(made->text, sizeof(made->text), "%s", description);
    char *rest = made->text;
    char *type = strsep(&rest, ";");
    made->event.type = event_type_find(type);
    cr_assert(made->event.type, "no type of event \"%s\" in \"%s\"", type, description);
    for (char *pair; (pair = strsep(&rest, ";"));) {
        pair += strspn(pair, " ");
        char *equals = strchr(pair, '=');
        cr_assert(equals, "no = in \"%s\" of \"%s\"", pair, description);
        *equals = '\0';
        bool known = false;
        for (size_t id = 0; id < FIELD_IDS; id++) {
            if (strcmp(fixture_names[id], pair) == 0) {
                made->values[id] = equals + 1;
                known = true;
            }
        }
        cr_assert(known, "no field \"%s\" in \"%s\"", pair, description);
    }
}

struct loaded {
    int error;
    struct rule_report report;
    struct rule_set *set;
    char path[64];
};

static inline void loaded_free(struct loaded *loaded)
{
    rule_report_free(&loaded->report);
    rule_set_free(&loaded->set);
    if (loaded->path[0])
        unlink(loaded->path);
}
#define _cleanup_loaded_ _cleanup_(loaded_free)

// Loads a rule file with that content.
static inline struct loaded fixture_load_bytes(const char *data, size_t length)
{
    struct loaded loaded = {.path = "/tmp/inferscope-rules-XXXXXX"};
    int fd = mkstemp(loaded.path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    cr_assert(file);
    cr_assert_eq(fwrite(data, 1, length, file), length);
    fclose(file);
    struct rule_input input = {.path = loaded.path};
    loaded.error = rule_set_load(&input, 1, &loaded.report, &loaded.set);
    return loaded;
}

static inline struct loaded fixture_load(const char *yaml)
{
    return fixture_load_bytes(yaml, strlen(yaml));
}

static inline void fixture_expect_loaded(const struct loaded *loaded)
{
    if (loaded->error)
        rule_report_print(&loaded->report, stderr, false);
    cr_assert_eq(loaded->error, 0);
}

static inline void fixture_ignore(const struct rule *rule, const struct event *event, void *context)
{
    (void)rule;
    (void)event;
    (void)context;
}

static inline size_t fixture_match(const struct rule_set *set, const char *description)
{
    struct made_event made;
    fixture_event(&made, description);
    return rule_set_match(set, &made.event, RULE_MATCHING_ALL, fixture_ignore, NULL);
}

static inline void fixture_write(const char *directory, const char *name, const char *content)
{
    _cleanup_free_ char *path = NULL;
    cr_assert_geq(asprintf(&path, "%s/%s", directory, name), 0);
    _cleanup_fclose_ FILE *file = fopen(path, "w");
    cr_assert(file);
    fputs(content, file);
}

// One rule around a condition.
#define RULE_WITH(condition) \
    "- rule: R\n  desc: d\n  priority: Notice\n  output: o\n  condition: " condition "\n"
