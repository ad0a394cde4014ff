#include "source.h"

#include "base/cleanup.h"
#include "caller_path.h"
#include "calls.h"
#include "file.skel.h"
#include "file_watch.h"
#include "object.h"
#include "result.h"
#include "values.h"
#include "wire/file.h"

#include <bpf/btf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

_Static_assert(WIRE_FILE_RAW_MAX + WIRE_FILE_PATH_MAX <= CALLER_PATH_WIRE_MAX, "a record has longer paths");

OBJECT_SKELETON(file);

static const struct wire_file_open *open_of(const struct event *event)
{
    return (const struct wire_file_open *)event->wire;
}

static const char *raw_of(const struct wire_file_open *record)
{
    return record->raw_size ? (const char *)(record + 1) : NULL;
}

// Rules ask for the path several times an event; it is put together once.
static const char *path_of(const struct event *event)
{
    static uint64_t known_num;
    static const char *known_path;
    if (known_num == event->num)
        return known_path;

    const struct wire_file_open *record = open_of(event);
    known_path = caller_path(event, raw_of(record), (const char *)(record + 1) + record->raw_size,
                             record->path_size, record->how & WIRE_FILE_TRUNCATED);
    known_num = event->num;
    return known_path;
}

// The names by which rules know the file, and last its own path, so that no rule misses it that means this
// one.
static unsigned record_names(const struct wire_header *wire)
{
    const struct wire_file_open *record = (const struct wire_file_open *)wire;
    return record->how & WIRE_FILE_BY_INODE ? file_watch_count(record->dev, record->ino) + 1 : 1;
}

// A file that was opened under another name than those that rules know it by, through a link or a bind mount,
// goes by each of these in turn.
static const char *name_of(const struct event *event)
{
    const struct wire_file_open *record = open_of(event);
    bool by_inode = event->name + 1 < event->names && record->how & WIRE_FILE_BY_INODE;
    const char *watched =
        by_inode ? file_watch_name(record->dev, record->ino, event->name, path_of(event)) : NULL;
    return watched ? watched : path_of(event);
}

static bool opened_for(const struct event *event, uint32_t access)
{
    const struct wire_file_open *record = open_of(event);
    uint32_t mode = record->flags & O_ACCMODE;
    return record->call.result >= 0 && !(record->flags & O_PATH) && (mode == access || mode == O_RDWR);
}

static bool get_is_open_read(const struct event *event, const struct field_arg *arg, size_t nth,
                             struct value *ret_value)
{
    return value_set_bool(ret_value, opened_for(event, O_RDONLY));
}

static bool get_is_open_write(const struct event *event, const struct field_arg *arg, size_t nth,
                              struct value *ret_value)
{
    return value_set_bool(ret_value, opened_for(event, O_WRONLY));
}

static bool get_is_open_exec(const struct event *event, const struct field_arg *arg, size_t nth,
                             struct value *ret_value)
{
    const struct wire_file_open *record = open_of(event);
    bool made = record->flags & O_CREAT || (record->flags & O_TMPFILE) == O_TMPFILE;
    return value_set_bool(ret_value, record->call.result >= 0 && made && S_ISREG(record->mode) &&
                                         record->mode & (S_IXUSR | S_IXGRP | S_IXOTH));
}

static bool get_is_io_uring(const struct event *event, const struct field_arg *arg, size_t nth,
                            struct value *ret_value)
{
    return value_set_bool(ret_value, open_of(event)->how & WIRE_FILE_IO_URING);
}

static bool get_flags(const struct event *event, const struct field_arg *arg, size_t nth,
                      struct value *ret_value)
{
    static const struct {
        uint32_t bits;
        const char *name;
    } names[] = {
        {O_CREAT, "O_CREAT"},         {O_EXCL, "O_EXCL"},         {O_TRUNC, "O_TRUNC"},
        {O_APPEND, "O_APPEND"},       {O_NONBLOCK, "O_NONBLOCK"}, {O_DIRECT, "O_DIRECT"},
        {O_DIRECTORY, "O_DIRECTORY"}, {O_NOFOLLOW, "O_NOFOLLOW"}, {O_CLOEXEC, "O_CLOEXEC"},
        {O_PATH, "O_PATH"},
    };
    static const char *const modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
    uint32_t flags = open_of(event)->flags;
    char text[160];
    size_t used = (size_t)snprintf(text, sizeof(text), "%s", modes[flags & O_ACCMODE]);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if ((flags & names[i].bits) == names[i].bits)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "|%s", names[i].name);
    return value_set_string(ret_value, event_printf(event, "%s", text));
}

static bool get_num(const struct event *event, const struct field_arg *arg, size_t nth,
                    struct value *ret_value)
{
    int64_t result = open_of(event)->call.result;
    return result >= 0 && value_set_int(ret_value, result);
}

static bool get_name(const struct event *event, const struct field_arg *arg, size_t nth,
                     struct value *ret_value)
{
    return value_set_string(ret_value, name_of(event));
}

static bool get_fs_path_name(const struct event *event, const struct field_arg *arg, size_t nth,
                             struct value *ret_value)
{
    return open_of(event)->call.result >= 0 && value_set_string(ret_value, name_of(event));
}

static bool get_nameraw(const struct event *event, const struct field_arg *arg, size_t nth,
                        struct value *ret_value)
{
    const char *raw = raw_of(open_of(event));
    return value_set_string(ret_value, raw ? raw : path_of(event));
}

static bool get_directory(const struct event *event, const struct field_arg *arg, size_t nth,
                          struct value *ret_value)
{
    return value_set_directory(ret_value, event, name_of(event));
}

static bool get_filename(const struct event *event, const struct field_arg *arg, size_t nth,
                         struct value *ret_value)
{
    return value_set_filename(ret_value, name_of(event));
}

static bool get_type(const struct event *event, const struct field_arg *arg, size_t nth,
                     struct value *ret_value)
{
    const struct wire_file_open *record = open_of(event);
    return record->call.result >= 0 &&
           value_set_string(ret_value, S_ISDIR(record->mode) ? "directory" : "file");
}

static bool get_typechar(const struct event *event, const struct field_arg *arg, size_t nth,
                         struct value *ret_value)
{
    const struct wire_file_open *record = open_of(event);
    return record->call.result >= 0 && value_set_string(ret_value, S_ISDIR(record->mode) ? "d" : "f");
}

static bool get_ino(const struct event *event, const struct field_arg *arg, size_t nth,
                    struct value *ret_value)
{
    const struct wire_file_open *record = open_of(event);
    return record->call.result >= 0 && value_set_uint(ret_value, record->ino);
}

static const struct field open_fields[] = {
    RESULT_FIELDS("What the call returned: a descriptor, or a negative error number"),
    {.name = "evt.is_open_read",
     .type = FIELD_BOOL,
     .help = "Whether the file was opened for reading (false where the call failed)",
     .get = get_is_open_read},
    {.name = "evt.is_open_write",
     .type = FIELD_BOOL,
     .help = "Whether the file was opened for writing (false where the call failed)",
     .get = get_is_open_write},
    {.name = "evt.is_open_exec",
     .type = FIELD_BOOL,
     .help = "Whether the call may make files (O_CREAT, O_TMPFILE) and the one it opened is executable; not "
             "known of openat2, and then false",
     .get = get_is_open_exec},
    {.name = "evt.is_io_uring",
     .type = FIELD_BOOL,
     .help = "Whether the file was opened through io_uring instead of a system call of its own",
     .get = get_is_io_uring},
    {.name = "evt.arg.flags",
     .type = FIELD_STRING,
     .help = "Open flags: O_RDONLY|O_CLOEXEC",
     .get = get_flags},
    {.name = "fd.num",
     .type = FIELD_INT,
     .help = "Descriptor; missing where the call failed",
     .get = get_num},
    {.name = "fd.name",
     .type = FIELD_STRING,
     .help =
         "The file's real path, from the opened file itself. Where the call failed: the caller's name, made "
         "absolute. A file that a rule names exactly has that name, too, when it is opened through a link or "
         "a bind mount; then the rule's name is shown",
     .get = get_name},
    {.name = "fd.nameraw",
     .type = FIELD_STRING,
     .help =
         "The path by which the file was reached; where the call failed, the name exactly as it was given",
     .get = get_nameraw},
    {.name = "fs.path.name",
     .type = FIELD_STRING,
     .help = "What the call was about, as an absolute path: fd.name; missing where the call failed",
     .get = get_fs_path_name},
    {.name = "fd.directory",
     .type = FIELD_STRING,
     .help = "fd.name without its last part",
     .get = get_directory},
    {.name = "fd.filename", .type = FIELD_STRING, .help = "The last part of fd.name", .get = get_filename},
    {.name = "fd.type", .type = FIELD_STRING, .help = "file or directory", .get = get_type},
    {.name = "fd.typechar", .type = FIELD_STRING, .help = "f: file, d: directory", .get = get_typechar},
    {.name = "fd.ino", .type = FIELD_UINT, .help = "Inode number of the file", .get = get_ino},
};

#define OPEN_TYPE(index, type_name, type_help) \
    [index] = {.name = type_name,              \
               .help = type_help,              \
               .fields = open_fields,          \
               .fields_count = ARRAY_SIZE(open_fields)}

static const struct event_type types[] = {
    OPEN_TYPE(WIRE_FILE_OPEN, "open", "A file was opened by open()"),
    OPEN_TYPE(WIRE_FILE_OPENAT, "openat", "A file was opened by openat(), or through io_uring"),
    OPEN_TYPE(WIRE_FILE_OPENAT2, "openat2", "A file was opened by openat2(), or through io_uring"),
    OPEN_TYPE(WIRE_FILE_CREAT, "creat", "A file was made and opened by creat()"),
    OPEN_TYPE(WIRE_FILE_OPEN_BY_HANDLE_AT, "open_by_handle_at",
              "A file was opened by its handle, without a name"),
};

static size_t record_size(uint16_t type)
{
    return sizeof(struct wire_file_open);
}

static bool record_valid(const struct wire_header *wire)
{
    const struct wire_file_open *record = (const struct wire_file_open *)wire;
    const char *raw = (const char *)(record + 1);
    return sizeof(*record) + record->raw_size + record->path_size <= wire->size &&
           (record->raw_size == 0 || raw[record->raw_size - 1] == '\0');
}

// Which of the two shapes of the io_uring_complete tracepoint this kernel has; NULL: neither (5.10 does not
// tell the request).
static const char *io_uring_program(void)
{
    struct btf *btf = btf__load_vmlinux_btf();
    const char *program = NULL;
    int id = btf ? btf__find_by_name_kind(btf, "btf_trace_io_uring_complete", BTF_KIND_TYPEDEF) : -1;
    const struct btf_type *type = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;
    type = type ? btf__type_by_id(btf, type->type) : NULL;                     // pointer
    type = type && btf_is_ptr(type) ? btf__type_by_id(btf, type->type) : NULL; // function
    if (type && btf_is_func_proto(type)) {
        // The first parameter is the tracepoint's own.
        uint16_t count = btf_vlen(type);
        const struct btf_param *params = btf_params(type);
        const struct btf_type *last = btf__type_by_id(btf, params[count - 1].type);
        if (count == 4 && btf_is_ptr(last))
            program = "file_io_uring_cqe";
        else if (count >= 6)
            program = "file_io_uring_res";
    }
    btf__free(btf);
    return program;
}

static const struct call_watch calls[] = {
    CALL_WATCH(openat, WIRE_FILE_OPENAT, .mandatory = true),
    CALL_WATCH(openat2, WIRE_FILE_OPENAT2),
    CALL_WATCH(open, WIRE_FILE_OPEN),
    CALL_WATCH(creat, WIRE_FILE_CREAT),
    CALL_WATCH(open_by_handle_at, WIRE_FILE_OPEN_BY_HANDLE_AT),
};

static void prepare(const struct source_env *env)
{
    caller_path_register();
    calls_number(calls, ARRAY_SIZE(calls), skeleton->rodata->call_types, skeleton->rodata->call_types_compat);
}

static struct object object = {
    .open = open_skeleton, .close = close_skeleton, .prepare = prepare, .stopping = file_watch_stop};

static int start(const struct source_env *env, struct source_report *ret_report)
{
    struct call_hooks hooks;
    calls_hooks(calls, ARRAY_SIZE(calls), types, env, &hooks);
    const bool *wanted = env->demand->wanted;
    const char *io_uring = io_uring_program();
    hooks.hooks[hooks.count++] =
        (struct hook){.name = "io_uring open",
                      .program = io_uring ? io_uring : "file_io_uring_cqe",
                      .attach_point = "raw_tp/io_uring_complete",
                      .optional = true,
                      .unfit = !io_uring,
                      .wanted = env->everything || wanted[event_type_index(&types[WIRE_FILE_OPENAT])] ||
                                wanted[event_type_index(&types[WIRE_FILE_OPENAT2])]};
    if (!object_needed(&object, calls_wanted(&hooks), ret_report))
        return 0;
    int error = object_load(&object, env, hooks.hooks, hooks.count, ret_report);
    if (error)
        return error;
    // Before anything is attached, so that no record comes that no rule asked for.
    skeleton->bss->filter_failed = env->demand->failed_opens;
    struct file_watch_sets sets = {skeleton->bss->filter_leaf, skeleton->bss->filter_directory,
                                   skeleton->bss->filter_inode, skeleton->bss->filter_suffix,
                                   &skeleton->bss->filter_suffixes};
    skeleton->data->filter_all = !file_watch_start(env->demand, env->host_root, &sets);
    return object_attach(&object, hooks.hooks, hooks.count, ret_report);
}

static void stop(void)
{
    object_stop(&object);
}

// A recorded open of a watched inode goes by the watched name, too.
static void replay(const struct source_env *env)
{
    caller_path_register();
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (env->demand->wanted[event_type_index(&types[i])]) {
            file_watch_replay(env->demand, env->host_root);
            return;
        }
    }
}

const struct source source_file = {
    .name = "file",
    .help = "Files: opens by any system call or io_uring, with the real path",
    .types = types,
    .types_count = ARRAY_SIZE(types),
    .record_size = record_size,
    .record_valid = record_valid,
    .record_names = record_names,
    .start = start,
    .stop = stop,
    .tick = file_watch_tick,
    .replay = replay,
};
