// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `onnx`: models that ONNX Runtime runs, by uprobes in its library. Nothing is sent but the making of
// sessions; the rest is added up here. Return probes are safe: all functions of its API are declared
// noexcept, so no exception ever passes through them.
#include "wire/onnx.h"
#include "bpf/lib/measure.h"
#include "bpf/lib/model.h"
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
        model_send(call.words[1], went_well(regs), took_ns);
    return 0;
}
