// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `dup`: descriptors that are copied onto another number, and what they are. fcntl(F_DUPFD) is left
// out: fcntl() is called often, for much else.
#include "wire/dup.h"
#include "bpf/lib/descriptor.h"
#include "bpf/lib/wake.h"

struct dup_record {
    struct wire_dup event;
    char data[DESCRIPTOR_DATA_MAX];
};

SCRATCH(scratch, struct dup_record)

INLINE void call_returned(struct call *call)
{
    struct scratch_slot *slot = scratch_take();
    if (!slot)
        return;
    struct wire_dup *event = &slot->record.event;
    bool is_ip = false;
    __builtin_memset(event, 0, sizeof(*event));
    event->call.call.call.result = call->result;
    event->old_fd = CALL_ARG1(call);
    if (call->type != WIRE_DUP_DUP)
        event->new_fd = CALL_ARG2(call);
    if (call->type == WIRE_DUP_DUP3)
        event->flags = CALL_ARG3(call);
    if (call->result >= 0) {
        is_ip = descriptor_fill(&event->call, call->task, call->result, sizeof(*event), slot->record.data,
                                &slot->used);
        if (!event->call.descriptor.flags)
            lost_add(WIRE_LOST_OBJECT_GONE);
    }
    __u32 used = *(volatile __u32 *)&slot->used;
    if (used > sizeof(slot->record.data))
        used = sizeof(slot->record.data);
    header_fill(&event->call.call.call.header, call->task, call->type, sizeof(*event) + used);
    // Shells copy files and pipes all the time. What a rule must hear of at once is a socket.
    ring_write(event, sizeof(*event) + used, wake_for_type(&event->call.call.call.header, !is_ip));
    scratch_give(slot);
}

CALL_PROGRAMS
