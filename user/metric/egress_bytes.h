// What leaves the node, as metrics.
#pragma once

// Registers them. Once, at start: 0 or a negative errno.
int egress_bytes_start(void);
