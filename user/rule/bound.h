// A condition fitted to one type of event: fields that the type does not have and what is the same in all its
// events are folded away.
#pragma once

#include "compiler.h"

enum bound_kind { BOUND_FALSE, BOUND_TRUE, BOUND_TEST, BOUND_NOT, BOUND_AND, BOUND_OR };

struct bound {
    enum bound_kind kind;
    struct bound *first;
    struct bound *next;
    // BOUND_TEST
    const struct term *left;
    const struct term *right;  // or NULL
    const struct field *field; // of `left`, where that is a field alone; otherwise NULL
    const struct comparison *comparison;
};

// NULL: memory is short.
struct bound *bound_new(const struct expr *expr, const struct event_type *type, struct arena *arena);

// Turns it into steps. False: memory is short.
bool bound_emit(const struct bound *bound, const struct event_type *type, struct compiler *compiler,
                struct table *readings, struct judge *ret_judge);

// What a test reads. NULL: memory is short.
struct reading *bound_reading(const struct term *term, const struct event_type *type,
                              struct compiler *compiler, struct table *readings);

// Adds what the condition needs of a source that opens files. False: memory is short.
bool bound_demand(const struct bound *bound, struct arena *arena, struct demand *demand);

// True where the condition can hold for an event that is about a TCP socket.
bool bound_matches_tcp(const struct bound *bound);
// The same for a socket that is neither IPv4 nor IPv6.
bool bound_matches_foreign(const struct bound *bound);
// The same for a send to the address to which the socket has sent before (fd.name_changed = false).
bool bound_matches_repeated(const struct bound *bound);

// The same of a source that changes files, for its type.
bool bound_changes(const struct bound *bound, size_t type, struct arena *arena, struct demand *demand);

// Adds the numbers with which the condition compares sums of bytes.
void bound_thresholds(const struct bound *bound, struct demand *demand);

// Adds what tells early that an event of this type can match. The same.
bool bound_clues(const struct bound *bound, size_t type, struct arena *arena, struct demand *demand);
