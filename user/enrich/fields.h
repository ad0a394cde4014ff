// What the tables of fields in this folder share.
#pragma once

#include "base/text.h"
#include "event.h"

// All getters share one signature; most need no argument and have one value.
#define GETTER(name)                                                                     \
    static bool name(const struct event *event, const struct field_arg *arg, size_t nth, \
                     struct value *ret_value)

// A text that is put together once an event: many rules and outputs may ask for it, and the event's room is
// limited. `data` is NULL where there is none.
struct field_cache {
    uint64_t num;
    const char *data;
    size_t length;
};
// True where the event's text is in the cache already; else the cache is the event's from now on, and empty.
bool field_cached(struct field_cache *cache, const struct event *event);
// Keeps a copy in the event's room.
void field_cache_set(struct field_cache *cache, const struct event *event, const struct text *text);

// Time fields are those of the wall clock, as in the event. `boot_ns` is of CLOCK_BOOTTIME.
uint64_t field_wall_ns(const struct event *event, uint64_t boot_ns);
bool value_set_time(struct value *ret_value, uint64_t epoch_ns);
bool value_set_duration(struct value *ret_value, uint64_t duration_ns);

// 0 is the event's process itself, 1 its parent. NULL where the line ends.
struct process *process_above(const struct event *event, size_t index);

typedef bool (*process_read_fn)(const struct process *process, struct value *ret_value);

bool process_read_name(const struct process *process, struct value *ret_value);
bool process_read_exe(const struct process *process, struct value *ret_value);
bool process_read_exepath(const struct process *process, struct value *ret_value);

// With an index that ancestor's value; without one those of all ancestors, from the parent on, as far as they
// have one: a missing value must not hide those above it.
bool process_read_ancestor(const struct event *event, const struct field_arg *arg, size_t nth,
                           process_read_fn read, struct value *ret_value);
