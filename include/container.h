// A container as the runtime's own files on the node describe it.
#pragma once

#include <stddef.h>

struct container {
    char id[65];         // whole id; Falco shows the first 12 characters
    const char *runtime; // "docker", "containerd", "cri-o", "podman"
    char *name;          // NULL where nothing on the node tells
    char *image;         // as the runtime wrote it: registry/repository:tag or with @digest
    char *image_repository;
    char *image_tag;
    char *pod_name;
    char *pod_namespace;
    // What of the node is mounted in it: CONTAINER_MOUNT_PARTS texts for each, with a NUL behind each.
    char *mounts;
    size_t mounts_size;
};

enum container_mount_part {
    CONTAINER_MOUNT_SOURCE, // on the node
    CONTAINER_MOUNT_DEST,   // in the container
    CONTAINER_MOUNT_MODE,   // as the runtime was asked for it: "z"; most often empty
    CONTAINER_MOUNT_RDWR,   // "true" or "false": whether the container may write
    CONTAINER_MOUNT_PROPAGATION,
    CONTAINER_MOUNT_PARTS,
};
