// Keeps account of what each kind's probes cost, and has those taken away that cost too much.
#pragma once

#include "probe_attach.h"

#include <stddef.h>
#include <stdint.h>
#include <time.h>

// What happens to the probes of a kind, by its index; `groups` are those of probe_groups(), a bit each.
struct probe_account_acts {
    void (*shed)(size_t kind, probe_set groups);
    void (*resume)(size_t kind);
    probe_set (*attached)(size_t kind); // the groups that have probes in some file
};

// A kind comes or goes. 0 or a negative errno.
int probe_account_add(size_t index, const struct probe_kind *kind);
void probe_account_remove(size_t index);
// Its symbols' beginnings, a bit each, that the kernel has to run step by step in some file.
void probe_account_stepped(size_t index, probe_set symbols);
// Those that are not to be attached now.
probe_set probe_account_left_out(size_t index);
// About once a second.
void probe_account_tick(const struct probe_account_acts *acts);
