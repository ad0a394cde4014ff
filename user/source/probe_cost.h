// What probes cost: how often their programs ran and how long, from the kernel's own account, and what it
// takes to get there and back, which is most of it and in no account: it is measured when the agent starts.
#pragma once

#include "probe_attach.h"

#include <stdbool.h>
#include <stdint.h>

// Seconds of CPU for each time.
struct probe_traps {
    double emulated;  // at an instruction that the kernel carries out by itself
    double stepped;   // at one that it has to run step by step
    double at_return; // by a return probe, beside the one at the beginning
};

// Has the kernel keep account, of all programs of the node (some 50 ns a run), and measures the traps. 0, or
// a negative errno where nothing will be known; needs CAP_SYS_ADMIN. Harmless when it has been started.
int probe_cost_start(void);
void probe_cost_stop(void);
bool probe_cost_is_known(void);
const struct probe_traps *probe_cost_traps(void);

// Adds up for those of a kind's symbols that are of a group (as by probe_groups()). `stepped`: a bit for each
// symbol whose beginning, and `stepped_ends` for each whose returns, are stepped in some file.
struct probe_spent {
    uint64_t runs;
    double seconds;
};
struct probe_spent probe_cost_of(const struct probe_kind *kind, const uint8_t *groups, uint8_t group,
                                 probe_set stepped);
