// The two ends of an IP socket, as they travel in records.
#pragma once

#include "wire/call.h"

enum wire_endpoint_role {
    WIRE_ROLE_UNKNOWN,
    WIRE_ROLE_CLIENT, // the local end asked for the connection
    WIRE_ROLE_SERVER, // it was accepted, or waits for others
};

enum wire_endpoint_flags {
    WIRE_ENDPOINT_CONNECTED = 1 << 0, // the socket has a peer
    WIRE_ENDPOINT_NAMED = 1 << 1,     // the call itself named the remote address
    WIRE_ENDPOINT_REMOTE =
        1 << 2, // nothing is known of the local end; a remote port of 0 is not known either
};

#define WIRE_FAMILY_UNIX 1 // has no addresses here

struct wire_endpoint {
    __u8 remote_addr[16]; // network order; IPv4 in the first four bytes; all zero where there is none
    __u8 local_addr[16];  // the same
    __u16 remote_port;    // host order
    __u16 local_port;
    __u8 family;   // 4 or 6, an IPv4-mapped IPv6 address is given as IPv4; WIRE_FAMILY_UNIX; 0: another
    __u8 protocol; // IPPROTO_TCP, IPPROTO_UDP, …
    __u8 role;     // enum wire_endpoint_role
    __u8 flags;    // enum wire_endpoint_flags
};
WIRE_SIZE(struct wire_endpoint, 40);

// What each record about a socket begins with.
struct wire_endpoint_call {
    struct wire_call call;
    struct wire_endpoint endpoint;
};
WIRE_SIZE(struct wire_endpoint_call, 136);
