// The state of the agent at work, which its start, its loop and a reload share.
#pragma once

#include "delivery.h"
#include "demand.h"
#include "event_path.h"
#include "kubelet.h"
#include "pipeline.h"
#include "source.h"

struct pipeline {
    const struct pipeline_options *options;
    struct rule_set *rules;              // owned
    const struct rule_plan *plan;        // where they are from; NULL: they are never loaded again
    const struct rule_plan *loaded_from; // the same, also where they are never loaded again
    struct rule_plan own_plan;           // which that is once the configuration was read again …
    struct config *own_config;           // … and what it was made of
    const struct config *config;         // the one that was accepted last
    struct demand demand;                // what the sources were started for
    struct source_report reports[WIRE_SOURCES_MAX];
    struct event_path path;
    struct delivery *delivery; // NULL: alerts are only written to standard output, and no audit log is kept
    struct kubelet *kubelet;   // NULL: no kubelet is asked
    struct ring *ring;
    struct metric_server *server;
    struct record_writer *writer; // NULL: nothing is recorded
    struct rule_watch *watch;     // NULL: rule files are not watched
    int epoll_fd, signal_fd, timer_fd;
    bool ready;                        // every source that is needed is up
    const char *ended_by;              // the signal
    bool audited_up[WIRE_SOURCES_MAX]; // what the audit log says of the sources
};

enum { PIPELINE_BATCH = 1024 }; // records between two looks at the other descriptors

int pipeline_watch_fd(const struct pipeline *pipeline, int fd);
// Fills the demand, which must be empty, with what these rules need.
void pipeline_demand(const struct pipeline *pipeline, const struct rule_set *rules,
                     struct demand *ret_demand);
// Has all sources follow a demand, and brings the reports up to date.
void pipeline_start_sources(struct pipeline *pipeline, const struct demand *demand);
// Says which sources do not what they should; how many are up.
size_t pipeline_check_sources(struct pipeline *pipeline);
void pipeline_say_state(const struct pipeline *pipeline, const char *what);

// reload.c. Exports what is known of reloads and watches the rule files. 0 or a negative errno.
int reload_start(struct pipeline *pipeline);
void reload_stop(struct pipeline *pipeline);
// Loads the rules again; where they are broken, all stays as it is. `why` begins the sentence that says so.
void reload_rules(struct pipeline *pipeline, const char *why);
// The same by another plan, which is taken over where that works, or where it says the same as the old one.
// False: it does not, and the rules stay as they are.
bool reload_plan(struct pipeline *pipeline, struct rule_plan *plan, bool same, const char *why);
// Does so where rule files have changed.
void reload_on_change(struct pipeline *pipeline, bool tick);

// reconfigure.c. Exports what is known of reading the configuration again. 0 or a negative errno.
int reconfigure_start(struct pipeline *pipeline);
void reconfigure_stop(struct pipeline *pipeline);
// Reads the configuration again, and the rules with it; what is wrong with it leaves all as it is.
void reconfigure(struct pipeline *pipeline, const char *why);

// audit_trail.c. What the audit log says of the agent itself.
void audit_trail_start(struct pipeline *pipeline);
void audit_trail_stop(struct pipeline *pipeline, const char *why);
// Of rules that were loaded, or could not be.
void audit_trail_rules(struct pipeline *pipeline, bool success, const char *why);
// Of another configuration; `keys` says what differs, or NULL.
void audit_trail_config(struct pipeline *pipeline, const char *event, const struct delivery_options *options,
                        const char *keys);
// Of each source that went up or down since the last time.
void audit_trail_sources(struct pipeline *pipeline);
// Which probes were taken away for their cost, or came back, since the last call.
void audit_trail_probes(struct pipeline *pipeline);
