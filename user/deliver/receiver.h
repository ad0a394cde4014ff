// The kinds of receivers: what each of them does with a batch. The queue in front of it (queue.h) reads the
// spool, filters, makes batches, retries with backoff, limits the rate and commits; a receiver only sends.
#pragma once

#include "config.h"
#include "spool.h"

#include <jansson.h>
#include <stddef.h>

struct loop;

// A record of the spool. Its JSON was parsed and found to be an object.
struct item {
    struct spool_record record;
    json_t *json;
};

enum verdict {
    VERDICT_DELIVERED,
    VERDICT_RETRY,    // the receiver may take it another time
    VERDICT_REJECTED, // it never will: counted, and not sent again
    VERDICT_REFUSED,  // the receiver does not want this item; final if it has taken others, else a retry
    VERDICT_SPLIT,    // several items were refused together, perhaps for one of them: they are sent in halves
};

// What became of a batch.
struct outcome {
    const enum verdict *verdicts; // one for each item
    unsigned retry_after;         // milliseconds at least, where the receiver asks; 0: the usual backoff
    const char *why;              // a sentence without secrets or contents, where not all were delivered
};

// Called once for each batch, from the loop, never from within send().
typedef void (*receiver_done_fn)(const struct outcome *outcome, void *context);

struct receiver_env {
    struct loop *loop;
    const char *hostname;
    uint64_t *cut; // counts messages that lose their end
    receiver_done_fn done;
    void *context; // for done()
};

struct receiver_type {
    enum config_output_type type;
    // 0 or a negative errno, after having logged why (an unreadable key, a path that is no socket). A
    // receiver that cannot be reached is no error here.
    int (*open)(const struct config_output *output, const struct receiver_env *env, void **ret_receiver);
    void (*close)(void *receiver);
    // Takes a batch, which stays valid until done() or close(); one batch is under way at a time.
    void (*send)(void *receiver, const struct item *items, size_t count);
    // On SIGUSR1: a file that was moved away is opened anew. May be NULL.
    void (*reopen)(void *receiver);
};

// NULL: none of that type.
const struct receiver_type *receiver_type_of(enum config_output_type type);
