// What files were found to be, by the kernel's names for them, so that each is looked through once.
#pragma once

#include "mapped.h"
#include "probe_file.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <uthash.h>

struct probed;

// For which kinds a file was looked through, a bit each, and which of them are to be tried again.
struct probe_look {
    uint64_t done;
    uint64_t again;
    time_t again_at;
    int wait_s;
};

// On overlays one file has several.
struct probe_seen {
    struct {
        uint32_t major, minor;
        uint64_t inode;
    } key;
    struct probed *probed; // NULL: nothing is probed in it
    struct probe_file file;
    struct probe_look look; // of one that is not probed
    time_t when;
    UT_hash_handle hh;
};

// Of those kinds, the ones that are to be looked for now.
uint64_t probe_look_to_do(const struct probe_look *look, uint64_t wanted, time_t now);
// A kind is to be looked for again: as soon as may be, or where the kernel refused after a while.
void probe_look_again(struct probe_look *look, uint64_t kind, bool refused, time_t now);
// As if the kind had never been looked for.
void probe_look_forget(struct probe_look *look, uint64_t kind);

struct probe_seen *probe_seen_find(const struct mapped_file *mapped);
// The one that was added longest ago makes room where there are too many. NULL: no memory.
struct probe_seen *probe_seen_add(const struct mapped_file *mapped, const struct probe_file *file);
void probe_seen_remove(struct probe_seen *seen);
// All names of a file; NULL: of those that have no probes.
void probe_seen_remove_all(const struct probed *probed);
void probe_seen_forget_kind(uint64_t kind);
