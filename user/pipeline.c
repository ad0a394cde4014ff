// The order in which an event passes through the agent, in one place:
//   source → ring → (record) → decode → enrich → rule → metric → sink
// The part from decode on is event_path.c, which a replay shares.
#include "pipeline_private.h"

#include "account.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/privilege.h"
#include "decode.h"
#include "enrich.h"
#include "inference.h"
#include "measured.h"
#include "metric.h"
#include "probing.h"
#include "record.h"
#include "ring.h"
#include "rule_watch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>

static void on_event(const struct wire_header *record, size_t size, void *context)
{
    struct pipeline *pipeline = context;
    if (pipeline->writer)
        record_writer_event(pipeline->writer, record, size);
    event_path_record(record, size, &pipeline->path);
}

static void on_record(const struct wire_header *record, size_t size, void *context)
{
    if (!source_refine(record, size, on_event, context))
        on_event(record, size, context);
}

// --- Start ---

static bool is_ready(void *context)
{
    return ((struct pipeline *)context)->ready;
}

int pipeline_watch_fd(const struct pipeline *pipeline, int fd)
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
    return error ? error : pipeline_watch_fd(pipeline, metric_server_epoll_fd(pipeline->server));
}

// A source is up without its optional hooks, but sees less than its rules ask for. A call without a
// tracepoint is one that this kernel does not have, so there is nothing to see; `agent doctor` tells.
static void warn_hooks(const struct source *source, const struct source_report *report)
{
    for (size_t i = 0; report->up && i < report->hooks_count; i++) {
        const struct hook_report *hook = &report->hooks[i];
        if (hook->state == HOOK_FAILED && hook->error != ENOENT)
            log_warning("source %s does without %s: cannot attach to %s: %s", source->name, hook->name,
                        hook->attach_point, source_hook_words(hook->error));
        else if (hook->state == HOOK_FAILED)
            log_debug("source %s: this kernel has no %s", source->name, hook->name);
    }
}

void pipeline_demand(const struct pipeline *pipeline, const struct rule_set *rules, struct demand *ret_demand)
{
    if (rules)
        rule_set_demand(rules, ret_demand);
    if (pipeline->options->everything)
        demand_add_everything(ret_demand);
    source_add_demand(ret_demand);
}

void pipeline_start_sources(struct pipeline *pipeline, const struct demand *demand)
{
    struct source_env env = {
        .ring_fd = ring_map_fd(pipeline->ring),
        .lost_fd = ring_lost_fd(pipeline->ring),
        .demand = demand,
        .syscalls = pipeline->options->syscalls,
        .inference = pipeline->options->inference,
        .runtimes = pipeline->options->inference,
        .egress = pipeline->options->egress,
        .probes = pipeline->options->probes,
        .probes_count = pipeline->options->probes_count,
        .network = pipeline->options->network,
        .sched = pipeline->options->sched,
        .cluster = pipeline->options->cluster,
        .no_body_values = pipeline->options->no_body_values,
        .host_root = pipeline->options->host_root,
    };
    probing_set_budget(pipeline->options->probes_budget);
    source_start_all(&env, pipeline->reports);
}

size_t pipeline_check_sources(struct pipeline *pipeline)
{
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
    return up;
}

// Signals, and a tick a second for what has no event of its own.
static int start_descriptors(struct pipeline *pipeline)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGUSR2);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    // Where it is ignored, which a parent may have left us, nobody hears how the deliverer ends.
    signal(SIGCHLD, SIG_DFL);
    struct itimerspec second = {.it_interval.tv_sec = 1, .it_value.tv_sec = 1};

    pipeline->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    pipeline->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    pipeline->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (pipeline->epoll_fd < 0 || pipeline->signal_fd < 0 || pipeline->timer_fd < 0 ||
        timerfd_settime(pipeline->timer_fd, 0, &second, NULL))
        return -errno;
    int error = pipeline_watch_fd(pipeline, pipeline->signal_fd);
    return error ? error : pipeline_watch_fd(pipeline, pipeline->timer_fd);
}

static void read_clock(struct pipeline *pipeline)
{
    struct record_tick tick = {.boot_to_epoch_ns = decode_set_clock()};
    time_t now = time(NULL);
    struct tm local;
    if (localtime_r(&now, &local))
        tick.utc_offset_s = (int32_t)local.tm_gmtoff;
    if (pipeline->writer)
        record_writer_tick(pipeline->writer, &tick);
}

static int whose_cgroup(uint64_t cgroup_id, pid_t pid, const struct container **ret_container, void *context)
{
    return enrich_cgroup(((struct pipeline *)context)->path.enrich, cgroup_id, pid, ret_container);
}

// A replay does the same things in the same order (replay.c): what they ask the node is in the recording.
static int start_stages(struct pipeline *pipeline)
{
    const struct pipeline_options *options = pipeline->options;
    const struct event_path_options path = {.rules = pipeline->rules,
                                            .matching = options->matching,
                                            .alerts_fd = options->alerts_fd,
                                            .json = options->json,
                                            .color = options->color,
                                            .host_root = options->host_root,
                                            .delivery = pipeline->delivery,
                                            .noise = options->config ? &options->config->noise : NULL};
    struct account_view view = {.rules = pipeline->rules, .reports = pipeline->reports};
    int error = options->record_fd >= 0 ? record_writer_new(options->record_fd, &pipeline->writer) : 0;
    if (error)
        return error;
    read_clock(pipeline);
    if (!error)
        error = event_path_start(&pipeline->path, &path);
    if (!error)
        error = metric_register_self();
    if (!error)
        error = account_start(&view);
    if (!error)
        error = inference_start();
    if (!error)
        error = measured_start(whose_cgroup, pipeline);
    if (!error)
        error = reconfigure_start(pipeline);
    return error ? error : reload_start(pipeline);
}

static void record_types(struct pipeline *pipeline)
{
    bool recorded[EVENT_TYPES_MAX] = {};
    for (size_t i = 0; i < source_count(); i++) {
        const struct source *source = source_at(i);
        for (size_t k = 0; pipeline->reports[i].up && k < source->types_count; k++) {
            size_t index = event_type_index(&source->types[k]);
            recorded[index] = k < source->types_always || pipeline->demand.wanted[index];
        }
    }
    record_writer_types(pipeline->writer, recorded);
}

static bool attaches_later(const struct pipeline *pipeline)
{
    for (size_t i = 0; i < source_count(); i++)
        if (pipeline->reports[i].up && source_at(i)->attaches_later && source_at(i)->attaches_later())
            return true;
    return false;
}

static int start(struct pipeline *pipeline)
{
    const struct pipeline_options *options = pipeline->options;
    // A recorder's alerts go to standard output, as a replay's do.
    const struct delivery_options delivery = {.config = options->record_fd >= 0 ? NULL : options->config,
                                              .text = options->config_text,
                                              .size = options->config_size};
    int error = start_descriptors(pipeline);
    // Before the sources: the outputs that are new get all alerts from the first one on.
    int delivered = error ? 0 : delivery_start(&delivery, &pipeline->delivery);
    if (delivered)
        return delivered;
    if (!error)
        error = start_stages(pipeline);
    if (error) {
        log_error("cannot start: %s", strerror(-error));
        return error;
    }
    error = kubelet_start(options->config, options->config_text, options->config_size, !options->instead,
                          &pipeline->kubelet);
    if (!error && pipeline->kubelet)
        error = pipeline_watch_fd(pipeline, kubelet_epoll_fd(pipeline->kubelet));
    if (error)
        return error;
    error = start_server(pipeline);
    if (error)
        return error;
    error = ring_new(options->ring_size, on_record, pipeline, &pipeline->ring);
    if (!error)
        error = pipeline_watch_fd(pipeline, ring_epoll_fd(pipeline->ring));
    if (error) {
        log_error("cannot make the ring between kernel and agent: %s", strerror(-error));
        return error;
    }

    pipeline_demand(pipeline, pipeline->rules, &pipeline->demand);
    pipeline_start_sources(pipeline, &pipeline->demand);
    size_t up = pipeline_check_sources(pipeline);
    audit_trail_start(pipeline);
    if (up == 0) {
        // An agent that sees nothing must not look like one that has nothing to report.
        log_error("no source could be started, so nothing would be seen");
        return -ENODEV;
    }
    if (options->plan)
        source_keep_startable();
    error = privilege_drop(options->plan != NULL, attaches_later(pipeline));
    if (error)
        log_warning("cannot drop capabilities: %s", strerror(-error));
    // After the sources, so that no process is born unseen between the two.
    if (pipeline->writer) {
        record_types(pipeline);
        record_writer_scan(pipeline->writer);
    }
    error = enrich_scan(pipeline->path.enrich);
    if (error < 0)
        log_warning("cannot read /proc: %s; processes that run already have no names", strerror(-error));
    return 0;
}

static void stop(struct pipeline *pipeline)
{
    source_stop_all();
    account_stop();
    inference_stop();
    measured_stop();
    reload_stop(pipeline);
    reconfigure_stop(pipeline);
    metric_server_free(&pipeline->server);
    record_writer_free(&pipeline->writer);
    ring_free(&pipeline->ring);
    event_path_stop(&pipeline->path);
    delivery_stop(&pipeline->delivery);
    kubelet_stop(&pipeline->kubelet);
    rule_set_free(&pipeline->rules);
    demand_free(&pipeline->demand);
    cleanup_close(&pipeline->epoll_fd);
    cleanup_close(&pipeline->signal_fd);
    cleanup_close(&pipeline->timer_fd);
}

void pipeline_say_state(const struct pipeline *pipeline, const char *what)
{
    char sources[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < source_count(); i++)
        if (pipeline->reports[i].up && used < sizeof(sources))
            used += (size_t)snprintf(sources + used, sizeof(sources) - used, " %s", source_at(i)->name);
    char metrics[64] = "";
    if (pipeline->server)
        snprintf(metrics, sizeof(metrics), "; metrics on port %u", metric_server_port(pipeline->server));
    const struct rule_set *rules = pipeline->rules;
    size_t enabled = 0;
    for (size_t i = 0; rules && i < rule_set_count(rules); i++)
        enabled += rule_set_at(rules, i)->enabled;
    log_info("%s: %zu rules; sources:%s%s", what, enabled, sources, metrics);
}

// --- The loop ---

static void record_losses(struct pipeline *pipeline)
{
    for (size_t source = 0; source < source_count(); source++)
        for (enum wire_lost reason = 0; reason < WIRE_LOST_COUNT; reason++)
            record_writer_lost(pipeline->writer, source, reason, ring_lost(pipeline->ring, source, reason));
}

// Behind what is in the ring by now: the names that events will have are there, and the programs.
static void make_events(struct pipeline *pipeline)
{
    bool drained = false;
    for (size_t i = 0; i < source_count(); i++) {
        if (!source_at(i)->make || !pipeline->reports[i].up)
            continue;
        if (!drained)
            ring_drain(pipeline->ring, PIPELINE_BATCH);
        drained = true;
        source_at(i)->make(on_event, pipeline);
    }
}

static void on_tick(struct pipeline *pipeline)
{
    uint64_t expirations;
    if (read(pipeline->timer_fd, &expirations, sizeof(expirations)) < 0)
        return;
    read_clock(pipeline);
    for (size_t i = 0; i < source_count(); i++)
        if (source_at(i)->tick && pipeline->reports[i].up)
            source_at(i)->tick();
    make_events(pipeline);
    if (pipeline->writer)
        record_losses(pipeline);
    event_path_tick(&pipeline->path);
    measured_tick();
    audit_trail_probes(pipeline);
    delivery_tick(pipeline->delivery);
    kubelet_tick(pipeline->kubelet);
    reload_on_change(pipeline, true);
}

// True where the agent is to stop. A recorder is like other programs that write a file: SIGHUP ends it.
static bool on_signal(struct pipeline *pipeline)
{
    struct signalfd_siginfo info;
    bool ends = false;
    while (read(pipeline->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGCHLD:
            delivery_reap(pipeline->delivery);
            kubelet_reap(pipeline->kubelet);
            break;
        case SIGUSR1:
            delivery_reopen(pipeline->delivery);
            break;
        case SIGUSR2:
            break; // means nothing, and must not end the agent
        case SIGHUP:
            if (!pipeline->writer) {
                reconfigure(pipeline, "SIGHUP");
                break;
            }
            __attribute__((fallthrough));
        default:
            pipeline->ended_by = info.ssi_signo == SIGINT   ? "SIGINT"
                                 : info.ssi_signo == SIGHUP ? "SIGHUP"
                                                            : "SIGTERM";
            ends = true;
        }
    }
    return ends;
}

// What was recorded up to here survives whatever happens to the agent.
static int flush_recording(struct pipeline *pipeline, bool end)
{
    if (!pipeline->writer)
        return 0;
    if (end)
        record_losses(pipeline);
    int error = end ? record_writer_end(pipeline->writer) : record_writer_flush(pipeline->writer);
    if (error)
        log_error("cannot write the recording: %s; it ends here", strerror(-error));
    return error;
}

static int loop(struct pipeline *pipeline)
{
    int timeout_ms = -1;
    bool stopping = false;
    for (;;) {
        struct epoll_event events[8];
        int count = epoll_wait(pipeline->epoll_fd, events, ARRAY_SIZE(events), timeout_ms);
        if (count < 0 && errno != EINTR) {
            log_error("cannot wait for events: %s", strerror(errno));
            return -errno;
        }
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == pipeline->signal_fd && !stopping && on_signal(pipeline)) {
                // What is in the ring by now is still judged.
                stopping = true;
                source_stop_all();
            }
            if (events[i].data.fd == pipeline->timer_fd && !stopping)
                on_tick(pipeline);
            if (events[i].data.fd == kubelet_epoll_fd(pipeline->kubelet) && !stopping)
                kubelet_read(pipeline->kubelet);
            if (pipeline->watch && events[i].data.fd == rule_watch_fd(pipeline->watch) && !stopping)
                reload_on_change(pipeline, false);
        }
        // Records that did not wake us are taken along with whatever did.
        bool more = ring_drain(pipeline->ring, PIPELINE_BATCH) == PIPELINE_BATCH;
        int due_ms = delivery_flush(pipeline->delivery);
        int error = flush_recording(pipeline, stopping && !more);
        if (error || (stopping && !more)) {
            delivery_last(pipeline->delivery);
            return error;
        }
        timeout_ms = pipeline->server ? metric_server_run(pipeline->server) : -1;
        if (due_ms >= 0 && (timeout_ms < 0 || due_ms < timeout_ms))
            timeout_ms = due_ms;
        if (more)
            timeout_ms = 0;
    }
}

int pipeline_run(const struct pipeline_options *options)
{
    static struct pipeline pipeline;
    pipeline = (struct pipeline){.options = options,
                                 .rules = options->rules,
                                 .plan = options->plan,
                                 .loaded_from = options->loaded_from,
                                 .config = options->config,
                                 .epoll_fd = -1,
                                 .signal_fd = -1,
                                 .timer_fd = -1};
    int error = start(&pipeline);
    if (!error && options->instead) {
        options->instead(options->instead_context);
    } else if (!error) {
        pipeline_say_state(&pipeline, "ready");
        error = loop(&pipeline);
        audit_trail_stop(&pipeline, error ? strerror(-error) : pipeline.ended_by);
    }
    stop(&pipeline);
    return error ? 1 : 0;
}
