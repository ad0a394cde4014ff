#include "source.h"

#include "base/cleanup.h"
#include "caller_path.h"
#include "elf_symbols.h"
#include "llama.skel.h"
#include "model_fields.h"
#include "runtime.h"
#include "uprobe.h"
#include "wire/llama.h"

#include <errno.h>
#include <string.h>

RUNTIME_SKELETON(llama);

static const struct field load_fields[] = {
    MODEL_FIELDS(
        "The model's file as the caller named it, made absolute; of several, the first; symbolic links "
        "in it are not resolved; missing where an open file was given",
        "Whether the model was loaded; else that failed"),
};

static const struct event_type types[] = {
    {.name = "llama_load",
     .help = "A model was loaded by llama.cpp, or that was tried (--inference)",
     .fields = load_fields,
     .fields_count = ARRAY_SIZE(load_fields)},
};

// --- Measures ---

static int phase_label(uint16_t detail, struct label *ret_labels)
{
    static const char *const names[WIRE_LLAMA_PHASES] = {
        [WIRE_LLAMA_PREFILL] = "prefill", [WIRE_LLAMA_DECODE] = "decode",   [WIRE_LLAMA_MIXED] = "mixed",
        [WIRE_LLAMA_ENCODE] = "encode",   [WIRE_LLAMA_UNKNOWN] = "unknown",
    };
    if (detail >= WIRE_LLAMA_PHASES)
        return -EINVAL;
    ret_labels[0] = (struct label){"phase", names[detail]};
    return 1;
}

// What batches held is not known of those.
static int known_phase_label(uint16_t detail, struct label *ret_labels)
{
    return detail == WIRE_LLAMA_UNKNOWN ? -ENOENT : phase_label(detail, ret_labels);
}

static int wait_label(uint16_t detail, struct label *ret_labels)
{
    ret_labels[0] =
        (struct label){"call", detail == WIRE_LLAMA_LOGITS ? "llama_get_logits_ith" : "llama_synchronize"};
    return 1;
}

static const struct measure_family families[] = {
    {.name = "inferscope_llama_batch_duration_seconds",
     .unit = "seconds",
     .help = "Time that llama.cpp took for a batch, until the call returned: of prompts (prefill), of one "
             "token for each sequence (decode), of both (mixed), or for the encoder",
     .part = MEASURE_TIME,
     .measure = WIRE_LLAMA_BATCH,
     .first = 6, // 64 µs
     .last = 25, // 34 s
     .labels = phase_label},
    {.name = "inferscope_llama_batch_tokens",
     .help = "Tokens in a batch that llama.cpp computed",
     .part = MEASURE_AMOUNTS,
     .measure = WIRE_LLAMA_BATCH,
     .first = 0,
     .last = 14,
     .labels = known_phase_label},
    {.name = "inferscope_llama_batch_errors_total",
     .help = "Batches that llama.cpp did not compute to the end: the call did not return 0",
     .part = MEASURE_FAILED,
     .measure = WIRE_LLAMA_BATCH,
     .labels = phase_label},
    {.name = "inferscope_llama_tokens_processed_total",
     .help = "Tokens that llama.cpp computed; a mixed batch's are told apart",
     .part = MEASURE_AMOUNT,
     .measure = WIRE_LLAMA_TOKENS,
     .labels = phase_label},
    {.name = "inferscope_llama_tokens_generated_total",
     .help = "Tokens that were sampled from llama.cpp's logits",
     .part = MEASURE_COUNT,
     .measure = WIRE_LLAMA_GENERATED},
    {.name = "inferscope_llama_wait_duration_seconds",
     .unit = "seconds",
     .help = "Time that programs waited for what llama.cpp computes on a device, by the call that waited",
     .part = MEASURE_TIME,
     .measure = WIRE_LLAMA_WAIT,
     .first = 0,
     .last = 25,
     .labels = wait_label},
    {.name = "inferscope_llama_model_load_duration_seconds",
     .unit = "seconds",
     .help = "Time that llama.cpp took to load a model",
     .part = MEASURE_TIME,
     .measure = WIRE_LLAMA_LOAD,
     .first = 10, // 1 ms
     .last = 29}, // 537 s
    {.name = "inferscope_llama_model_load_errors_total",
     .help = "Models that llama.cpp could not load",
     .part = MEASURE_FAILED,
     .measure = WIRE_LLAMA_LOAD},
};

// --- Probes ---

static const char *const libraries[] = {
    "libllama.so*",
    "libllama.v*.so*", // node-llama-cpp
    NULL,
};

// Exceptions pass through these: a backend may throw, and the library does not catch it.
static const struct probe_symbol batch_symbols[] = {
    {"llama_decode", "llama_decode_enter", "llama_batch_leave"},
    {"llama_encode", "llama_encode_enter", "llama_batch_leave"},
    {"llama_get_logits_ith", "llama_logits_enter", "llama_logits_leave"},
    // Since 2026.
    {"llama_batch_ext_clear", "llama_batch_clear", NULL},
    {"llama_batch_ext_free", "llama_batch_free", NULL},
    {"llama_batch_ext_add_token", "llama_batch_add", NULL},
    {"llama_batch_ext_add_embd", "llama_batch_add", NULL},
};

static const struct probe_kind batches = {
    .name = "llama.cpp",
    .computes = true,
    .libraries = libraries,
    .executables = true,
    .throws = true,
    .symbols = batch_symbols,
    .symbols_count = ARRAY_SIZE(batch_symbols),
    .program = runtime_program,
    .owner = &runtime,
};

// What llama_process() goes on with, by jumps, so that it has no return instructions itself.
#define CONTEXT_DECODE "_ZN13llama_context6decodeERK15llama_batch_ext"
#define CONTEXT_ENCODE "_ZN13llama_context6encodeERK15llama_batch_ext"

static const struct probe_symbol context_symbols[] = {
    {CONTEXT_DECODE, "llama_context_decode_enter", "llama_batch_leave"},
    {CONTEXT_ENCODE, "llama_context_encode_enter", "llama_batch_leave"},
};

static const struct probe_kind contexts = {
    .name = "llama.cpp's contexts",
    .libraries = libraries,
    .executables = true,
    .throws = true,
    .symbols = context_symbols,
    .symbols_count = ARRAY_SIZE(context_symbols),
    .program = runtime_program,
    .owner = &runtime,
};

// Loading catches all exceptions. The first and the last have no return instructions, as they end with a
// jump; the last is for libraries that do not name what it goes on with.
static const struct probe_symbol other_symbols[] = {
    {"llama_synchronize", "llama_synchronize_enter", "llama_synchronize_leave"},
    {"llama_batch_ext_init", NULL, "llama_batch_made"},
    {"llama_model_load_from_file", "llama_load_enter", "llama_load_leave"},
    {"llama_model_load_from_splits", "llama_load_splits_enter", "llama_load_leave"},
    {"llama_model_load_from_file_ptr", "llama_load_stream_enter", "llama_load_leave"},
    {"llama_load_model_from_file", "llama_load_enter", "llama_load_leave"}, // before 2025
    {"llama_process", "llama_process_enter", "llama_batch_leave"},
};

static int find_names(int fd, const struct probe_symbol *symbols, size_t count, uint64_t *ret_offsets,
                      uint64_t *in_out_read)
{
    const char *names[ELF_NAMES_MAX];
    for (size_t i = 0; i < count; i++)
        names[i] = symbols[i].name;
    return elf_symbols_find(fd, names, count, ret_offsets, in_out_read);
}

static int find_others(int fd, uint64_t *ret_offsets, uint64_t *in_out_read)
{
    enum { COUNT = ARRAY_SIZE(other_symbols), PROCESS = COUNT - 1, NAMED = ARRAY_SIZE(context_symbols) };
    uint64_t offsets[COUNT] = {}, named[NAMED] = {};
    int found = find_names(fd, other_symbols, COUNT, offsets, in_out_read);
    if (found > 0 && offsets[PROCESS] && find_names(fd, context_symbols, NAMED, named, in_out_read) == NAMED)
        offsets[PROCESS] = 0;
    if (found >= 0)
        memcpy(ret_offsets, offsets, sizeof(offsets));
    return found;
}

static const struct probe_kind others = {
    .name = "llama.cpp's other functions",
    .libraries = libraries,
    .executables = true,
    .symbols = other_symbols,
    .symbols_count = ARRAY_SIZE(other_symbols),
    .program = runtime_program,
    .owner = &runtime,
    .find = find_others,
};

// --- The source ---

static const struct probe_kind *const kinds[] = {&batches, &contexts, &others, NULL};
static struct runtime runtime = {.kinds = kinds, .object = {.open = open_skeleton, .close = close_skeleton}};

static int measures_fd(void)
{
    return runtime_measures_fd(&runtime);
}

static const struct measures measures = {
    .families = families, .count = ARRAY_SIZE(families), .map_fd = measures_fd};

static int start(const struct source_env *env, struct source_report *ret_report)
{
    bool loads = env->demand->wanted[event_type_index(&types[0])];
    int error = runtime_start(&runtime, env, loads, ret_report);
    if (error || !ret_report->needed)
        return error;
    caller_path_register();
    skeleton->bss->llama_loads_wanted = loads;
    return 0;
}

static void stop(void)
{
    runtime_stop(&runtime);
}

const struct source source_llama = {
    .name = "llama",
    .help = "Batches, tokens and models of llama.cpp, in its library or in programs (--inference)",
    .types = types,
    .types_count = ARRAY_SIZE(types),
    .record_size = model_record_size,
    .record_valid = model_record_valid,
    .attaches_later = uprobe_is_privileged,
    .start = start,
    .stop = stop,
    .probes = kinds,
    .measures = &measures,
    .tick = runtime_tick,
};
