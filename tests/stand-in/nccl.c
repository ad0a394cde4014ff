// Stands in for libnccl.so.2.
#include "stand_in.h"

NCCL_FUNCTIONS(STAND_IN_DECLARE)

// As in the driver's; a library of its own.
int stand_in_nccl_result;

int ncclAllReduce(const void *from, void *to, size_t count, int type, int reduction, void *communicator,
                  void *stream)
{
    return stand_in_nccl_result;
}

int ncclBroadcast(const void *from, void *to, size_t count, int type, int root, void *communicator,
                  void *stream)
{
    return stand_in_nccl_result;
}

int ncclBcast(void *buffer, size_t count, int type, int root, void *communicator, void *stream)
{
    volatile int error = ncclBroadcast(buffer, buffer, count, type, root, communicator, stream);
    return error;
}

int ncclReduce(const void *from, void *to, size_t count, int type, int reduction, int root,
               void *communicator, void *stream)
{
    return stand_in_nccl_result;
}

int ncclAllGather(const void *from, void *to, size_t count, int type, void *communicator, void *stream)
{
    return stand_in_nccl_result;
}

int ncclReduceScatter(const void *from, void *to, size_t count, int type, int reduction, void *communicator,
                      void *stream)
{
    return stand_in_nccl_result;
}

int ncclSend(const void *from, size_t count, int type, int peer, void *communicator, void *stream)
{
    return stand_in_nccl_result;
}

int ncclRecv(void *to, size_t count, int type, int peer, void *communicator, void *stream)
{
    return stand_in_nccl_result;
}

int ncclAlltoAll(const void *from, void *to, size_t count, int type, void *communicator, void *stream)
{
    return stand_in_nccl_result;
}
