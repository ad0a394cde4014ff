// The agent at work: from the kernel's records to alerts and metrics, until it is told to stop.
#pragma once

#include "rule.h"

#include <stdbool.h>
#include <stddef.h>

struct pipeline_options {
    const struct rule_set *rules; // borrowed; NULL: no rules, metrics only
    enum rule_matching matching;
    char *const *syscalls; // names, NULL-terminated; may be NULL
    bool inference;        // follow requests to inference servers, also where no rule asks for them
    bool no_body_values;   // take nothing out of their bodies
    const char *listen;    // NULL: no metrics server
    const char *host_root;
    size_t ring_size; // bytes
    bool json;
    bool color;
};

// Runs until SIGINT or SIGTERM. The exit code of the program: 0, or 1 after having said why.
int pipeline_run(const struct pipeline_options *options);
