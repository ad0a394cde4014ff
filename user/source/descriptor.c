#include "descriptor.h"

#include "base/path.h"
#include "values.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#ifndef PID_FS_MAGIC
#define PID_FS_MAGIC 0x50494446 // since 6.9
#endif

static const struct wire_descriptor_call *call_of(const struct event *event)
{
    return (const struct wire_descriptor_call *)event->wire;
}

static const struct wire_descriptor *descriptor_of(const struct event *event)
{
    return &call_of(event)->descriptor;
}

bool descriptor_valid(const struct wire_header *wire)
{
    const struct wire_descriptor *descriptor = &((const struct wire_descriptor_call *)wire)->descriptor;
    return descriptor->path_size == 0 || (descriptor->path_at >= sizeof(struct wire_descriptor_call) &&
                                          (size_t)descriptor->path_at + descriptor->path_size <= wire->size);
}

// What Falco calls each kind.
struct kind {
    const char *type;
    const char *letter;
};

// By the name that the kernel gives to a file without a directory (each kind's anon_inode_getfile()).
static const struct {
    const char *name;
    struct kind kind;
} anonymous[] = {
    {"/[eventfd]", {"event", "e"}},
    {"/[eventpoll]", {"eventpoll", "l"}},
    {"/[signalfd]", {"signalfd", "s"}},
    {"/[timerfd]", {"timerfd", "t"}},
    {"/inotify", {"inotify", "i"}},
    {"/bpf-map", {"bpf", "b"}},
    {"/bpf-prog", {"bpf", "b"}},
    {"/bpf_link", {"bpf", "b"}},
    {"/btf", {"bpf", "b"}},
    {"/bpf_iter", {"bpf", "b"}},
    {"/[userfaultfd]", {"userfaultfd", "u"}},
    {"/[io_uring]", {"io_uring", "r"}},
    {"/[pidfd]", {"pidfd", "P"}},
};

// The path as it travelled, put together once an event; rules ask for it several times. NULL: none, or not
// the whole of it.
static const char *path_of(const struct event *event)
{
    static uint64_t known_num;
    static const char *known_path;
    if (known_num == event->num)
        return known_path;

    const struct wire_descriptor *descriptor = descriptor_of(event);
    const char *wire = (const char *)event->wire + descriptor->path_at;
    char path[WIRE_DESCRIPTOR_PATH_MAX + 1];
    known_num = event->num;
    known_path = NULL;
    bool is_root = descriptor->path_size == 0 && S_ISDIR(descriptor->mode);
    bool whole = descriptor->path_size > 0 && !(descriptor->flags & WIRE_DESCRIPTOR_TRUNCATED);
    if ((whole || is_root) && path_decode(wire, descriptor->path_size, path, sizeof(path)) >= 0)
        known_path = event_printf(event, "%s", path);
    return known_path;
}

static const char *abstract_name(const struct event *event)
{
    const struct wire_descriptor *descriptor = descriptor_of(event);
    char *name = event_printf(event, "@%*s", descriptor->path_size, "");
    if (!name)
        return NULL;
    // Zeroes are part of such a name; others show them so, too (ss, /proc/net/unix).
    const char *wire = (const char *)event->wire + descriptor->path_at;
    for (size_t i = 0; i < descriptor->path_size; i++)
        name[i + 1] = wire[i] ? wire[i] : '@';
    return name;
}

static const struct kind *kind_of_anonymous(const char *path)
{
    for (size_t i = 0; path && i < sizeof(anonymous) / sizeof(anonymous[0]); i++)
        if (strcmp(anonymous[i].name, path) == 0)
            return &anonymous[i].kind;
    return NULL;
}

static bool is_ip(const struct event *event)
{
    uint8_t family = call_of(event)->call.endpoint.family;
    return family == 4 || family == 6;
}

// NULL: none that has a name.
static const struct kind *kind_of(const struct event *event)
{
    static const struct kind v4 = {"ipv4", "4"}, v6 = {"ipv6", "6"}, local = {"unix", "u"};
    static const struct kind netlink = {"netlink", "n"}, directory = {"directory", "d"}, pipe = {"pipe", "p"};
    static const struct kind file = {"file", "f"}, memory = {"memfd", "m"}, process = {"pidfd", "P"};
    const struct wire_descriptor *descriptor = descriptor_of(event);
    if (!(descriptor->flags & WIRE_DESCRIPTOR_KNOWN))
        return NULL;
    if (is_ip(event))
        return call_of(event)->call.endpoint.family == 4 ? &v4 : &v6;
    if (S_ISSOCK(descriptor->mode))
        return descriptor->family == AF_UNIX ? &local : descriptor->family == AF_NETLINK ? &netlink : NULL;
    if (S_ISDIR(descriptor->mode))
        return &directory;
    if (S_ISFIFO(descriptor->mode))
        return &pipe;
    if (descriptor->magic == ANON_INODE_FS_MAGIC)
        return kind_of_anonymous(path_of(event));
    if (descriptor->magic == PID_FS_MAGIC)
        return &process;
    const char *path = descriptor->magic == TMPFS_MAGIC ? path_of(event) : NULL;
    return path && strncmp(path, "/memfd:", strlen("/memfd:")) == 0 ? &memory : &file;
}

// The name where that is a path of a file system.
static const char *file_path(const struct event *event)
{
    const struct wire_descriptor *descriptor = descriptor_of(event);
    bool elsewhere = descriptor->magic == ANON_INODE_FS_MAGIC || descriptor->magic == PID_FS_MAGIC ||
                     descriptor->flags & WIRE_DESCRIPTOR_ABSTRACT;
    return elsewhere ? NULL : path_of(event);
}

bool descriptor_get_num(const struct event *event, const struct field_arg *arg, size_t nth,
                        struct value *ret_value)
{
    const struct wire_descriptor *descriptor = descriptor_of(event);
    return descriptor->flags & WIRE_DESCRIPTOR_KNOWN && value_set_int(ret_value, descriptor->num);
}

bool descriptor_get_name(const struct event *event, const struct field_arg *arg, size_t nth,
                         struct value *ret_value)
{
    const struct wire_descriptor *descriptor = descriptor_of(event);
    if (is_ip(event))
        return endpoint_get_name(event, arg, nth, ret_value);
    if (descriptor->flags & WIRE_DESCRIPTOR_ABSTRACT)
        return value_set_string(ret_value, abstract_name(event));
    if (S_ISFIFO(descriptor->mode) && descriptor->path_size == 0)
        return value_set_string(ret_value,
                                event_printf(event, "pipe:[%llu]", (unsigned long long)descriptor->ino));
    return value_set_string(ret_value, file_path(event));
}

bool descriptor_get_directory(const struct event *event, const struct field_arg *arg, size_t nth,
                              struct value *ret_value)
{
    return value_set_directory(ret_value, event, file_path(event));
}

bool descriptor_get_filename(const struct event *event, const struct field_arg *arg, size_t nth,
                             struct value *ret_value)
{
    return value_set_filename(ret_value, file_path(event));
}

bool descriptor_get_type(const struct event *event, const struct field_arg *arg, size_t nth,
                         struct value *ret_value)
{
    const struct kind *kind = kind_of(event);
    return kind && value_set_string(ret_value, kind->type);
}

bool descriptor_get_typechar(const struct event *event, const struct field_arg *arg, size_t nth,
                             struct value *ret_value)
{
    const struct kind *kind = kind_of(event);
    return kind && value_set_string(ret_value, kind->letter);
}

bool descriptor_get_ino(const struct event *event, const struct field_arg *arg, size_t nth,
                        struct value *ret_value)
{
    const struct wire_descriptor *descriptor = descriptor_of(event);
    return descriptor->flags & WIRE_DESCRIPTOR_KNOWN && value_set_uint(ret_value, descriptor->ino);
}
