// Names with _ptds and _ptsz are what a program calls that was compiled for a default stream of each thread.
// What is not here is seen where it calls something that is, such as the driver's function of the same kind.
#include "cuda_symbols.h"

#include "base/cleanup.h"

// Where it lies on the stack where a call returns to, a launch within a launch is recognised without probing
// the return of each (bpf/cuda.bpf.c).
#if defined(__x86_64__)
#define LAUNCHED NULL
#else
#define LAUNCHED "cuda_launch_return"
#endif

#define LAUNCH(name)                          \
    {name, "cuda_launch", LAUNCHED},          \
    {                                         \
        name "_ptsz", "cuda_launch", LAUNCHED \
    }
#define DRIVER_LAUNCH(name)                      \
    {name, "cuda_driver_launch", NULL},          \
    {                                            \
        name "_ptsz", "cuda_driver_launch", NULL \
    }
#define CALL(name, program)                  \
    {                                        \
        name, "cuda_" program, "cuda_return" \
    }
// In a stream, and with the thread's default one.
#define STREAM_CALL(name, program) CALL(name, program), CALL(name "_ptsz", program)
#define THREAD_CALL(name, program) CALL(name, program), CALL(name "_ptds", program)

static const struct probe_symbol runtime_symbols[] = {
    LAUNCH("cudaLaunchKernel"),
    LAUNCH("cudaLaunchKernelExC"),
    LAUNCH("cudaLaunchCooperativeKernel"),
    STREAM_CALL("cudaGraphLaunch", "graph"),
    THREAD_CALL("cudaMemcpy", "copy_3_4"),
    STREAM_CALL("cudaMemcpyAsync", "copy_3_4"),
    THREAD_CALL("cudaMemcpyToSymbol", "copy_3_5"),
    STREAM_CALL("cudaMemcpyToSymbolAsync", "copy_3_5"),
    THREAD_CALL("cudaMemcpyFromSymbol", "copy_3_5"),
    STREAM_CALL("cudaMemcpyFromSymbolAsync", "copy_3_5"),
    THREAD_CALL("cudaMemcpy2D", "copy_56_7"),
    STREAM_CALL("cudaMemcpy2DAsync", "copy_56_7"),
    THREAD_CALL("cudaMemcpy3D", "copy_volume"),
    STREAM_CALL("cudaMemcpy3DAsync", "copy_volume"),
    CALL("cudaMemcpyPeer", "copy_peer"),
    CALL("cudaMemcpyPeerAsync", "copy_peer"),
    CALL("cudaDeviceSynchronize", "synchronize_device"),
    STREAM_CALL("cudaStreamSynchronize", "synchronize_stream"),
    CALL("cudaEventSynchronize", "synchronize_event"),
    CALL("cudaMalloc", "allocate"),
    CALL("cudaMallocManaged", "allocate"),
    CALL("cudaMallocPitch", "allocate_rows"),
    STREAM_CALL("cudaMallocAsync", "allocate"),
    STREAM_CALL("cudaMallocFromPoolAsync", "allocate"),
    CALL("cudaFree", "free"),
    STREAM_CALL("cudaFreeAsync", "free"),
    CALL("cudaDeviceReset", "reset"),
    {"cudaSetDevice", "cuda_device_1", NULL},
};

static const struct probe_symbol driver_symbols[] = {
    DRIVER_LAUNCH("cuLaunchKernel"),
    DRIVER_LAUNCH("cuLaunchKernelEx"),
    DRIVER_LAUNCH("cuLaunchCooperativeKernel"),
    STREAM_CALL("cuGraphLaunch", "graph"),
    THREAD_CALL("cuMemcpyHtoD_v2", "copy_to_device"),
    STREAM_CALL("cuMemcpyHtoDAsync_v2", "copy_to_device"),
    THREAD_CALL("cuMemcpyDtoH_v2", "copy_to_host"),
    STREAM_CALL("cuMemcpyDtoHAsync_v2", "copy_to_host"),
    THREAD_CALL("cuMemcpyDtoD_v2", "copy_on_device"),
    STREAM_CALL("cuMemcpyDtoDAsync_v2", "copy_on_device"),
    THREAD_CALL("cuMemcpy", "copy_by_address"),
    STREAM_CALL("cuMemcpyAsync", "copy_by_address"),
    THREAD_CALL("cuMemcpy2D_v2", "copy_described_2d"),
    THREAD_CALL("cuMemcpy2DUnaligned_v2", "copy_described_2d"),
    STREAM_CALL("cuMemcpy2DAsync_v2", "copy_described_2d"),
    THREAD_CALL("cuMemcpy3D_v2", "copy_described_3d"),
    STREAM_CALL("cuMemcpy3DAsync_v2", "copy_described_3d"),
    THREAD_CALL("cuMemcpyPeer", "copy_peer"),
    STREAM_CALL("cuMemcpyPeerAsync", "copy_peer"),
    CALL("cuCtxSynchronize", "synchronize_device"),
    CALL("cuCtxSynchronize_v2", "synchronize_device"), // 13.0
    STREAM_CALL("cuStreamSynchronize", "synchronize_stream"),
    CALL("cuEventSynchronize", "synchronize_event"),
    CALL("cuMemAlloc_v2", "allocate"),
    CALL("cuMemAllocManaged", "allocate"),
    CALL("cuMemAllocPitch_v2", "allocate_rows"),
    STREAM_CALL("cuMemAllocAsync", "allocate"),
    STREAM_CALL("cuMemAllocFromPoolAsync", "allocate"),
    CALL("cuMemCreate", "allocate_handle"),
    CALL("cuMemFree_v2", "free"),
    STREAM_CALL("cuMemFreeAsync", "free"),
    CALL("cuMemRelease", "free_handle"),
    CALL("cuCtxDestroy_v2", "reset"),
    CALL("cuDevicePrimaryCtxReset_v2", "reset"),
    {"cuDevicePrimaryCtxRetain", "cuda_device_2", NULL},
    {"cuCtxCreate_v2", "cuda_context", NULL},
    {"cuCtxCreate_v3", "cuda_context", NULL}, // 11.4
    {"cuCtxCreate_v4", "cuda_context", NULL}, // 12.5
};

static const char *const runtime_libraries[] = {
    "libcudart.so*",
    "libcudart-*.so*",   // the latter: those that Python wheels bring along
    "libggml-cuda*.so*", // may carry it inside
    NULL,
};

static const char *const driver_libraries[] = {"libcuda.so*", NULL};

static const struct probe_blind blind[] = {
    {.pattern = "libcuda.so*",
     .reason =
         "is used without a CUDA runtime that could be probed (a copy of it in a program without symbols, "
         "or none): only calls of the driver are seen",
     .unless_probed = true},
    {},
};

static const struct probe_kind runtime = {
    .name = "cuda runtime",
    .computes = true,
    .libraries = runtime_libraries,
    .executables = true, // nvcc links it statically unless told not to
    .symbols = runtime_symbols,
    .symbols_count = ARRAY_SIZE(runtime_symbols),
    .program = cuda_program,
    .blind = blind,
};

static const struct probe_kind driver = {
    .name = "cuda driver",
    .computes = true,
    .libraries = driver_libraries,
    .symbols = driver_symbols,
    .symbols_count = ARRAY_SIZE(driver_symbols),
    .program = cuda_program,
};

const struct probe_kind *const cuda_kinds[] = {&runtime, &driver, NULL};
