// Which container each cgroup is, also for a while after its last process has gone.
#pragma once

#include "container.h"

#include <stdbool.h>
#include <stdint.h>

struct cgroups;

// NULL when memory is short.
struct cgroups *cgroups_new(void);
// Gives all references back. Accepts NULL.
void cgroups_free(struct cgroups *cgroups);

// Remembers whose a cgroup is (NULL: the node's). Cheap where it is known already.
void cgroups_note(struct cgroups *cgroups, uint64_t cgroup_id, const struct container *container);
// Forgets the one noted longest ago that is a container's, so that this may be forgotten, too. False where
// there is none.
bool cgroups_give_back(struct cgroups *cgroups);
// 0 or -ENOENT. The container is borrowed until the next note or giving back.
int cgroups_find(struct cgroups *cgroups, uint64_t cgroup_id, const struct container **ret_container);
