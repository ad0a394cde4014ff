// The way of one record through the stages, decode → enrich → rule → metric → sink: the agent at work and a
// replay go it by the same function.
#pragma once

#include "event.h"
#include "rule.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_noise;
struct delivery;
struct enrich;
struct noise;
struct sink;

struct event_path_options {
    const struct rule_set *rules; // borrowed; NULL: none
    enum rule_matching matching;
    int alerts_fd; // borrowed; -1: alerts are put together and thrown away
    bool json;
    bool color;
    bool patient; // waits for the reader of alerts, however long
    const char *host_root;
    struct delivery *delivery;        // borrowed; NULL: alerts are only written to alerts_fd
    const struct config_noise *noise; // NULL: no alert is folded
};

struct event_path {
    const struct rule_set *rules;
    enum rule_matching matching;
    struct enrich *enrich;
    struct sink *sink; // may be NULL
    struct delivery *delivery;
    struct noise *noise; // NULL: no alert is folded
    struct scratch scratch;
    char hostname[256];
    uint64_t events, alerts; // handled so far
    uint64_t malformed;      // records that were no events
    uint64_t unwritten;      // of the alerts
};

// 0 or a negative errno.
int event_path_start(struct event_path *path, const struct event_path_options *options);
void event_path_stop(struct event_path *path);
// About once a second: summaries of alerts that were folded.
void event_path_tick(struct event_path *path);
// What folds by these options; NULL where nothing is ever folded. 0 or -ENOMEM.
int event_path_noise_new(struct event_path *path, const struct config_noise *options,
                         struct noise **ret_noise);
// Takes it from here on; what was folded before is summed up.
void event_path_fold(struct event_path *path, struct noise **noise);

// One record of the kernel, which may be anything; `context` is the event path.
void event_path_record(const struct wire_header *record, size_t size, void *context);
