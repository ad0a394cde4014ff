// Whose a cgroup is, as labels; what it was when it was first known.
#pragma once

#include "measured.h"
#include "served_by.h"

#include <stdbool.h>

void owners_start(measured_whose_fn whose, void *context);
void owners_stop(void);
// Time has passed, about a second.
void owners_tick(void);
// NULL where it is not known yet. `tick`: time has passed since it was last asked for; after some such times
// it is taken for the node's. Borrowed until another one is asked for.
const struct served_by *owner_of(uint64_t cgroup_id, pid_t pid, bool tick);
