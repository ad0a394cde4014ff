// Two network namespaces and a wire between them that is slow or loses packets, made of two TUN devices and a
// process that carries packets from one to the other. (The kernel's own means for this, netem, is a module
// that not every kernel has.)
#pragma once

#include <stdbool.h>

#define RELAY_NEAR "198.51.100.1" // this side
#define RELAY_FAR "198.51.100.2"

struct relay_options {
    unsigned delay_ms;   // each way
    unsigned lose_every; // loses each such packet with data on its way to the far side; 0: none
};

struct relay {
    int near, far; // namespaces
};

// Makes both namespaces and leaves the calling process in the near one. False where this kernel has no TUN.
// The relay ends with that process, or some seconds after the last packet.
bool relay_make(const struct relay_options *options, struct relay *ret_relay);
void relay_enter(int namespace);
