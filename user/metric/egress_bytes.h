// What leaves the node, as metrics.
#pragma once

// Registers them. Once, at start: 0 or a negative errno.
int egress_bytes_start(void);
// About once a second: containers are asked for while they are there.
void egress_bytes_tick(void);
