// Records of the source `control`.
#pragma once

#include "wire/descriptor.h"

enum wire_control_type {
    WIRE_CONTROL_PTRACE,
    WIRE_CONTROL_INIT_MODULE,
    WIRE_CONTROL_FINIT_MODULE,
    WIRE_CONTROL_BPF,
    WIRE_CONTROL_SETNS,
    WIRE_CONTROL_UNSHARE,
    WIRE_CONTROL_SETUID,
    WIRE_CONTROL_USERFAULTFD,
    WIRE_CONTROL_TYPES,
};

// All types but those that load modules.
struct wire_control {
    struct wire_call call;
    __s64 what;        // request (ptrace), command (bpf), kind (setns), user (setuid), else flags
    __s32 subject;     // ptrace: the other process, as the caller counts; setns: the descriptor; else 0
    char namespace[8]; // setns: the kernel's name for the kind of the descriptor's namespace: "mnt"; else
                       // empty
    __u32 reserved;
};
WIRE_SIZE(struct wire_control, 120);

#define WIRE_CONTROL_UARGS_MAX 4096

// A module was loaded, or that was tried. The descriptor is that of finit_module(); init_module() has none.
// After the struct follow the file's path and uargs_size bytes: the module's parameters with NUL, or nothing
// where they could not be read.
struct wire_control_module {
    struct wire_descriptor_call call;
    __u64 length; // init_module: bytes of the module
    __u32 flags;  // finit_module: MODULE_INIT_*
    __u32 uargs_size;
};
WIRE_SIZE(struct wire_control_module, 184);
