// The containers that processes refer to, by id, and some that have none yet or no longer: the oldest of
// these are forgotten when there are too many.
#pragma once

#include "container.h"
#include "container_id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct containers;

enum { CONTAINER_LIST_MAX = 16384 }; // bytes of a container's mounts, and of its labels

// `host_root` is borrowed. NULL when memory is short.
struct containers *containers_new(const char *host_root, size_t max);
// When the table is full, `relieve` is called until there is room, or it returns false: its turn to give back
// references that can be spared.
void containers_set_relief(struct containers *containers, bool (*relieve)(void *context), void *context);
// All references must have been given back.
void containers_free(struct containers *containers);
// Those that are referred to.
size_t containers_count(const struct containers *containers);

// The container of that id, described by the node's files, with a reference for the caller. A container whose
// files were not found is looked for again, now and then, a few times. `now_ns` may be any clock that rises.
// Where there is no room for another, one container named "unknown" stands for all of those.
const struct container *containers_get(struct containers *containers, const struct container_id *id,
                                       uint64_t now_ns);

// That which stands for containers of which no more is known than that they are some; with a reference for
// the caller.
const struct container *containers_get_unknown(struct containers *containers);

// A runtime was told to make a container from that bundle, below host_root: describes it before it begins, as
// it may be gone when its first event is read.
void containers_expect(struct containers *containers, const char *id, const char *bundle, uint64_t now_ns);

// What may have changed since it was described, such as its name, is looked for: once a second at most.
void container_refresh(const struct container *container, uint64_t now_ns);

// Both accept NULL.
const struct container *container_ref(const struct container *container);
void container_unref(const struct container *container);

// Where containerd keeps what runs, beside the usual places: the latest that were met.
enum { CONTAINER_PLACES_MAX = 8 };
struct container_places {
    char state[CONTAINER_PLACES_MAX][256]; // "": none
    unsigned next;
};
// A bundle may lie in such a place.
void container_places_note(struct container_places *places, const char *bundle);

// Exports the counter of files that were turned away.
void container_files_init(void);
// The file that a container's name is from, as it was when it was read.
struct container_stamp {
    char path[512]; // "": none, or longer
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

// Reads what the runtimes' files tell of container->id and fills all but image_repository and image_tag, and
// the runtime where the files are another's. `bundle` is where a runtime was told to find it, or "". `places`
// may be NULL. False where no file was found; ret_stamp->path must be "" before.
bool container_files_read(const char *host_root, const struct container_places *places, const char *bundle,
                          struct container *container, struct container_stamp *ret_stamp);
bool container_files_changed(const struct container_stamp *stamp);
// That name of a runtime, in static storage, or NULL where there is no such runtime.
const char *container_runtime(const char *name);
// "host:5000/a/b:tag@sha256:…" into "host:5000/a/b", "tag" and, where it is not known, "sha256:…"; each stays
// NULL where there is none.
void container_split_image(struct container *container);
// Adds a label where there is room; else it is counted.
void container_add_label(struct container_list *list, const char *name, const char *value);
// Frees all that it has, but for itself.
void container_clear(struct container *container);
