// The fields container.mounts and container.mount*: what of the node a container has.
#include "base/cleanup.h"
#include "base/text.h"
#include "enrich_private.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

struct mount {
    const char *parts[CONTAINER_MOUNT_PARTS];
};

// The mount that begins at an offset, which is moved behind it. False at the end, and where a recording's
// list does not hold together.
static bool mount_next(const struct container *container, size_t *offset, struct mount *ret_mount)
{
    struct mount mount;
    size_t at = *offset;
    for (size_t i = 0; i < CONTAINER_MOUNT_PARTS; i++) {
        size_t left = container->mounts.size - at;
        const char *part = container->mounts.bytes + at;
        if (left == 0 || strnlen(part, left) == left)
            return false;
        mount.parts[i] = part;
        at += strlen(part) + 1;
    }
    *offset = at;
    *ret_mount = mount;
    return true;
}

// By its number from 0, or by a part of it, which the argument may give as a pattern of the shell's kind.
static bool mount_find(const struct event *event, const struct field_arg *arg, enum container_mount_part by,
                       struct mount *ret_mount)
{
    const struct container *container = event->container;
    if (!container || !container->mounts.bytes)
        return false;
    char *end;
    unsigned long wanted = strtoul(arg->key, &end, 10);
    bool numbered = arg->key[0] >= '0' && arg->key[0] <= '9' && *end == '\0';
    size_t offset = 0;
    for (unsigned long number = 0; mount_next(container, &offset, ret_mount); number++)
        if (numbered ? number == wanted : fnmatch(arg->key, ret_mount->parts[by], 0) == 0)
            return true;
    return false;
}

static void mount_write(const struct mount *mount, struct text *text)
{
    for (size_t i = 0; i < CONTAINER_MOUNT_PARTS; i++) {
        text_add(text, i > 0 ? ":" : "");
        text_add(text, mount->parts[i]);
    }
}

static bool set_text(const struct event *event, const struct text *text, struct value *ret_value)
{
    const char *string = text_string(text);
    return string[0] && value_set_string(ret_value, event_printf(event, "%s", string));
}

static bool get_mounts(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    const struct container *container = event->container;
    _cleanup_text_ struct text text = TEXT_INIT(CONTAINER_LIST_MAX);
    struct mount mount;
    size_t offset = 0;
    while (container && container->mounts.bytes && mount_next(container, &offset, &mount)) {
        text_add(&text, text.length ? " " : "");
        mount_write(&mount, &text);
    }
    return set_text(event, &text, ret_value);
}

static bool get_mount(const struct event *event, const struct field_arg *arg, size_t nth,
                      struct value *ret_value)
{
    _cleanup_text_ struct text text = TEXT_INIT(CONTAINER_LIST_MAX);
    struct mount mount;
    if (!mount_find(event, arg, CONTAINER_MOUNT_SOURCE, &mount))
        return false;
    mount_write(&mount, &text);
    return set_text(event, &text, ret_value);
}

static bool get_part(const struct event *event, const struct field_arg *arg, enum container_mount_part by,
                     enum container_mount_part part, struct value *ret_value)
{
    struct mount mount;
    return mount_find(event, arg, by, &mount) && value_set_string(ret_value, mount.parts[part]);
}

#define PART_GETTER(name, by, part)                                                            \
    static bool get_##name(const struct event *event, const struct field_arg *arg, size_t nth, \
                           struct value *ret_value)                                            \
    {                                                                                          \
        return get_part(event, arg, CONTAINER_MOUNT_##by, CONTAINER_MOUNT_##part, ret_value);  \
    }
PART_GETTER(source, DEST, SOURCE)
PART_GETTER(dest, SOURCE, DEST)
PART_GETTER(mode, SOURCE, MODE)
PART_GETTER(rdwr, SOURCE, RDWR)
PART_GETTER(propagation, SOURCE, PROPAGATION)

#define BY_SOURCE " by its number from 0 or its source, which may be a pattern: "

static const struct field mount_fields[] = {
    {.name = "container.mounts",
     .type = FIELD_STRING,
     .help =
         "What of the node is mounted in the container, source:destination:mode:rdwr:propagation for each, "
         "separated by spaces",
     .get = get_mounts},
    {.name = "container.mount",
     .type = FIELD_STRING,
     .arg = FIELD_ARG_KEY,
     .help = "One mount," BY_SOURCE "container.mount[/proc*]; missing where there is none",
     .get = get_mount},
    {.name = "container.mount.source",
     .type = FIELD_STRING,
     .arg = FIELD_ARG_KEY,
     .help = "A mount's source on the node, by its number or its destination in the container",
     .get = get_source},
    {.name = "container.mount.dest",
     .type = FIELD_STRING,
     .arg = FIELD_ARG_KEY,
     .help = "A mount's destination," BY_SOURCE "container.mount.dest[/var/run/docker.sock]",
     .get = get_dest},
    {.name = "container.mount.mode",
     .type = FIELD_STRING,
     .arg = FIELD_ARG_KEY,
     .help = "A mount's mode, by its number or source",
     .get = get_mode},
    {.name = "container.mount.rdwr",
     .type = FIELD_STRING,
     .arg = FIELD_ARG_KEY,
     .help = "`true` where the container may write to a mount, by its number or source",
     .get = get_rdwr},
    {.name = "container.mount.propagation",
     .type = FIELD_STRING,
     .arg = FIELD_ARG_KEY,
     .help = "A mount's propagation, by its number or source",
     .get = get_propagation},
};

int enrich_register_mount_fields(void)
{
    return field_register_context("container", mount_fields, ARRAY_SIZE(mount_fields));
}
