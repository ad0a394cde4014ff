// Records of the source `connect`.
#pragma once

#include "wire/endpoint.h"

enum wire_connect_type {
    WIRE_CONNECT_CONNECT,
    WIRE_CONNECT_TYPES,
};

// The result is 0 or a negative errno (-EINPROGRESS for a non-blocking one).
struct wire_connect {
    struct wire_endpoint_call call;
    __s32 fd;        // -1 where it is not known
    __u8 has_result; // 0: the result could not be joined (io_uring)
    __u8 reserved[3];
};
WIRE_SIZE(struct wire_connect, 144);
