// Records of system calls that are reported when they return.
#pragma once

#include "wire/header.h"

#define WIRE_CALL_NUMBERS_MAX 512 // above every number of x86-64, i386 and arm64

// Through socketcall() 32-bit programs may call all that is about sockets; its first argument says which
// (include/uapi/linux/net.h). To us each of them is a call with a number of its own, from here on.
#define WIRE_CALL_SOCKETCALL WIRE_CALL_NUMBERS_MAX
#define WIRE_CALL_SOCKETCALLS_MAX 32 // there are 20
#define WIRE_CALL_COMPAT_MAX (WIRE_CALL_SOCKETCALL + WIRE_CALL_SOCKETCALLS_MAX)

// What each such record begins with.
struct wire_call {
    struct wire_header header;
    __s64 result; // what the call returned; a negative errno where it failed
};
WIRE_SIZE(struct wire_call, 96);
