// What stands between the spool and one receiver: reads, filters, makes batches, sends them one after the
// other, sends again what was not taken, and writes down how far it has come.
//
// Records are committed in the order of their sequence: what lies behind one that still waits for another try
// may be delivered twice after a crash, and never less than once.
#pragma once

#include "config.h"
#include "receiver.h"
#include "sink/delivery_stats.h"

#include <stdbool.h>

struct loop;
struct queue;

struct queue_options {
    struct loop *loop;
    const struct config_output *output; // borrowed, like all here
    const char *spool_directory;
    const char *hostname;
    const struct receiver_type *type;
    struct delivery_output *stats; // filled in
};

// 0 or a negative errno, where the spool cannot be read. A receiver that cannot be opened is tried again.
int queue_open(const struct queue_options *options, struct queue **ret_queue);
// Commits, and gives up the request under way, if there is one.
void queue_close(struct queue **queue);

// There may be more in the spool.
void queue_wake(struct queue *queue);
void queue_reopen(struct queue *queue);

// From here on a batch waits for no more alerts.
void queue_hurry(struct queue *queue);
// Nothing is under way and there is nothing that could be sent now: all is delivered, or the receiver fails.
bool queue_rests(const struct queue *queue);
