// What probes in programs may cost, and which were taken away for it.
#pragma once

#include <stdbool.h>

// Before sources start: percent of the node's CPU time, over all CPUs; 0: no ceiling, and nothing is
// measured.
void probing_set_budget(double percent);

// One thing that was changed for the budget. Texts live as long as the sources.
struct probing_change {
    const char *kind;
    const char *symbol; // the first of those that go together
    bool shed;          // false: probed again
    double percent;     // of the node's CPU time: what all probes took
    double own_percent; // what these took
};

// The oldest one that was not told yet; false: there is none.
bool probing_next_change(struct probing_change *ret_change);
