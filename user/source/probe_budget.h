// When probes cost too much, and which of them are taken away for how long. Knows nothing of probes.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

enum {
    BUDGET_OVER_S = 10, // so long it may be exceeded
    BUDGET_WAIT_S = 60, // so long what was taken away stays away, the first time; then twice that, up to …
    BUDGET_WAIT_MAX_S = 3600,
};

struct budget_item {
    double recent; // seconds of CPU since it began to be too much
    bool shed;
    time_t changed; // when it was shed or came back; 0: never
    int wait_s;
};

struct budget {
    double ceiling; // seconds of CPU a second; 0: none
    double over_s;  // so long it is exceeded by now
    double recent;  // seconds of CPU in that time
    // CPUs that all items, and the one that was shed, took when it last was.
    double shed_share;
    double shed_own_share;
    struct budget_item *items;
    size_t items_count;
};

// `spent[i]` seconds of CPU went to item i in the last `elapsed_s` seconds. The item that is to be taken away
// now, which is then taken for shed, or -1.
int budget_spend(struct budget *budget, const double *spent, double elapsed_s, time_t now);
// An item whose time has come, which is then taken for back, or -1.
int budget_resume(struct budget *budget, time_t now);
