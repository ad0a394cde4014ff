// Stands in for libcuda.so.1. Each function is there twice: exported, and in a table that the exported ones
// go through, as the real driver hands out functions without their names.
#include "stand_in.h"

#include <pthread.h>
#include <time.h>

struct stand_in stand_in;

enum { OK = 0, FAILED = 2, FREED_MAX = 4096 };

// Addresses that are free again are handed out first, the latest one before others.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t freed[FREED_MAX], next_address = 0x7f0000000000;
static size_t freed_count;

static int result(void)
{
    return stand_in.failing ? FAILED : OK;
}

static int hand_out(uint64_t *at, size_t bytes)
{
    if (stand_in.failing)
        return FAILED;
    pthread_mutex_lock(&lock);
    *at = freed_count ? freed[--freed_count] : (next_address += 0x200000);
    pthread_mutex_unlock(&lock);
    return OK;
}

static int take_back(uint64_t address)
{
    if (stand_in.failing)
        return FAILED;
    pthread_mutex_lock(&lock);
    if (address && freed_count < FREED_MAX)
        freed[freed_count++] = address;
    pthread_mutex_unlock(&lock);
    return OK;
}

static int wait_for_gpu(void)
{
    struct timespec time = {.tv_sec = stand_in.waits_us / 1000000,
                            .tv_nsec = (long)(stand_in.waits_us % 1000000) * 1000};
    stand_in.waiting = 1;
    if (stand_in.waits_us)
        nanosleep(&time, NULL);
    while (stand_in.hangs)
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    return result();
}

static int do_cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                             unsigned bz, unsigned shared, void *stream, void **parameters, void **extra)
{
    return result();
}

static int do_cuLaunchKernelEx(const void *config, void *f, void **parameters, void **extra)
{
    return result();
}

static int do_cuGraphLaunch(void *graph, void *stream)
{
    return result();
}

static int do_cuMemcpyHtoD_v2(uint64_t target, const void *source, size_t bytes)
{
    return result();
}

static int do_cuMemcpyDtoH_v2(void *target, uint64_t source, size_t bytes)
{
    return result();
}

static int do_cuMemcpyDtoD_v2(uint64_t target, uint64_t source, size_t bytes)
{
    return result();
}

static int do_cuMemcpyHtoDAsync_v2(uint64_t target, const void *source, size_t bytes, void *stream)
{
    return result();
}

static int do_cuMemcpy(uint64_t target, uint64_t source, size_t bytes)
{
    return result();
}

static int do_cuMemcpy2D_v2(const struct driver_copy_2d *copy)
{
    return result();
}

static int do_cuCtxSynchronize(void)
{
    return wait_for_gpu();
}

static int do_cuStreamSynchronize(void *stream)
{
    return wait_for_gpu();
}

static int do_cuEventSynchronize(void *event)
{
    return wait_for_gpu();
}

static int do_cuMemAlloc_v2(uint64_t *at, size_t bytes)
{
    return hand_out(at, bytes);
}

static int do_cuMemAllocPitch_v2(uint64_t *at, size_t *pitch, size_t width, size_t height, unsigned each)
{
    *pitch = (width + 511) / 512 * 512;
    return hand_out(at, *pitch * height);
}

static int do_cuMemAllocAsync(uint64_t *at, size_t bytes, void *stream)
{
    return hand_out(at, bytes);
}

static int do_cuMemCreate(uint64_t *handle, size_t bytes, const struct driver_property *property,
                          unsigned long long flags)
{
    return hand_out(handle, bytes);
}

static int do_cuMemFree_v2(uint64_t address)
{
    return take_back(address);
}

static int do_cuMemFreeAsync(uint64_t address, void *stream)
{
    return take_back(address);
}

static int do_cuMemRelease(uint64_t handle)
{
    return take_back(handle);
}

static int do_cuCtxCreate_v2(void **context, unsigned flags, int device)
{
    *context = &stand_in;
    return result();
}

static int do_cuCtxDestroy_v2(void *context)
{
    return result();
}

static int do_cuDevicePrimaryCtxRetain(void **context, int device)
{
    *context = &stand_in;
    return result();
}

static int do_cuDevicePrimaryCtxReset_v2(int device)
{
    return result();
}

#define MEMBER(result, name, parameters) .name = do_##name,
const struct driver_table stand_in_table = {DRIVER_FUNCTIONS(MEMBER)};

// The exported ones are aliases of code of their own, so that probing them does not probe the table's.
#define FORWARD(name, parameters, arguments) \
    int name parameters                      \
    {                                        \
        return do_##name arguments;          \
    }
FORWARD(cuLaunchKernel,
        (void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
         unsigned shared, void *stream, void **parameters, void **extra),
        (f, gx, gy, gz, bx, by, bz, shared, stream, parameters, extra))
FORWARD(cuLaunchKernelEx, (const void *config, void *f, void **parameters, void **extra),
        (config, f, parameters, extra))
FORWARD(cuGraphLaunch, (void *graph, void *stream), (graph, stream))
FORWARD(cuMemcpyHtoD_v2, (uint64_t target, const void *source, size_t bytes), (target, source, bytes))
FORWARD(cuMemcpyDtoH_v2, (void *target, uint64_t source, size_t bytes), (target, source, bytes))
FORWARD(cuMemcpyDtoD_v2, (uint64_t target, uint64_t source, size_t bytes), (target, source, bytes))
FORWARD(cuMemcpyHtoDAsync_v2, (uint64_t target, const void *source, size_t bytes, void *stream),
        (target, source, bytes, stream))
FORWARD(cuMemcpy, (uint64_t target, uint64_t source, size_t bytes), (target, source, bytes))
FORWARD(cuMemcpy2D_v2, (const struct driver_copy_2d *copy), (copy))
FORWARD(cuCtxSynchronize, (void), ())
FORWARD(cuStreamSynchronize, (void *stream), (stream))
FORWARD(cuEventSynchronize, (void *event), (event))
FORWARD(cuMemAlloc_v2, (uint64_t * at, size_t bytes), (at, bytes))
FORWARD(cuMemAllocPitch_v2, (uint64_t * at, size_t *pitch, size_t width, size_t height, unsigned each),
        (at, pitch, width, height, each))
FORWARD(cuMemAllocAsync, (uint64_t * at, size_t bytes, void *stream), (at, bytes, stream))
FORWARD(cuMemCreate,
        (uint64_t * handle, size_t bytes, const struct driver_property *property, unsigned long long flags),
        (handle, bytes, property, flags))
FORWARD(cuMemFree_v2, (uint64_t address), (address))
FORWARD(cuMemFreeAsync, (uint64_t address, void *stream), (address, stream))
FORWARD(cuMemRelease, (uint64_t handle), (handle))
FORWARD(cuCtxCreate_v2, (void **context, unsigned flags, int device), (context, flags, device))
FORWARD(cuCtxDestroy_v2, (void *context), (context))
FORWARD(cuDevicePrimaryCtxRetain, (void **context, int device), (context, device))
FORWARD(cuDevicePrimaryCtxReset_v2, (int device), (device))
