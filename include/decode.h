// From bytes in the ring to an event: checks every bound before anything is read.
#pragma once

#include "event.h"

#include <stddef.h>

// Fills type, wire, num, time_ns and scratch of the event. -EPROTO for a record that does not hold
// together; it is counted as inferscope_records_malformed_total.
int decode_record(const struct wire_header *record, size_t size, struct scratch *scratch,
                  struct event *ret_event);

// Learns the distance between CLOCK_BOOTTIME and the wall clock; call it once a second or so, because the
// wall clock can be set.
void decode_set_clock(void);

// Turns a wire path (include/wire/path.h) into /an/absolute/path. Returns its length, or -ENOBUFS where
// `capacity` is too small, or -EPROTO. `ret_path` is untouched on failure.
int decode_path(const char *wire, size_t size, char *ret_path, size_t capacity);

// Joins a directory and a name as the caller gave it and removes ".", ".." and double slashes by text alone.
// The same returns.
int decode_path_join(const char *directory, const char *name, char *ret_path, size_t capacity);
