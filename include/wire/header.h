// What every record in the ring starts with. Shared by bpf/ and user/: fixed-width types only, and padding
// that nobody wrote is a compile error.
#pragma once

#ifdef __bpf__
#include "vmlinux.h"
#else
#include <linux/types.h>
#include <stddef.h>
#endif

#define WIRE_COMM_LEN 16 // TASK_COMM_LEN

struct wire_header {
    __u32 size;          // bytes of the record, this header included
    __u16 source;        // position in SOURCE_LIST
    __u16 type;          // the source's own numbering, from include/wire/<source>.h
    __u64 time_ns;       // CLOCK_BOOTTIME
    __u64 start_time_ns; // CLOCK_BOOTTIME when the process started; with pid, who it is
    __u64 cgroup_id;     // kernfs id of the cgroup that names the container
    __u32 pid;           // thread group, in the initial pid namespace
    __u32 tid;
    __u32 uid; // effective, initial user namespace
    __u32 gid;
    __u64 cap_inheritable; // bit sets of capabilities: 1 << CAP_SYS_ADMIN
    __u64 cap_permitted;
    __u64 cap_effective;
    char comm[WIRE_COMM_LEN]; // of the thread group's leader
};

// Fails to compile when a struct has hidden padding: the sum of its parts must be its size.
#define WIRE_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has padding or changed size")

WIRE_SIZE(struct wire_header, 88);

// Places where a record can be lost in the kernel. Each has its own counter, per source.
enum wire_lost {
    WIRE_LOST_RING_FULL,    // the ring had no room
    WIRE_LOST_SCRATCH_BUSY, // the per-CPU buffer was in use by an interrupted program
    WIRE_LOST_STATE_FULL,   // a table that joins two hooks was full, or its entry was gone
    WIRE_LOST_OBJECT_GONE,  // what a call returned was closed again before it could be looked at
    WIRE_LOST_COUNT,
};

#define WIRE_SOURCES_MAX 32
