// Libraries that stand in for CUDA's driver and runtime and for NCCL: the same names and arguments, and no
// GPU. What they do is hand out addresses, wait as long as they are told to, and fail where they are told to.
#pragma once

#include <stddef.h>
#include <stdint.h>

// In the driver; exported.
struct stand_in {
    int failing;          // every call returns an error
    unsigned waits_us;    // in calls that wait for the GPU
    int hangs;            // those never return
    volatile int waiting; // one of them has begun
};
extern struct stand_in stand_in;

typedef struct {
    unsigned x, y, z;
} dim3;

// CUDA_MEMCPY2D (cuda.h), as far as it is used here.
struct driver_copy_2d {
    size_t source_x, source_y;
    unsigned source_type;
    uint64_t source[3];
    size_t source_pitch;
    size_t target_x, target_y;
    unsigned target_type;
    uint64_t target[3];
    size_t target_pitch;
    size_t width, height;
};
_Static_assert(sizeof(struct driver_copy_2d) == 128, "as in cuda.h");

// CUmemAllocationProp (cuda.h).
struct driver_property {
    int type, handles;
    int location, id; // 1: a device
    uint64_t more[2];
};
_Static_assert(sizeof(struct driver_property) == 32, "as in cuda.h");

// What the stand-in for the driver has, also for those that do not want to go by exported names, as the real
// runtime may.
#define DRIVER_FUNCTIONS(X)                                                                                 \
    X(int, cuLaunchKernel,                                                                                  \
      (void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,               \
       unsigned shared, void *stream, void **parameters, void **extra))                                     \
    X(int, cuLaunchKernelEx, (const void *config, void *f, void **parameters, void **extra))                \
    X(int, cuGraphLaunch, (void *graph, void *stream))                                                      \
    X(int, cuMemcpyHtoD_v2, (uint64_t target, const void *source, size_t bytes))                            \
    X(int, cuMemcpyDtoH_v2, (void *target, uint64_t source, size_t bytes))                                  \
    X(int, cuMemcpyDtoD_v2, (uint64_t target, uint64_t source, size_t bytes))                               \
    X(int, cuMemcpyHtoDAsync_v2, (uint64_t target, const void *source, size_t bytes, void *stream))         \
    X(int, cuMemcpy, (uint64_t target, uint64_t source, size_t bytes))                                      \
    X(int, cuMemcpy2D_v2, (const struct driver_copy_2d *copy))                                              \
    X(int, cuCtxSynchronize, (void))                                                                        \
    X(int, cuStreamSynchronize, (void *stream))                                                             \
    X(int, cuEventSynchronize, (void *event))                                                               \
    X(int, cuMemAlloc_v2, (uint64_t * at, size_t bytes))                                                    \
    X(int, cuMemAllocPitch_v2, (uint64_t * at, size_t * pitch, size_t width, size_t height, unsigned each)) \
    X(int, cuMemAllocAsync, (uint64_t * at, size_t bytes, void *stream))                                    \
    X(int, cuMemCreate,                                                                                     \
      (uint64_t * handle, size_t bytes, const struct driver_property *property, unsigned long long flags))  \
    X(int, cuMemFree_v2, (uint64_t address))                                                                \
    X(int, cuMemFreeAsync, (uint64_t address, void *stream))                                                \
    X(int, cuMemRelease, (uint64_t handle))                                                                 \
    X(int, cuCtxCreate_v2, (void **context, unsigned flags, int device))                                    \
    X(int, cuCtxDestroy_v2, (void *context))                                                                \
    X(int, cuDevicePrimaryCtxRetain, (void **context, int device))                                          \
    X(int, cuDevicePrimaryCtxReset_v2, (int device))

#define RUNTIME_FUNCTIONS(X)                                                                          \
    X(int, cudaLaunchKernel,                                                                          \
      (const void *f, dim3 grid, dim3 block, void **arguments, size_t shared, void *stream))          \
    X(int, cudaLaunchKernel_ptsz,                                                                     \
      (const void *f, dim3 grid, dim3 block, void **arguments, size_t shared, void *stream))          \
    X(int, cudaLaunchKernelExC, (const void *config, const void *f, void **arguments))                \
    X(int, cudaGraphLaunch, (void *graph, void *stream))                                              \
    X(int, cudaMemcpy, (void *target, const void *source, size_t bytes, int kind))                    \
    X(int, cudaMemcpyAsync, (void *target, const void *source, size_t bytes, int kind, void *stream)) \
    X(int, cudaMemcpyToSymbol,                                                                        \
      (const void *symbol, const void *source, size_t bytes, size_t offset, int kind))                \
    X(int, cudaMemcpy2D,                                                                              \
      (void *target, size_t target_pitch, const void *source, size_t source_pitch, size_t width,      \
       size_t height, int kind))                                                                      \
    X(int, cudaMemcpy3D, (const void *parameters))                                                    \
    X(int, cudaMemcpyPeer,                                                                            \
      (void *target, int target_device, const void *source, int source_device, size_t bytes))         \
    X(int, cudaDeviceSynchronize, (void))                                                             \
    X(int, cudaStreamSynchronize, (void *stream))                                                     \
    X(int, cudaEventSynchronize, (void *event))                                                       \
    X(int, cudaMalloc, (void **at, size_t bytes))                                                     \
    X(int, cudaMallocManaged, (void **at, size_t bytes, unsigned flags))                              \
    X(int, cudaMallocPitch, (void **at, size_t *pitch, size_t width, size_t height))                  \
    X(int, cudaMallocAsync, (void **at, size_t bytes, void *stream))                                  \
    X(int, cudaFree, (void *address))                                                                 \
    X(int, cudaFreeAsync, (void *address, void *stream))                                              \
    X(int, cudaSetDevice, (int device))                                                               \
    X(int, cudaDeviceReset, (void))

#define NCCL_FUNCTIONS(X)                                                                                    \
    X(int, ncclAllReduce,                                                                                    \
      (const void *from, void *to, size_t count, int type, int reduction, void *communicator, void *stream)) \
    X(int, ncclBroadcast,                                                                                    \
      (const void *from, void *to, size_t count, int type, int root, void *communicator, void *stream))      \
    X(int, ncclBcast, (void *buffer, size_t count, int type, int root, void *communicator, void *stream))    \
    X(int, ncclReduce,                                                                                       \
      (const void *from, void *to, size_t count, int type, int reduction, int root, void *communicator,      \
       void *stream))                                                                                        \
    X(int, ncclAllGather,                                                                                    \
      (const void *from, void *to, size_t count, int type, void *communicator, void *stream))                \
    X(int, ncclReduceScatter,                                                                                \
      (const void *from, void *to, size_t count, int type, int reduction, void *communicator, void *stream)) \
    X(int, ncclSend, (const void *from, size_t count, int type, int peer, void *communicator, void *stream)) \
    X(int, ncclRecv, (void *to, size_t count, int type, int peer, void *communicator, void *stream))         \
    X(int, ncclAlltoAll,                                                                                     \
      (const void *from, void *to, size_t count, int type, void *communicator, void *stream))

#define STAND_IN_DECLARE(result, name, parameters) result name parameters;
#define STAND_IN_MEMBER(result, name, parameters) result(*name) parameters;

struct driver_table {
    DRIVER_FUNCTIONS(STAND_IN_MEMBER)
};
