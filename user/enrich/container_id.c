// A name is taken for a container only where both the id's shape and the runtime's way of naming match: a
// long random-looking cgroup name alone proves nothing.
#include "container_id.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <string.h>

struct part {
    const char *text;
    size_t length;
};

// Runtimes that put their name before the id, as systemd scopes or as plain directories.
static const struct {
    const char *prefix;
    const char *runtime;
} prefixes[] = {
    {"docker-", "docker"}, {"cri-containerd-", "containerd"}, {"nerdctl-", "containerd"},
    {"crio-", "cri-o"},    {"libpod-payload-", "podman"},     {"libpod-", "podman"},
};

// What stands between the colons where a runtime was given systemd's notation but writes plain directories:
// "kubepods-burstable-pod….slice:cri-containerd:<id>".
static const struct {
    const char *token;
    const char *runtime;
} tokens[] = {
    {"docker", "docker"}, {"cri-containerd", "containerd"}, {"nerdctl", "containerd"}, {"crio", "cri-o"},
    {"libpod", "podman"},
};

bool container_id_is_hash(const char *id, size_t length)
{
    if (length != 64)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!((id[i] >= '0' && id[i] <= '9') || (id[i] >= 'a' && id[i] <= 'f')))
            return false;
    return true;
}

bool container_id_valid(const char *id, size_t length)
{
    if (length == 0 || length > CONTAINER_ID_MAX || id[0] == '.')
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)id[i]) && id[i] != '_' && id[i] != '.' && id[i] != '-')
            return false;
        if (id[i] == '.' && i + 1 < length && id[i + 1] == '.')
            return false;
    }
    return true;
}

static bool part_is(struct part part, const char *text)
{
    return part.length == strlen(text) && memcmp(part.text, text, part.length) == 0;
}

static bool part_starts(struct part part, const char *prefix)
{
    size_t length = strlen(prefix);
    return part.length >= length && memcmp(part.text, prefix, length) == 0;
}

static struct part part_skip(struct part part, size_t bytes)
{
    return (struct part){part.text + bytes, part.length - bytes};
}

static bool id_take(struct part id, const char *runtime, struct container_id *ret_id)
{
    *ret_id = (struct container_id){.runtime = runtime};
    memcpy(ret_id->id, id.text, id.length);
    return true;
}

// "pod" and the pod's uid: 36 characters with dashes, or 32 without for pods from a file.
static bool part_is_pod(struct part part)
{
    if (!part_starts(part, "pod") || (part.length != 3 + 36 && part.length != 3 + 32))
        return false;
    for (size_t i = 3; i < part.length; i++)
        if (!isxdigit((unsigned char)part.text[i]) && part.text[i] != '-')
            return false;
    return true;
}

static bool match_tokens(struct part name, struct container_id *ret_id)
{
    const char *last = memrchr(name.text, ':', name.length);
    if (!last)
        return false;
    struct part head = {name.text, (size_t)(last - name.text)};
    struct part id = part_skip(name, head.length + 1);
    const char *middle = memrchr(head.text, ':', head.length);
    if (!middle || !container_id_is_hash(id.text, id.length))
        return false;
    struct part token = part_skip(head, (size_t)(middle - head.text) + 1);
    for (size_t i = 0; i < ARRAY_SIZE(tokens); i++)
        if (part_is(token, tokens[i].token))
            return id_take(id, tokens[i].runtime, ret_id);
    return false;
}

// A name and the two names above it, which are empty above the root.
static bool match(struct part name, struct part parent, struct part grandparent, struct container_id *ret_id)
{
    struct part base = name;
    if (name.length > 6 && memcmp(name.text + name.length - 6, ".scope", 6) == 0)
        base.length -= 6;
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
        if (!part_starts(base, prefixes[i].prefix))
            continue;
        struct part id = part_skip(base, strlen(prefixes[i].prefix));
        if (container_id_is_hash(id.text, id.length))
            return id_take(id, prefixes[i].runtime, ret_id);
    }
    if (match_tokens(name, ret_id))
        return true;

    // In containerd's Kubernetes namespace a directory is a container, whatever its id looks like.
    if (part_is(parent, "k8s.io") && container_id_valid(name.text, name.length))
        return id_take(name, "containerd", ret_id);
    if (!container_id_is_hash(name.text, name.length))
        return false;
    if (part_is(parent, "docker") || part_is(grandparent, "ecs"))
        return id_take(name, "docker", ret_id);
    // The kubelet names the directory, not the runtime; containerd is the likeliest, and the runtime's own
    // files tell better (container_files.c).
    if (part_is_pod(parent) || part_is(parent, "default"))
        return id_take(name, "containerd", ret_id);
    return false;
}

// "pod…" of cgroupfs, or "kubepods-burstable-pod….slice" of systemd, where dashes mean levels.
static bool take_pod_uid(struct part part, struct container_id *ret_id)
{
    static const char slice[] = ".slice";
    const char *colon = memchr(part.text, ':', part.length);
    size_t length = colon ? (size_t)(colon - part.text) : part.length, tail = sizeof(slice) - 1;
    if (length > tail && memcmp(part.text + length - tail, slice, tail) == 0)
        length -= tail;
    for (size_t uid = 36; uid >= 32; uid -= 4) {
        struct part pod = {part.text + length - uid - 3, uid + 3};
        char text[3 + 36];
        if (length < uid + 3 || (length > uid + 3 && pod.text[-1] != '-'))
            continue;
        for (size_t i = 0; i < pod.length; i++)
            text[i] = pod.text[i] == '_' ? '-' : pod.text[i];
        if (!part_is_pod((struct part){text, pod.length}))
            continue;
        memcpy(ret_id->pod_uid, text + 3, uid);
        ret_id->pod_uid[uid] = '\0';
        return true;
    }
    return false;
}

// "user@UID.service", below which that user makes cgroups as he likes; root does so everywhere.
static bool part_is_users(struct part part)
{
    static const char begin[] = "user@", end[] = ".service";
    size_t least = sizeof(begin) - 1 + sizeof(end) - 1;
    return part.length > least && part_starts(part, begin) &&
           memcmp(part.text + part.length - sizeof(end) + 1, end, sizeof(end) - 1) == 0 &&
           !part_is(part, "user@0.service");
}

// A way from the root down. What is further up was made by who had more to say, so the first container on it
// counts: whoever may make cgroups in a container can call one there as he likes.
struct way {
    const char *node;
    struct part parent, grandparent;
    struct container_id above; // what the names so far tell of a container below
};

static bool way_step(struct way *way, struct part name, struct container_id *ret_id)
{
    struct container_id id;
    way->above.depth++;
    take_pod_uid(name, &way->above);
    if (match(name, way->parent, way->grandparent, &id) && strcmp(id.id, way->node) != 0) {
        id.depth = way->above.depth;
        id.users = way->above.users;
        memcpy(id.pod_uid, way->above.pod_uid, sizeof(id.pod_uid));
        *ret_id = id;
        return true;
    }
    way->above.users |= part_is_users(name);
    way->grandparent = way->parent;
    way->parent = name;
    return false;
}

bool container_id_from_names(const char *names, size_t size, const char *node, struct container_id *ret_id)
{
    struct way way = {.node = node};
    // A name that was cut off is not a name.
    const char *end = size ? memrchr(names, '\0', size) : NULL;
    while (end && end > names) {
        const char *before = memrchr(names, '\0', (size_t)(end - names));
        const char *name = before ? before + 1 : names;
        if (name < end && way_step(&way, (struct part){name, (size_t)(end - name)}, ret_id))
            return true;
        end = before;
    }
    return false;
}

static bool match_path(const char *path, size_t length, const char *node, struct container_id *ret_id)
{
    struct way way = {.node = node};
    const char *end = path + length;
    while (path < end) {
        const char *slash = memchr(path, '/', (size_t)(end - path));
        const char *next = slash ? slash : end;
        if (next > path && way_step(&way, (struct part){path, (size_t)(next - path)}, ret_id))
            return true;
        path = next + 1;
    }
    return false;
}

bool container_id_from_proc(const char *text, size_t size, const char *node, struct container_id *ret_id)
{
    const char *end = text + size;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *line_end = newline ? newline : end;
        // hierarchy:controllers:path; named hierarchies have no colon of their own in front of the path.
        const char *first = memchr(text, ':', (size_t)(line_end - text));
        const char *second = first ? memchr(first + 1, ':', (size_t)(line_end - first - 1)) : NULL;
        if (second && match_path(second + 1, (size_t)(line_end - second - 1), node, ret_id))
            return true;
        text = line_end + 1;
    }
    return false;
}
