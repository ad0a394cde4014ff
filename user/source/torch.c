#include "source.h"

#include "base/cleanup.h"
#include "runtime.h"
#include "torch.skel.h"
#include "uprobe.h"
#include "wire/torch.h"

RUNTIME_SKELETON(torch);

// --- Measures ---

static const struct measure_family families[] = {
    {.name = "inferscope_torch_forward_duration_seconds",
     .unit = "seconds",
     .help =
         "Time that libtorch took to run a TorchScript model, or a function or method of one, from outside "
         "of it, until the call returned",
     .part = MEASURE_TIME,
     .measure = WIRE_TORCH_FORWARD,
     .first = 6,  // 64 µs
     .last = 25}, // 34 s
    {.name = "inferscope_torch_forward_errors_total",
     .help = "Runs of a TorchScript model that ended by a C++ exception, once something caught it",
     .part = MEASURE_FAILED,
     .measure = WIRE_TORCH_FORWARD},
};

// --- Probes ---

static const char *const libraries[] = {"libtorch_cpu.so*", NULL};

// torch::jit::GraphFunction::run(std::vector<c10::IValue> &): Python and C++ programs come through here. What
// it ends by jumping to is GraphExecutor::run().
static const struct probe_symbol forward_symbols[] = {
    {"_ZN5torch3jit13GraphFunction3runERSt6vectorIN3c106IValueESaIS4_EE", "torch_enter", "torch_leave"},
};

static const struct probe_kind forward = {
    .name = "libtorch",
    .computes = true,
    .libraries = libraries,
    .throws = true,
    .symbols = forward_symbols,
    .symbols_count = ARRAY_SIZE(forward_symbols),
    .program = runtime_program,
    .owner = &runtime,
};

// Where exceptions are caught; only while there is a libtorch.
static const char *const catch_libraries[] = {"libstdc++.so*", "libc++abi.so*", NULL};
static const struct probe_symbol catch_symbols[] = {{"__cxa_begin_catch", "torch_catch", NULL}};

static const struct probe_kind catches = {
    .name = "C++ exceptions",
    .libraries = catch_libraries,
    .symbols = catch_symbols,
    .symbols_count = ARRAY_SIZE(catch_symbols),
    .program = runtime_program,
    .owner = &runtime,
};

// --- The source ---

static const struct probe_kind *const kinds[] = {&forward, NULL};
static void remove_catches(void)
{
    probes_remove(&catches);
}

static struct runtime runtime = {
    .kinds = kinds, .object = {.open = open_skeleton, .close = close_skeleton, .stopping = remove_catches}};

static int measures_fd(void)
{
    return runtime_measures_fd(&runtime);
}

static const struct measures measures = {
    .families = families, .count = ARRAY_SIZE(families), .map_fd = measures_fd};

// Without it errors are not counted, and the rest is right.
static void update_catches(void)
{
    if (runtime.object.skeleton && probes_files(&forward) > 0)
        probes_add(&catches);
    else
        remove_catches();
}

static int start(const struct source_env *env, struct source_report *ret_report)
{
    int error = runtime_start(&runtime, env, false, ret_report);
    update_catches();
    return error;
}

static void stop(void)
{
    runtime_stop(&runtime);
}

static void tick(void)
{
    runtime_tick();
    update_catches();
}

const struct source source_torch = {
    .name = "torch",
    .help = "TorchScript models that libtorch runs, in its library (--inference)",
    .attaches_later = uprobe_is_privileged,
    .start = start,
    .stop = stop,
    .probes = kinds,
    .measures = &measures,
    .tick = tick,
};
