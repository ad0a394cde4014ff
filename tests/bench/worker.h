// What the workloads (work.c) and what runs them (run.c, turns.c) know of each other.
#pragma once

#include "bench.h"

#include <netinet/in.h>

enum {
    PROCESSES_MAX = 2,
    SLICE_NS = 10 * 1000 * 1000,
    MESSAGE_BYTES = 1024,
};

struct worker {
    const struct place *place;
    struct sockaddr_in address;
    int listener, socket;
    pid_t echo;
    bool by_read; // else by recv
    char message[MESSAGE_BYTES];
};

int open_close(const char *path);

// The last CPUs there are, one a worker: the first one serves most interrupts.
void worker_pin(unsigned which);
// A child of ours that ends with us. It holds nothing of the agent's (NULL: none).
pid_t worker_spawn(const struct agent *agent);
// The time of the work once, from as many runs as take so long.
int worker_slice(const struct workload *workload, struct worker *worker, uint64_t slice_ns, double *ret_ns);
