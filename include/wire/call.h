// Records of system calls that are reported when they return.
#pragma once

#include "wire/header.h"

#define WIRE_CALL_NUMBERS_MAX 512 // above every number of x86-64, i386 and arm64

// What each such record begins with.
struct wire_call {
    struct wire_header header;
    __s64 result; // what the call returned; a negative errno where it failed
};
WIRE_SIZE(struct wire_call, 96);
