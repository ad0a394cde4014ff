// Records of the source `connect`.
#pragma once

#include "wire/header.h"

enum wire_connect_type {
    WIRE_CONNECT_CONNECT,
    WIRE_CONNECT_TYPES,
};

struct wire_connect {
    struct wire_header header;
    __s64 result;         // 0 or negative errno (-EINPROGRESS for a non-blocking one)
    __u8 remote_addr[16]; // network order; IPv4 in the first four bytes
    __u8 local_addr[16];  // the same; all zero where the socket was not bound yet
    __u16 remote_port;    // host order
    __u16 local_port;
    __u8 family;     // 4 or 6; an IPv4-mapped IPv6 address is given as IPv4
    __u8 protocol;   // IPPROTO_TCP, IPPROTO_UDP
    __u8 has_result; // 0: the result could not be joined (io_uring, 32-bit callers)
    __u8 reserved;
    __s32 fd; // -1 where it is not known
    __u32 reserved2;
};
WIRE_SIZE(struct wire_connect, 120);
