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
};
