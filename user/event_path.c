#include "event_path.h"

#include "account.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/outside.h"
#include "base/series.h"
#include "decode.h"
#include "delivery.h"
#include "enrich.h"
#include "inference.h"
#include "sink.h"
#include "sink/noise.h"
#include "source.h"

#include <errno.h>

enum {
    PROCESSES_MAX = 65536,
    CONTAINERS_MAX = 8192,
    MATCHES_MAX = 1024, // rules that hold for one file of several names; more are not told, and counted
};

static void on_summary(const struct noise_summary *summary, void *context)
{
    struct event_path *path = context;
    int error = path->delivery ? delivery_summary(path->delivery, summary) : 1;
    if (error == 1)
        error = sink_summary(path->sink, summary);
    path->unwritten += error != 0;
}

static void on_match(const struct rule *rule, const struct event *event, void *context)
{
    struct event_path *path = context;
    struct alert alert = {.rule = rule, .event = event, .hostname = path->hostname};
    path->alerts++;
    if (!path->noise || !noise_folds(path->noise, &alert, clock_ms(CLOCK_BOOTTIME))) {
        int error = path->delivery ? delivery_alert(path->delivery, &alert) : 1;
        if (error == 1)
            error = sink_alert(path->sink, &alert);
        path->unwritten += error != 0;
    }

    uint64_t now = clock_ns(CLOCK_BOOTTIME);
    account_alert(rule, now > event->wire->time_ns ? now - event->wire->time_ns : 0);
}

static struct counter untold = {
    .name = "inferscope_matches_untold_total",
    .help = "Rules beyond the first 1024 that held for one file of several names and raised no alert",
};

// The rules that hold for what an event is about under any of its names, each once and with the first such
// name.
struct matches {
    const struct rule *rules[MATCHES_MAX];
    unsigned names[MATCHES_MAX];
    size_t count;
};

static void on_name_match(const struct rule *rule, const struct event *event, void *context)
{
    struct matches *matches = context;
    for (size_t i = 0; i < matches->count; i++)
        if (matches->rules[i] == rule)
            return;
    if (matches->count == MATCHES_MAX) {
        untold.value++;
        return;
    }
    matches->rules[matches->count] = rule;
    matches->names[matches->count++] = event->name;
}

static void match_names(struct event_path *path, struct event *event)
{
    struct matches matches = {};
    for (event->name = 0; event->name < event->names; event->name++)
        rule_set_match(path->rules, event, path->matching, on_name_match, &matches);
    size_t first = 0;
    for (size_t i = 1; i < matches.count; i++)
        if (matches.rules[i]->index < matches.rules[first]->index)
            first = i;
    for (size_t i = 0; i < matches.count; i++) {
        if (path->matching == RULE_MATCHING_FIRST && i != first)
            continue;
        event->name = matches.names[i];
        on_match(matches.rules[i], event, path);
    }
}

void event_path_record(const struct wire_header *record, size_t size, void *context)
{
    struct event_path *path = context;
    struct event event;
    int error = decode_record(record, size, &path->scratch, &event);
    if (error) {
        path->malformed += error != -ENOMSG;
        return;
    }
    path->events++;
    enrich_event(path->enrich, &event);
    source_learn_event(&event);
    account_event(&event);
    inference_event(&event);
    delivery_event(path->delivery, &event);
    if (path->rules && event.names == 1)
        rule_set_match(path->rules, &event, path->matching, on_match, path);
    else if (path->rules)
        match_names(path, &event);
    enrich_event_done(path->enrich, &event);
}

int event_path_start(struct event_path *path, const struct event_path_options *options)
{
    struct sink_options sink = {.fd = options->alerts_fd,
                                .format = options->json ? SINK_JSON : SINK_TEXT,
                                .color = options->color,
                                .patient = options->patient};
    struct enrich_options enrich = {
        .processes_max = PROCESSES_MAX, .containers_max = CONTAINERS_MAX, .host_root = options->host_root};
    counter_register(&untold);
    path->rules = options->rules;
    path->matching = options->matching;
    path->delivery = options->delivery;
    outside_host_name(path->hostname, sizeof(path->hostname));
    int error = sink_new(&sink, &path->sink);
    if (!error && options->noise)
        error = event_path_noise_new(path, options->noise, &path->noise);
    return error ? error : enrich_new(&enrich, &path->enrich);
}

int event_path_noise_new(struct event_path *path, const struct config_noise *options,
                         struct noise **ret_noise)
{
    int error = noise_new(options, on_summary, path, ret_noise);
    return error == -EINVAL ? 0 : error; // where nothing is ever folded
}

void event_path_fold(struct event_path *path, struct noise **noise)
{
    noise_free(&path->noise, clock_ms(CLOCK_BOOTTIME));
    path->noise = TAKE_PTR(*noise);
}

void event_path_tick(struct event_path *path)
{
    if (path->noise)
        noise_tick(path->noise, clock_ms(CLOCK_BOOTTIME));
}

void event_path_stop(struct event_path *path)
{
    noise_free(&path->noise, clock_ms(CLOCK_BOOTTIME));
    enrich_free(&path->enrich);
    sink_free(&path->sink);
}
