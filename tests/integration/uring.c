#include "uring.h"

#include "base/cleanup.h"

#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int uring_do(const struct io_uring_sqe *request)
{
    struct io_uring_params params = {};
    _cleanup_close_ int ring = (int)syscall(SYS_io_uring_setup, 1, &params);
    if (ring < 0 || !(params.features & IORING_FEAT_SINGLE_MMAP))
        return INT_MIN;
    size_t size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    size_t request_size = params.sq_entries * sizeof(struct io_uring_sqe);
    char *queues = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *requests =
        mmap(NULL, request_size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    if (queues == MAP_FAILED || requests == MAP_FAILED)
        return INT_MIN;

    requests[0] = *request;
    ((unsigned *)(queues + params.sq_off.array))[0] = 0;
    __atomic_store_n((unsigned *)(queues + params.sq_off.tail), 1, __ATOMIC_RELEASE);
    int result = INT_MIN;
    if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1) {
        const struct io_uring_cqe *done = (const void *)(queues + params.cq_off.cqes);
        result = done[0].res;
    }
    munmap(queues, size);
    munmap(requests, request_size);
    return result;
}
