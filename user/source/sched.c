#include "sched.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "object.h"
#include "probes.h"
#include "sched.skel.h"
#include "walk.h"
#include "wire/api.h"
#include "wire/sched.h"
#include "wire/work.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

OBJECT_SKELETON(sched);
static int work_fd = -1; // of the map `work`; borrowed
static size_t processes_count;
static uint64_t gone_seen; // of skeleton->bss->processes_gone

static struct counter left_out = {
    .name = "inferscope_sched_processes_left_total",
    .help = "Times that an inference process was not measured by the source sched, as there are too many",
};

// --- What it gives ---

static int state_labels(uint16_t detail, struct label *ret_labels)
{
    static const char *const states[WIRE_SCHED_STATES] = {"sleeping", "blocked", "stopped"};
    if (detail >= WIRE_SCHED_STATES)
        return -EINVAL;
    ret_labels[0] = (struct label){"state", states[detail]};
    return 1;
}

static const struct measure_family families[] = {
    {"inferscope_sched_run_queue_delay_seconds", "seconds",
     "How long threads of inference processes were ready to run, woken or preempted, before they ran",
     MEASURE_SHORT_TIME, WIRE_SCHED_DELAY, 3, 27, NULL},
    {"inferscope_sched_off_cpu_seconds", "seconds",
     "How long threads of inference processes waited for something else than a CPU: sleeping, blocked (which "
     "no "
     "signal ends: disks, page faults, drivers) or stopped (by a signal or a debugger)",
     MEASURE_SHORT_TIME, WIRE_SCHED_OFF_CPU, 6, 30, state_labels},
    {"inferscope_sched_preemptions_total", NULL,
     "Times that threads of inference processes had to leave a CPU although they could have gone on",
     MEASURE_COUNT, WIRE_SCHED_PREEMPTED, .labels = NULL},
};

static int map_fd(void)
{
    return skeleton ? bpf_map__fd(skeleton->maps.measures) : -1;
}

static const struct measures measures = {
    .families = families, .count = ARRAY_SIZE(families), .map_fd = map_fd};

static void collect(struct series_writer *writer)
{
    static const struct series_family family = {.name = "inferscope_sched_processes",
                                                .type = SERIES_GAUGE,
                                                .help = "Inference processes whose waits are measured"};
    if (!skeleton)
        return;
    writer->family(writer, &family);
    writer->number(writer, NULL, 0, (double)processes_count);
}

// --- Whom it is about ---

enum { MARK_WORDS = WIRE_SCHED_MARKS / 64 };

static void mark(__u64 *marks, uint32_t process)
{
    marks[process / 64 % MARK_WORDS] |= UINT64_C(1) << process % 64;
}

void sched_found(pid_t pid)
{
    uint32_t process = (uint32_t)pid;
    struct wire_sched_process measured;
    if (!skeleton || pid <= 0)
        return;
    int fd = bpf_map__fd(skeleton->maps.processes);
    if (bpf_map_lookup_elem(fd, &process, &measured) == 0)
        return;
    measured.since_ns = clock_ns(CLOCK_MONOTONIC);
    if (bpf_map_update_elem(fd, &process, &measured, BPF_ANY)) {
        left_out.value++;
        return;
    }
    // Had it ended before, nobody would tell, and its number may become another's.
    if (kill(pid, 0) && errno == ESRCH) {
        bpf_map_delete_elem(fd, &process);
        bpf_map_delete_elem(work_fd, &process);
        return;
    }
    processes_count++;
    mark(skeleton->bss->marks, process);
}

void sched_event(const struct event *event)
{
    if (skeleton && strcmp(event->type->name, "infer") == 0)
        sched_found((pid_t)event->wire->pid);
}

static void find(int fd, const void *key, const void *value, void *context)
{
    sched_found(*(const pid_t *)key);
}

static __u64 fresh_marks[MARK_WORDS];

static void count_and_mark(int fd, const void *key, const void *value, void *context)
{
    size_t *count = context;
    (*count)++;
    mark(fresh_marks, *(const uint32_t *)key);
}

// About once a second.
static void look(void)
{
    walk_table(work_fd, find, NULL); // whom it does not come to is found the next time
    uint64_t gone = skeleton->bss->processes_gone;
    if (gone == gone_seen)
        return;
    size_t count = 0;
    memset(fresh_marks, 0, sizeof(fresh_marks));
    // A mark too many costs a little time; one too few, and a process would be measured no more.
    if (walk_table(bpf_map__fd(skeleton->maps.processes), count_and_mark, &count))
        return;
    gone_seen = gone;
    processes_count = count;
    // Word by word, as the kernel reads them: no mark of a process that is still there is missing in between.
    for (size_t i = 0; i < MARK_WORDS; i++)
        __atomic_store_n(&skeleton->bss->marks[i], fresh_marks[i], __ATOMIC_RELAXED);
}

// --- Start and stop ---

static void forget(void)
{
    probes_tell_runtimes(NULL);
    processes_count = 0;
    gone_seen = 0;
}

static struct object object = {.open = open_skeleton, .close = close_skeleton, .stopping = forget};

static int start(const struct source_env *env, struct source_report *ret_report)
{
    // The ends first: nobody is measured whose end could be missed.
    static const struct hook hooks[] = {
        {.name = "ends of processes",
         .program = "freed_btf",
         .attach_point = "tp_btf/sched_process_free",
         .wanted = true},
        {.name = "other programs",
         .program = "execed_btf",
         .attach_point = "tp_btf/sched_process_exec",
         .wanted = true},
        {.name = "switches",
         .program = "switched_btf",
         .attach_point = "tp_btf/sched_switch",
         .wanted = true},
    };
    counter_register(&left_out);
    int error =
        object_start(&object, env, env->everything || env->sched, hooks, ARRAY_SIZE(hooks), ret_report);
    if (error || !ret_report->needed)
        return error;
    work_fd = env->work_fd;
    probes_tell_runtimes(sched_found);
    return 0;
}

static void stop(void)
{
    object_stop(&object);
}

static size_t record_size(uint16_t type)
{
    return SIZE_MAX; // sends no records, so none is valid
}

const struct source source_sched = {
    .name = "sched",
    .help = "How long threads of inference processes wait for a CPU, and for everything else (--sched)",
    .cost = "some 20 ns for each switch between any two threads on the node, 0.3 µs where one of them is of "
            "an inference process; off unless asked for",
    .record_size = record_size,
    .start = start,
    .stop = stop,
    .collect = collect,
    .measures = &measures,
    .tick = look,
};
