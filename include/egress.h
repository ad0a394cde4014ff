// What leaves the node: bytes and connections by destination, for metrics.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct egress_total {
    uint64_t cgroup_id; // as in struct wire_header
    pid_t pid;          // a process of it; 0: not known
    const char *name;   // of the destination, or NULL where no name is known or there are too many; borrowed
    const char *peer_class; // as of TCP connections; static
    uint64_t bytes;
    uint64_t connections;
};

// Calls visit for each destination of each cgroup; several of one cgroup may have the same name, or none.
// Sums never fall but by destinations that are gone for long.
typedef void (*egress_visit_fn)(const struct egress_total *total, void *context);
void egress_visit(egress_visit_fn visit, void *context);
