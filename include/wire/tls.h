// Records of the source `tls`: they are no events, but tell the agent that it is time to look at what
// processes have mapped.
#pragma once

#include "wire/header.h"

struct wire_tls {
    struct wire_header header; // of a process that uses TCP for the first time
};
WIRE_SIZE(struct wire_tls, 88);
