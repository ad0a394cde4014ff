// HTTP requests to inference servers, as the source `api` sees them: their records, the paths by which such
// servers are known, and the hosts by which hosted ones are.
#pragma once

#include "event.h"
#include "wire/api.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api_route {
    // A path; its second or third segment may be *, which stands for any. One that begins with * is a path's
    // end, of which only clients' requests are known: one or two slashes or colons with what follows them.
    const char *pattern;
    const char *operation; // gen_ai.operation.name of an inference route; NULL: it is none
};

enum { API_ROUTES_MAX = 128, API_ROUTE_SIZE = 128 };

// The number of routes; they count from 1, and 0 stands for any other path.
size_t api_route_count(void);
// NULL for 0 and for a number that does not exist.
const struct api_route *api_route_at(size_t number);

// Adds an inference route, copied. 0; -EINVAL where the pattern is no path or has its * elsewhere; -ENOSPC.
int api_route_add(const char *pattern, size_t length);

// Whether api_route_add() takes such a pattern for a path.
bool api_route_valid(const char *pattern, size_t length);

// What the kernel makes of a path that fits the pattern (bpf/lib/http.h).
uint64_t api_route_hash(const struct api_route *route);
// What the kernel is told of a route: its number and the flags WIRE_API_ROUTE_….
uint16_t api_route_value(size_t number);

// Sets, of 65536 bits, those of the first two bytes behind the slash that some inference route has: by these
// the kernel passes over most other paths.
void api_route_starts(__u64 *bits);

// The record of an event of this source; NULL for another source's.
const struct wire_api *api_record(const struct event *event);

enum api_token_source { API_TOKENS_UNKNOWN, API_TOKENS_USAGE, API_TOKENS_EVENTS };
// Where api_output_tokens() are from: what the server said, or events of a stream that hold text, counted.
enum api_token_source api_output_source(const struct wire_api *record);
uint32_t api_output_tokens(const struct wire_api *record);

// OpenTelemetry's error.type: the status, or how the exchange broke off; "" where it went well.
const char *api_error_type(const struct wire_api *record, char ret_text[16]);
const char *api_method_name(uint8_t method);
// The name in the request or, where it names none, in the answer. Not NUL-terminated; the length is 0 where
// neither has one.
const char *api_model(const struct wire_api *record, size_t *ret_length);

// The host that a client named in its request, not NUL-terminated; the length is 0 where it is not known or
// the record is no call. The port that it named with it is 0 where it named none.
const char *api_host(const struct wire_api *record, size_t *ret_length);
uint16_t api_host_port(const struct wire_api *record);

#define API_PROVIDER_OTHER "_OTHER"
// Who serves models at a host: a value for OpenTelemetry's gen_ai.provider.name, API_PROVIDER_OTHER for a
// host that is not in the table.
const char *api_provider_of(const char *host, size_t length);

// Calls `visit` for each connection with an inference request under way.
typedef void (*api_progress_fn)(const struct wire_api_progress *progress, void *context);
void api_visit_progress(api_progress_fn visit, void *context);
