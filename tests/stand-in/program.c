// A program that uses CUDA and NCCL as it is told to: reads commands, one a line, and answers each by a line
// with how many nanoseconds its calls took by its own clock, once all of its calls have returned.
// The libraries are those in the folder that its first argument names; with -DSTATIC the runtime is its own.
#include "stand_in.h"

#include <dlfcn.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define VARIABLE(result, name, parameters) static result(*call_##name) parameters;
DRIVER_FUNCTIONS(VARIABLE)
RUNTIME_FUNCTIONS(VARIABLE)
NCCL_FUNCTIONS(VARIABLE)

#ifdef STATIC
RUNTIME_FUNCTIONS(STAND_IN_DECLARE)
#endif

static struct stand_in *state;
static int *nccl_result;
static const char *folder;

static void *open_library(const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return library;
}

// Done when the first command comes, so that a test can have the agent look at the process before that.
static void load(void)
{
    void *driver = open_library("libcuda.so.1"), *nccl = open_library("libnccl.so.2");
    state = dlsym(driver, "stand_in");
    nccl_result = dlsym(nccl, "stand_in_nccl_result");
#define FROM(result, name, parameters) call_##name = (result(*) parameters)dlsym(library, #name);
    void *library = driver;
    DRIVER_FUNCTIONS(FROM)
    library = nccl;
    NCCL_FUNCTIONS(FROM)
#ifdef STATIC
#define OWN(result, name, parameters) call_##name = name;
    RUNTIME_FUNCTIONS(OWN)
#else
    library = open_library("libcudart.so.13");
    RUNTIME_FUNCTIONS(FROM)
#endif
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

// --- What is allocated, the latest last ---

enum how { BY_RUNTIME, IN_STREAM, BY_DRIVER, HANDLE };

static struct {
    uint64_t address;
    enum how how;
} held[100000];
static size_t held_count;

static void hold(int error, const uint64_t *address, enum how how)
{
    if (!error && held_count < sizeof(held) / sizeof(held[0])) {
        held[held_count].address = *address;
        held[held_count++].how = how;
    }
}

static void free_latest(void)
{
    int error = 1;
    if (!held_count)
        return;
    uint64_t address = held[held_count - 1].address;
    switch (held[held_count - 1].how) {
    case BY_RUNTIME:
        error = call_cudaFree((void *)address);
        break;
    case IN_STREAM:
        error = call_cudaFreeAsync((void *)address, NULL);
        break;
    case BY_DRIVER:
        error = call_cuMemFree_v2(address);
        break;
    case HANDLE:
        error = call_cuMemRelease(address);
    }
    held_count -= !error;
}

// --- Launches, from several depths of the stack ---

static const dim3 one = {1, 1, 1};

__attribute__((noinline)) static int launch_deep(unsigned depth, int by_driver)
{
    volatile char room[64]; // of which most is never written
    room[depth % sizeof(room)] = 1;
    int error;
    if (depth)
        error = launch_deep(depth - 1, by_driver);
    else if (by_driver)
        error = call_cuLaunchKernel(NULL, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL);
    else
        error = call_cudaLaunchKernel(NULL, one, one, NULL, 0, NULL);
    return error + room[depth % sizeof(room)] - 1;
}

// --- Threads ---

static void *work(void *context)
{
    size_t count = *(size_t *)context;
    for (size_t i = 0; i < count; i++) {
        void *address;
        call_cudaLaunchKernel(NULL, one, one, NULL, 0, NULL);
        call_cudaMemcpyAsync(NULL, NULL, 100, 1, NULL);
        if (call_cudaMalloc(&address, 4096) == 0)
            call_cudaFree(address);
    }
    return NULL;
}

static void run_threads(size_t threads, size_t count)
{
    pthread_t ids[64];
    for (size_t i = 0; i < threads && i < 64; i++)
        pthread_create(&ids[i], NULL, work, &count);
    for (size_t i = 0; i < threads && i < 64; i++)
        pthread_join(ids[i], NULL);
}

// --- Commands ---

static int synchronize(const char *scope)
{
    if (strcmp(scope, "device") == 0)
        return call_cudaDeviceSynchronize();
    if (strcmp(scope, "stream") == 0)
        return call_cudaStreamSynchronize(NULL);
    return call_cudaEventSynchronize(NULL);
}

// As many ask nvidia-smi something. Nothing but the other program's beginning ends the wait for it: blocked.
static void run_program(void)
{
    char *const arguments[] = {"true", NULL};
    pid_t pid;
    int status;
    if (posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environ) || waitpid(pid, &status, 0) != pid)
        exit(3);
}

static void nccl_call(const char *name, size_t count, int type)
{
    if (strcmp(name, "all_reduce") == 0)
        call_ncclAllReduce(NULL, NULL, count, type, 0, NULL, NULL);
    else if (strcmp(name, "broadcast") == 0)
        call_ncclBroadcast(NULL, NULL, count, type, 0, NULL, NULL);
    else if (strcmp(name, "bcast") == 0)
        call_ncclBcast(NULL, count, type, 0, NULL, NULL);
    else if (strcmp(name, "reduce") == 0)
        call_ncclReduce(NULL, NULL, count, type, 0, 0, NULL, NULL);
    else if (strcmp(name, "all_gather") == 0)
        call_ncclAllGather(NULL, NULL, count, type, NULL, NULL);
    else if (strcmp(name, "reduce_scatter") == 0)
        call_ncclReduceScatter(NULL, NULL, count, type, 0, NULL, NULL);
    else if (strcmp(name, "send") == 0)
        call_ncclSend(NULL, count, type, 0, NULL, NULL);
    else if (strcmp(name, "recv") == 0)
        call_ncclRecv(NULL, count, type, 0, NULL, NULL);
    else
        call_ncclAlltoAll(NULL, NULL, count, type, NULL, NULL);
}

static void copy_volume(size_t width, size_t height, size_t depth, unsigned kind)
{
    uint64_t parameters[20] = {[16] = width, [17] = height, [18] = depth, [19] = kind};
    call_cudaMemcpy3D(parameters);
}

static void copy_described(size_t width, size_t height, unsigned from, unsigned to)
{
    struct driver_copy_2d copy = {.source_type = from, .target_type = to, .width = width, .height = height};
    call_cuMemcpy2D_v2(&copy);
}

static void allocate_handle(size_t bytes, int location)
{
    struct driver_property property = {.location = location};
    uint64_t address = 0;
    hold(call_cuMemCreate(&address, bytes, &property, 0), &address, HANDLE);
}

// One call of a command; a to d are its numbers.
static void call_once(const char *name, const char *text, size_t a, size_t b, size_t c, size_t d)
{
    uint64_t address = 0;
    size_t pitch;
    void *context;
#define IS(command) (strcmp(name, command) == 0)
    if (IS("launch"))
        call_cudaLaunchKernel(NULL, one, one, NULL, 0, NULL);
    else if (IS("launch_ptsz"))
        call_cudaLaunchKernel_ptsz(NULL, one, one, NULL, 0, NULL);
    else if (IS("launch_config"))
        call_cudaLaunchKernelExC(NULL, NULL, NULL);
    else if (IS("launch_deep"))
        launch_deep((unsigned)a, (int)b);
    else if (IS("driver_launch_config"))
        call_cuLaunchKernelEx(NULL, NULL, NULL, NULL);
    else if (IS("graph"))
        call_cudaGraphLaunch(NULL, NULL);
    else if (IS("driver_graph"))
        call_cuGraphLaunch(NULL, NULL);
    else if (IS("copy"))
        call_cudaMemcpy(NULL, NULL, a, (int)b);
    else if (IS("copy_async"))
        call_cudaMemcpyAsync(NULL, NULL, a, (int)b, NULL);
    else if (IS("copy_symbol"))
        call_cudaMemcpyToSymbol(NULL, NULL, a, 7, (int)b);
    else if (IS("copy_2d"))
        call_cudaMemcpy2D(NULL, 1024, NULL, 2048, a, b, (int)c);
    else if (IS("copy_3d"))
        copy_volume(a, b, c, (unsigned)d);
    else if (IS("copy_peer"))
        call_cudaMemcpyPeer(NULL, 1, NULL, 0, a);
    else if (IS("driver_to_device"))
        call_cuMemcpyHtoD_v2(0, NULL, a);
    else if (IS("driver_to_host"))
        call_cuMemcpyDtoH_v2(NULL, 0, a);
    else if (IS("driver_on_device"))
        call_cuMemcpyDtoD_v2(0, 0, a);
    else if (IS("driver_copy"))
        call_cuMemcpy(0, 0, a);
    else if (IS("driver_copy_2d"))
        copy_described(a, b, (unsigned)c, (unsigned)d);
    else if (IS("wait"))
        synchronize(text);
    else if (IS("driver_wait"))
        call_cuCtxSynchronize();
    else if (IS("allocate"))
        hold(call_cudaMalloc((void **)&address, a), &address, BY_RUNTIME);
    else if (IS("allocate_managed"))
        hold(call_cudaMallocManaged((void **)&address, a, 1), &address, BY_RUNTIME);
    else if (IS("allocate_rows"))
        hold(call_cudaMallocPitch((void **)&address, &pitch, a, b), &address, BY_RUNTIME);
    else if (IS("allocate_async"))
        hold(call_cudaMallocAsync((void **)&address, a, NULL), &address, IN_STREAM);
    else if (IS("driver_allocate"))
        hold(call_cuMemAlloc_v2(&address, a), &address, BY_DRIVER);
    else if (IS("driver_handle"))
        allocate_handle(a, (int)b);
    else if (IS("free"))
        free_latest();
    else if (IS("free_nothing"))
        call_cudaFree(NULL);
    else if (IS("free_unknown"))
        call_cudaFree((void *)0x1234500);
    else if (IS("device"))
        call_cudaSetDevice((int)a);
    else if (IS("reset"))
        call_cudaDeviceReset();
    else if (IS("context"))
        call_cuCtxCreate_v2(&context, 0, 0);
    else if (IS("context_destroy"))
        call_cuCtxDestroy_v2(NULL);
    else if (IS("fail"))
        state->failing = *nccl_result = (int)a;
    else if (IS("nccl_result"))
        *nccl_result = (int)a;
    else if (IS("waits"))
        state->waits_us = (unsigned)a;
    else if (IS("threads"))
        run_threads(a, b);
    else if (IS("nccl"))
        nccl_call(text, a, (int)b);
    else if (IS("run"))
        run_program();
    else
        exit(2);
}

// Says so as soon as it is inside, and stays there.
static void *hang(void *context)
{
    state->hangs = 1;
    call_cudaDeviceSynchronize();
    return NULL;
}

static void hang_apart(void)
{
    pthread_t id;
    pthread_create(&id, NULL, hang, NULL);
    while (!state->waiting)
        usleep(1000);
}

// TIMES COMMAND TEXT A B C D
static int carry_out(const char *line)
{
    char name[32] = "", text[32] = "";
    size_t times = 0, a = 0, b = 0, c = 0, d = 0;
    if (sscanf(line, "%zu %31s %31s %zu %zu %zu %zu", &times, name, text, &a, &b, &c, &d) < 2)
        return 0;
    if (!state)
        load();
    uint64_t took = 0;
    if (strcmp(name, "hang") == 0)
        hang_apart();
    else if (strcmp(name, "load") != 0)
        for (size_t i = 0; i < times; i++) {
            uint64_t start = now();
            call_once(name, text, a, b, c, d);
            took += now() - start;
        }
    printf("%llu\n", (unsigned long long)took);
    fflush(stdout);
    return 1;
}

int main(int count, char **arguments)
{
    char line[256];
    if (count < 2)
        return 2;
    folder = arguments[1];
    // Commands of its own, then those that it is told.
    for (int i = 2; i < count; i++)
        carry_out(arguments[i]);
    while (fgets(line, sizeof(line), stdin) && carry_out(line))
        continue;
    return 0;
}
