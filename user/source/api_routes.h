// The paths by which inference servers are known, and other paths of such servers that are told apart.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api_route {
    const char *pattern;   // a path; its second or third segment may be *, which stands for any
    const char *operation; // gen_ai.operation.name of an inference route; NULL: it is none
};

enum { API_ROUTES_MAX = 128, API_ROUTE_SIZE = 128 };

// The number of routes; they count from 1, and 0 stands for any other path.
size_t api_route_count(void);
// NULL for 0 and for a number that does not exist.
const struct api_route *api_route_at(size_t number);

// Adds an inference route, copied. 0; -EINVAL where the pattern is no path or has its * elsewhere; -ENOSPC.
int api_route_add(const char *pattern, size_t length);

// What the kernel makes of a path that fits the pattern (bpf/lib/http.h).
uint64_t api_route_hash(const struct api_route *route);
