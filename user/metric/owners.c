#include "owners.h"

#include "container.h"

#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

enum {
    OWNERS_MAX = 8192,
    TRIES_MAX = 5,
};

struct owner {
    uint64_t cgroup_id;
    UT_hash_handle hh;
    unsigned tries;
    unsigned latest_tick; // in which it was tried
    bool known;
    struct served_by who;
};

static struct owner *owners;
static measured_whose_fn ask_whose;
static void *ask_context;
static unsigned ticks;

void owners_start(measured_whose_fn whose, void *context)
{
    ask_whose = whose;
    ask_context = context;
}

void owners_stop(void)
{
    struct owner *owner, *next;
    HASH_ITER (hh, owners, owner, next) {
        HASH_DEL(owners, owner);
        free(owner);
    }
    ask_whose = NULL;
}

void owners_tick(void)
{
    ticks++;
}

static struct owner *owner_add(uint64_t cgroup_id)
{
    if (HASH_COUNT(owners) >= OWNERS_MAX) {
        struct owner *oldest = owners;
        HASH_DEL(owners, oldest);
        free(oldest);
    }
    struct owner *owner = calloc(1, sizeof(*owner));
    if (!owner)
        return NULL;
    owner->cgroup_id = cgroup_id;
    HASH_ADD(hh, owners, cgroup_id, sizeof(owner->cgroup_id), owner);
    return owner;
}

const struct served_by *owner_of(uint64_t cgroup_id, pid_t pid, bool tick)
{
    struct owner *owner;
    HASH_FIND(hh, owners, &cgroup_id, sizeof(cgroup_id), owner);
    if (!owner)
        owner = owner_add(cgroup_id);
    if (!owner)
        return NULL;
    if (owner->known)
        return &owner->who;
    const struct container *container = NULL;
    int error = ask_whose(cgroup_id, pid, &container, ask_context);
    // Once a tick, however much is asked of it.
    owner->tries += tick && owner->latest_tick != ticks;
    owner->latest_tick = tick ? ticks : owner->latest_tick;
    // The runtime may not have written yet what describes it.
    owner->known = (!error && served_by_is_known(container)) || owner->tries >= TRIES_MAX;
    served_by_container(container, 0, &owner->who);
    return owner->known ? &owner->who : NULL;
}
