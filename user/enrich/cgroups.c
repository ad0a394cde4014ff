// A failed insertion leaves the element out of the table instead of ending the agent.
#define HASH_NONFATAL_OOM 1

#include "cgroups.h"

#include "containers.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

enum { CGROUPS_MAX = 1024 };

struct cgroup_entry {
    uint64_t cgroup_id;
    const struct container *container; // held
    UT_hash_handle hh;                 // the one noted longest ago first
};

struct cgroups {
    struct cgroup_entry *by_id;
    uint64_t latest;
    const struct container *latest_container;
};

struct cgroups *cgroups_new(void)
{
    return calloc(1, sizeof(struct cgroups));
}

static void forget(struct cgroups *cgroups, struct cgroup_entry *entry)
{
    if (cgroups->latest == entry->cgroup_id)
        cgroups->latest = 0;
    HASH_DEL(cgroups->by_id, entry);
    container_unref(entry->container);
    free(entry);
}

void cgroups_free(struct cgroups *cgroups)
{
    while (cgroups && cgroups->by_id)
        forget(cgroups, cgroups->by_id);
    free(cgroups);
}

static struct cgroup_entry *entry_of(struct cgroups *cgroups, uint64_t cgroup_id)
{
    struct cgroup_entry *entry;
    HASH_FIND(hh, cgroups->by_id, &cgroup_id, sizeof(cgroup_id), entry);
    return entry;
}

void cgroups_note(struct cgroups *cgroups, uint64_t cgroup_id, const struct container *container)
{
    if (!cgroup_id || (cgroup_id == cgroups->latest && container == cgroups->latest_container))
        return;
    struct cgroup_entry *entry = entry_of(cgroups, cgroup_id);
    if (entry)
        forget(cgroups, entry);
    while (HASH_COUNT(cgroups->by_id) >= CGROUPS_MAX)
        forget(cgroups, cgroups->by_id);
    entry = calloc(1, sizeof(*entry));
    if (!entry)
        return;
    entry->cgroup_id = cgroup_id;
    entry->container = container_ref(container);
    HASH_ADD(hh, cgroups->by_id, cgroup_id, sizeof(entry->cgroup_id), entry);
    if (!entry->hh.tbl) {
        container_unref(container);
        free(entry);
        return;
    }
    cgroups->latest = cgroup_id;
    cgroups->latest_container = container;
}

bool cgroups_give_back(struct cgroups *cgroups)
{
    struct cgroup_entry *entry = cgroups->by_id;
    while (entry && !entry->container)
        entry = entry->hh.next;
    if (entry)
        forget(cgroups, entry);
    return entry != NULL;
}

int cgroups_find(struct cgroups *cgroups, uint64_t cgroup_id, const struct container **ret_container)
{
    struct cgroup_entry *entry = entry_of(cgroups, cgroup_id);
    if (!entry)
        return -ENOENT;
    *ret_container = entry->container;
    return 0;
}
