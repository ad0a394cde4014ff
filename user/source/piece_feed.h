// The connections of the source `api` before Linux 5.17: parses what the kernel hands over in pieces.
#pragma once

#include "api.h"
#include "source.h"

// What it asks of the kernel.
struct piece_kernel {
    bool (*server_known)(const struct wire_api_server *server);
    bool (*server_add)(const struct wire_api_server *server); // whether there was room
    bool (*is_followed)(uint64_t sock);
    void (*unfollow)(uint64_t sock); // until a request begins that may matter
};

// `kernel` must outlive the connections. Routes are those of now.
void piece_feed_begin(const struct piece_kernel *kernel, bool body_values);
// Forgets all connections.
void piece_feed_end(void);

// A piece whose lengths are valid; `data` is its slot, NULL where there was none for its bytes.
void piece_feed(const struct wire_api_piece *piece, const uint8_t *data, source_emit_fn emit, void *context);

// Visits the connections on which inference is under way.
void piece_feed_visit(api_progress_fn visit, void *context);
// Requests that could not be followed, by reason: WIRE_API_UNFOLLOWED of them.
const uint64_t *piece_feed_unfollowed(void);
