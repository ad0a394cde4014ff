#include "source.h"

#include "base/cleanup.h"
#include "calls.h"
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

static struct syscall_bpf *skeleton;
static struct hooks attached;
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

static void stop(void)
{
    hook_detach_all(&attached);
    syscall_bpf__destroy(skeleton);
    skeleton = NULL;
    watched_count = 0;
}

// Adds the hooks of a call that is not watched yet; the number of all hooks.
static size_t watch(const char *call, struct hook *hooks, char (*points)[64], size_t count)
{
    int number = call_number(call, false);
    if (number < 0 || skeleton->rodata->slots[number] || watched_count == WIRE_SYSCALL_CALLS_MAX)
        return count;
    watched[watched_count++] = call;
    skeleton->rodata->slots[number] = (__u8)watched_count;
    // The exit first: a beginning without an end would be charged to the thread's next call.
    for (int exits = 1; exits >= 0; exits--) {
        snprintf(points[count], sizeof(points[count]), "tracepoint/syscalls/sys_%s_%s",
                 exits ? "exit" : "enter", tracepoint_of(call));
        hooks[count] = (struct hook){.name = call,
                                     .program = exits ? "syscall_exit_tp" : "syscall_enter_tp",
                                     .attach_point = points[count],
                                     .attach = hook_attach_tracepoint,
                                     .wanted = true};
        count++;
    }
    return count;
}

static int start(const struct source_env *env, struct source_report *ret_report)
{
    static char *const nothing[] = {NULL};
    static char *const example[] = {"read", NULL};
    char *const *calls = env->syscalls ? env->syscalls : env->everything ? example : nothing;
    ret_report->needed = calls[0];
    if (!calls[0] || skeleton) // the calls stay what they are
        return 0;
    skeleton = syscall_bpf__open();
    if (!skeleton)
        return hook_load_failed(-errno, ret_report);
    skeleton->rodata->source_id = env->id;

    struct hook hooks[2 * WIRE_SYSCALL_CALLS_MAX] = {};
    char points[2 * WIRE_SYSCALL_CALLS_MAX][64];
    size_t count = 0;
    for (size_t i = 0; calls[i]; i++) {
        bool all = strcmp(calls[i], SOURCE_SYSCALLS_DEFAULT) == 0;
        for (size_t k = 0; k < (all ? ARRAY_SIZE(usual) : 1); k++)
            count = watch(all ? usual[k] : calls[i], hooks, points, count);
    }

    int error = hook_load(skeleton->skeleton, env, hooks, count, ret_report);
    if (!error)
        error = hook_update(skeleton->obj, hooks, count, &attached, ret_report);
    if (error)
        stop();
    return error;
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
