#include "threads.h"

#include "base/clock.h"

#include <bpf/bpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRIES_MAX = 65536 }; // more than any of them has: entries may come as fast as they are looked at

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
    return access(path, F_OK) != 0;
}

unsigned threads_sweep_now(int map_fd)
{
    unsigned gone = 0;
    uint64_t key, next;
    if (!numbers_are_the_kernels())
        return 0;
    int end = bpf_map_get_next_key(map_fd, NULL, &next);
    for (unsigned i = 0; !end && i < ENTRIES_MAX; i++) {
        key = next;
        end = bpf_map_get_next_key(map_fd, &key, &next); // before the key is none any more
        uint32_t thread;
        memcpy(&thread, &key, sizeof(thread));
        // The number does not come again before all others have, so it is nobody's new one by now.
        if (is_gone(thread) && bpf_map_delete_elem(map_fd, &key) == 0)
            gone++;
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
