#include "source.h"

#include "base/cleanup.h"
#include "caller_path.h"
#include "calls.h"
#include "filter_set.h"
#include "inode.skel.h"
#include "inode_fields.h"
#include "object.h"
#include "result.h"

OBJECT_SKELETON(inode);

// --- Fields ---

#define TEXT_FIELD(field_name, getter, field_help)                                              \
    {                                                                                           \
        .name = field_name, .type = FIELD_STRING, .help = field_help, .get = inode_get_##getter \
    }

#define INODE_RESULT RESULT_FIELDS("0, or a negative error number")
#define PATH_FIELD(field_name, getter, of)                                             \
    TEXT_FIELD(field_name, getter,                                                     \
               of ", as the caller named it, made absolute; symbolic links in it are " \
                  "not resolved")
#define DIRFD_FIELD(field_name, getter, of) \
    TEXT_FIELD(field_name, getter, "The directory that " of " is relative to: AT_FDCWD, or a descriptor")
#define MODE_FIELD(help) \
    TEXT_FIELD("evt.arg.mode", mode, help ": S_IXUSR|S_IWUSR|S_IRUSR; 0 where there is none")
#define FLAGS_FIELD(getter, help) TEXT_FIELD("evt.arg.flags", getter, help "; 0 where there is none")

// Falco's names for what every call about a path has in common.
#define NAME_FIELDS                                                                            \
    TEXT_FIELD("fs.path.name", done_first,                                                     \
               "What the call was about, as an absolute path; missing where the call failed"), \
        TEXT_FIELD("fs.path.nameraw", done_first_raw, "The same as the caller gave it")
#define SOURCE_FIELDS(getter, getter_raw, of)                                                        \
    TEXT_FIELD("fs.path.source", getter, of ", as an absolute path; missing where the call failed"), \
        TEXT_FIELD("fs.path.sourceraw", getter_raw, "The same as the caller gave it")
#define TARGET_FIELDS(getter, getter_raw, of)                                                        \
    TEXT_FIELD("fs.path.target", getter, of ", as an absolute path; missing where the call failed"), \
        TEXT_FIELD("fs.path.targetraw", getter_raw, "The same as the caller gave it")

#define SYMLINK_FIELDS                                                                                   \
    INODE_RESULT, TEXT_FIELD("evt.arg.target", target, "What the link leads to, as the caller gave it"), \
        PATH_FIELD("evt.arg.linkpath", second, "The link"),                                              \
        SOURCE_FIELDS(done_second, done_second_raw, "The link"),                                         \
        TARGET_FIELDS(done_first, done_first_raw, "What the link leads to from where it lies")
#define LINK_FIELDS                                                   \
    INODE_RESULT, PATH_FIELD("evt.arg.oldpath", first, "The file"),   \
        PATH_FIELD("evt.arg.newpath", second, "The file's new name"), \
        SOURCE_FIELDS(done_second, done_second_raw, "The new name"),  \
        TARGET_FIELDS(done_first, done_first_raw, "The file")
#define RENAME_FIELDS                                                   \
    INODE_RESULT, PATH_FIELD("evt.arg.oldpath", first, "The old name"), \
        PATH_FIELD("evt.arg.newpath", second, "The new name"),          \
        SOURCE_FIELDS(done_first, done_first_raw, "The old name"),      \
        TARGET_FIELDS(done_second, done_second_raw, "The new name")
#define RENAMEAT_FIELDS                                                     \
    RENAME_FIELDS, DIRFD_FIELD("evt.arg.olddirfd", first_dirfd, "oldpath"), \
        DIRFD_FIELD("evt.arg.newdirfd", second_dirfd, "newpath")

static const struct field symlink_fields[] = {SYMLINK_FIELDS};
static const struct field symlinkat_fields[] = {SYMLINK_FIELDS,
                                                DIRFD_FIELD("evt.arg.linkdirfd", second_dirfd, "linkpath")};
static const struct field link_fields[] = {LINK_FIELDS};
static const struct field linkat_fields[] = {LINK_FIELDS,
                                             DIRFD_FIELD("evt.arg.olddir", first_dirfd, "oldpath"),
                                             DIRFD_FIELD("evt.arg.newdir", second_dirfd, "newpath"),
                                             FLAGS_FIELD(at_flags, "AT_SYMLINK_FOLLOW|AT_EMPTY_PATH")};
static const struct field rename_fields[] = {RENAME_FIELDS};
static const struct field renameat_fields[] = {RENAMEAT_FIELDS};
static const struct field renameat2_fields[] = {
    RENAMEAT_FIELDS, FLAGS_FIELD(rename_flags, "RENAME_NOREPLACE|RENAME_EXCHANGE|RENAME_WHITEOUT")};
static const struct field unlink_fields[] = {
    INODE_RESULT, PATH_FIELD("evt.arg.path", first, "What was to be removed"), NAME_FIELDS};
static const struct field unlinkat_fields[] = {
    INODE_RESULT, PATH_FIELD("evt.arg.name", first, "What was to be removed"), NAME_FIELDS,
    DIRFD_FIELD("evt.arg.dirfd", first_dirfd, "name"), FLAGS_FIELD(at_flags, "AT_REMOVEDIR")};

#define MKDIR_FIELDS                                                                   \
    INODE_RESULT, PATH_FIELD("evt.arg.path", first, "The new directory"), NAME_FIELDS, \
        MODE_FIELD("Permissions asked for, before the umask")
static const struct field mkdir_fields[] = {MKDIR_FIELDS};
static const struct field mkdirat_fields[] = {MKDIR_FIELDS,
                                              DIRFD_FIELD("evt.arg.dirfd", first_dirfd, "path")};

#define CHMOD_FIELDS                                                                      \
    INODE_RESULT, PATH_FIELD("evt.arg.filename", first, "What was changed"), NAME_FIELDS, \
        MODE_FIELD("Permissions asked for")
#define FCHMODAT_FIELDS CHMOD_FIELDS, DIRFD_FIELD("evt.arg.dirfd", first_dirfd, "filename")
static const struct field chmod_fields[] = {CHMOD_FIELDS};
static const struct field fchmodat_fields[] = {FCHMODAT_FIELDS};
static const struct field fchmodat2_fields[] = {FCHMODAT_FIELDS,
                                                FLAGS_FIELD(at_flags, "AT_SYMLINK_NOFOLLOW|AT_EMPTY_PATH")};
static const struct field fchmod_fields[] = {
    INODE_RESULT,
    {.name = "evt.arg.fd", .type = FIELD_INT, .help = "The descriptor as it was given", .get = inode_get_fd},
    {.name = "fd.num", .type = FIELD_INT, .help = "The descriptor", .get = inode_get_num},
    TEXT_FIELD("fd.name", first, "The real path of the open file"),
    TEXT_FIELD("fs.path.name", done_first, "The same; missing where the call failed"),
    TEXT_FIELD("fs.path.nameraw", done_first, "The same"),
    MODE_FIELD("Permissions asked for")};

#define INODE_TYPE(index, call, shape, type_help)                      \
    [index] = {.name = #call,                                          \
               .help = type_help " by " #call "(), or that was tried", \
               .fields = shape##_fields,                               \
               .fields_count = ARRAY_SIZE(shape##_fields)}

static const struct event_type types[WIRE_INODE_TYPES] = {
    INODE_TYPE(WIRE_INODE_SYMLINK, symlink, symlink, "A symbolic link was made"),
    INODE_TYPE(WIRE_INODE_SYMLINKAT, symlinkat, symlinkat, "A symbolic link was made"),
    INODE_TYPE(WIRE_INODE_LINK, link, link, "A file was given another name (a hard link)"),
    INODE_TYPE(WIRE_INODE_LINKAT, linkat, linkat, "A file was given another name (a hard link)"),
    INODE_TYPE(WIRE_INODE_RENAME, rename, rename, "A file or directory was renamed"),
    INODE_TYPE(WIRE_INODE_RENAMEAT, renameat, renameat, "A file or directory was renamed"),
    INODE_TYPE(WIRE_INODE_RENAMEAT2, renameat2, renameat2, "A file or directory was renamed"),
    INODE_TYPE(WIRE_INODE_UNLINK, unlink, unlink, "A file was removed"),
    INODE_TYPE(WIRE_INODE_UNLINKAT, unlinkat, unlinkat, "A file or directory was removed"),
    INODE_TYPE(WIRE_INODE_RMDIR, rmdir, unlink, "A directory was removed"),
    INODE_TYPE(WIRE_INODE_MKDIR, mkdir, mkdir, "A directory was made"),
    INODE_TYPE(WIRE_INODE_MKDIRAT, mkdirat, mkdirat, "A directory was made"),
    INODE_TYPE(WIRE_INODE_CHMOD, chmod, chmod, "Permissions were changed"),
    INODE_TYPE(WIRE_INODE_FCHMOD, fchmod, fchmod, "Permissions of an open file were changed"),
    INODE_TYPE(WIRE_INODE_FCHMODAT, fchmodat, fchmodat, "Permissions were changed"),
    INODE_TYPE(WIRE_INODE_FCHMODAT2, fchmodat2, fchmodat2, "Permissions were changed"),
};

static size_t record_size(uint16_t type)
{
    return sizeof(struct wire_inode);
}

// --- Start ---

static const struct call_watch calls[] = {
    CALL_WATCH(symlink, WIRE_INODE_SYMLINK),     CALL_WATCH(symlinkat, WIRE_INODE_SYMLINKAT),
    CALL_WATCH(link, WIRE_INODE_LINK),           CALL_WATCH(linkat, WIRE_INODE_LINKAT),
    CALL_WATCH(rename, WIRE_INODE_RENAME),       CALL_WATCH(renameat, WIRE_INODE_RENAMEAT),
    CALL_WATCH(renameat2, WIRE_INODE_RENAMEAT2), CALL_WATCH(unlink, WIRE_INODE_UNLINK),
    CALL_WATCH(unlinkat, WIRE_INODE_UNLINKAT),   CALL_WATCH(rmdir, WIRE_INODE_RMDIR),
    CALL_WATCH(mkdir, WIRE_INODE_MKDIR),         CALL_WATCH(mkdirat, WIRE_INODE_MKDIRAT),
    CALL_WATCH(chmod, WIRE_INODE_CHMOD),         CALL_WATCH(fchmod, WIRE_INODE_FCHMOD),
    CALL_WATCH(fchmodat, WIRE_INODE_FCHMODAT),   CALL_WATCH(fchmodat2, WIRE_INODE_FCHMODAT2), // since 6.6
};

static void prepare(const struct source_env *env)
{
    caller_path_register();
    calls_number(calls, ARRAY_SIZE(calls), skeleton->rodata->call_types, skeleton->rodata->call_types_compat);
}

static struct object object = {.open = open_skeleton, .close = close_skeleton, .prepare = prepare};

static void set_filter(const struct demand *demand)
{
    struct filter_path_sets fresh = {};
    bool bounded = true;
    for (size_t i = 0; bounded && i < demand->changed_paths_count; i++)
        bounded = filter_set_path(&fresh, &demand->changed_paths[i]);
    uint32_t any_path = 0, failed = 0;
    for (size_t type = 0; type < ARRAY_SIZE(types); type++) {
        size_t index = event_type_index(&types[type]);
        any_path |= (uint32_t)(demand->any_changed_path[index] || !bounded) << type;
        failed |= (uint32_t)demand->failed_changes[index] << type;
    }
    // Before the sets change, so that what is wanted before and after is not missed meanwhile.
    skeleton->bss->inode_any_path |= any_path;
    if (bounded) {
        filter_set_replace(skeleton->bss->filter_leaf, fresh.leaf);
        filter_set_replace(skeleton->bss->filter_directory, fresh.directory);
    }
    skeleton->data->wake_types =
        filter_set_all_clues(demand, types, ARRAY_SIZE(types), skeleton->bss->wake_names, NULL);
    skeleton->bss->inode_failed = failed;
    skeleton->bss->inode_any_path = any_path;
}

static int start(const struct source_env *env, struct source_report *ret_report)
{
    struct call_hooks hooks;
    calls_hooks(calls, ARRAY_SIZE(calls), types, env, &hooks);
    if (!object_needed(&object, calls_wanted(&hooks), ret_report))
        return 0;
    int error = object_load(&object, env, hooks.hooks, hooks.count, ret_report);
    if (error)
        return error;
    // Before anything is attached, so that no record comes that no rule asked for.
    set_filter(env->demand);
    return object_attach(&object, hooks.hooks, hooks.count, ret_report);
}

static void stop(void)
{
    object_stop(&object);
}

const struct source source_inode = {
    .name = "inode",
    .help = "Names and permissions of files: links, renames, removals, new directories, chmod",
    .types = types,
    .types_count = ARRAY_SIZE(types),
    .record_size = record_size,
    .record_valid = inode_record_valid,
    .start = start,
    .stop = stop,
};
