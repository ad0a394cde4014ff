// Who is charged with what programs of probes took. Kinds can share a program, and the kernel's account is of
// programs: each run is charged once. Knows nothing of BPF.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What the kernel's account of a program says.
struct probe_runs {
    uint64_t count;
    uint64_t ns;
};

struct probe_spent {
    uint64_t runs;
    double seconds;
};

// A program in a group of symbols (as by probe_groups()) of a kind.
struct probe_charge {
    size_t kind;
    const char *name; // of the program, borrowed
    uint8_t symbol;   // the first one that has it
    uint8_t group;
    bool at_return;
    const void *program;    // which one it is; NULL: it is not loaded
    bool attached;          // whether the group has probes anywhere
    double trap_s;          // what it takes to get there and back
    struct probe_runs now;  // in: the account
    struct probe_runs seen; // what it was the last time
    struct probe_spent spent;
};

// Says of each what it is to pay for since the last time. Of those that share a program that is the first
// that is attached; so when that one is shed and the other is what takes so much, the other is charged next.
// A program that was loaded anew begins at zero.
void probe_charges_settle(struct probe_charge *charges, size_t count);
