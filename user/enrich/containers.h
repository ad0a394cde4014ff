// The containers that processes refer to, by id. One is forgotten with its last process.
#pragma once

#include "container.h"
#include "container_id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct containers;

enum { CONTAINER_MOUNTS_MAX = 16384 }; // bytes of a container's mounts

// `host_root` is borrowed. NULL when memory is short.
struct containers *containers_new(const char *host_root, size_t max);
// All references must have been given back.
void containers_free(struct containers *containers);
size_t containers_count(const struct containers *containers);

// The container of that id, described by the node's files, with a reference for the caller. A container whose
// files were not found is looked for again, now and then, a few times. `now_ns` may be any clock that rises.
// Where there is no room for another, one container named "unknown" stands for all of those.
const struct container *containers_get(struct containers *containers, const struct container_id *id,
                                       uint64_t now_ns);

// Both accept NULL.
const struct container *container_ref(const struct container *container);
void container_unref(const struct container *container);

// Exports the counter of files that were turned away.
void container_files_init(void);
// Reads what the runtimes' files tell of container->id and fills name, image, pod_name, pod_namespace and
// mounts, and the runtime where the files are another's. False where no file was found.
bool container_files_read(const char *host_root, struct container *container);
// That name of a runtime, in static storage, or NULL where there is no such runtime.
const char *container_runtime(const char *name);
// "host:5000/a/b:tag@sha256:…" into "host:5000/a/b" and "tag"; either stays NULL where there is none.
void container_split_image(struct container *container);
