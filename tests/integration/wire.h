// Two network namespaces and a wire between them, which may be slow or lose packets: a pair of veth, with the
// kernel's netem where it has that, or TUN devices and the relay, which is preferred where packets are lost.
// Both ends are called "wire".
#pragma once

#include <stdbool.h>

#define WIRE_NEAR "198.51.100.1" // this side
#define WIRE_FAR "198.51.100.2"

struct wire_options {
    unsigned delay_ms;   // each way
    unsigned lose_every; // on the way to the far side one of so many packets is lost; 0: none
};

// Of packets with data, to the far side, so far.
struct wire_losses {
    unsigned lost;
    unsigned needless; // carried, but what they begin with had been carried before
};

struct wire {
    int near, far;             // namespaces
    const struct relay *relay; // NULL: there is none, but netem
};

// Makes both namespaces and leaves the calling process in the near one. False where this kernel has neither
// what the options need of veth and netem, nor TUN.
bool wire_make(const struct wire_options *options, struct wire *ret_wire);
void wire_enter(int namespace);

// What ss, the program, says of the one connection that is established in the current namespace, as soon as
// all that was sent is acknowledged.
struct wire_account {
    double rtt_s;
    unsigned retransmits;
    unsigned needless;            // of those, as the other end said
    unsigned long sent, received; // each byte once
};

struct wire_account wire_account(void);

// netem does not know what was needless: then it is what the other end said of that, to `near`.
struct wire_losses wire_losses(const struct wire *wire, const struct wire_account *near);
