// Stands in for libcudart.so: calls the driver by its exported names or, with -DBY_TABLE, by a table. It
// keeps an error aside as the real one does, so it never ends in the driver's function.
#include "stand_in.h"

DRIVER_FUNCTIONS(STAND_IN_DECLARE)
RUNTIME_FUNCTIONS(STAND_IN_DECLARE)

#ifdef BY_TABLE
extern const struct driver_table stand_in_table;
#define DRIVER(name) stand_in_table.name
#else
#define DRIVER(name) name
#endif

static __thread volatile int last_error;

static int keep(int error)
{
    if (error)
        last_error = error;
    return error;
}

static int launch(void)
{
    return DRIVER(cuLaunchKernel)(0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0);
}

int cudaLaunchKernel(const void *f, dim3 grid, dim3 block, void **arguments, size_t shared, void *stream)
{
    return keep(launch());
}

int cudaLaunchKernel_ptsz(const void *f, dim3 grid, dim3 block, void **arguments, size_t shared, void *stream)
{
    return keep(launch());
}

int cudaLaunchKernelExC(const void *config, const void *f, void **arguments)
{
    return keep(DRIVER(cuLaunchKernelEx)(config, (void *)f, arguments, 0));
}

int cudaGraphLaunch(void *graph, void *stream)
{
    return keep(DRIVER(cuGraphLaunch)(graph, stream));
}

static int copy(void *target, const void *source, size_t bytes, int kind)
{
    if (kind == 1)
        return DRIVER(cuMemcpyHtoD_v2)((uint64_t)target, source, bytes);
    if (kind == 2)
        return DRIVER(cuMemcpyDtoH_v2)(target, (uint64_t)source, bytes);
    return DRIVER(cuMemcpy)((uint64_t)target, (uint64_t)source, bytes);
}

int cudaMemcpy(void *target, const void *source, size_t bytes, int kind)
{
    return keep(copy(target, source, bytes, kind));
}

int cudaMemcpyAsync(void *target, const void *source, size_t bytes, int kind, void *stream)
{
    return keep(DRIVER(cuMemcpyHtoDAsync_v2)((uint64_t)target, source, bytes, stream));
}

int cudaMemcpyToSymbol(const void *symbol, const void *source, size_t bytes, size_t offset, int kind)
{
    return keep(copy((void *)symbol, source, bytes, kind));
}

int cudaMemcpy2D(void *target, size_t target_pitch, const void *source, size_t source_pitch, size_t width,
                 size_t height, int kind)
{
    struct driver_copy_2d described = {.width = width, .height = height};
    return keep(DRIVER(cuMemcpy2D_v2)(&described));
}

int cudaMemcpy3D(const void *parameters)
{
    return keep(0);
}

int cudaMemcpyPeer(void *target, int target_device, const void *source, int source_device, size_t bytes)
{
    return keep(DRIVER(cuMemcpyDtoD_v2)((uint64_t)target, (uint64_t)source, bytes));
}

int cudaDeviceSynchronize(void)
{
    return keep(DRIVER(cuCtxSynchronize)());
}

int cudaStreamSynchronize(void *stream)
{
    return keep(DRIVER(cuStreamSynchronize)(stream));
}

int cudaEventSynchronize(void *event)
{
    return keep(DRIVER(cuEventSynchronize)(event));
}

int cudaMalloc(void **at, size_t bytes)
{
    return keep(DRIVER(cuMemAlloc_v2)((uint64_t *)at, bytes));
}

int cudaMallocManaged(void **at, size_t bytes, unsigned flags)
{
    return keep(DRIVER(cuMemAlloc_v2)((uint64_t *)at, bytes));
}

int cudaMallocPitch(void **at, size_t *pitch, size_t width, size_t height)
{
    return keep(DRIVER(cuMemAllocPitch_v2)((uint64_t *)at, pitch, width, height, 4));
}

int cudaMallocAsync(void **at, size_t bytes, void *stream)
{
    return keep(DRIVER(cuMemAllocAsync)((uint64_t *)at, bytes, stream));
}

int cudaFree(void *address)
{
    return keep(DRIVER(cuMemFree_v2)((uint64_t)address));
}

int cudaFreeAsync(void *address, void *stream)
{
    return keep(DRIVER(cuMemFreeAsync)((uint64_t)address, stream));
}

int cudaSetDevice(int device)
{
    void *context;
    return keep(DRIVER(cuDevicePrimaryCtxRetain)(&context, device));
}

int cudaDeviceReset(void)
{
    return keep(DRIVER(cuDevicePrimaryCtxReset_v2)(0));
}
