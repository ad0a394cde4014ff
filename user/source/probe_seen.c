#include "probe_seen.h"

#include <stdlib.h>

enum {
    SEEN_MAX = 8192,
    RETRY_S = 30, // doubled each time that the kernel refuses, up to …
    RETRY_MAX_S = 3600,
};

static struct probe_seen *seen_files; // the one added longest ago first

uint64_t probe_look_to_do(const struct probe_look *look, uint64_t wanted, time_t now)
{
    uint64_t again = look->again_at <= now ? look->again : 0;
    return wanted & (~look->done | again);
}

void probe_look_again(struct probe_look *look, uint64_t kind, bool refused, time_t now)
{
    look->again |= kind;
    if (!refused)
        return;
    look->wait_s = look->wait_s ? look->wait_s * 2 : RETRY_S;
    if (look->wait_s > RETRY_MAX_S)
        look->wait_s = RETRY_MAX_S;
    look->again_at = now + look->wait_s;
}

void probe_look_forget(struct probe_look *look, uint64_t kind)
{
    look->done &= ~kind;
    look->again &= ~kind;
}

struct probe_seen *probe_seen_find(const struct mapped_file *mapped)
{
    struct probe_seen wanted = {}, *seen = NULL;
    wanted.key.major = mapped->major;
    wanted.key.minor = mapped->minor;
    wanted.key.inode = mapped->inode;
    HASH_FIND(hh, seen_files, &wanted.key, sizeof(wanted.key), seen);
    return seen;
}

struct probe_seen *probe_seen_add(const struct mapped_file *mapped, const struct probe_file *file)
{
    while (HASH_COUNT(seen_files) >= SEEN_MAX)
        probe_seen_remove(seen_files);
    struct probe_seen *seen = calloc(1, sizeof(*seen));
    if (!seen)
        return NULL;
    seen->key.major = mapped->major;
    seen->key.minor = mapped->minor;
    seen->key.inode = mapped->inode;
    seen->file = *file;
    HASH_ADD(hh, seen_files, key, sizeof(seen->key), seen);
    return seen;
}

void probe_seen_remove(struct probe_seen *seen)
{
    HASH_DEL(seen_files, seen);
    free(seen);
}

void probe_seen_remove_all(const struct probed *probed)
{
    struct probe_seen *seen, *next;
    HASH_ITER (hh, seen_files, seen, next)
        if (seen->probed == probed)
            probe_seen_remove(seen);
}

void probe_seen_forget_kind(uint64_t kind)
{
    for (struct probe_seen *seen = seen_files; seen; seen = seen->hh.next)
        probe_look_forget(&seen->look, kind);
}
