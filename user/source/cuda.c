#include "source.h"

#include "base/cleanup.h"
#include "cuda.skel.h"
#include "cuda_memory.h"
#include "cuda_symbols.h"
#include "runtime.h"
#include "uprobe.h"
#include "wire/cuda.h"

#include <errno.h>

RUNTIME_SKELETON(cuda);

static void describe_memory(struct cuda_memory *ret_memory)
{
    *ret_memory = (struct cuda_memory){.processes_fd = bpf_map__fd(skeleton->maps.cuda_processes),
                                       .allocations_fd = bpf_map__fd(skeleton->maps.cuda_allocations),
                                       .left_behind = skeleton->bss->cuda_left_behind};
    for (size_t i = 0; cuda_kinds[i]; i++) {
        uint64_t probed_ns = probes_latest_ns(cuda_kinds[i]);
        if (probed_ns > ret_memory->probed_ns)
            ret_memory->probed_ns = probed_ns;
    }
}

// --- What it measures, as metrics ---

static int copy_labels(uint16_t detail, struct label *ret_labels)
{
    static const char *const values[WIRE_CUDA_COPIES] = {
        [WIRE_CUDA_HOST_TO_HOST] = "HostToHost",     [WIRE_CUDA_HOST_TO_DEVICE] = "HostToDevice",
        [WIRE_CUDA_DEVICE_TO_HOST] = "DeviceToHost", [WIRE_CUDA_DEVICE_TO_DEVICE] = "DeviceToDevice",
        [WIRE_CUDA_BY_ADDRESS] = "Default",
    };
    if (detail >= WIRE_CUDA_COPIES)
        return -EINVAL;
    ret_labels[0] = (struct label){"cuda_memcpy_kind", values[detail]};
    return 1;
}

static int scope_labels(uint16_t detail, struct label *ret_labels)
{
    static const char *const values[WIRE_CUDA_SCOPES] = {"device", "stream", "event"};
    if (detail >= WIRE_CUDA_SCOPES)
        return -EINVAL;
    ret_labels[0] = (struct label){"scope", values[detail]};
    return 1;
}

static int seen_labels(uint16_t detail, struct label *ret_labels)
{
    static const char *const values[CUDA_SEEN_KINDS] = {"whole", "part", "unknown"};
    if (detail >= CUDA_SEEN_KINDS)
        return -EINVAL;
    ret_labels[0] = (struct label){"seen", values[detail]};
    return 1;
}

// --- The labels of what has failed ---

static int failed_in(const char *operation, int more, struct label *ret_labels)
{
    if (more >= 0)
        ret_labels[more] = (struct label){"operation", operation};
    return more + 1;
}

static int failed_graph(uint16_t detail, struct label *ret_labels)
{
    return failed_in("graph_launch", 0, ret_labels);
}

static int failed_copy(uint16_t detail, struct label *ret_labels)
{
    return failed_in("copy", copy_labels(detail, ret_labels), ret_labels);
}

static int failed_synchronize(uint16_t detail, struct label *ret_labels)
{
    return failed_in("synchronize", scope_labels(detail, ret_labels), ret_labels);
}

static int failed_allocate(uint16_t detail, struct label *ret_labels)
{
    return failed_in("allocate", 0, ret_labels);
}

static int failed_free(uint16_t detail, struct label *ret_labels)
{
    return failed_in("free", 0, ret_labels);
}

#define ERRORS(measured, labels_of)                                                                          \
    {                                                                                                        \
        .name = "inferscope_cuda_errors_total", .help = "Calls of CUDA that failed", .part = MEASURE_FAILED, \
        .measure = measured, .labels = labels_of                                                             \
    }

static const struct measure_family families[] = {
    {.name = "gpu_cuda_kernel_launch_calls_total",
     .help = "Calls that launch a kernel, failed ones included",
     .part = MEASURE_COUNT,
     .measure = WIRE_CUDA_LAUNCH},
    {.name = "gpu_cuda_graph_launch_calls_total",
     .help = "Calls that launch a graph, failed ones included",
     .part = MEASURE_COUNT,
     .measure = WIRE_CUDA_GRAPH},
    {.name = "inferscope_cuda_graph_launch_duration_seconds",
     .unit = "seconds",
     .help = "How long calls that launch a graph kept the program",
     .part = MEASURE_TIME,
     .measure = WIRE_CUDA_GRAPH,
     .first = 1,
     .last = 24},
    {.name = "gpu_cuda_memory_copies_bytes_total",
     .unit = "bytes",
     .help = "Bytes that calls copied, by where from and to",
     .part = MEASURE_AMOUNT,
     .measure = WIRE_CUDA_COPY,
     .labels = copy_labels},
    {.name = "inferscope_cuda_copy_duration_seconds",
     .unit = "seconds",
     .help = "How long calls that copy kept the program; of asynchronous ones until they are in the stream",
     .part = MEASURE_TIME,
     .measure = WIRE_CUDA_COPY,
     .first = 1,
     .last = 24,
     .labels = copy_labels},
    {.name = "inferscope_cuda_synchronize_duration_seconds",
     .unit = "seconds",
     .help = "How long the program waited for the GPU, by what for",
     .part = MEASURE_TIME,
     .measure = WIRE_CUDA_SYNCHRONIZE,
     .first = 1,
     .last = 26,
     .labels = scope_labels},
    {.name = "gpu_cuda_memory_allocations_bytes_total",
     .unit = "bytes",
     .help = "Bytes of GPU memory that were allocated, managed memory included",
     .part = MEASURE_AMOUNT,
     .measure = WIRE_CUDA_ALLOCATE},
    {.name = "inferscope_cuda_allocation_calls_total",
     .help = "Calls that allocate GPU memory, failed ones included",
     .part = MEASURE_COUNT,
     .measure = WIRE_CUDA_ALLOCATE},
    {.name = "inferscope_cuda_memory_freed_bytes_total",
     .unit = "bytes",
     .help = "Bytes of GPU memory that calls gave back; not what went with a context or a process",
     .part = MEASURE_AMOUNT,
     .measure = WIRE_CUDA_FREE},
    {.name = "inferscope_cuda_free_calls_total",
     .help = "Calls that give GPU memory back, failed ones included",
     .part = MEASURE_COUNT,
     .measure = WIRE_CUDA_FREE},
    ERRORS(WIRE_CUDA_GRAPH, failed_graph),
    ERRORS(WIRE_CUDA_COPY, failed_copy),
    ERRORS(WIRE_CUDA_SYNCHRONIZE, failed_synchronize),
    ERRORS(WIRE_CUDA_ALLOCATE, failed_allocate),
    ERRORS(WIRE_CUDA_FREE, failed_free),
    {.name = "inferscope_cuda_memory_in_use_bytes",
     .unit = "bytes",
     .help = "GPU memory that processes have allocated and not given back; where only a part of their calls "
             "was seen, of those",
     .part = MEASURE_NOW,
     .measure = CUDA_IN_USE,
     .labels = seen_labels},
    {.name = "inferscope_cuda_memory_growth_bytes",
     .unit = "bytes",
     .help = "How much more GPU memory is never given back than 20 minutes before, where that rises "
             "throughout half an hour",
     .part = MEASURE_NOW,
     .measure = CUDA_GROWTH},
    {.name = "inferscope_cuda_processes",
     .help = "Processes that use GPU memory, by whether it is known how much",
     .part = MEASURE_NOW,
     .measure = CUDA_PROCESSES,
     .labels = seen_labels},
};

static void now(measure_now_fn take, void *context)
{
    struct cuda_memory memory;
    if (!skeleton)
        return;
    describe_memory(&memory);
    cuda_memory_now(&memory, take, context);
}

// --- The source ---

static const struct hook hooks[] = {
    {.name = "exit", .program = "cuda_exit_btf", .attach_point = "tp_btf/sched_process_exit", .wanted = true},
    {.name = "exec", .program = "cuda_exec_btf", .attach_point = "tp_btf/sched_process_exec", .wanted = true},
};

static struct runtime runtime = {
    .kinds = cuda_kinds,
    .hooks = hooks,
    .hooks_count = ARRAY_SIZE(hooks),
    .object = {.open = open_skeleton, .close = close_skeleton, .stopping = cuda_memory_stop}};

struct bpf_program *cuda_program(const struct probe_kind *kind, const char *name)
{
    return skeleton ? bpf_object__find_program_by_name(skeleton->obj, name) : NULL;
}

static int measures_fd(void)
{
    return runtime_measures_fd(&runtime);
}

static const struct measures measures = {
    .families = families, .count = ARRAY_SIZE(families), .map_fd = measures_fd, .now = now};

static int start(const struct source_env *env, struct source_report *ret_report)
{
    return runtime_start(&runtime, env, false, ret_report);
}

static void stop(void)
{
    runtime_stop(&runtime);
}

static void tick(void)
{
    struct cuda_memory memory;
    runtime_tick();
    describe_memory(&memory);
    cuda_memory_tick(&memory);
}

const struct source source_cuda = {
    .name = "cuda",
    .help = "Calls of CUDA's runtime and driver: launches, copies, waits, and who has how much memory",
    .attaches_later = uprobe_is_privileged,
    .start = start,
    .stop = stop,
    .probes = cuda_kinds,
    .measures = &measures,
    .tick = tick,
};
