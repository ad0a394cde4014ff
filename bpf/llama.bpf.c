// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `llama`: batches that llama.cpp computes, by uprobes in its library or in programs that hold a copy.
// There are two ways to hand it a batch: a struct by value (llama_decode), and one that is filled by calls
// (llama_process, from 2026 on). Nothing is sent but the loading of models; the rest is added up here.
#include "wire/llama.h"
#include "bpf/lib/measure.h"
#include "bpf/lib/model.h"
#include "bpf/lib/under_way.h"
#include "bpf/lib/work.h"

bool llama_loads_wanted; // some rule is about models that are loaded

enum { CALL_BATCH, CALL_SYNCHRONIZE, CALL_LOGITS, CALL_LOAD }; // kinds of calls under way

// A value of struct pointers as the program has it.
struct user_key {
    __u64 pointer;
    __u32 pid;
    __u32 reserved;
};

INLINE struct user_key user_key(__u64 pointer)
{
    return (struct user_key){.pointer = pointer, .pid = bpf_get_current_pid_tgid() >> 32};
}

// --- What is in a batch ---

#define SEQUENCES 256 // LLAMA_MAX_SEQ; where a program was built with more, they are taken for each other

struct batch {
    __u32 tokens;
    __u32 sequences; // of the tokens, a token that belongs to several counting for its first
    __u32 alone;     // sequences with one token
    __u32 reserved;
    __u64 seen[SEQUENCES / 64];
    __u64 again[SEQUENCES / 64];
};

// By the address of a `struct llama_batch_ext`: those that were seen empty. Of one that is pushed out the
// phase is unknown, and its metrics say so.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct user_key);
    __type(value, struct batch);
} batches SEC(".maps");

SCRATCH(classic, struct batch)

INLINE void batch_add(struct batch *batch, __u32 sequence)
{
    __u32 word = (sequence >> 6) & (SEQUENCES / 64 - 1);
    __u64 bit = 1ull << (sequence & 63);
    batch->tokens += 1;
    if (!(batch->seen[word] & bit)) {
        batch->seen[word] |= bit;
        batch->sequences += 1;
        batch->alone += 1;
    } else if (!(batch->again[word] & bit)) {
        batch->again[word] |= bit;
        batch->alone -= 1;
    }
}

INLINE __u32 batch_phase(const struct batch *batch)
{
    if (batch->alone == 0)
        return WIRE_LLAMA_PREFILL;
    return batch->alone == batch->tokens ? WIRE_LLAMA_DECODE : WIRE_LLAMA_MIXED;
}

// --- The batch that is filled by calls ---

INLINE void batch_empty(__u64 pointer)
{
    struct user_key key = user_key(pointer);
    struct batch blank = {};
    bpf_map_update_elem(&batches, &key, &blank, BPF_ANY);
}

SEC("uretprobe")
int llama_batch_made(struct pt_regs *regs)
{
    if (PT_REGS_RC(regs))
        batch_empty(PT_REGS_RC(regs));
    return 0;
}

SEC("uprobe")
int llama_batch_clear(struct pt_regs *regs)
{
    batch_empty(PT_REGS_PARM1(regs));
    return 0;
}

SEC("uprobe")
int llama_batch_add(struct pt_regs *regs)
{
    struct user_key key = user_key(PT_REGS_PARM1(regs));
    struct batch *batch = bpf_map_lookup_elem(&batches, &key);
    if (batch)
        batch_add(batch, PT_REGS_PARM2(regs));
    return 0;
}

SEC("uprobe")
int llama_batch_free(struct pt_regs *regs)
{
    struct user_key key = user_key(PT_REGS_PARM1(regs));
    bpf_map_delete_elem(&batches, &key);
    return 0;
}

// --- Contexts ---

#define NO_INDEX (-0x7fffffff - 1)

// By the address of a `struct llama_context`: what it computes or has computed last. Of one that is pushed
// out the phase of a wait is unknown.
struct context {
    __u32 phase;
    __s32 index; // of the logits that were fetched last since then
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct user_key);
    __type(value, struct context);
} contexts SEC(".maps");

INLINE enum wire_work_phase work_phase(__u32 phase)
{
    if (phase == WIRE_LLAMA_DECODE)
        return WIRE_WORK_DECODE;
    if (phase == WIRE_LLAMA_MIXED)
        return WIRE_WORK_MIXED;
    // What is not known belongs to nobody.
    return phase == WIRE_LLAMA_UNKNOWN ? WIRE_WORK_PHASES : WIRE_WORK_PREFILL;
}

// --- Batches that are computed ---

struct asked {
    __u64 context;
    __u32 phase;
    __u32 sequences;
    __u32 tokens;
    __u32 alone; // of the tokens
    __u64 reserved;
};
_Static_assert(sizeof(struct asked) == UNDER_WAY_WORDS * sizeof(__u64), "the words of a call under way");

INLINE void asked_take(struct asked *asked, const struct batch *batch)
{
    asked->phase = batch_phase(batch);
    asked->sequences = batch->sequences;
    asked->tokens = batch->tokens;
    asked->alone = batch->alone;
}

// `throws`: as the kind in user/source/llama.c does, so that there is no return probe.
INLINE void batch_begin(struct pt_regs *regs, const struct asked *asked, bool throws)
{
    struct user_key key = user_key(asked->context);
    struct context context = {.phase = asked->phase, .index = NO_INDEX};
    const __u64 *words = (const __u64 *)asked;
    if (throws ? under_way_enter_throwing(regs, CALL_BATCH, words) : under_way_enter(regs, CALL_BATCH, words))
        bpf_map_update_elem(&contexts, &key, &context, BPF_ANY);
}

INLINE void process_enter(struct pt_regs *regs, __u64 pointer, bool encoder, bool throws)
{
    struct asked asked = {.context = PT_REGS_PARM1(regs), .phase = WIRE_LLAMA_UNKNOWN};
    struct user_key key = user_key(pointer);
    const struct batch *batch = bpf_map_lookup_elem(&batches, &key);
    if (batch)
        asked_take(&asked, batch);
    if (batch && encoder)
        asked.phase = WIRE_LLAMA_ENCODE;
    batch_begin(regs, &asked, throws);
}

// By its second argument it goes on with one of the next two.
SEC("uprobe")
int llama_process_enter(struct pt_regs *regs)
{
    process_enter(regs, PT_REGS_PARM3(regs), (__u32)PT_REGS_PARM2(regs) == 0, false);
    return 0;
}

SEC("uprobe")
int llama_context_decode_enter(struct pt_regs *regs)
{
    process_enter(regs, PT_REGS_PARM2(regs), false, true);
    return 0;
}

SEC("uprobe")
int llama_context_encode_enter(struct pt_regs *regs)
{
    process_enter(regs, PT_REGS_PARM2(regs), true, true);
    return 0;
}

// llama.h: `struct llama_batch`. It may have more members at its end.
struct classic_batch {
    __s32 tokens;
    __u32 reserved;
    __u64 token;
    __u64 embeddings;
    __u64 positions;
    __u64 sequences_counts;
    __u64 sequences; // a pointer for each token, to its first sequence; NULL: all are of the same one
};

#define CLASSIC_LOOK 128 // tokens that are looked at

INLINE const void *classic_pointer(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
    return (const void *)(PT_REGS_SP(regs) + 8); // a struct of that size lies above the address to return to
#else
    return (const void *)PT_REGS_PARM2(regs);
#endif
}

// Programs put the tokens of a sequence side by side, and a prompt behind those sequences that have one token
// each; so what comes behind the tokens that are looked at is taken for more of the last one's.
INLINE bool classic_read(const struct classic_batch *given, struct batch *batch)
{
    __u32 count = given->tokens, sequence = 0;
    __builtin_memset(batch, 0, sizeof(*batch));
    for (__u32 i = 0; i < CLASSIC_LOOK; i++) {
        __u64 pointer = 0;
        if (i >= count)
            return true;
        if (given->sequences && (bpf_probe_read_user(&pointer, 8, (const __u64 *)given->sequences + i) ||
                                 bpf_probe_read_user(&sequence, 4, (const void *)pointer)))
            return false;
        batch_add(batch, sequence);
    }
    if (count > CLASSIC_LOOK) {
        batch_add(batch, sequence);
        batch->tokens = count;
    }
    return true;
}

INLINE void classic_enter(struct pt_regs *regs, bool encoder)
{
    struct asked asked = {.context = PT_REGS_PARM1(regs), .phase = WIRE_LLAMA_UNKNOWN};
    struct classic_batch given = {};
    bool read = bpf_probe_read_user(&given, sizeof(given), classic_pointer(regs)) == 0 && given.tokens >= 0;
    struct classic_slot *slot = read ? classic_take() : NULL;
    if (slot) {
        if (classic_read(&given, &slot->record))
            asked_take(&asked, &slot->record);
        classic_give(slot);
    }
    if (encoder && asked.phase != WIRE_LLAMA_UNKNOWN)
        asked.phase = WIRE_LLAMA_ENCODE;
    batch_begin(regs, &asked, true);
}

SEC("uprobe")
int llama_decode_enter(struct pt_regs *regs)
{
    classic_enter(regs, false);
    return 0;
}

SEC("uprobe")
int llama_encode_enter(struct pt_regs *regs)
{
    classic_enter(regs, true);
    return 0;
}

INLINE void tokens_add(__u64 cgroup_id, __u16 phase, __u32 tokens)
{
    struct wire_measure_key key = measure_key(cgroup_id, WIRE_LLAMA_TOKENS, phase);
    if (tokens)
        measure_add(&key, 0, tokens);
}

SEC("uretprobe")
int llama_batch_leave(struct pt_regs *regs)
{
    struct under_way call;
    __u64 took_ns;
    if (!under_way_leave(regs, CALL_BATCH, &call, &took_ns))
        return 0;
    const struct asked *asked = (const struct asked *)call.words;
    __u64 cgroup_id = measure_cgroup();
    struct wire_measure_key key = measure_key(cgroup_id, WIRE_LLAMA_BATCH, asked->phase);
    if ((__s32)PT_REGS_RC(regs) != 0) {
        measure_add_failed(&key);
        return 0;
    }
    measure_add(&key, took_ns, asked->tokens);
    if (asked->phase == WIRE_LLAMA_ENCODE) {
        tokens_add(cgroup_id, WIRE_LLAMA_ENCODE, asked->tokens);
    } else {
        tokens_add(cgroup_id, WIRE_LLAMA_PREFILL, asked->tokens - asked->alone);
        tokens_add(cgroup_id, WIRE_LLAMA_DECODE, asked->alone);
    }
    work_add(work_phase(asked->phase), took_ns, 1, asked->sequences);
    return 0;
}

// --- Waiting for a device ---

INLINE void wait_enter(struct pt_regs *regs, __u32 kind, __u32 phase)
{
    __u64 words[UNDER_WAY_WORDS] = {phase};
    if (kind == CALL_LOGITS)
        under_way_enter_throwing(regs, kind, words);
    else
        under_way_enter(regs, kind, words);
}

INLINE void wait_leave(struct pt_regs *regs, __u32 kind, __u16 what)
{
    struct under_way call;
    __u64 took_ns;
    if (!under_way_leave(regs, kind, &call, &took_ns))
        return;
    struct wire_measure_key key = measure_key(measure_cgroup(), WIRE_LLAMA_WAIT, what);
    measure_add(&key, took_ns, 0);
    work_add(work_phase(call.words[0]), took_ns, 0, 0);
}

SEC("uprobe")
int llama_synchronize_enter(struct pt_regs *regs)
{
    struct user_key key = user_key(PT_REGS_PARM1(regs));
    const struct context *context = bpf_map_lookup_elem(&contexts, &key);
    wait_enter(regs, CALL_SYNCHRONIZE, context ? context->phase : WIRE_LLAMA_UNKNOWN);
    return 0;
}

SEC("uretprobe")
int llama_synchronize_leave(struct pt_regs *regs)
{
    wait_leave(regs, CALL_SYNCHRONIZE, WIRE_LLAMA_SYNCHRONIZE);
    return 0;
}

// Who samples a token fetches its logits; who wants to know its probability, too, does so once more.
SEC("uprobe")
int llama_logits_enter(struct pt_regs *regs)
{
    struct user_key key = user_key(PT_REGS_PARM1(regs));
    struct context *context = bpf_map_lookup_elem(&contexts, &key);
    __s32 index = PT_REGS_PARM2(regs);
    if (context && context->index == index)
        return 0;
    if (context && context->index == NO_INDEX)
        wait_enter(regs, CALL_LOGITS, context->phase);
    if (context)
        context->index = index;
    struct wire_measure_key generated = measure_key(measure_cgroup(), WIRE_LLAMA_GENERATED, 0);
    measure_add_one(&generated);
    return 0;
}

SEC("uretprobe")
int llama_logits_leave(struct pt_regs *regs)
{
    wait_leave(regs, CALL_LOGITS, WIRE_LLAMA_LOGITS);
    return 0;
}

// --- Models ---

enum { LOAD_FILE, LOAD_SPLITS, LOAD_STREAM };

INLINE void load_enter(struct pt_regs *regs, __u64 how)
{
    __u64 words[UNDER_WAY_WORDS] = {PT_REGS_PARM1(regs), how};
    under_way_enter(regs, CALL_LOAD, words);
}

SEC("uprobe")
int llama_load_enter(struct pt_regs *regs)
{
    load_enter(regs, LOAD_FILE);
    return 0;
}

SEC("uprobe")
int llama_load_splits_enter(struct pt_regs *regs)
{
    load_enter(regs, LOAD_SPLITS);
    return 0;
}

SEC("uprobe")
int llama_load_stream_enter(struct pt_regs *regs)
{
    load_enter(regs, LOAD_STREAM);
    return 0;
}

// By now the name has been read by the library, so that it is in memory.
SEC("uretprobe")
int llama_load_leave(struct pt_regs *regs)
{
    struct under_way call;
    __u64 took_ns, name = 0;
    if (!under_way_leave(regs, CALL_LOAD, &call, &took_ns))
        return 0;
    bool loaded = PT_REGS_RC(regs) != 0;
    struct wire_measure_key key = measure_key(measure_cgroup(), WIRE_LLAMA_LOAD, 0);
    if (loaded)
        measure_add(&key, took_ns, 0);
    else
        measure_add_failed(&key);
    if (!llama_loads_wanted)
        return 0;
    if (call.words[1] == LOAD_FILE)
        name = call.words[0];
    else if (call.words[1] == LOAD_SPLITS)
        bpf_probe_read_user(&name, sizeof(name), (const void *)call.words[0]);
    model_send(name, loaded, took_ns);
    return 0;
}
