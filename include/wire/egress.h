// Records of the source `egress`, and what it keeps in maps: bytes that leave the node, by who sends them and
// where they go.
#pragma once

#include "wire/endpoint.h"

enum wire_egress_type {
    WIRE_EGRESS_EGRESS, // made in user space, out of the flows below
    WIRE_EGRESS_TYPES,
};

// Over how long bytes are added up.
enum wire_egress_window {
    WIRE_EGRESS_MINUTE,
    WIRE_EGRESS_TEN_MINUTES,
    WIRE_EGRESS_HOUR,
    WIRE_EGRESS_WINDOWS,
};

// The header and the endpoint are those of who sent most of what was sent in the last second.
struct wire_egress {
    struct wire_endpoint_call call;
    __u64 bytes[WIRE_EGRESS_WINDOWS]; // of the container, or of the cgroup, to that name
    __u64 sent;                       // of these, since that was last told of
    __u64 adds_only;                  // 1: it is told only for rules that add up what was sent
};
WIRE_SIZE(struct wire_egress, 176);

// Who sends where. Where there is no room for more of these, the cgroup alone is told, and all else is zero.
struct wire_egress_key {
    __u64 cgroup_id;     // that and the next two: as in struct wire_header, of who sends by the socket
    __u64 start_time_ns; // this and the next: zeroes where only the cgroup is known
    __u32 pid;
    __u16 port;    // the remote one, host order; 0: most likely one of a client of ours
    __u8 family;   // 4 or 6; 0: not known
    __u8 protocol; // IPPROTO_…
    __u8 addr[16]; // the remote one, network order; IPv4 in the first four bytes
};
WIRE_SIZE(struct wire_egress_key, 40);

struct wire_egress_flow {
    struct wire_header owner; // its pid 0: not known
    __u64 bytes;              // behind the headers of TCP and UDP; what is sent again counts again
    __u64 packets;
    __u64 connections; // by TCP asked for, by UDP sockets that sent
    __u64 last_ns;     // CLOCK_BOOTTIME
};
WIRE_SIZE(struct wire_egress_flow, 120);

// A record that is no event: the first bytes that a client sent on a TCP connection, if they begin a TLS
// handshake. size bytes of them follow.
#define WIRE_EGRESS_HELLO WIRE_EGRESS_TYPES
#define WIRE_EGRESS_HELLO_MAX 2048

struct wire_egress_hello {
    struct wire_header header; // names no process
    __u8 addr[16];
    __u8 family;
    __u8 reserved;
    __u16 size;
    __u32 reserved_too;
};
WIRE_SIZE(struct wire_egress_hello, 112);
