// The deliverer: what is in the spool goes to all outputs of a configuration, each by a queue of its own.
#pragma once

#include "config.h"
#include "sink/delivery_stats.h"

struct deliver_options {
    const struct config *config;
    struct delivery_stats *stats; // an output has the place of its position in the configuration
    int news_fd; // a pipe's end that says when there is more; -1: the spool is looked at now and then
};

// Gives up all privileges, then delivers until SIGTERM or SIGINT; after the first one, what can be delivered
// within two seconds still is, and a second one ends at once. SIGUSR1: files are opened, secrets read anew.
// 0 or a negative errno.
int deliver_run(const struct deliver_options *options);
