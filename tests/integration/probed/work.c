#include "work.h"

#include <stdlib.h>
#include <unistd.h>

__attribute__((noinline)) long work_sleep(long microseconds)
{
    if (microseconds < 0)
        _exit(0);
    usleep((useconds_t)microseconds);
    return microseconds;
}

__attribute__((noinline)) long work_bytes(const void *data, long bytes, int sign)
{
    volatile long sum = 0;
    sum += data ? bytes : sign;
    return sum;
}
