// What the other end of a connection is.
#pragma once

#include "wire/header.h"

// The order is that of the names in user/source/peer.c.
enum wire_peer {
    WIRE_PEER_NONE, // there is none: of a listening socket
    WIRE_PEER_LOOPBACK,
    WIRE_PEER_CLUSTER,
    WIRE_PEER_PRIVATE,
    WIRE_PEER_PUBLIC,
    WIRE_PEERS,
};

#define WIRE_PEER_PREFIXES_MAX 128

// A range of addresses; an IPv4 address is an IPv4-mapped one of IPv6, so its bits are 96 more.
struct wire_peer_prefix {
    __u32 bits;
    __u8 addr[16];
};
WIRE_SIZE(struct wire_peer_prefix, 20);
