// What is said on standard error about an output that fails: the first failure at once, then one message a
// minute, and the recovery once.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trouble {
    const char *name; // of the output; borrowed
    bool failing;
    uint64_t since_ms, said_ms;
    uint64_t own_said_ms; // trouble_say()
    uint64_t lost, lost_said_ms;
};

// Sentences without secrets and without what alerts hold.
void trouble_failed(struct trouble *trouble, const char *why);
void trouble_over(struct trouble *trouble);
// Records that are given up.
void trouble_lost(struct trouble *trouble, size_t records, const char *why);
// What goes wrong on this side.
__attribute__((format(printf, 2, 3))) void trouble_say(struct trouble *trouble, const char *format, ...);
// At the end: what was not yet said of losses.
void trouble_end(struct trouble *trouble);
