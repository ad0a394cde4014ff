// Which container a cgroup stands for, from the cgroup's names alone.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { CONTAINER_ID_MAX = 64 };

struct container_id {
    char id[CONTAINER_ID_MAX + 1];
    const char *runtime; // static: "docker", "containerd", "cri-o", "podman"
    char pod_uid[37];    // of the pod that the kubelet's cgroup is named by; "": none
    unsigned depth;      // of the cgroup that is the container's: 1 below the root
    bool users;          // a user who is not root has made that cgroup, and called it as he liked
};

// The outermost container that the names tell of but for `node`, which is the node's own where that is a
// container itself ("": it is none). `names` are cgroup names from the leaf up, a NUL after each, up to the
// root. False: no container.
bool container_id_from_names(const char *names, size_t size, const char *node, struct container_id *ret_id);
// The same of the text of a /proc/PID/cgroup, v1, v2 or both.
bool container_id_from_proc(const char *text, size_t size, const char *node, struct container_id *ret_id);

// True for what may become a part of a path: [A-Za-z0-9_.-], not starting with a dot, without "..".
bool container_id_valid(const char *id, size_t length);
// 64 lower-case hexadecimal digits, as all runtimes but plain containerd name containers.
bool container_id_is_hash(const char *id, size_t length);

// node_container.c. The id of the container that the node, whose files are below `host_root`, is itself; "":
// it is none.
void node_container_read(const char *host_root, char ret_id[CONTAINER_ID_MAX + 1]);
// True where this line of a /proc/PID/mountinfo tells. The line is taken to pieces.
bool node_container_from_mount(char *line, const char *host_root, char ret_id[CONTAINER_ID_MAX + 1]);
