// The source `tcp` sends no records: what it measures stays in the kernel (wire/measure.h), where this says
// what its measures and their details are.
#pragma once

#include "wire/header.h"
#include "wire/peer.h"

enum wire_tcp_measure {
    WIRE_TCP_CONNECTS, // time: from asking until connected; of those that others asked for, only how many
    WIRE_TCP_FAILURES, // of asking; detail: reason
    WIRE_TCP_ENDED,    // time: since it was connected
    WIRE_TCP_BYTES,    // amount
    WIRE_TCP_RTT,      // time: smoothed by the kernel
    WIRE_TCP_RETRANSMITS,
    WIRE_TCP_RESETS,
    WIRE_TCP_LISTEN_DROPS,
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

// struct wire_measure_key.detail; `peer` is enum wire_peer.
#define WIRE_TCP_DETAIL(peer, way, reason) ((__u16)((peer) | (way) << 3 | (reason) << 4))
#define WIRE_TCP_DETAIL_PEER(detail) ((detail)&7)
#define WIRE_TCP_DETAIL_WAY(detail) ((detail) >> 3 & 1)
#define WIRE_TCP_DETAIL_REASON(detail) ((detail) >> 4)
