#include "file_watch.h"

#include "base/outside.h"
#include "base/series.h"
#include "filter_set.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// Each is looked up once a second, so there are not many.
enum { INODES_MAX = 512 };

static struct counter left_out = {
    .name = "inferscope_watched_inodes_left_out_total",
    .help = "Exact paths in rules that are not watched by inode, so a hard link to them goes by its own name",
};

static struct watched {
    char *path; // owned
    uint32_t dev;
    uint64_t ino; // 0: does not exist at present
    uint64_t born_ns;
} watched[INODES_MAX];
static size_t watched_count;
static unsigned looks; // how often the inodes were looked up
static struct file_watch_sets sets;
static const char *root; // borrowed

static void watch_inode(const struct demand_path *path)
{
    char *copy = watched_count < INODES_MAX ? strdup(path->text) : NULL;
    if (!copy) {
        left_out.value++;
        return;
    }
    watched[watched_count++] = (struct watched){.path = copy};
}

bool file_watch_start(const struct demand *demand, const char *host_root,
                      const struct file_watch_sets *kernel_sets)
{
    counter_register(&left_out);
    while (watched_count)
        free(watched[--watched_count].path);
    sets = *kernel_sets;
    root = host_root;
    struct filter_path_sets fresh = {};
    bool bounded = !demand->any_path;
    for (size_t i = 0; bounded && i < demand->paths_count; i++)
        bounded = filter_set_path(&fresh, &demand->paths[i]);
    // Where all paths count, the caller says so after this; until then the old sets hold.
    for (size_t i = 0; i < demand->suffixes_count; i++)
        filter_set_add(fresh.suffix, path_filter_hash(demand->suffixes[i], 0, DEMAND_SUFFIX_SIZE));
    if (bounded) {
        filter_set_replace(sets.leaf, fresh.leaf);
        filter_set_replace(sets.directory, fresh.directory);
        filter_set_replace(sets.suffix, fresh.suffix);
        *sets.suffixes = demand->suffixes_count > 0;
    }
    for (size_t i = 0; i < demand->paths_count; i++)
        if (!demand->paths[i].prefix)
            watch_inode(&demand->paths[i]);
    file_watch_tick();
    return bounded;
}

void file_watch_replay(const struct demand *demand, const char *host_root)
{
    static __u64 leaf[PATH_FILTER_WORDS], directory[PATH_FILTER_WORDS], inode[PATH_FILTER_WORDS],
        suffix[PATH_FILTER_WORDS];
    static bool suffixes;
    const struct file_watch_sets nobodys = {leaf, directory, inode, suffix, &suffixes};
    file_watch_start(demand, host_root, &nobodys);
}

void file_watch_stop(void)
{
    sets = (struct file_watch_sets){};
}

struct found_inode {
    uint64_t ino;
    uint64_t dev;
    uint64_t born_ns; // 0: the file system does not tell
};

static ssize_t inode_now(void *context, void *ret_data, size_t capacity)
{
    char path[PATH_MAX];
    struct statx status;
    if (snprintf(path, sizeof(path), "%s%s", root, (const char *)context) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    // From what is known already: a server of files that hangs must not stop the agent. A link in the last
    // place is followed, since rules name /etc/resolv.conf; a device is everybody's.
    if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_INO | STATX_TYPE | STATX_BTIME,
              &status))
        return -errno;
    if (!S_ISREG(status.stx_mode))
        return -EINVAL;
    struct found_inode found = {.ino = status.stx_ino,
                                .dev = status.stx_dev_major << 20 | status.stx_dev_minor};
    if (status.stx_mask & STATX_BTIME)
        found.born_ns = (uint64_t)status.stx_btime.tv_sec * 1000000000 + status.stx_btime.tv_nsec;
    memcpy(ret_data, &found, sizeof(found));
    return sizeof(found);
}

void file_watch_tick(void)
{
    if (!sets.inode)
        return;
    __u64 fresh[PATH_FILTER_WORDS] = {};
    looks++;
    for (size_t i = 0; i < watched_count; i++) {
        char question[OUTSIDE_QUESTION_MAX];
        struct found_inode found;
        watched[i].ino = 0;
        snprintf(question, sizeof(question), "inode of %s", watched[i].path);
        if (outside_ask(OUTSIDE_LASTING, question, inode_now, watched[i].path, &found, sizeof(found)) !=
            sizeof(found))
            continue;
        watched[i].dev = (uint32_t)found.dev;
        watched[i].ino = found.ino;
        watched[i].born_ns = found.born_ns;
        filter_set_add(fresh, path_filter_hash(found.ino, 0, 0));
    }
    filter_set_replace(sets.inode, fresh);
}

unsigned file_watch_count(uint32_t dev, uint64_t ino)
{
    unsigned count = 0;
    for (size_t i = 0; i < watched_count && count < FILE_WATCH_NAMES_MAX; i++)
        count += watched[i].ino == ino && watched[i].dev == dev;
    return count;
}

// A file that was removed leaves its inode to another one, and until the next look nothing else tells the two
// apart. Where the file cannot be asked any more, or the file system keeps no time of birth, it is taken for
// it.
static bool is_reused(const struct watched *watch, const char *own)
{
    // Asked once between two looks: a link that is opened again and again is the same file.
    static char asked_own[OUTSIDE_QUESTION_MAX];
    static const struct watched *asked_watch;
    static unsigned asked_look;
    static bool answer;
    char question[OUTSIDE_QUESTION_MAX];
    struct found_inode found;
    if (!own || strcmp(own, watch->path) == 0)
        return false;
    if (asked_look == looks && asked_watch == watch && strcmp(asked_own, own) == 0)
        return answer;
    asked_look = looks;
    asked_watch = watch;
    snprintf(asked_own, sizeof(asked_own), "%s", own);
    snprintf(question, sizeof(question), "birth of %s", own);
    answer =
        outside_ask(OUTSIDE_ONCE, question, inode_now, (void *)own, &found, sizeof(found)) == sizeof(found) &&
        found.ino == watch->ino && found.dev == watch->dev && found.born_ns && watch->born_ns &&
        found.born_ns != watch->born_ns;
    return answer;
}

const char *file_watch_name(uint32_t dev, uint64_t ino, unsigned nth, const char *own)
{
    for (size_t i = 0; i < watched_count; i++)
        if (watched[i].ino == ino && watched[i].dev == dev && nth-- == 0)
            return is_reused(&watched[i], own) ? NULL : watched[i].path;
    return NULL;
}
