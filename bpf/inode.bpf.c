// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `inode`: calls that make, remove and rename directory entries or change permissions, seen when they
// return. What they were about has by then another name or none, so all but fchmod() are known by the names
// that the caller gave.
#include "wire/inode.h"
#include "bpf/lib/call.h"
#include "bpf/lib/caller_path.h"
#include "bpf/lib/wake.h"

// By type, a bit each.
__u32 inode_any_path; // some rule can match whatever the names are
__u32 inode_failed;   // some rule can match a call that failed

struct inode_record {
    struct wire_inode event;
    char data[WIRE_INODE_DATA_MAX];
    // Not sent, and here for the reason that path_append() gives.
    __u64 names[2]; // in user memory
    bool hit;       // a name passes the filter
    struct filter_component component;
};

SCRATCH(scratch, struct inode_record)

// The latest starts of a part of the data, by which each leaves room for those behind it.
#define RAW_LIMIT WIRE_INODE_RAW_MAX
#define PATH_LIMIT(n) (2 * WIRE_INODE_RAW_MAX + ((n) + 1) * WIRE_INODE_PATH_MAX - WIRE_PATH_COMPONENT_MAX)

INLINE __u32 data_used(struct scratch_slot *slot)
{
    return *(volatile __u32 *)&slot->used;
}

INLINE void inode_name(volatile struct inode_record *record, int n, int dirfd, __u64 name)
{
    record->event.names[n].dirfd = dirfd;
    record->names[n] = name;
}

// What the caller asked for.
INLINE void inode_asked(const struct call *call, volatile struct inode_record *record)
{
    record->event.mode = 0;
    record->event.flags = 0;
    record->hit = false;
    inode_name(record, 1, AT_FDCWD, 0);
    switch (call->type) {
    case WIRE_INODE_SYMLINK:
    case WIRE_INODE_LINK:
    case WIRE_INODE_RENAME:
        inode_name(record, 0, AT_FDCWD, CALL_ARG1(call));
        inode_name(record, 1, AT_FDCWD, CALL_ARG2(call));
        break;
    case WIRE_INODE_SYMLINKAT:
        inode_name(record, 0, AT_FDCWD, CALL_ARG1(call));
        inode_name(record, 1, CALL_ARG2(call), CALL_ARG3(call));
        break;
    case WIRE_INODE_LINKAT:
    case WIRE_INODE_RENAMEAT2:
        record->event.flags = CALL_ARG5(call);
        __attribute__((fallthrough));
    case WIRE_INODE_RENAMEAT:
        inode_name(record, 0, CALL_ARG1(call), CALL_ARG2(call));
        inode_name(record, 1, CALL_ARG3(call), CALL_ARG4(call));
        break;
    case WIRE_INODE_MKDIR:
    case WIRE_INODE_CHMOD:
        record->event.mode = CALL_ARG2(call);
        __attribute__((fallthrough));
    case WIRE_INODE_UNLINK:
    case WIRE_INODE_RMDIR:
        inode_name(record, 0, AT_FDCWD, CALL_ARG1(call));
        break;
    case WIRE_INODE_FCHMODAT2:
        record->event.flags = CALL_ARG4(call);
        __attribute__((fallthrough));
    case WIRE_INODE_MKDIRAT:
    case WIRE_INODE_FCHMODAT:
        record->event.mode = CALL_ARG3(call);
        inode_name(record, 0, CALL_ARG1(call), CALL_ARG2(call));
        break;
    case WIRE_INODE_UNLINKAT:
        record->event.flags = CALL_ARG3(call);
        inode_name(record, 0, CALL_ARG1(call), CALL_ARG2(call));
        break;
    case WIRE_INODE_FCHMOD:
        record->event.mode = CALL_ARG2(call);
        inode_name(record, 0, CALL_ARG1(call), 0);
        break;
    }
}

INLINE bool is_symlink(const struct call *call)
{
    return call->type == WIRE_INODE_SYMLINK || call->type == WIRE_INODE_SYMLINKAT;
}

// Copies a name behind what is there already. Returns where it begins, or NULL: nowhere, or nobody knows.
// Sets *ret_hit where the filter lets the name pass.
INLINE const struct path *inode_read(struct scratch_slot *slot, const struct call *call, int n)
{
    struct inode_record *record = &slot->record;
    struct wire_inode_name *name = &record->event.names[n];
    bool itself = call->type == WIRE_INODE_FCHMOD;
    name->how = 0;
    name->raw_size = 0;
    name->path_size = 0;
    __u32 at = data_used(slot);
    if (at > RAW_LIMIT)
        return NULL;
    char *raw = record->data + at;
    long size = 0;
    if (!itself) {
        size = bpf_probe_read_user_str(raw, WIRE_INODE_RAW_MAX, (void *)*(volatile __u64 *)&record->names[n]);
        // Older kernels, 6.1 among them, give 0 for an empty name instead of its NUL.
        if (size == 0) {
            *raw = '\0';
            size = 1;
        }
        if (size < 0 || size > WIRE_INODE_RAW_MAX)
            return NULL;
        name->raw_size = size;
        slot->used = at + size;
        if (filter_raw(raw, size, &record->component))
            *(volatile bool *)&record->hit = true;
    }
    if (n == 0 && is_symlink(call))
        return NULL;
    return caller_base(call->task, !itself && raw[0] == '/', *(volatile __s32 *)&name->dirfd);
}

INLINE void inode_append(struct scratch_slot *slot, int n, const struct path *base)
{
    struct wire_inode_name *name = &slot->record.event.names[n];
    __u32 begin = data_used(slot);
    name->how |= WIRE_INODE_BASED;
    if (path_append(base, slot->record.data, &slot->used, PATH_LIMIT(n)))
        name->how |= WIRE_INODE_TRUNCATED;
    name->path_size = data_used(slot) - begin;
}

// --- The adapters ---

INLINE void call_returned(struct call *call)
{
    __u32 bit = 1u << (call->type & 31);
    if (call->result < 0 && !(inode_failed & bit))
        return;
    struct scratch_slot *slot = scratch_take();
    if (!slot)
        return;
    struct inode_record *record = &slot->record;
    struct wire_inode *event = &record->event;
    bool any = inode_any_path & bit;
    inode_asked(call, record);

    const struct path *first = inode_read(slot, call, 0), *second = NULL;
    if (*(volatile __u64 *)&record->names[1])
        second = inode_read(slot, call, 1);
    else
        event->names[1] = (struct wire_inode_name){};
    bool same = first && first == second;
    if (!any && !*(volatile bool *)&record->hit && (!first || !filter_walk(first, FILTER_BASE)) &&
        (!second || same || !filter_walk(second, FILTER_BASE)))
        goto out;

    event->call.result = call->result;
    if (first)
        inode_append(slot, 0, first);
    if (same)
        event->names[1].how = WIRE_INODE_BASED | WIRE_INODE_SAME_BASE;
    else if (second)
        inode_append(slot, 1, second);

    __u32 used = data_used(slot);
    if (used > sizeof(record->data))
        used = sizeof(record->data);
    header_fill(&event->call.header, call->task, call->type, sizeof(*event) + used);
    ring_write(event, sizeof(*event) + used, !any || wake_for_type(&event->call.header, false));
out:
    scratch_give(slot);
}

CALL_PROGRAMS
