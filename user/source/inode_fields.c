#include "inode_fields.h"

#include "base/cleanup.h"
#include "caller_path.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

_Static_assert(WIRE_INODE_DATA_MAX <= CALLER_PATH_WIRE_MAX && WIRE_INODE_RAW_MAX <= CALLER_PATH_NAME_MAX,
               "a record has longer paths");

static const struct wire_inode *record_of(const struct event *event)
{
    return (const struct wire_inode *)event->wire;
}

static bool is_done(const struct event *event)
{
    return record_of(event)->call.result >= 0;
}

// The name as the caller gave it. NULL: the call takes none, or it could not be read.
static const char *raw_of(const struct event *event, size_t n)
{
    const struct wire_inode *record = record_of(event);
    const char *data = (const char *)(record + 1);
    return record->names[n].raw_size ? data + (n ? record->names[0].raw_size : 0) : NULL;
}

static bool is_symlink(const struct wire_inode *record)
{
    return record->call.header.type == WIRE_INODE_SYMLINK || record->call.header.type == WIRE_INODE_SYMLINKAT;
}

static const char *compose_path(const struct event *event, size_t n)
{
    const struct wire_inode *record = record_of(event);
    const struct wire_inode_name *name = &record->names[n];
    const char *raw = raw_of(event, n);
    bool itself = record->call.header.type == WIRE_INODE_FCHMOD;
    if (!itself && (!raw || (!raw[0] && !(record->flags & AT_EMPTY_PATH))))
        return NULL;
    const struct wire_inode_name *base = name->how & WIRE_INODE_SAME_BASE ? &record->names[0] : name;
    if (!(base->how & WIRE_INODE_BASED))
        return NULL;
    const char *wire = (const char *)(record + 1) + record->names[0].raw_size + record->names[1].raw_size;
    if (base == &record->names[1])
        wire += record->names[0].path_size;
    return caller_path(event, raw, wire, base->path_size, base->how & WIRE_INODE_TRUNCATED);
}

// A symbolic link leads on from where it lies.
static const char *compose_target(const struct event *event, const char *link)
{
    const char *target = raw_of(event, 0);
    if (!target || !target[0])
        return NULL;
    if (target[0] == '/')
        return caller_path_join(event, "/", target);
    if (!link)
        return NULL;
    const char *directory = event_printf(event, "%.*s/", (int)(strrchr(link, '/') - link), link);
    return directory ? caller_path_join(event, directory, target) : NULL;
}

// Rules ask for the paths several times an event; they are put together once, and only where one is asked
// for.
static const char *path_of(const struct event *event, size_t n)
{
    static struct {
        uint64_t num;
        const char *path;
    } known[2];
    if (known[n].num == event->num)
        return known[n].path;
    bool target = n == 0 && is_symlink(record_of(event));
    known[n].path = target ? compose_target(event, path_of(event, 1)) : compose_path(event, n);
    known[n].num = event->num;
    return known[n].path;
}

INODE_GETTER(inode_get_first)
{
    return value_set_string(ret_value, path_of(event, 0));
}

INODE_GETTER(inode_get_second)
{
    return value_set_string(ret_value, path_of(event, 1));
}

INODE_GETTER(inode_get_target)
{
    return value_set_string(ret_value, raw_of(event, 0));
}

INODE_GETTER(inode_get_done_first)
{
    return is_done(event) && value_set_string(ret_value, path_of(event, 0));
}

INODE_GETTER(inode_get_done_second)
{
    return is_done(event) && value_set_string(ret_value, path_of(event, 1));
}

INODE_GETTER(inode_get_done_first_raw)
{
    return is_done(event) && value_set_string(ret_value, raw_of(event, 0));
}

INODE_GETTER(inode_get_done_second_raw)
{
    return is_done(event) && value_set_string(ret_value, raw_of(event, 1));
}

static bool set_dirfd(const struct event *event, size_t n, struct value *ret_value)
{
    int fd = record_of(event)->names[n].dirfd;
    return value_set_string(ret_value, fd == AT_FDCWD ? "AT_FDCWD" : event_printf(event, "%d", fd));
}

INODE_GETTER(inode_get_first_dirfd)
{
    return set_dirfd(event, 0, ret_value);
}

INODE_GETTER(inode_get_second_dirfd)
{
    return set_dirfd(event, 1, ret_value);
}

INODE_GETTER(inode_get_fd)
{
    return value_set_int(ret_value, record_of(event)->names[0].dirfd);
}

INODE_GETTER(inode_get_num)
{
    int fd = record_of(event)->names[0].dirfd;
    return fd >= 0 && value_set_int(ret_value, fd);
}

struct bit_name {
    uint32_t bit;
    const char *name;
};

static bool set_bits(const struct event *event, uint32_t bits, const struct bit_name *names, size_t count,
                     struct value *ret_value)
{
    char text[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        if (bits & names[i].bit)
            used +=
                (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? "|" : "", names[i].name);
    return value_set_string(ret_value, used ? event_printf(event, "%s", text) : "0");
}

INODE_GETTER(inode_get_mode)
{
    static const struct bit_name names[] = {
        {S_IXOTH, "S_IXOTH"}, {S_IWOTH, "S_IWOTH"}, {S_IROTH, "S_IROTH"}, {S_IXGRP, "S_IXGRP"},
        {S_IWGRP, "S_IWGRP"}, {S_IRGRP, "S_IRGRP"}, {S_IXUSR, "S_IXUSR"}, {S_IWUSR, "S_IWUSR"},
        {S_IRUSR, "S_IRUSR"}, {S_ISVTX, "S_ISVTX"}, {S_ISGID, "S_ISGID"}, {S_ISUID, "S_ISUID"},
    };
    return set_bits(event, record_of(event)->mode, names, ARRAY_SIZE(names), ret_value);
}

INODE_GETTER(inode_get_at_flags)
{
    static const struct bit_name names[] = {
        {AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"},
        {AT_REMOVEDIR, "AT_REMOVEDIR"},
        {AT_SYMLINK_FOLLOW, "AT_SYMLINK_FOLLOW"},
        {AT_EMPTY_PATH, "AT_EMPTY_PATH"},
    };
    return set_bits(event, record_of(event)->flags, names, ARRAY_SIZE(names), ret_value);
}

INODE_GETTER(inode_get_rename_flags)
{
    static const struct bit_name names[] = {
        {RENAME_NOREPLACE, "RENAME_NOREPLACE"},
        {RENAME_EXCHANGE, "RENAME_EXCHANGE"},
        {RENAME_WHITEOUT, "RENAME_WHITEOUT"},
    };
    return set_bits(event, record_of(event)->flags, names, ARRAY_SIZE(names), ret_value);
}

bool inode_record_valid(const struct wire_header *wire)
{
    const struct wire_inode *record = (const struct wire_inode *)wire;
    const struct wire_inode_name *names = record->names;
    size_t raw_size = names[0].raw_size + names[1].raw_size;
    size_t size = raw_size + names[0].path_size + names[1].path_size;
    if (sizeof(*record) + size > wire->size || size > WIRE_INODE_DATA_MAX)
        return false;
    const char *raw = (const char *)(record + 1);
    return (names[0].raw_size == 0 || raw[names[0].raw_size - 1] == '\0') &&
           (names[1].raw_size == 0 || raw[raw_size - 1] == '\0');
}
