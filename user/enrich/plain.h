// Containers whose cgroup's name does not tell that it is one: those of runc alone, and of `ctr`. runc's own
// note of a container (state.json) says which cgroup is its.
#pragma once

#include "container_id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLAIN_MAX = 64 };

struct plain {
    char id[CONTAINER_ID_MAX + 1];
    char root[256];   // runc's, where its notes are
    char cgroup[512]; // as the note has it, with the mount point; "": it was not read yet
    uint64_t used;    // when it was told of or found last, of struct plains
};

// The latest that runc was told to make; all zero at the beginning. Most are known by their cgroups' names,
// so that nobody ever reads their notes: these go first, and of the others the one that was found longest
// ago.
struct plains {
    struct plain at[PLAIN_MAX];
    uint64_t uses;
};

struct containers;

// Exports the counter of those that were pushed out.
void plain_init(void);
// runc, whose root is `root`, was told to make that container.
void plain_add(struct plains *plains, const char *id, const char *root);
// Reads the notes of all that run already, and has them described by their bundles.
void plain_learn(struct plains *plains, const char *host_root, struct containers *containers);
// Where a cgroup, "/a/b", or one above it is such a container's, sets *id to it. One further out than this is
// looked for alone where id->depth says that the names tell of one already; else that is 0. True where it was
// set.
bool plain_find(struct plains *plains, const char *host_root, const char *cgroup, struct container_id *id);
// The same for cgroup names from the leaf up, a NUL after each.
bool plain_find_names(struct plains *plains, const char *host_root, const char *names, size_t size,
                      struct container_id *id);
// The same for the text of a /proc/PID/cgroup.
bool plain_find_proc(struct plains *plains, const char *host_root, const char *text, size_t size,
                     struct container_id *id);
