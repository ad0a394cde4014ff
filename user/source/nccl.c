#include "source.h"

#include "base/cleanup.h"
#include "nccl.skel.h"
#include "runtime.h"
#include "uprobe.h"
#include "wire/nccl.h"

#include <errno.h>

RUNTIME_SKELETON(nccl);

// --- Probes ---

static const char *const libraries[] = {"libnccl.so*", NULL};

static const struct probe_symbol symbols[] = {
    {"ncclAllReduce", "nccl_all_reduce", "nccl_return"},
    {"ncclBroadcast", "nccl_broadcast", "nccl_return"},
    {"ncclBcast", "nccl_bcast", "nccl_return"},
    {"ncclReduce", "nccl_reduce", "nccl_return"},
    {"ncclAllGather", "nccl_all_gather", "nccl_return"},
    {"ncclReduceScatter", "nccl_reduce_scatter", "nccl_return"},
    {"ncclSend", "nccl_send", "nccl_return"},
    {"ncclRecv", "nccl_recv", "nccl_return"},
    {"ncclAlltoAll", "nccl_all_to_all", "nccl_return"}, // 2.28, and the next two
    {"ncclGather", "nccl_gather", "nccl_return"},
    {"ncclScatter", "nccl_scatter", "nccl_return"},
};

static const struct probe_kind kind = {
    .name = "nccl",
    .computes = true,
    .libraries = libraries,
    .symbols = symbols,
    .symbols_count = ARRAY_SIZE(symbols),
    .program = runtime_program,
    .owner = &runtime,
};

// --- Measures ---

static int operation_labels(uint16_t detail, struct label *ret_labels)
{
    static const char *const values[WIRE_NCCL_OPERATIONS] = {
        [WIRE_NCCL_ALL_REDUCE] = "all_reduce",
        [WIRE_NCCL_BROADCAST] = "broadcast",
        [WIRE_NCCL_REDUCE] = "reduce",
        [WIRE_NCCL_ALL_GATHER] = "all_gather",
        [WIRE_NCCL_REDUCE_SCATTER] = "reduce_scatter",
        [WIRE_NCCL_SEND] = "send",
        [WIRE_NCCL_RECV] = "recv",
        [WIRE_NCCL_ALL_TO_ALL] = "all_to_all",
        [WIRE_NCCL_GATHER] = "gather",
        [WIRE_NCCL_SCATTER] = "scatter",
    };
    if (detail >= WIRE_NCCL_OPERATIONS)
        return -EINVAL;
    ret_labels[0] = (struct label){"operation", values[detail]};
    return 1;
}

static const struct measure_family families[] = {
    {.name = "inferscope_nccl_calls_total",
     .help = "Calls of NCCL, failed ones included",
     .part = MEASURE_COUNT,
     .measure = WIRE_NCCL_CALL,
     .labels = operation_labels},
    {.name = "inferscope_nccl_errors_total",
     .help = "Calls of NCCL that failed",
     .part = MEASURE_FAILED,
     .measure = WIRE_NCCL_CALL,
     .labels = operation_labels},
    {.name = "inferscope_nccl_bytes_total",
     .unit = "bytes",
     .help = "What calls of NCCL name as their number of elements, in bytes",
     .part = MEASURE_AMOUNT,
     .measure = WIRE_NCCL_CALL,
     .labels = operation_labels},
    {.name = "inferscope_nccl_enqueue_duration_seconds",
     .unit = "seconds",
     .help = "How long calls of NCCL kept the program, which is no more than until they are in the stream",
     .part = MEASURE_TIME,
     .measure = WIRE_NCCL_CALL,
     .first = 1,
     .last = 24,
     .labels = operation_labels},
};

// --- The source ---

static const struct probe_kind *const kinds[] = {&kind, NULL};
static struct runtime runtime = {.kinds = kinds, .object = {.open = open_skeleton, .close = close_skeleton}};

static int measures_fd(void)
{
    return runtime_measures_fd(&runtime);
}

static const struct measures measures = {
    .families = families, .count = ARRAY_SIZE(families), .map_fd = measures_fd};

static int start(const struct source_env *env, struct source_report *ret_report)
{
    return runtime_start(&runtime, env, false, ret_report);
}

static void stop(void)
{
    runtime_stop(&runtime);
}

const struct source source_nccl = {
    .name = "nccl",
    .help = "Calls of NCCL, by which GPUs exchange data, by operation",
    .attaches_later = uprobe_is_privileged,
    .start = start,
    .stop = stop,
    .probes = kinds,
    .measures = &measures,
    .tick = runtime_tick,
};
