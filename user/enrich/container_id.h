// Which container a cgroup stands for, from the cgroup's names alone.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { CONTAINER_ID_MAX = 64 };

struct container_id {
    char id[CONTAINER_ID_MAX + 1];
    const char *runtime; // static: "docker", "containerd", "cri-o", "podman"
    char pod_uid[37];    // of the pod that the kubelet's cgroup is named by; "": none
};

// `names` are cgroup names from the leaf up, a NUL after each. False: no container.
bool container_id_from_names(const char *names, size_t size, struct container_id *ret_id);
// The text of /proc/PID/cgroup, v1, v2 or both.
bool container_id_from_proc(const char *text, size_t size, struct container_id *ret_id);

// True for what may become a part of a path: [A-Za-z0-9_.-], not starting with a dot, without "..".
bool container_id_valid(const char *id, size_t length);
// 64 lower-case hexadecimal digits, as all runtimes but plain containerd name containers.
bool container_id_is_hash(const char *id, size_t length);
