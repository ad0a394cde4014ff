// Which model weights were opened, by cgroup.
#pragma once

#include "demand.h"
#include "event.h"

enum { WEIGHTS_CGROUPS_MAX = 4096, WEIGHTS_PATH_MAX = 256 };

// Asks for opens of such files, where some rule reads net.egress.weights; false: none does.
bool weights_demand(struct demand *demand);
// Notes an event that is such an open.
void weights_event(const struct event *event);
// The path of the weights that processes of the cgroup opened last, within an hour; NULL: none. Borrowed
// until the next event.
const char *weights_of(uint64_t cgroup_id, uint64_t now_ns);
