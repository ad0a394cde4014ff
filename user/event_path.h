// The way of one record through the stages, decode → enrich → rule → metric → sink: the agent at work and a
// replay go it by the same function.
#pragma once

#include "event.h"
#include "rule.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct delivery;
struct enrich;
struct sink;

struct event_path_options {
    const struct rule_set *rules; // borrowed; NULL: none
    enum rule_matching matching;
    int alerts_fd; // borrowed; -1: alerts are put together and thrown away
    bool json;
    bool color;
    bool patient; // waits for the reader of alerts, however long
    const char *host_root;
    struct delivery *delivery; // borrowed; NULL: alerts are only written to alerts_fd
};

struct event_path {
    const struct rule_set *rules;
    enum rule_matching matching;
    struct enrich *enrich;
    struct sink *sink; // may be NULL
    struct delivery *delivery;
    struct scratch scratch;
    char hostname[256];
    uint64_t events, alerts; // handled so far
    uint64_t malformed;      // records that were no events
    uint64_t unwritten;      // of the alerts
};

// 0 or a negative errno.
int event_path_start(struct event_path *path, const struct event_path_options *options);
void event_path_stop(struct event_path *path);

// One record of the kernel, which may be anything; `context` is the event path.
void event_path_record(const struct wire_header *record, size_t size, void *context);
