// What the readers of the runtimes' files share (container_files.c).
#pragma once

#include "containers.h"

#include "base/cleanup.h"

#include <jansson.h>
#include <limits.h>

// A container's files, as far as they are looked for and found.
struct container_reading {
    const char *host_root;
    const struct container_places *places; // may be NULL
    const char *bundle;          // where the runtime was told to find it, below host_root; "": not known
    struct container *container; // what is filled
    struct container_stamp stamp;
};

static inline void cleanup_json(json_t **json)
{
    json_decref(*json);
}
#define _cleanup_json_ _cleanup_(cleanup_json)

// A path below host_root, of which links are followed as on the node: an absolute one begins at host_root.
// False where there is nothing, or the path is too long.
__attribute__((format(printf, 3, 4))) bool container_path(char ret_path[PATH_MAX], const char *host_root,
                                                          const char *format, ...);
// The whole file below host_root as JSON, or NULL.
__attribute__((format(printf, 2, 3))) json_t *container_json(const char *host_root, const char *format, ...);
// The same, and the file is the one that the container's name is from: read again when it changes.
__attribute__((format(printf, 2, 3))) json_t *container_json_stamped(struct container_reading *reading,
                                                                     const char *format, ...);

// Replace a text by another of sensible length, if there is one.
void container_take(char **field, const char *text);
void container_take_bytes(char **field, const char *bytes, size_t size);
void container_take_key(char **field, const json_t *object, const char *key);
// The hexadecimal digits of "sha256:…", or of a bare id.
void container_take_image_id(char **field, const char *text);

// Adds a group to a list, all of its parts or none; what does not fit is counted.
void container_list_add(struct container_list *list, const char *const *parts, size_t count);
// Adds what is a text of an object of labels; `list` is emptied before.
void container_take_labels(struct container_list *list, const json_t *object);
void container_take_label(struct container_list *list, const char *name, size_t name_size, const char *value,
                          size_t value_size);

const char *container_text(const json_t *object, const char *key); // "" where there is none

// Who writes annotations that are believed.
enum { OCI_CONTAINERD = 1 << 0, OCI_CRIO = 1 << 1, OCI_PODMAN = 1 << 2 };
// container_oci.c: what every OCI runtime is told. Fills mounts, privileged, and what annotations of those
// authors say.
void container_take_oci(struct container *container, const json_t *config, unsigned authors);

// container_podman.c: podman says so of what it has a runtime run.
bool container_is_podmans(const json_t *config);

// container_containerd.c: what runc was told of that container, which is in that namespace, or NULL.
json_t *container_containerd_config(const struct container_reading *reading, const char *namespace);

// The readers. False: the files say nothing of that container.
bool container_read_containerd(struct container_reading *reading);
bool container_read_docker(struct container_reading *reading);
bool container_read_crio(struct container_reading *reading);
bool container_read_podman(struct container_reading *reading);
