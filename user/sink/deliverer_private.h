// What the files of the agent's side of the deliverer share.
#pragma once

#include "delivery_stats.h"

#include <stdbool.h>
#include <sys/types.h>

// By the place of each output in the page; "": none.
struct deliverer_names {
    char at[CONFIG_OUTPUTS_MAX][DELIVERY_NAME_SIZE];
};

struct deliverer {
    pid_t pid; // 0: it does not run
    int config_fd, stats_fd;
    int news_fd, tell_fd;              // the ends of a pipe: the deliverer's, and ours
    struct delivery_stats *stats;      // the deliverer writes, we read
    struct deliverer_names names;      // as the page has them
    struct deliverer_names next_names; // that the next process gets
    int next_config_fd;                // what was prepared; -1: nothing
    struct deliverer_names prepared_names;
    uint64_t started_ms;
    uint64_t due_ms;   // when it is started again, or killed where it is `ending`
    unsigned pause_ms; // before it is started again
    bool ending;       // it was told to end, so that another configuration can take its place
    uint64_t restarts;
};

// deliverer_metrics.c
int deliverer_export(const struct deliverer *deliverer);
void deliverer_unexport(const struct deliverer *deliverer);
