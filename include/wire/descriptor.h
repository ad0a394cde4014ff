// What an open descriptor is, as it travels in records.
#pragma once

#include "wire/endpoint.h"

#define WIRE_DESCRIPTOR_PATH_MAX 4096

enum wire_descriptor_flags {
    WIRE_DESCRIPTOR_KNOWN = 1 << 0,     // there was such a descriptor; else all but `num` is 0
    WIRE_DESCRIPTOR_TRUNCATED = 1 << 1, // the path was longer than a record holds
    WIRE_DESCRIPTOR_ABSTRACT = 1 << 2,  // the path is the name of a UNIX socket that is in no directory
};

struct wire_descriptor {
    __u64 ino;
    __u32 dev;       // major << 20 | minor, as the kernel keeps it
    __u32 magic;     // of the file system: <linux/magic.h>
    __s32 num;       // the descriptor itself
    __u16 mode;      // of the inode: S_IFMT and permissions
    __u16 family;    // of a socket: AF_*; else 0
    __u16 path_at;   // bytes from the beginning of the record to the path
    __u16 path_size; // of the file, or of the UNIX socket's or its peer's name: include/wire/path.h
    __u32 flags;     // enum wire_descriptor_flags
};
WIRE_SIZE(struct wire_descriptor, 32);

// What each record about a descriptor of any kind begins with. The endpoint is that of an IP socket.
struct wire_descriptor_call {
    struct wire_endpoint_call call;
    struct wire_descriptor descriptor;
};
WIRE_SIZE(struct wire_descriptor_call, 168);
