// Which container the node itself is, as with kind, k3d and minikube, where a node is a container of Docker's
// or podman's. All of its containers' cgroups are below that one's, so that it is not what they are called
// by. Runtimes give a container files of its own for /etc/hostname and the like, which lie in a directory
// that has its id; who mounts what at the node's root tells that.
#include "base/cleanup.h"
#include "base/outside.h"
#include "container_id.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 8192 };

static bool is_own_file(const char *mounted_at, const char *host_root)
{
    static const char *const files[] = {"/etc/hostname", "/etc/resolv.conf", "/etc/hosts"};
    size_t length = strlen(host_root);
    while (length > 0 && host_root[length - 1] == '/')
        length--;
    if (strncmp(mounted_at, host_root, length) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (strcmp(mounted_at + length, files[i]) == 0)
            return true;
    return false;
}

// The last name of a path that is an id.
static bool take_id(char *path, char *ret_id)
{
    bool found = false;
    char *rest;
    for (char *name = strtok_r(path, "/", &rest); name; name = strtok_r(NULL, "/", &rest)) {
        if (!container_id_is_hash(name, strlen(name)))
            continue;
        memcpy(ret_id, name, CONTAINER_ID_MAX + 1);
        found = true;
    }
    return found;
}

bool node_container_from_mount(char *line, const char *host_root, char ret_id[CONTAINER_ID_MAX + 1])
{
    // Number, parent's number, device, what of the file system, where; more that is of no interest.
    enum { ROOT = 3, MOUNTED_AT = 4, FIELDS };
    char *fields[FIELDS], *rest;
    for (size_t i = 0; i < FIELDS; i++) {
        fields[i] = strtok_r(i ? NULL : line, " ", &rest);
        if (!fields[i])
            return false;
    }
    return is_own_file(fields[MOUNTED_AT], host_root) && take_id(fields[ROOT], ret_id);
}

static ssize_t node_container_now(void *context, void *ret_data, size_t capacity)
{
    _cleanup_fclose_ FILE *file = fopen("/proc/self/mountinfo", "re");
    _cleanup_free_ char *line = malloc(LINE_MAX_BYTES);
    char id[CONTAINER_ID_MAX + 1];
    while (file && line && fgets(line, LINE_MAX_BYTES, file)) {
        if (!node_container_from_mount(line, context, id))
            continue;
        memcpy(ret_data, id, capacity < CONTAINER_ID_MAX ? capacity : CONTAINER_ID_MAX);
        return CONTAINER_ID_MAX;
    }
    return -ENOENT;
}

void node_container_read(const char *host_root, char ret_id[CONTAINER_ID_MAX + 1])
{
    char id[CONTAINER_ID_MAX];
    ssize_t size = outside_ask(OUTSIDE_LASTING, "node's own container", node_container_now, (void *)host_root,
                               id, sizeof(id));
    ret_id[0] = '\0';
    if (size != CONTAINER_ID_MAX || !container_id_is_hash(id, sizeof(id)))
        return;
    memcpy(ret_id, id, sizeof(id));
    ret_id[sizeof(id)] = '\0';
}
