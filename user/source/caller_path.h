// Names as the callers of system calls gave them (bpf/lib/caller_path.h), made absolute.
#pragma once

#include "event.h"

// Bytes of a wire path, and of a name with its NUL: what is longer counts as unknown.
enum { CALLER_PATH_WIRE_MAX = 16384, CALLER_PATH_NAME_MAX = 4096 };

// The path that a name leads to, by text alone: symbolic links in it are not resolved. `name` NULL: the path
// is that of `wire` itself. `wire` is the wire path of where the name begins; cut off where `truncated`. In
// the event's scratch room; NULL, and counted, where there is none.
const char *caller_path(const struct event *event, const char *name, const char *wire, size_t wire_size,
                        bool truncated);

// The same from a directory that is known as text, without counting.
const char *caller_path_join(const struct event *event, const char *directory, const char *name);

// Exports the counter. Before loading.
void caller_path_register(void);
