// Who did it: the process table, user names and containers, and the fields that read them.
#pragma once

#include "event.h"
#include "process.h"

#include <stddef.h>

struct enrich;

struct enrich_options {
    size_t processes_max;  // entries, exited ancestors included; above that the oldest go, counted
    size_t containers_max; // the same for containers
    const char *host_root; // "" on the host, "/host" where the node's root is mounted there
};

// Registers the context fields (evt.*, proc.*, thread.*, user.*, group.*, container.*, k8s.*). Once, at
// start.
int enrich_register_fields(void);

int enrich_new(const struct enrich_options *options, struct enrich **ret_enrich);
void enrich_free(struct enrich **enrich);

// Learns the processes that exist from /proc, and the users' names. Call it after the sources were attached,
// so that nothing falls between. The number learnt, or a negative errno.
int enrich_scan(struct enrich *enrich);

// Call it where changes of sessions and process groups were not reported for a time: what is known of living
// processes' is asked for again when a rule reads it.
void enrich_forget_ids(struct enrich *enrich);

// Whose a cgroup is, also shortly after its last process has gone: 0 and a container, NULL for the node
// itself, borrowed until the next call; -ENOENT where nobody knows. `pid` has been a process of it.
int enrich_cgroup(struct enrich *enrich, uint64_t cgroup_id, pid_t pid,
                  const struct container **ret_container);

// Applies what the event says (fork, exec, exit) and fills process and container of the event.
void enrich_event(struct enrich *enrich, struct event *event);
// Call it when the event was handled: forgets a process that has exited.
void enrich_event_done(struct enrich *enrich, struct event *event);
