// What the deliverer tells the agent about its outputs: a page of memory that both map. The deliverer writes,
// the agent only reads, each number by itself.
#pragma once

#include "config.h"

#include <stdint.h>

enum { DELIVERY_NAME_SIZE = 64 };

struct delivery_output {
    char name[DELIVERY_NAME_SIZE]; // of the output; "": this place is free
    uint64_t delivered;
    uint64_t rejected;          // records that the receiver will never take
    uint64_t retried;           // records sent once more, each time counted
    uint64_t filtered;          // alerts that the output does not want
    uint64_t cut;               // messages that were too long for a datagram and lost their end
    uint64_t dropped;           // from the spool, before this output had them
    uint64_t last_success_time; // seconds since the Unix epoch; 0: none yet
    uint64_t up;                // 1; 0: since the last success it has failed
};

struct delivery_stats {
    struct delivery_output outputs[CONFIG_OUTPUTS_MAX];
};
