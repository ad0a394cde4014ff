// Records of the source `mapping`: they are no events, but tell the agent that it is time to look at what
// processes have mapped.
#pragma once

#include "wire/header.h"

struct wire_mapping {
    struct wire_header header; // of a process that runs a file which nobody ran before
};
WIRE_SIZE(struct wire_mapping, 88);
