// Records of the source `dup`.
#pragma once

#include "wire/descriptor.h"

enum wire_dup_type {
    WIRE_DUP_DUP,
    WIRE_DUP_DUP2,
    WIRE_DUP_DUP3,
    WIRE_DUP_TYPES,
};

// The result is the new descriptor, which the record is about, or a negative errno. The path follows the
// struct.
struct wire_dup {
    struct wire_descriptor_call call;
    __s32 old_fd;
    __s32 new_fd; // as the caller gave it; 0 for dup(), which takes none
    __u32 flags;  // dup3() only: O_CLOEXEC
    __u32 reserved;
};
WIRE_SIZE(struct wire_dup, 184);
