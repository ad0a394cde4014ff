// Opening the socket that the metrics are served on.
#pragma once

// "127.0.0.1:9560", "[::1]:9560", "localhost:9560" (127.0.0.1), ":9560" (every address, IPv4 and IPv6).
// Names are never looked up. 0; -EINVAL for an address that cannot be read; what the kernel says otherwise.
int metric_listen(const char *address, int *ret_fd);
