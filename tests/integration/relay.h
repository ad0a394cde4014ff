// A wire of two TUN devices and a process that carries packets from one to the other, as slowly and with as
// many losses as it is told. The kernel's own means for this, netem, is a module that not every kernel has.
#pragma once

#include "wire.h"

struct relay;

// Puts the wire between the two namespaces and leaves the calling process in the near one. NULL where this
// kernel has no TUN. Only packets with data are lost, each lose_every-th; these are told apart for one
// connection. The relay ends with the calling process. There is one.
const struct relay *relay_make(const struct wire_options *options, const struct wire *wire);
// Of all packets that were sent until now.
struct wire_losses relay_losses(const struct relay *relay);
