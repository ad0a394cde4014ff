// The agent's side of the deliverer: the second process, without any capability, that reads the spool and
// speaks to the receivers (`agent deliver`, user/deliver/). It is started again when it dies; what it had not
// committed it delivers again.
#pragma once

#include "config.h"

#include <stdbool.h>
#include <stddef.h>

// The descriptors that the deliverer finds open beside the first three, and no others.
enum deliverer_fd {
    DELIVERER_CONFIG = 3, // a memfd with the text of agent.yaml, at its beginning
    DELIVERER_STATS,      // a memfd with struct delivery_stats (user/sink/delivery_stats.h)
    DELIVERER_NEWS,       // an eventfd, readable when there is more in the spool
    DELIVERER_FDS_END,
};

struct deliverer_options {
    const char *text; // agent.yaml, whose parsing gave `config`; both borrowed for the call only
    size_t size;
    const struct config *config;
};

struct deliverer;

// Starts the process; signals that the agent has blocked stay blocked in it. 0 or a negative errno.
int deliverer_start(const struct deliverer_options *options, struct deliverer **ret_deliverer);
// SIGTERM, then as long as it takes, but at most that long, then SIGKILL.
void deliverer_stop(struct deliverer **deliverer, unsigned patience_ms);

// There is more in the spool.
void deliverer_wake(struct deliverer *deliverer);
// SIGUSR1: files that were moved away are opened anew.
void deliverer_reopen(struct deliverer *deliverer);
// On SIGCHLD. True where it had ended; `ret_how` then tells how, in words.
bool deliverer_reap(struct deliverer *deliverer, char *ret_how, size_t capacity);
// About once a second, and after deliverer_reap(): starts it again when it is time. True where it was.
bool deliverer_tick(struct deliverer *deliverer);

// Has it work by another configuration: it is ended and started anew. 0 or a negative errno, and the old one
// stays.
int deliverer_configure(struct deliverer *deliverer, const struct deliverer_options *options);
