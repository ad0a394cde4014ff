// librdkafka's producer, made as an output of the configuration says. It has threads of its own, which
// inherit the deliverer's lack of privileges and block all signals; what it has to say waits in its queue of
// events.
#pragma once

#include "config.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdbool.h>

enum { KAFKA_MESSAGE_MAX = 16 << 20 };

// Reads the password and the certificates. 0 or a negative errno, after having logged why. It connects by
// itself, so a broker that cannot be reached is no error.
int kafka_client_new(const struct config_output *output, rd_kafka_t **ret_client);

// One producer that ends while the loop goes on: its threads may be looking up a name, which nothing cuts
// short.
struct kafka_ending {
    pthread_t thread;
    bool busy;
};

// True where none is ending any more.
bool kafka_ending_is_over(struct kafka_ending *ending);
// Waits that long at most; whether it is over then.
bool kafka_ending_wait(struct kafka_ending *ending, unsigned patience_ms);
// Ends the producer; what it has not delivered is forgotten. Only where the one before is over.
void kafka_client_end(rd_kafka_t **client, struct kafka_ending *ending);
