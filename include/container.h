// A container as the runtime's own files on the node describe it.
#pragma once

#include <stddef.h>

// Texts with a NUL behind each, in groups of so many parts as the kind of list has. NULL where it is empty.
struct container_list {
    char *bytes;
    size_t size;
};

// Whether something is so, where nothing may tell.
enum container_truth { CONTAINER_UNKNOWN, CONTAINER_FALSE, CONTAINER_TRUE };

struct container {
    char id[65];         // whole id; Falco shows the first 12 characters
    const char *runtime; // "docker", "containerd", "cri-o", "podman", "runc"
    char *name;          // NULL where nothing on the node tells; so are the other texts
    char *image;         // as the runtime wrote it: registry/repository:tag or with @digest
    char *image_repository;
    char *image_tag;
    char *image_id;     // hexadecimal digits
    char *image_digest; // "sha256:…"
    char *pod_name;
    char *pod_namespace;
    char *pod_uid;
    char *pod_sandbox_id;
    char *pod_ip; // only the kubelet tells
    enum container_truth privileged;
    struct container_list mounts;     // what of the node is in it: CONTAINER_MOUNT_PARTS texts each
    struct container_list labels;     // CONTAINER_LABEL_PARTS texts each
    struct container_list pod_labels; // the same
};

enum container_label_part { CONTAINER_LABEL_NAME, CONTAINER_LABEL_VALUE, CONTAINER_LABEL_PARTS };

enum container_mount_part {
    CONTAINER_MOUNT_SOURCE, // on the node
    CONTAINER_MOUNT_DEST,   // in the container
    CONTAINER_MOUNT_MODE,   // as the runtime was asked for it: "z"; most often empty
    CONTAINER_MOUNT_RDWR,   // "true" or "false": whether the container may write
    CONTAINER_MOUNT_PROPAGATION,
    CONTAINER_MOUNT_PARTS,
};
