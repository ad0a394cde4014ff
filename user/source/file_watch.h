// The paths that rules name, turned into the sets by which the kernel drops the rest, and the inodes of the
// exact ones, so that a file is known by another name too.
#pragma once

#include "demand.h"

#include <stdbool.h>
#include <stdint.h>

// The sets in the kernel's memory, PATH_FILTER_WORDS words each.
struct file_watch_sets {
    __u64 *leaf;
    __u64 *directory;
    __u64 *inode;
    __u64 *suffix;
    bool *suffixes; // there are any
};

// Fills the sets, in place of what was in them; `host_root` is where the node's files lie, "" for /. False
// where some rule can match any path, so that nothing may be dropped.
bool file_watch_start(const struct demand *demand, const char *host_root, const struct file_watch_sets *sets);
// The same without a kernel, for a recording.
void file_watch_replay(const struct demand *demand, const char *host_root);
// The kernel's sets are no more. Names are still told, for the records that are in the ring by now.
void file_watch_stop(void);

// Looks again which inodes the exact paths have: files are replaced by renaming.
void file_watch_tick(void);

// How many paths that rules name have this inode; `dev` as the kernel keeps it, major << 20 | minor. More
// than FILE_WATCH_NAMES_MAX are not told.
enum { FILE_WATCH_NAMES_MAX = 16 };
unsigned file_watch_count(uint32_t dev, uint64_t ino);
// The nth of them. NULL: there is none, or the file of the path `own` (NULL where not known) is another one
// by now, which has got the inode of one that was removed.
const char *file_watch_name(uint32_t dev, uint64_t ino, unsigned nth, const char *own);
