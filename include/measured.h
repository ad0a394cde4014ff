// What sources have measured in the kernel, by container, as metrics.
#pragma once

#include "container.h"

#include <stdint.h>
#include <sys/types.h>

// Whose a cgroup is: 0 and a container, NULL for the node itself; -ENOENT where it is not known (yet). `pid`
// has been a process of it.
typedef int (*measured_whose_fn)(uint64_t cgroup_id, pid_t pid, const struct container **ret_container,
                                 void *context);

// Registers the metrics of all sources that measure. 0 or a negative errno.
int measured_start(measured_whose_fn whose, void *context);
void measured_stop(void);
// About once a second, so that it is known whose a cgroup is while it is there.
void measured_tick(void);
