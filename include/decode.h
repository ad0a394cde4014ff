// From bytes in the ring to an event: checks every bound before anything is read.
#pragma once

#include "event.h"

#include <stddef.h>

// Fills type, wire, num, time_ns and scratch of the event. -EPROTO for a record that does not hold
// together; it is counted as inferscope_records_malformed_total. -ENOMSG for one that is no event: its source
// has learnt from it.
int decode_record(const struct wire_header *record, size_t size, struct scratch *scratch,
                  struct event *ret_event);

// Learns the distance from CLOCK_BOOTTIME to the wall clock, in ns; call it once a second or so, because the
// wall clock can be set. Returns it.
int64_t decode_set_clock(void);
// Takes it from a recording.
void decode_set_distance(int64_t boot_to_epoch_ns);
