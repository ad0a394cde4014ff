#include "source.h"

#include "base/cleanup.h"
#include "calls.h"
#include "control.skel.h"
#include "control_names.h"
#include "descriptor.h"
#include "filter_set.h"
#include "object.h"
#include "result.h"
#include "wire/control.h"

#include <fcntl.h>
#include <linux/module.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

OBJECT_SKELETON(control);

static const struct wire_control *control_of(const struct event *event)
{
    return (const struct wire_control *)event->wire;
}

static const struct wire_control_module *module_of(const struct event *event)
{
    return (const struct wire_control_module *)event->wire;
}

static bool get_request(const struct event *event, const struct field_arg *arg, size_t nth,
                        struct value *ret_value)
{
    return control_set_request(ret_value, event, control_of(event)->what);
}

static bool get_subject(const struct event *event, const struct field_arg *arg, size_t nth,
                        struct value *ret_value)
{
    return value_set_int(ret_value, control_of(event)->subject);
}

static bool get_command(const struct event *event, const struct field_arg *arg, size_t nth,
                        struct value *ret_value)
{
    return control_set_command(ret_value, event, control_of(event)->what);
}

static bool get_nstype(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    const struct wire_control *record = control_of(event);
    uint64_t asked = (uint32_t)record->what;
    return control_set_clone_flags(ret_value, event,
                                   asked ? asked : control_namespace_flag(record->namespace));
}

static bool get_clone_flags(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value)
{
    return control_set_clone_flags(ret_value, event, (uint64_t)control_of(event)->what);
}

// Rules name a user either way.
static bool get_uid(const struct event *event, const struct field_arg *arg, size_t nth,
                    struct value *ret_value)
{
    uint32_t uid = (uint32_t)control_of(event)->what;
    const char *name = event_user_name(event, uid);
    if (nth == 0 && name)
        return value_set_string(ret_value, name);
    return nth <= (name != NULL) && value_set_string(ret_value, event_printf(event, "%u", uid));
}

static bool get_userfaultfd_flags(const struct event *event, const struct field_arg *arg, size_t nth,
                                  struct value *ret_value)
{
    static const struct named_number names[] = {
        {UFFD_USER_MODE_ONLY, "UFFD_USER_MODE_ONLY"}, {O_NONBLOCK, "O_NONBLOCK"}, {O_CLOEXEC, "O_CLOEXEC"}};
    return value_set_flags(ret_value, event, names, ARRAY_SIZE(names), (uint64_t)control_of(event)->what);
}

static bool get_module_flags(const struct event *event, const struct field_arg *arg, size_t nth,
                             struct value *ret_value)
{
    static const struct named_number names[] = {
        {MODULE_INIT_IGNORE_MODVERSIONS, "MODULE_INIT_IGNORE_MODVERSIONS"},
        {MODULE_INIT_IGNORE_VERMAGIC, "MODULE_INIT_IGNORE_VERMAGIC"},
        {4, "MODULE_INIT_COMPRESSED_FILE"}, // since 5.17
    };
    return value_set_flags(ret_value, event, names, ARRAY_SIZE(names), module_of(event)->flags);
}

static bool get_uargs(const struct event *event, const struct field_arg *arg, size_t nth,
                      struct value *ret_value)
{
    const struct wire_control_module *record = module_of(event);
    const char *uargs = (const char *)(record + 1) + record->call.descriptor.path_size;
    return record->uargs_size && value_set_string(ret_value, uargs);
}

static bool get_length(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    return value_set_uint(ret_value, module_of(event)->length);
}

static bool get_module_fd(const struct event *event, const struct field_arg *arg, size_t nth,
                          struct value *ret_value)
{
    return value_set_int(ret_value, module_of(event)->call.descriptor.num);
}

#define RESULT_ZERO RESULT_FIELDS("0, or a negative error number")
#define RESULT_FD RESULT_FIELDS("The new descriptor, or a negative error number")
#define UARGS                                                                                               \
    {                                                                                                       \
        .name = "evt.arg.uargs", .type = FIELD_STRING,                                                      \
        .help =                                                                                             \
            "The module's parameters, the first 4095 bytes, as they stood in the caller's memory when the " \
            "call returned",                                                                                \
        .get = get_uargs                                                                                    \
    }

static const struct field ptrace_fields[] = {
    RESULT_FIELDS("What the call returned, of which a negative error number says that it failed"),
    {.name = "evt.arg.request",
     .type = FIELD_STRING,
     .help = "What was asked for: PTRACE_ATTACH; a number where it has no name",
     .get = get_request},
    {.name = "evt.arg.pid",
     .type = FIELD_INT,
     .help = "The other thread, as the caller's pid namespace counts; 0 or nonsense for PTRACE_TRACEME",
     .get = get_subject},
};

static const struct field init_module_fields[] = {
    RESULT_ZERO,
    UARGS,
    {.name = "evt.arg.length",
     .type = FIELD_UINT,
     .unit = "bytes",
     .help = "Size of the module",
     .get = get_length},
};

static const struct field finit_module_fields[] = {
    RESULT_ZERO,
    UARGS,
    {.name = "evt.arg.fd",
     .type = FIELD_INT,
     .help = "Descriptor of the module's file; the fields of fd say which that is",
     .get = get_module_fd},
    {.name = "evt.arg.flags",
     .type = FIELD_STRING,
     .help = "MODULE_INIT_IGNORE_VERMAGIC and the like, or 0",
     .get = get_module_flags},
    DESCRIPTOR_FIELDS,
};

static const struct field bpf_fields[] = {
    RESULT_FIELDS("What the call returned: often a descriptor, or a negative error number"),
    {.name = "evt.arg.cmd",
     .type = FIELD_STRING,
     .help = "The command: BPF_PROG_LOAD; a number where it has no name",
     .get = get_command},
};

static const struct field setns_fields[] = {
    RESULT_ZERO,
    {.name = "evt.arg.fd",
     .type = FIELD_INT,
     .help = "Descriptor of the namespace or process",
     .get = get_subject},
    {.name = "evt.arg.nstype",
     .type = FIELD_STRING,
     .help = "Kind of namespace: CLONE_NEWNS; where the caller left it open, that of the descriptor",
     .get = get_nstype},
};

static const struct field unshare_fields[] = {
    RESULT_ZERO,
    {.name = "evt.arg.flags",
     .type = FIELD_STRING,
     .help = "What is no longer shared: CLONE_NEWNS|CLONE_NEWUSER",
     .get = get_clone_flags},
};

static const struct field setuid_fields[] = {
    RESULT_ZERO,
    {.name = "evt.arg.uid",
     .type = FIELD_STRING,
     .many = true,
     .help = "The user asked for: the name in the node's /etc/passwd, where there is one, and the number",
     .get = get_uid},
};

static const struct field userfaultfd_fields[] = {
    RESULT_FD,
    {.name = "evt.arg.flags",
     .type = FIELD_STRING,
     .help = "UFFD_USER_MODE_ONLY|O_NONBLOCK|O_CLOEXEC, or 0",
     .get = get_userfaultfd_flags},
};

#define CONTROL_TYPE(index, call, type_help) \
    [index] = {.name = #call,                \
               .help = type_help,            \
               .fields = call##_fields,      \
               .fields_count = ARRAY_SIZE(call##_fields)}

static const struct event_type types[] = {
    CONTROL_TYPE(WIRE_CONTROL_PTRACE, ptrace, "A process was traced, looked into or changed by another one"),
    CONTROL_TYPE(WIRE_CONTROL_INIT_MODULE, init_module, "A kernel module was loaded from memory"),
    CONTROL_TYPE(WIRE_CONTROL_FINIT_MODULE, finit_module, "A kernel module was loaded from a file"),
    CONTROL_TYPE(WIRE_CONTROL_BPF, bpf, "bpf() was called, by anybody but this agent"),
    CONTROL_TYPE(WIRE_CONTROL_SETNS, setns, "A thread entered an existing namespace"),
    CONTROL_TYPE(WIRE_CONTROL_UNSHARE, unshare,
                 "A thread left what it shared with others, often for a new namespace"),
    CONTROL_TYPE(WIRE_CONTROL_SETUID, setuid, "A thread asked for another user's id by setuid()"),
    CONTROL_TYPE(WIRE_CONTROL_USERFAULTFD, userfaultfd, "A descriptor was made that handles page faults"),
};

static bool is_module(uint16_t type)
{
    return type == WIRE_CONTROL_INIT_MODULE || type == WIRE_CONTROL_FINIT_MODULE;
}

static size_t record_size(uint16_t type)
{
    return is_module(type) ? sizeof(struct wire_control_module) : sizeof(struct wire_control);
}

static bool record_valid(const struct wire_header *wire)
{
    if (!is_module(wire->type)) {
        const struct wire_control *record = (const struct wire_control *)wire;
        return memchr(record->namespace, '\0', sizeof(record->namespace));
    }
    const struct wire_control_module *record = (const struct wire_control_module *)wire;
    uint64_t end = sizeof(*record) + (uint64_t)record->call.descriptor.path_size + record->uargs_size;
    return descriptor_valid(wire) && end <= wire->size &&
           (record->uargs_size == 0 || ((const char *)wire)[end - 1] == '\0');
}

// Each stands for itself: a kernel can be built without modules or userfaultfd().
static const struct call_watch calls[] = {
    CALL_WATCH(ptrace, WIRE_CONTROL_PTRACE),
    CALL_WATCH(init_module, WIRE_CONTROL_INIT_MODULE),
    CALL_WATCH(finit_module, WIRE_CONTROL_FINIT_MODULE),
    CALL_WATCH(bpf, WIRE_CONTROL_BPF),
    CALL_WATCH(setns, WIRE_CONTROL_SETNS),
    CALL_WATCH(unshare, WIRE_CONTROL_UNSHARE),
    CALL_WATCH(setuid, WIRE_CONTROL_SETUID),
    CALL_WATCH_COMPAT(setuid32, WIRE_CONTROL_SETUID),
    CALL_WATCH(userfaultfd, WIRE_CONTROL_USERFAULTFD),
};

// Tells the program who we are, by our pid namespace, since /proc does not say a pid of the initial one.
static void name_ourselves(void)
{
    struct stat status;
    if (stat("/proc/self/ns/pid", &status))
        return;
    skeleton->rodata->own_pid = (__u32)getpid();
    skeleton->rodata->own_pid_namespace_dev =
        (__u64)major(status.st_dev) << 20 | minor(status.st_dev); // the kernel's own form
    skeleton->rodata->own_pid_namespace_ino = status.st_ino;
}

static void prepare(const struct source_env *env)
{
    name_ourselves();
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

const struct source source_control = {
    .name = "control",
    .help = "Control taken: tracing, kernel modules, BPF, namespaces, setuid(), userfaultfd()",
    .types = types,
    .types_count = ARRAY_SIZE(types),
    .record_size = record_size,
    .record_valid = record_valid,
    .start = start,
    .stop = stop,
};
