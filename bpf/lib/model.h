// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Telling of a model that was loaded (include/wire/model.h).
#pragma once

#include "bpf/lib/caller_path.h"
#include "bpf/lib/path.h"
#include "wire/model.h"

struct model_record {
    struct wire_model_load event;
    char data[WIRE_MODEL_RAW_MAX + WIRE_MODEL_PATH_MAX];
};

SCRATCH(model_scratch, struct model_record)

INLINE __u32 model_data_used(struct model_scratch_slot *slot)
{
    return *(volatile __u32 *)&slot->used;
}

INLINE void model_name(struct model_scratch_slot *slot, __u64 name, struct task_struct *task)
{
    struct wire_model_load *event = &slot->record.event;
    char *data = slot->record.data;
    long size = name ? bpf_probe_read_user_str(data, WIRE_MODEL_RAW_MAX, (const void *)name) : 0;
    if (size <= 1 || size > WIRE_MODEL_RAW_MAX)
        return;
    event->raw_size = size;
    slot->used = size;
    const struct path *base = caller_base(task, data[0] == '/', AT_FDCWD);
    if (!base)
        return;
    __u32 begin = model_data_used(slot);
    event->flags |= WIRE_MODEL_BASED;
    if (path_append(base, data, &slot->used, sizeof(slot->record.data) - WIRE_PATH_COMPONENT_MAX))
        event->flags |= WIRE_MODEL_TRUNCATED;
    event->path_size = model_data_used(slot) - begin;
}

// `name`: of the file, in user memory; 0: there is none.
INLINE void model_send(__u64 name, bool loaded, __u64 took_ns)
{
    struct task_struct *task = (void *)bpf_get_current_task();
    struct model_scratch_slot *slot = model_scratch_take();
    if (!slot)
        return;
    struct wire_model_load *event = &slot->record.event;
    __builtin_memset(event, 0, sizeof(*event));
    event->took_ns = took_ns;
    event->flags = loaded ? WIRE_MODEL_LOADED : 0;
    model_name(slot, name, task);
    __u32 used = model_data_used(slot);
    if (used > sizeof(slot->record.data))
        used = sizeof(slot->record.data);
    header_fill(&event->header, task, 0, sizeof(*event) + used);
    ring_write(event, sizeof(*event) + used, true);
    model_scratch_give(slot);
}
