// What the other end of a connection is, by its address: which ranges belong to the cluster is configured,
// the others are known.
#pragma once

#include "wire/tcp.h"

#include <stdbool.h>

// "10.244.0.0/16", "fd00::/8" or an address. False where it is none of these, or has bits set behind the
// prefix.
bool tcp_prefix_read(const char *text, struct wire_tcp_prefix *ret_prefix);

// Fills the map from ranges to enum wire_tcp_peer; `cluster` is NULL-terminated, or NULL. 0 or a negative
// errno.
int tcp_peers_fill(int map_fd, char *const *cluster);
