// The writer's side of the spool.
#pragma once

#include "spool_format.h"

struct segment {
    uint64_t first, end; // ordinals
    uint64_t size;       // bytes
    uint64_t oldest_ns, newest_ns;
};

enum { SPOOL_SEGMENT_SIZE_MAX = 16 << 20 };

// The segments of a class, the oldest first.
struct shelf {
    struct segment *segments;
    size_t count, capacity;
    int fd; // of the newest; -1: there is none yet
    uint64_t next_ordinal;
    bool unsynced;
};

// Why records are not in the spool, or no longer although an output has not read them.
enum spool_dropped {
    DROPPED_SIZE,    // to make room for others
    DROPPED_REFUSED, // graver ones have all the room
    DROPPED_AGE,
    DROPPED_DISK_FULL,
    DROPPED_ERROR,
    DROPPED_TOO_LARGE,
    DROPPED_REASONS,
};

struct spool {
    struct config_spool options;
    int directory_fd, lock_fd;
    int spare_fd; // -1: there is none
    uint64_t next_sequence;
    uint64_t bytes, segment_size;
    struct shelf shelves[SPOOL_CLASSES];
    uint64_t unsynced_ms; // when the oldest record came that is not on the disk yet; 0: there is none
    uint64_t dropped[DROPPED_REASONS][SPOOL_CLASSES];
    uint64_t damaged[SPOOL_CLASSES], torn[SPOOL_CLASSES], unreadable[SPOOL_CLASSES];
    uint64_t sync_errors;
    uint64_t told_ms; // when a loss was last said
};

// Makes a segment that the class is written to from now on, or takes the spare one. 0 or a negative errno.
int spool_rotate(struct spool *spool, enum spool_class class, bool spare);
// One is always made in advance, so that on a full disk a class whose records are all in its newest segment
// can give way: it goes on in the spare one. Where that fails, it is tried again the next time.
void spool_make_spare(struct spool *spool);
// NULL: the class has none yet.
struct segment *spool_newest(struct spool *spool, enum spool_class class);
// Counts records that some output will not get, and says so now and then.
void spool_drop(struct spool *spool, enum spool_dropped reason, enum spool_class class, uint64_t count);

// spool_open.c. Reads what lies in the directory. 0 or a negative errno.
int spool_load(struct spool *spool);
// Adds a segment behind the others, copied. 0 or -ENOMEM.
int spool_shelve(struct shelf *shelf, const struct segment *segment);

// spool_room.c. Deletes what all outputs have read.
void spool_release(struct spool *spool);
// Makes room for a record of that class and size by what is less grave, or older and as grave. 0 or -ENOSPC.
int spool_make_room(struct spool *spool, enum spool_class class, size_t size);
// Gives up the oldest segment of a class that is less grave. 0 or -ENOSPC.
int spool_give_way(struct spool *spool, enum spool_class class);
// Deletes what is too old.
void spool_expire(struct spool *spool);

// spool_metrics.c
int spool_metrics_start(const struct spool *spool);
void spool_metrics_stop(const struct spool *spool);
