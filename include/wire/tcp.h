// The source `tcp` sends no records: what it measures stays in the kernel (wire/measure.h), where this says
// what its measures and their details are.
#pragma once

#include "wire/header.h"

enum wire_tcp_measure {
    WIRE_TCP_CONNECTS, // time: from asking until connected
    WIRE_TCP_FAILURES, // of asking; detail: reason
    WIRE_TCP_OPENED,
    WIRE_TCP_ENDED, // time: since it was connected
    WIRE_TCP_BYTES, // amount
    WIRE_TCP_RTT,   // time: smoothed by the kernel
    WIRE_TCP_RETRANSMITS,
    WIRE_TCP_RESETS,
    WIRE_TCP_LISTEN_DROPS,
};

// What the other end is. The order is that of the names in user/source/tcp.c.
enum wire_tcp_peer {
    WIRE_TCP_PEER_NONE, // a listening socket
    WIRE_TCP_PEER_LOOPBACK,
    WIRE_TCP_PEER_CLUSTER,
    WIRE_TCP_PEER_PRIVATE,
    WIRE_TCP_PEER_PUBLIC,
    WIRE_TCP_PEERS,
};

// Which way: who asked for the connection, or where bytes and resets went.
enum wire_tcp_way { WIRE_TCP_OUT, WIRE_TCP_IN, WIRE_TCP_WAYS };

enum wire_tcp_reason {
    WIRE_TCP_REFUSED,
    WIRE_TCP_TIMED_OUT,
    WIRE_TCP_UNREACHABLE,
    WIRE_TCP_RESET,
    WIRE_TCP_NO_PORT, // no local port was free
    WIRE_TCP_ABORTED, // by the one who asked: closed, or the process ended
    WIRE_TCP_OTHER,
    WIRE_TCP_REASONS,
};

// struct wire_measure_key.detail.
#define WIRE_TCP_DETAIL(peer, way, reason) ((__u16)((peer) | (way) << 3 | (reason) << 4))
#define WIRE_TCP_DETAIL_PEER(detail) ((detail)&7)
#define WIRE_TCP_DETAIL_WAY(detail) ((detail) >> 3 & 1)
#define WIRE_TCP_DETAIL_REASON(detail) ((detail) >> 4)

#define WIRE_TCP_PREFIXES_MAX 128

// A range of addresses; an IPv4 address is an IPv4-mapped one of IPv6, so its bits are 96 more.
struct wire_tcp_prefix {
    __u32 bits;
    __u8 addr[16];
};
WIRE_SIZE(struct wire_tcp_prefix, 20);
