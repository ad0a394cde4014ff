// What the other end of a connection is, by its address: which ranges belong to the cluster is configured,
// the others are known. The longest range that holds an address decides.
#pragma once

#include "wire/peer.h"

#include <stdbool.h>
#include <stdint.h>

// "10.244.0.0/16", "fd00::/8" or an address. False where it is none of these, or has bits set behind the
// prefix.
bool peer_prefix_read(const char *text, struct wire_peer_prefix *ret_prefix);

// Which ranges are the cluster's; `cluster` is NULL-terminated, or NULL. Needed before the next two. 0 or a
// negative errno.
int peer_ranges_set(char *const *cluster);
// Fills the map from ranges to enum wire_peer. 0 or a negative errno.
int peer_ranges_fill(int map_fd);
// An address of IPv4 (4) in the first four bytes, or of IPv6 (6); network order.
enum wire_peer peer_of(uint8_t family, const uint8_t *addr);

// The value of the label peer_class; NULL: it has none.
const char *peer_name(enum wire_peer peer);
