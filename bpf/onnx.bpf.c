// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `onnx`: models that ONNX Runtime runs, by uprobes in its library. Nothing is sent but the making of
// sessions; the rest is added up here. Return probes are safe: all functions of its API are declared
// noexcept, so no exception ever passes through them.
#include "wire/onnx.h"
#include "bpf/lib/caller_path.h"
#include "bpf/lib/measure.h"
#include "bpf/lib/path.h"
#include "bpf/lib/under_way.h"
#include "bpf/lib/work.h"

bool onnx_sessions_wanted; // some rule is about sessions

enum { CALL_RUN, CALL_RUN_ASYNC, CALL_SESSION }; // kinds of calls under way

// Each function returns an OrtStatus *, which is NULL where all went well.
INLINE bool went_well(struct pt_regs *regs)
{
    return PT_REGS_RC(regs) == 0;
}

// --- Running a model ---

INLINE void run_enter(struct pt_regs *regs, __u32 kind, __u64 call)
{
    __u64 words[UNDER_WAY_WORDS] = {call};
    under_way_enter(regs, kind, words);
}

INLINE void run_leave(struct pt_regs *regs, __u32 kind)
{
    struct under_way call;
    __u64 took_ns;
    if (!under_way_leave(regs, kind, &call, &took_ns))
        return;
    struct wire_measure_key key = measure_key(measure_cgroup(), WIRE_ONNX_RUN, call.words[0]);
    if (!went_well(regs)) {
        measure_add_failed(&key);
        return;
    }
    measure_add(&key, took_ns, 0);
    // Of the others it is not known how long they take.
    if (kind == CALL_RUN)
        work_add(WIRE_WORK_RUN, took_ns, 1, 0);
}

SEC("uprobe")
int onnx_run_enter(struct pt_regs *regs)
{
    run_enter(regs, CALL_RUN, WIRE_ONNX_CALL_RUN);
    return 0;
}

SEC("uprobe")
int onnx_binding_enter(struct pt_regs *regs)
{
    run_enter(regs, CALL_RUN, WIRE_ONNX_CALL_RUN_WITH_BINDING);
    return 0;
}

SEC("uretprobe")
int onnx_run_leave(struct pt_regs *regs)
{
    run_leave(regs, CALL_RUN);
    return 0;
}

// Its end is told to a function of the program, in another thread.
SEC("uprobe")
int onnx_async_enter(struct pt_regs *regs)
{
    run_enter(regs, CALL_RUN_ASYNC, WIRE_ONNX_CALL_RUN_ASYNC);
    return 0;
}

SEC("uretprobe")
int onnx_async_leave(struct pt_regs *regs)
{
    run_leave(regs, CALL_RUN_ASYNC);
    return 0;
}

// --- Sessions ---

struct session_record {
    struct wire_onnx_session event;
    char data[WIRE_ONNX_RAW_MAX + WIRE_ONNX_PATH_MAX];
};

SCRATCH(scratch, struct session_record)

INLINE __u32 data_used(struct scratch_slot *slot)
{
    return *(volatile __u32 *)&slot->used;
}

INLINE void session_name(struct scratch_slot *slot, __u64 name, struct task_struct *task)
{
    struct wire_onnx_session *event = &slot->record.event;
    char *data = slot->record.data;
    long size = name ? bpf_probe_read_user_str(data, WIRE_ONNX_RAW_MAX, (const void *)name) : 0;
    if (size <= 1 || size > WIRE_ONNX_RAW_MAX)
        return;
    event->raw_size = size;
    slot->used = size;
    const struct path *base = caller_base(task, data[0] == '/', AT_FDCWD);
    if (!base)
        return;
    __u32 begin = data_used(slot);
    event->flags |= WIRE_ONNX_BASED;
    if (path_append(base, data, &slot->used, sizeof(slot->record.data) - WIRE_PATH_COMPONENT_MAX))
        event->flags |= WIRE_ONNX_TRUNCATED;
    event->path_size = data_used(slot) - begin;
}

INLINE void session_send(__u64 name, bool loaded, __u64 took_ns)
{
    struct task_struct *task = (void *)bpf_get_current_task();
    struct scratch_slot *slot = scratch_take();
    if (!slot)
        return;
    struct wire_onnx_session *event = &slot->record.event;
    __builtin_memset(event, 0, sizeof(*event));
    event->took_ns = took_ns;
    event->flags = loaded ? WIRE_ONNX_LOADED : 0;
    session_name(slot, name, task);
    __u32 used = data_used(slot);
    if (used > sizeof(slot->record.data))
        used = sizeof(slot->record.data);
    header_fill(&event->header, task, 0, sizeof(*event) + used);
    ring_write(event, sizeof(*event) + used, true);
    scratch_give(slot);
}

// OrtStatus *CreateSession(const OrtEnv *env, const char *model_path, …)
SEC("uprobe")
int onnx_session_enter(struct pt_regs *regs)
{
    __u64 words[UNDER_WAY_WORDS] = {WIRE_ONNX_FROM_FILE, PT_REGS_PARM2(regs)};
    under_way_enter(regs, CALL_SESSION, words);
    return 0;
}

SEC("uprobe")
int onnx_session_memory_enter(struct pt_regs *regs)
{
    __u64 words[UNDER_WAY_WORDS] = {WIRE_ONNX_FROM_MEMORY};
    under_way_enter(regs, CALL_SESSION, words);
    return 0;
}

// By now the name has been read by the library, so that it is in memory.
SEC("uretprobe")
int onnx_session_leave(struct pt_regs *regs)
{
    struct under_way call;
    __u64 took_ns;
    if (!under_way_leave(regs, CALL_SESSION, &call, &took_ns))
        return 0;
    struct wire_measure_key key = measure_key(measure_cgroup(), WIRE_ONNX_SESSION, call.words[0]);
    if (went_well(regs))
        measure_add(&key, took_ns, 0);
    else
        measure_add_failed(&key);
    if (onnx_sessions_wanted)
        session_send(call.words[1], went_well(regs), took_ns);
    return 0;
}
