// What probes cost: how often their programs ran and how long, from the kernel's own account, and what it
// takes to get there and back, which is most of it and in no account: it is measured when the agent starts.
#pragma once

#include "probe_charge.h"
#include "probes.h"

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

// The kernel's account of a program so far; nothing where it cannot be read.
struct probe_runs probe_cost_runs(const struct bpf_program *program);
// What it takes to get to a program that a kind has at a symbol, and back. `stepped`: the symbol's beginning
// is, in some file.
double probe_cost_trap(const struct probe_kind *kind, size_t symbol, bool at_return, bool stepped);
