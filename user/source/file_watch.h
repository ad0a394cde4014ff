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

// The path that a rule names for this inode, or NULL; `own` itself, by which the file was reached, where that
// is one. `dev` as the kernel keeps it, major << 20 | minor.
const char *file_watch_name(uint32_t dev, uint64_t ino, const char *own);
