// Whom the source `sched` measures: processes that serve or compute inference. Others that learn of one tell.
#pragma once

#include "event.h"

#include <sys/types.h>

// Harmless for one that is measured already, and where the source is not up.
void sched_found(pid_t process);
// Of each event: that of a request says who served it.
void sched_event(const struct event *event);
