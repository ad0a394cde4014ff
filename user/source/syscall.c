#include "source.h"

#include "base/cleanup.h"
#include "calls.h"
#include "object.h"
#include "syscall.skel.h"
#include "threads.h"
#include "wire/syscall.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

// Calls whose tracepoint goes by the name of the kernel's function.
static const struct {
    const char *name;
    const char *tracepoint;
} renamed[] = {
    {"stat", "newstat"},   {"lstat", "newlstat"},      {"fstat", "newfstat"},
    {"uname", "newuname"}, {"sendfile", "sendfile64"}, {"umount2", "umount"},
};

static const char *const usual[] = {"read",  "write",      "openat", "connect",       "accept",
                                    "futex", "epoll_wait", "fsync",  "io_uring_enter"};

#define HOOKS_MAX (2 * WIRE_SYSCALL_CALLS_MAX)
_Static_assert(HOOKS_MAX <= SOURCE_HOOKS_MAX, "more hooks than a source may have");

OBJECT_SKELETON(syscall);
static const char *watched[WIRE_SYSCALL_CALLS_MAX]; // by slot; borrowed from the caller
static size_t watched_count;

bool source_syscall_exists(const char *name)
{
    return strcmp(name, SOURCE_SYSCALLS_DEFAULT) == 0 || call_number(name, false) >= 0;
}

static const char *tracepoint_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(renamed); i++)
        if (strcmp(renamed[i].name, name) == 0)
            return renamed[i].tracepoint;
    return name;
}

static void choose(const char *call)
{
    for (size_t i = 0; i < watched_count; i++)
        if (strcmp(watched[i], call) == 0)
            return;
    if (call_number(call, false) >= 0 && watched_count < WIRE_SYSCALL_CALLS_MAX)
        watched[watched_count++] = call;
}

// They stay what they are while the agent runs, and so do their slots.
static void choose_all(char *const *calls)
{
    watched_count = 0;
    for (size_t i = 0; calls[i]; i++) {
        bool all = strcmp(calls[i], SOURCE_SYSCALLS_DEFAULT) == 0;
        for (size_t k = 0; k < (all ? ARRAY_SIZE(usual) : 1); k++)
            choose(all ? usual[k] : calls[i]);
    }
}

static void prepare(const struct source_env *env)
{
    for (size_t i = 0; i < watched_count; i++)
        skeleton->rodata->slots[call_number(watched[i], false)] = (__u8)(i + 1);
}

static struct object object = {.open = open_skeleton, .close = close_skeleton, .prepare = prepare};

static int start(const struct source_env *env, struct source_report *ret_report)
{
    static char *const nothing[] = {NULL};
    static char *const example[] = {"read", NULL};
    struct hook hooks[HOOKS_MAX] = {};
    char points[HOOKS_MAX][64];
    choose_all(env->syscalls ? env->syscalls : env->everything ? example : nothing);
    for (size_t i = 0; i < 2 * watched_count; i++) {
        // The exit first: a beginning without an end would be charged to the thread's next call.
        bool exits = i % 2 == 0;
        snprintf(points[i], sizeof(points[i]), "tracepoint/syscalls/sys_%s_%s", exits ? "exit" : "enter",
                 tracepoint_of(watched[i / 2]));
        hooks[i] = (struct hook){.name = watched[i / 2],
                                 .program = exits ? "syscall_exit_tp" : "syscall_enter_tp",
                                 .attach_point = points[i],
                                 .attach = hook_attach_tracepoint,
                                 .wanted = true};
    }
    return object_start(&object, env, watched_count > 0, hooks, 2 * watched_count, ret_report);
}

static void stop(void)
{
    object_stop(&object);
}

static int labels(uint16_t slot, struct label *ret_labels)
{
    if (slot >= watched_count)
        return -EINVAL;
    ret_labels[0] = (struct label){"syscall", watched[slot]};
    return 1;
}

static const struct measure_family families[] = {
    {"inferscope_syscall_duration_seconds", "seconds", "Time from entry to return of the chosen system calls",
     MEASURE_SHORT_TIME, WIRE_SYSCALL_DURATION, 0, 26, labels},
};

static int map_fd(void)
{
    return skeleton ? bpf_map__fd(skeleton->maps.measures) : -1;
}

static const struct measures measures = {
    .families = families, .count = ARRAY_SIZE(families), .map_fd = map_fd};

static void tick(void)
{
    static uint64_t swept_ns;
    threads_sweep(bpf_map__fd(skeleton->maps.inside), &swept_ns);
}

static size_t record_size(uint16_t type)
{
    return SIZE_MAX; // sends no records, so none is valid
}

const struct source source_syscall = {
    .name = "syscall",
    .help = "How long chosen system calls take, as histograms by container (--syscall-latency)",
    .cost = "0.3 to 0.5 µs for each watched call, some 20 to 60 ns for every other call on the node; off "
            "unless asked for",
    .record_size = record_size,
    .start = start,
    .stop = stop,
    .measures = &measures,
    .tick = tick,
};
