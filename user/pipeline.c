// The order in which an event passes through the agent, in one place:
//   source → ring → decode → enrich → rule → metric → sink
#include "pipeline.h"

#include "account.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/privilege.h"
#include "decode.h"
#include "enrich.h"
#include "inference.h"
#include "metric.h"
#include "ring.h"
#include "sink.h"
#include "source.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>

enum {
    BATCH = 1024, // records between two looks at the other descriptors
    PROCESSES_MAX = 65536,
    CONTAINERS_MAX = 8192,
    SOURCES = WIRE_SOURCES_MAX,
};

struct pipeline {
    const struct pipeline_options *options;
    struct ring *ring;
    struct enrich *enrich;
    struct metric_server *server;
    struct sink *sink;
    struct demand demand;
    struct source_report reports[SOURCES];
    struct scratch scratch;
    char hostname[256];
    int epoll_fd, signal_fd, timer_fd;
    bool ready; // every source that is needed is up
};

// --- One event ---

static void on_match(const struct rule *rule, const struct event *event, void *context)
{
    struct pipeline *pipeline = context;
    struct alert alert = {.rule = rule, .event = event, .hostname = pipeline->hostname};
    sink_alert(pipeline->sink, &alert);

    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    account_alert(rule, now_ns > event->wire->time_ns ? now_ns - event->wire->time_ns : 0);
}

static void on_record(const struct wire_header *record, size_t size, void *context)
{
    struct pipeline *pipeline = context;
    struct event event;
    if (decode_record(record, size, &pipeline->scratch, &event))
        return;
    enrich_event(pipeline->enrich, &event);
    account_event(&event);
    inference_event(&event);
    size_t matches = 0;
    const struct rule_set *rules = pipeline->options->rules;
    for (event.name = 0; rules && !matches && event.name < event.names; event.name++)
        matches = rule_set_match(rules, &event, pipeline->options->matching, on_match, pipeline);
    enrich_event_done(pipeline->enrich, &event);
}

// --- Start ---

static bool is_ready(void *context)
{
    return ((struct pipeline *)context)->ready;
}

static int watch(const struct pipeline *pipeline, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(pipeline->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int start_server(struct pipeline *pipeline)
{
    if (!pipeline->options->listen)
        return 0;
    struct metric_server_options options = {
        .address = pipeline->options->listen, .ready = is_ready, .context = pipeline};
    int error = metric_server_new(&options, &pipeline->server);
    if (error == -EADDRINUSE)
        log_error("cannot listen on %s: another program does; choose a free port with --listen",
                  options.address);
    else if (error == -EINVAL)
        log_error("--listen %s is not an address: write 127.0.0.1:9560, [::1]:9560 or :9560",
                  options.address);
    else if (error)
        log_error("cannot listen on %s: %s", options.address, strerror(-error));
    return error ? error : watch(pipeline, metric_server_epoll_fd(pipeline->server));
}

// A source is up without its optional hooks, but sees less than its rules ask for.
static void warn_hooks(const struct source *source, const struct source_report *report)
{
    for (size_t i = 0; report->up && i < report->hooks_count; i++)
        if (report->hooks[i].state == HOOK_FAILED)
            log_warning("source %s does without %s: cannot attach to %s: %s", source->name,
                        report->hooks[i].name, report->hooks[i].attach_point,
                        strerror(report->hooks[i].error));
}

// 0, or -ENODEV where none of the sources that are needed is up: an agent that sees nothing must not look
// like one that has nothing to report.
static int start_sources(struct pipeline *pipeline)
{
    if (pipeline->options->rules)
        rule_set_demand(pipeline->options->rules, &pipeline->demand);
    struct source_env env = {
        .ring_fd = ring_map_fd(pipeline->ring),
        .lost_fd = ring_lost_fd(pipeline->ring),
        .demand = &pipeline->demand,
        .syscalls = pipeline->options->syscalls,
        .inference = pipeline->options->inference,
        .no_body_values = pipeline->options->no_body_values,
        .host_root = pipeline->options->host_root,
    };
    source_start_all(&env, pipeline->reports);
    size_t up = 0;
    pipeline->ready = true;
    for (size_t i = 0; i < source_count(); i++) {
        up += pipeline->reports[i].up;
        warn_hooks(source_at(i), &pipeline->reports[i]);
        if (!pipeline->reports[i].needed || pipeline->reports[i].up)
            continue;
        pipeline->ready = false;
        log_warning("source %s is down: %s (see: agent doctor)", source_at(i)->name,
                    pipeline->reports[i].reason);
    }
    if (up)
        return 0;
    log_error("no source could be started, so nothing would be seen");
    return -ENODEV;
}

// Signals, and a tick a second for what has no event of its own.
static int start_descriptors(struct pipeline *pipeline)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct itimerspec second = {.it_interval.tv_sec = 1, .it_value.tv_sec = 1};

    pipeline->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    pipeline->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    pipeline->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (pipeline->epoll_fd < 0 || pipeline->signal_fd < 0 || pipeline->timer_fd < 0 ||
        timerfd_settime(pipeline->timer_fd, 0, &second, NULL))
        return -errno;
    int error = watch(pipeline, pipeline->signal_fd);
    return error ? error : watch(pipeline, pipeline->timer_fd);
}

static int start(struct pipeline *pipeline)
{
    const struct pipeline_options *options = pipeline->options;
    struct sink_options sink = {
        .fd = STDOUT_FILENO, .format = options->json ? SINK_JSON : SINK_TEXT, .color = options->color};
    struct enrich_options enrich = {
        .processes_max = PROCESSES_MAX, .containers_max = CONTAINERS_MAX, .host_root = options->host_root};
    struct account_view view = {.rules = options->rules, .reports = pipeline->reports};

    gethostname(pipeline->hostname, sizeof(pipeline->hostname) - 1);
    decode_set_clock();
    int error = start_descriptors(pipeline);
    if (!error)
        error = sink_new(&sink, &pipeline->sink);
    if (!error)
        error = enrich_new(&enrich, &pipeline->enrich);
    if (!error)
        error = metric_register_self();
    if (!error)
        error = account_start(&view);
    if (!error)
        error = inference_start();
    if (error) {
        log_error("cannot start: %s", strerror(-error));
        return error;
    }
    error = start_server(pipeline);
    if (error)
        return error;
    error = ring_new(options->ring_size, on_record, pipeline, &pipeline->ring);
    if (!error)
        error = watch(pipeline, ring_epoll_fd(pipeline->ring));
    if (error) {
        log_error("cannot make the ring between kernel and agent: %s", strerror(-error));
        return error;
    }

    error = start_sources(pipeline);
    if (error)
        return error;
    error = privilege_drop();
    if (error)
        log_warning("cannot drop capabilities: %s", strerror(-error));
    // After the sources, so that no process is born unseen between the two.
    error = enrich_scan(pipeline->enrich);
    if (error < 0)
        log_warning("cannot read /proc: %s; processes that run already have no names", strerror(-error));
    return 0;
}

static void stop(struct pipeline *pipeline)
{
    source_stop_all();
    account_stop();
    inference_stop();
    metric_server_free(&pipeline->server);
    ring_free(&pipeline->ring);
    enrich_free(&pipeline->enrich);
    sink_free(&pipeline->sink);
    demand_free(&pipeline->demand);
    cleanup_close(&pipeline->epoll_fd);
    cleanup_close(&pipeline->signal_fd);
    cleanup_close(&pipeline->timer_fd);
}

static void say_ready(const struct pipeline *pipeline)
{
    char sources[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < source_count(); i++)
        if (pipeline->reports[i].up && used < sizeof(sources))
            used += (size_t)snprintf(sources + used, sizeof(sources) - used, " %s", source_at(i)->name);
    char metrics[64] = "";
    if (pipeline->server)
        snprintf(metrics, sizeof(metrics), "; metrics on port %u", metric_server_port(pipeline->server));
    const struct rule_set *rules = pipeline->options->rules;
    size_t enabled = 0;
    for (size_t i = 0; rules && i < rule_set_count(rules); i++)
        enabled += rule_set_at(rules, i)->enabled;
    log_info("ready: %zu rules; sources:%s%s", enabled, sources, metrics);
}

// --- The loop ---

static void on_tick(struct pipeline *pipeline)
{
    uint64_t expirations;
    if (read(pipeline->timer_fd, &expirations, sizeof(expirations)) < 0)
        return;
    decode_set_clock();
    for (size_t i = 0; i < source_count(); i++)
        if (source_at(i)->tick && pipeline->reports[i].up)
            source_at(i)->tick();
}

static void loop(struct pipeline *pipeline)
{
    int timeout_ms = -1;
    bool stopping = false;
    for (;;) {
        struct epoll_event events[8];
        int count = epoll_wait(pipeline->epoll_fd, events, ARRAY_SIZE(events), timeout_ms);
        if (count < 0 && errno != EINTR) {
            log_error("cannot wait for events: %s", strerror(errno));
            return;
        }
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == pipeline->signal_fd && !stopping) {
                // What is in the ring by now is still judged.
                stopping = true;
                source_stop_all();
            }
            if (events[i].data.fd == pipeline->timer_fd)
                on_tick(pipeline);
        }
        // Records that did not wake us are taken along with whatever did.
        bool more = ring_drain(pipeline->ring, BATCH) == BATCH;
        if (stopping && !more)
            return;
        timeout_ms = pipeline->server ? metric_server_run(pipeline->server) : -1;
        if (more)
            timeout_ms = 0;
    }
}

int pipeline_run(const struct pipeline_options *options)
{
    static struct pipeline pipeline;
    pipeline = (struct pipeline){.options = options, .epoll_fd = -1, .signal_fd = -1, .timer_fd = -1};
    int error = start(&pipeline);
    if (!error) {
        say_ready(&pipeline);
        loop(&pipeline);
    }
    stop(&pipeline);
    return error ? 1 : 0;
}
