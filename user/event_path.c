#include "event_path.h"

#include "account.h"
#include "base/outside.h"
#include "decode.h"
#include "enrich.h"
#include "inference.h"
#include "sink.h"

#include <errno.h>
#include <time.h>

enum { PROCESSES_MAX = 65536, CONTAINERS_MAX = 8192 };

static void on_match(const struct rule *rule, const struct event *event, void *context)
{
    struct event_path *path = context;
    struct alert alert = {.rule = rule, .event = event, .hostname = path->hostname};
    path->alerts++;
    if (sink_alert(path->sink, &alert))
        path->unwritten++;

    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    account_alert(rule, now_ns > event->wire->time_ns ? now_ns - event->wire->time_ns : 0);
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
    account_event(&event);
    inference_event(&event);
    size_t matches = 0;
    for (event.name = 0; path->rules && !matches && event.name < event.names; event.name++)
        matches = rule_set_match(path->rules, &event, path->matching, on_match, path);
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
    path->rules = options->rules;
    path->matching = options->matching;
    outside_host_name(path->hostname, sizeof(path->hostname));
    int error = sink_new(&sink, &path->sink);
    return error ? error : enrich_new(&enrich, &path->enrich);
}

void event_path_stop(struct event_path *path)
{
    enrich_free(&path->enrich);
    sink_free(&path->sink);
}
