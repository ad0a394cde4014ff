// Calls functions that a test has probed, one word after the other:
//   wait            says so by a byte on stdout, then waits for a byte or the end of stdin
//   load PATH       loads the library that has the functions (as probed-late, which has none itself)
//   sleep TIMES US PATH  calls work_sleep(), and writes to PATH how many ns that took by its own clock
//   bytes TIMES N   calls work_bytes(), every second time as if for an int below zero
//   die             ends in the middle of work_sleep()
//   spin            calls work_bytes() until stdin ends
#include "work.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef LATE
#include <dlfcn.h>
static long (*call_sleep)(long);
static long (*call_bytes)(const void *, long, int);

static int load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    call_sleep = library ? (long (*)(long))dlsym(library, "work_sleep") : NULL;
    call_bytes = library ? (long (*)(const void *, long, int))dlsym(library, "work_bytes") : NULL;
    return call_sleep && call_bytes ? 0 : 1;
}
#else
static long (*const call_sleep)(long) = work_sleep;
static long (*const call_bytes)(const void *, long, int) = work_bytes;

static int load(const char *path)
{
    return path ? 1 : 0;
}
#endif

static long long now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void sleep_times(long times, long microseconds, const char *path)
{
    long long sum = 0;
    for (long i = 0; i < times; i++) {
        long long begun = now_ns();
        call_sleep(microseconds);
        sum += now_ns() - begun;
    }
    FILE *file = fopen(path, "w");
    if (file) {
        fprintf(file, "%lld", sum);
        fclose(file);
    }
}

static void spin(void)
{
    struct pollfd input = {.fd = 0, .events = POLLIN};
    while (poll(&input, 1, 0) == 0)
        for (int i = 0; i < 1000; i++)
            call_bytes("", 1, 1);
}

int main(int argc, char **argv)
{
    char byte;
    signal(SIGPIPE, SIG_IGN);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "wait") == 0) {
            // The first time somebody listens.
            if ((write(1, ".", 1) != 1 && errno != EPIPE) || read(0, &byte, 1) < 0)
                return 1;
        } else if (strcmp(argv[i], "load") == 0 && i + 1 < argc) {
            if (load(argv[++i]))
                return 1;
        } else if (strcmp(argv[i], "sleep") == 0 && i + 3 < argc) {
            sleep_times(atol(argv[i + 1]), atol(argv[i + 2]), argv[i + 3]);
            i += 3;
        } else if (strcmp(argv[i], "bytes") == 0 && i + 2 < argc) {
            for (long k = 0; k < atol(argv[i + 1]); k++)
                call_bytes("", atol(argv[i + 2]), k % 2 ? -1 : 3);
            i += 2;
        } else if (strcmp(argv[i], "die") == 0) {
            call_sleep(-1);
        } else if (strcmp(argv[i], "spin") == 0) {
            spin();
        } else {
            return 2;
        }
    }
    return 0;
}
