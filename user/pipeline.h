// The agent at work: from the kernel's records to alerts and metrics, until it is told to stop.
#pragma once

#include "config.h"
#include "rule.h"
#include "rule_plan.h"

#include <stdbool.h>
#include <stddef.h>

// Reads the configuration again, with the options of the command line; the text and the configuration are
// then the caller's. 0, or a negative errno after having said what is wrong.
typedef int (*pipeline_config_fn)(void *context, char **ret_text, size_t *ret_length,
                                  struct config **ret_config);

struct pipeline_options {
    struct rule_set *rules;       // taken over; NULL: no rules, metrics only
    const struct rule_plan *plan; // where the rules are from, so that they can be loaded again; NULL: never
    const struct rule_plan *loaded_from; // the same, also where they are never loaded again; NULL: no rules
    enum rule_matching matching;
    char *const *syscalls; // names, NULL-terminated; may be NULL
    bool egress;           // count what leaves the node, also where no rule asks for it
    bool inference;        // follow requests to inference servers, also where no rule asks for them
    const struct config_probe *probes; // borrowed, like all of the configuration
    size_t probes_count;
    double probes_budget; // percent of the node's CPU time; 0: no ceiling
    bool network;         // measure TCP connections
    bool sched;           // measure how inference processes wait; needs `inference`
    char *const *cluster; // ranges of the cluster's addresses, NULL-terminated; may be NULL
    bool no_body_values;  // take nothing out of their bodies
    const char *listen;   // NULL: no metrics server
    const char *host_root;
    size_t ring_size; // bytes
    int record_fd;    // where the recording is written, borrowed; -1: none is made
    bool everything;  // asks the kernel for all events, whatever the rules need
    int alerts_fd;    // borrowed; -1: alerts are put together and thrown away
    bool json;
    bool color;
    const struct config *config; // what all of this was made of
    const char *config_text;     // its file; NULL: there is none
    size_t config_size;
    // Called instead of running, when all has started. NULL: it runs.
    void (*instead)(void *context);
    void *instead_context;
    // Reads the file again; NULL: there is none.
    pipeline_config_fn read_config;
    void *read_config_context;
};

// Runs until SIGINT or SIGTERM. The exit code of the program: 0, or 1 after having said why.
int pipeline_run(const struct pipeline_options *options);
