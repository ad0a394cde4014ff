#include "source.h"

#include "base/cleanup.h"
#include "caller_path.h"
#include "model_fields.h"
#include "onnx.skel.h"
#include "ort_api.h"
#include "runtime.h"
#include "uprobe.h"
#include "wire/onnx.h"

#include <errno.h>
#include <string.h>

RUNTIME_SKELETON(onnx);

static const struct field session_fields[] = {
    MODEL_FIELDS(
        "The model's file as the caller named it, made absolute; symbolic links in it are not resolved; "
        "missing where the model lay in memory",
        "Whether the session was made; else that failed"),
};

static const struct event_type types[] = {
    {.name = "onnx_session",
     .help = "A session for a model was made by ONNX Runtime, or that was tried (--inference)",
     .fields = session_fields,
     .fields_count = ARRAY_SIZE(session_fields)},
};

// --- Measures ---

static int call_label(uint16_t detail, struct label *ret_labels)
{
    static const char *const names[WIRE_ONNX_CALLS] = {
        [WIRE_ONNX_CALL_RUN] = "Run",
        [WIRE_ONNX_CALL_RUN_WITH_BINDING] = "RunWithBinding",
        [WIRE_ONNX_CALL_RUN_ASYNC] = "RunAsync",
    };
    if (detail >= WIRE_ONNX_CALLS)
        return -EINVAL;
    ret_labels[0] = (struct label){"call", names[detail]};
    return 1;
}

// How long the others took is not known.
static int waiting_call_label(uint16_t detail, struct label *ret_labels)
{
    return detail == WIRE_ONNX_CALL_RUN_ASYNC ? -ENOENT : call_label(detail, ret_labels);
}

static int async_label(uint16_t detail, struct label *ret_labels)
{
    return detail == WIRE_ONNX_CALL_RUN_ASYNC ? 0 : -ENOENT;
}

static int from_label(uint16_t detail, struct label *ret_labels)
{
    ret_labels[0] = (struct label){"from", detail == WIRE_ONNX_FROM_MEMORY ? "memory" : "file"};
    return 1;
}

static const struct measure_family families[] = {
    {.name = "inferscope_onnx_run_duration_seconds",
     .unit = "seconds",
     .help = "Time that ONNX Runtime took to run a model, until the call returned, by call of its API",
     .part = MEASURE_TIME,
     .measure = WIRE_ONNX_RUN,
     .first = 6, // 64 µs
     .last = 25, // 34 s
     .labels = waiting_call_label},
    {.name = "inferscope_onnx_run_errors_total",
     .help = "Runs that ONNX Runtime refused or did not finish: the call returned an error",
     .part = MEASURE_FAILED,
     .measure = WIRE_ONNX_RUN,
     .labels = call_label},
    {.name = "inferscope_onnx_async_runs_total",
     .help = "Runs that RunAsync() was asked for, refused ones included; how they end is told to the program "
             "alone",
     .part = MEASURE_COUNT,
     .measure = WIRE_ONNX_RUN,
     .labels = async_label},
    {.name = "inferscope_onnx_session_duration_seconds",
     .unit = "seconds",
     .help = "Time that ONNX Runtime took to make a session: to read a model, optimise it and get ready",
     .part = MEASURE_TIME,
     .measure = WIRE_ONNX_SESSION,
     .first = 10, // 1 ms
     .last = 29,  // 537 s
     .labels = from_label},
    {.name = "inferscope_onnx_session_errors_total",
     .help = "Sessions that ONNX Runtime could not make",
     .part = MEASURE_FAILED,
     .measure = WIRE_ONNX_SESSION,
     .labels = from_label},
};

// --- Probes ---

static const char *const libraries[] = {"libonnxruntime.so*", NULL};

static const struct probe_symbol symbols[ORT_FUNCTIONS] = {
    [ORT_RUN] = {"OrtApi.Run", "onnx_run_enter", "onnx_run_leave"},
    [ORT_RUN_WITH_BINDING] = {"OrtApi.RunWithBinding", "onnx_binding_enter", "onnx_run_leave"},
    [ORT_RUN_ASYNC] = {"OrtApi.RunAsync", "onnx_async_enter", "onnx_async_leave"},
    [ORT_CREATE_SESSION] = {"OrtApi.CreateSession", "onnx_session_enter", "onnx_session_leave"},
    [ORT_CREATE_SESSION_FROM_ARRAY] = {"OrtApi.CreateSessionFromArray", "onnx_session_memory_enter",
                                       "onnx_session_leave"},
    [ORT_CREATE_SESSION_SHARING] = {"OrtApi.CreateSessionWithPrepackedWeightsContainer", "onnx_session_enter",
                                    "onnx_session_leave"},
    [ORT_CREATE_SESSION_FROM_ARRAY_SHARING] = {"OrtApi.CreateSessionFromArrayWithPrepackedWeightsContainer",
                                               "onnx_session_memory_enter", "onnx_session_leave"},
};

static const struct probe_blind blind[] = {
    {.pattern = "onnxruntime_pybind11_state*.so",
     .reason = "Python's package holds ONNX Runtime inside and calls it without its table of functions"},
    {},
};

static const struct probe_kind api = {
    .name = "ONNX Runtime",
    .computes = true,
    .libraries = libraries,
    .symbols = symbols,
    .symbols_count = ARRAY_SIZE(symbols),
    .program = runtime_program,
    .owner = &runtime,
    .find = ort_api_find,
    .blind = blind,
};

// --- The source ---

static const struct probe_kind *const kinds[] = {&api, NULL};
static struct runtime runtime = {.kinds = kinds, .object = {.open = open_skeleton, .close = close_skeleton}};

static int measures_fd(void)
{
    return runtime_measures_fd(&runtime);
}

static const struct measures measures = {
    .families = families, .count = ARRAY_SIZE(families), .map_fd = measures_fd};

static int start(const struct source_env *env, struct source_report *ret_report)
{
    bool sessions = env->demand->wanted[event_type_index(&types[0])];
    int error = runtime_start(&runtime, env, sessions, ret_report);
    if (error || !ret_report->needed)
        return error;
    caller_path_register();
    skeleton->bss->onnx_sessions_wanted = sessions;
    return 0;
}

static void stop(void)
{
    runtime_stop(&runtime);
}

const struct source source_onnx = {
    .name = "onnx",
    .help = "Models that ONNX Runtime runs, in its library (--inference)",
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
