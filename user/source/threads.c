#include "threads.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    AT_ONCE = 256,      // entries; more than fall into one bucket of a table
    BATCHES_MAX = 1024, // more than any table has: calls may begin as fast as they are looked at
};

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

static unsigned sweep(int map_fd, const uint64_t *keys, uint32_t count)
{
    unsigned gone = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t thread;
        memcpy(&thread, &keys[i], sizeof(thread));
        // The number does not come again before all others have, so it is nobody's new one by now.
        if (is_gone(thread) && bpf_map_delete_elem(map_fd, &keys[i]) == 0)
            gone++;
    }
    return gone;
}

// By batches, which go on where they were: a walk from key to key begins anew wherever a call has ended
// meanwhile, and would hardly come to the end of a busy table.
unsigned threads_sweep_now(int map_fd)
{
    struct bpf_map_info map = {};
    uint32_t size = sizeof(map);
    uint64_t keys[AT_ONCE], place = 0;
    unsigned gone = 0;
    if (!numbers_are_the_kernels() || bpf_obj_get_info_by_fd(map_fd, &map, &size))
        return 0;
    _cleanup_free_ void *values = malloc((size_t)AT_ONCE * map.value_size);
    bool end = !values;
    for (unsigned i = 0; !end && i < BATCHES_MAX; i++) {
        uint32_t count = AT_ONCE;
        end = bpf_map_lookup_batch(map_fd, i ? &place : NULL, &place, keys, values, &count, NULL) != 0;
        // The last one comes with ENOENT. Of others it is not known what they have written.
        if (!end || errno == ENOENT)
            gone += sweep(map_fd, keys, count);
    }
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
