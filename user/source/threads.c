#include "threads.h"

#include "base/clock.h"
#include "walk.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t each_ns = 60000000000;

// The first pid namespace has a number of its own (PROC_PID_INIT_INO). In others nobody can be told to be
// gone by the kernel's numbers.
static bool numbers_are_the_kernels(void)
{
    struct stat status;
    return stat("/proc/self/ns/pid", &status) == 0 && status.st_ino == 0xeffffffc;
}

// Threads have a folder there, too, though it is not listed.
static bool is_gone(uint32_t thread)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/%u", thread);
    return access(path, F_OK) != 0 && errno == ENOENT;
}

static void take_out(int map_fd, const void *key, const void *value, void *context)
{
    unsigned *gone = context;
    uint32_t thread;
    memcpy(&thread, key, sizeof(thread));
    // The number does not come again before all others have, so it is nobody's new one by now.
    if (is_gone(thread) && bpf_map_delete_elem(map_fd, key) == 0)
        (*gone)++;
}

// What it does not come to is there the next time.
unsigned threads_sweep_now(int map_fd)
{
    unsigned gone = 0;
    if (numbers_are_the_kernels())
        walk_table(map_fd, take_out, &gone);
    return gone;
}

void threads_sweep(int map_fd, uint64_t *in_out_swept_ns)
{
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    if (map_fd < 0 || now_ns - *in_out_swept_ns < each_ns)
        return;
    *in_out_swept_ns = now_ns;
    threads_sweep_now(map_fd);
}
