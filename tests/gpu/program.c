// Does a known number of things with a real GPU, through the driver or through the runtime, and says what it
// has done as the metrics should say it. For tests/gpu/run, which builds it; needs neither nvcc nor headers
// of CUDA's, as it loads the libraries by itself. Usage: program driver|runtime. It waits for a line on its
// input before it begins and before each next part.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    LAUNCHES = 1000,
    GRAPHS = 20,
    COPIES = 50,
    BLOCK = 1 << 20,
    HELD = 64, // allocations of BLOCK bytes that are kept
    LOST = 16, // never given back
};

// A kernel that keeps the GPU busy for a while: as many steps as it is told.
static const char kernel_text[] = ".version 6.0\n.target sm_50\n.address_size 64\n"
                                  ".visible .entry busy(.param .u64 steps) {\n"
                                  "  .reg .pred %p<2>;\n  .reg .b64 %r<4>;\n"
                                  "  ld.param.u64 %r1, [steps];\n  mov.u64 %r2, 0;\n"
                                  "again:\n  setp.ge.u64 %p1, %r2, %r1;\n  @%p1 bra done;\n"
                                  "  add.u64 %r2, %r2, 1;\n  mov.u64 %r3, %clock64;\n  bra.uni again;\n"
                                  "done:\n  ret;\n}\n";

typedef struct {
    unsigned x, y, z;
} dim3;

static void *library;

static void *function(const char *name)
{
    void *address = dlsym(library, name);
    if (!address) {
        printf("skip there is no %s in this version\n", name);
        exit(77);
    }
    return address;
}

// Calls a function of CUDA, which must succeed.
#define CALL(name, parameters, ...)                                    \
    do {                                                               \
        int error = ((int(*) parameters)function(#name))(__VA_ARGS__); \
        if (error) {                                                   \
            printf("error %s: %d\n", #name, error);                    \
            exit(1);                                                   \
        }                                                              \
    } while (0)

static void open_library(const char *const *names)
{
    for (size_t i = 0; names[i] && !library; i++)
        library = dlopen(names[i], RTLD_NOW);
    if (!library) {
        printf("skip %s cannot be loaded: %s\n", names[0], dlerror());
        exit(77);
    }
}

// What the metric should be by now.
static void say(const char *metric, double value)
{
    printf("expect %s %.0f\n", metric, value);
}

// The next part begins when the other end says so.
static void next(const char *what)
{
    char line[16];
    printf("%s\n", what);
    fflush(stdout);
    if (!fgets(line, sizeof(line), stdin))
        exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static char host[BLOCK];

static void say_counts(double waited)
{
    say("gpu_cuda_kernel_launch_calls_total", LAUNCHES + 1);
    say("gpu_cuda_memory_copies_bytes_total{cuda_memcpy_kind=\"HostToDevice\"}", (double)COPIES * BLOCK);
    say("gpu_cuda_memory_copies_bytes_total{cuda_memcpy_kind=\"DeviceToHost\"}", (double)COPIES * 1000);
    say("gpu_cuda_memory_copies_bytes_total{cuda_memcpy_kind=\"DeviceToDevice\"}", (double)COPIES * 4096);
    say("inferscope_cuda_synchronize_duration_seconds_count{scope=\"device\"}", 1);
    printf("about inferscope_cuda_synchronize_duration_seconds_sum{scope=\"device\"} %.9f\n", waited);
    say("gpu_cuda_memory_allocations_bytes_total", (double)(HELD + LOST + 100) * BLOCK);
    say("inferscope_cuda_memory_freed_bytes_total", 100.0 * BLOCK);
    say("inferscope_cuda_allocation_calls_total", HELD + LOST + 100 + 1);
    say("inferscope_cuda_errors_total{operation=\"allocate\"}", 1);
    say("inferscope_cuda_memory_in_use_bytes", (double)(HELD + LOST) * BLOCK);
    say("inferscope_cuda_processes", 1);
}

// --- Through the driver ---

static void *driver_kernel(void)
{
    void *context, *module, *kernel;
    CALL(cuInit, (unsigned), 0);
    CALL(cuDevicePrimaryCtxRetain, (void **, int), &context, 0);
    CALL(cuCtxSetCurrent, (void *), context);
    CALL(cuModuleLoadData, (void **, const void *), &module, kernel_text);
    CALL(cuModuleGetFunction, (void **, void *, const char *), &kernel, module, "busy");
    return kernel;
}

static void driver_launch(void *kernel, uint64_t steps, void *stream)
{
    void *parameters[] = {&steps};
    CALL(cuLaunchKernel,
         (void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **,
          void **),
         kernel, 1, 1, 1, 1, 1, 1, 0, stream, parameters, NULL);
}

static void driver_graphs(void *kernel)
{
    void *stream, *graph, *executable;
    CALL(cuStreamCreate, (void **, unsigned), &stream, 1);
    CALL(cuStreamBeginCapture_v2, (void *, int), stream, 0);
    driver_launch(kernel, 1, stream);
    CALL(cuStreamEndCapture, (void *, void **), stream, &graph);
    CALL(cuGraphInstantiateWithFlags, (void **, void *, unsigned long long), &executable, graph, 0);
    for (int i = 0; i < GRAPHS; i++)
        CALL(cuGraphLaunch, (void *, void *), executable, stream);
    CALL(cuStreamSynchronize, (void *), stream);
    say("gpu_cuda_graph_launch_calls_total", GRAPHS);
}

static void through_driver(void)
{
    static uint64_t held[HELD + LOST], once;
    void *kernel = driver_kernel();
    next("ready");
    for (int i = 0; i < HELD + LOST; i++)
        CALL(cuMemAlloc_v2, (uint64_t *, size_t), &held[i], BLOCK);
    for (int i = 0; i < 100; i++) {
        CALL(cuMemAlloc_v2, (uint64_t *, size_t), &once, BLOCK);
        CALL(cuMemFree_v2, (uint64_t), once);
    }
    if (((int (*)(uint64_t *, size_t))function("cuMemAlloc_v2"))(&once, (size_t)1 << 50) == 0)
        printf("error more memory than there is was allocated\n");
    for (int i = 0; i < COPIES; i++) {
        CALL(cuMemcpyHtoD_v2, (uint64_t, const void *, size_t), held[0], host, BLOCK);
        CALL(cuMemcpyDtoH_v2, (void *, uint64_t, size_t), host, held[0], 1000);
        CALL(cuMemcpyDtoDAsync_v2, (uint64_t, uint64_t, size_t, void *), held[1], held[0], 4096, NULL);
    }
    driver_graphs(kernel);
    // The one in the graph was launched once more, while it was recorded.
    for (int i = 0; i < LAUNCHES; i++)
        driver_launch(kernel, i ? 1 : 50000000, NULL);
    double start = now();
    CALL(cuCtxSynchronize, (void), );
    say_counts(now() - start);
    next("done");
    for (int i = 0; i < HELD; i++)
        CALL(cuMemFree_v2, (uint64_t), held[i]);
    say("inferscope_cuda_memory_in_use_bytes", (double)LOST * BLOCK);
    next("freed");
}

// --- Through the runtime; its functions for kernels that are loaded by the program came with CUDA 12.8 ---

static void *runtime_kernel(void)
{
    void *loaded, *kernel;
    CALL(cudaSetDevice, (int), 0);
    CALL(cudaLibraryLoadData, (void **, const void *, void *, void **, unsigned, void *, void **, unsigned),
         &loaded, kernel_text, NULL, NULL, 0, NULL, NULL, 0);
    CALL(cudaLibraryGetKernel, (void **, void *, const char *), &kernel, loaded, "busy");
    return kernel;
}

static void runtime_launch(void *kernel, uint64_t steps)
{
    const dim3 one = {1, 1, 1};
    void *parameters[] = {&steps};
    CALL(cudaLaunchKernel, (const void *, dim3, dim3, void **, size_t, void *), kernel, one, one, parameters,
         0, NULL);
}

static void through_runtime(void)
{
    static void *held[HELD + LOST], *once;
    void *kernel = runtime_kernel();
    next("ready");
    for (int i = 0; i < HELD + LOST; i++)
        CALL(cudaMalloc, (void **, size_t), &held[i], BLOCK);
    for (int i = 0; i < 100; i++) {
        CALL(cudaMalloc, (void **, size_t), &once, BLOCK);
        CALL(cudaFree, (void *), once);
    }
    if (((int (*)(void **, size_t))function("cudaMalloc"))(&once, (size_t)1 << 50) == 0)
        printf("error more memory than there is was allocated\n");
    for (int i = 0; i < COPIES; i++) {
        CALL(cudaMemcpy, (void *, const void *, size_t, int), held[0], host, BLOCK, 1);
        CALL(cudaMemcpy, (void *, const void *, size_t, int), host, held[0], 1000, 2);
        CALL(cudaMemcpyAsync, (void *, const void *, size_t, int, void *), held[1], held[0], 4096, 3, NULL);
    }
    for (int i = 0; i < LAUNCHES + 1; i++)
        runtime_launch(kernel, i ? 1 : 50000000);
    double start = now();
    CALL(cudaDeviceSynchronize, (void), );
    say_counts(now() - start);
    next("done");
    for (int i = 0; i < HELD; i++)
        CALL(cudaFree, (void *), held[i]);
    say("inferscope_cuda_memory_in_use_bytes", (double)LOST * BLOCK);
    next("freed");
}

int main(int count, char **arguments)
{
    static const char *const drivers[] = {"libcuda.so.1", NULL};
    static const char *const runtimes[] = {"libcudart.so.13", "libcudart.so.12", "libcudart.so", NULL};
    if (count == 2 && strcmp(arguments[1], "driver") == 0) {
        open_library(drivers);
        through_driver();
    } else if (count == 2 && strcmp(arguments[1], "runtime") == 0) {
        open_library(runtimes);
        through_runtime();
    } else {
        return 2;
    }
    return 0;
}
