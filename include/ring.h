// The ring that all sources write and the one reader drains, and the counters of what did not fit.
#pragma once

#include "wire/header.h"

#include <stddef.h>
#include <stdint.h>

struct ring;

// The record is valid only during the call.
typedef void (*ring_record_fn)(const struct wire_header *record, size_t size, void *context);

// `size` is rounded up to a power of two of at least a page. 0 or a negative errno.
int ring_new(size_t size, ring_record_fn on_record, void *context, struct ring **ret_ring);
void ring_free(struct ring **ring);

int ring_map_fd(const struct ring *ring);  // for the sources; borrowed
int ring_lost_fd(const struct ring *ring); // the same
int ring_epoll_fd(const struct ring *ring);

// How many records of a source were lost for that reason since the ring was made.
uint64_t ring_lost(const struct ring *ring, size_t source, enum wire_lost reason);
// The reason as a metric's label has it: "ring_full".
const char *ring_lost_reason(enum wire_lost reason);

// Hands over at most `limit` records. The number handed over, so that a full batch means: come again.
int ring_drain(struct ring *ring, size_t limit);
