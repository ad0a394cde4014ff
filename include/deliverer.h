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
    DELIVERER_NEWS,       // the reading end of a pipe: bytes come when there is more in the spool
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
struct deliverer_end {
    char how[64]; // in words
    bool asked;   // it was told to end, and did so by itself: another one takes its place
};
// On SIGCHLD. True where it had ended.
bool deliverer_reap(struct deliverer *deliverer, struct deliverer_end *ret_end);
// About once a second, and after deliverer_reap(): starts it again when it is time. True where it was.
bool deliverer_tick(struct deliverer *deliverer);

// Another configuration, in two steps, so that what else is to change with it can fail in between. Preparing
// keeps it: 0, or a negative errno and nothing has changed. Adopting ends the process and starts it anew with
// what was prepared; preparing once more, or the end, forgets it.
int deliverer_prepare(struct deliverer *deliverer, const struct deliverer_options *options);
void deliverer_adopt(struct deliverer *deliverer);
