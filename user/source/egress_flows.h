// Bytes that leave the node, added up in user space: by cgroup and destination, over the last hour.
#pragma once

#include "egress.h"
#include "event.h"
#include "wire/egress.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    EGRESS_DESTINATIONS_MAX = 4096,
    EGRESS_NAMES_SHOWN_MAX = 2000, // in metrics
    EGRESS_NAME_MAX = 254,
};

struct egress_destination;

// For each destination to which something was sent since it was last told so, with the sums of now.
typedef void (*egress_changed_fn)(struct egress_destination *destination, const struct wire_header *owner,
                                  const struct wire_egress_key *key,
                                  const uint64_t before[WIRE_EGRESS_WINDOWS],
                                  const uint64_t after[WIRE_EGRESS_WINDOWS]);

// Has what it counts exported from 0 on. `visit` is called by egress_flows_changed(), and by
// egress_flows_add() for a destination that gives its place to another one.
void egress_flows_start(egress_changed_fn visit);

// The name of where something is being sent; "": none. A name whose time is over lives on for a minute, as a
// connection outlives it: it would be a stranger's to rules. *name_kept is owned by the caller, NULL at
// first. Borrowed until the next name is learnt.
const char *egress_flows_name(const struct wire_egress_key *key, char **name_kept, uint64_t now_ns);

// What was sent to an address since the last time, by whom, to the destination of that name ("" where it has
// none: then it is known by its address). Times are ns of CLOCK_BOOTTIME. NULL: there is no room, which is
// counted.
struct egress_destination *egress_flows_add(const struct wire_egress_key *key,
                                            const struct wire_header *owner, const char *name, uint64_t bytes,
                                            uint64_t connections, uint64_t now_ns);
// The bytes over each window, up to now.
void egress_flows_sums(struct egress_destination *destination, uint64_t now_ns,
                       uint64_t ret_bytes[WIRE_EGRESS_WINDOWS]);
void egress_flows_changed(uint64_t now_ns);
// The bytes since the last call, which are thereby told.
uint64_t egress_flows_take(struct egress_destination *destination);
// The same for all destinations, where nobody has asked for them until now.
void egress_flows_forgo(void);
void egress_flows_clear(void);
