#include "piece_feed.h"

#include "base/cleanup.h"
#include "bpf/lib/exchange.h"

#include <stdlib.h>
#include <uthash.h>

enum { CONNECTIONS_MAX = 4096 };

static const struct piece_kernel *kernel;
static bool body_values;

struct piece_connection {
    struct exchange_connection exchange; // first
    struct wire_api event;               // what its events begin as
    uint64_t sock;
    struct wire_api_server server;
    uint32_t lost; // pieces of it, when the latest was sent
    bool known;    // the server is in the kernel's `servers`
    bool asked;    // for inference
    bool needless; // neither, so nobody wants to know of it
    UT_hash_handle hh;
};

static struct piece_connection *connections;
static uint64_t unfollowed[WIRE_API_UNFOLLOWED];

// Where events go while a piece is parsed.
static source_emit_fn emit_event;
static void *emit_context;

// --- What the clock of a connection asks for (bpf/lib/exchange.h) ---

static uint64_t routes[API_ROUTES_MAX]; // their hashes; 0 behind the last

static inline __u16 exchange_route(const __u64 *hashes, __u32 count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at < API_ROUTES_MAX && routes[at]; at++)
            if (routes[at] == hashes[i])
                return api_route_value(at + 1);
    return 0;
}

// As in api.bpf.c: other requests count at servers that have granted inference.
static bool is_known(struct piece_connection *connection)
{
    if (!connection->known)
        connection->known = kernel->server_known(&connection->server);
    return connection->known;
}

static void grant(struct piece_connection *connection)
{
    if (!connection->known)
        connection->known = kernel->server_add(&connection->server);
}

static inline void exchange_emit(struct exchange_connection *exchange_connection,
                                 const struct wire_api_exchange *exchange)
{
    struct piece_connection *connection = (struct piece_connection *)exchange_connection;
    bool inference = exchange->flags & WIRE_API_INFERENCE;
    if (inference && exchange->status >= 200 && exchange->status < 300)
        grant(connection);
    if (!emit_event || (!inference && !is_known(connection)))
        return;
    struct wire_api event = connection->event;
    event.exchange = *exchange;
    event.header.size = sizeof(event);
    event.header.type = inference ? WIRE_API_INFER : WIRE_API_HTTP;
    event.header.time_ns = exchange->end_ns;
    emit_event(&event.header, sizeof(event), emit_context);
}

// --- Connections ---

static void forget(struct piece_connection *connection)
{
    HASH_DEL(connections, connection);
    free(connection);
}

// Nobody will say how what is under way on it ends.
static void drop(struct piece_connection *connection)
{
    unfollowed[WIRE_API_UNREAD] += connection->exchange.progress.in_flight > 0;
    forget(connection);
}

// The kernel hands over no more of it, until a request begins that may matter.
static void unfollow(struct piece_connection *connection)
{
    kernel->unfollow(connection->sock);
    forget(connection);
}

static struct piece_connection *find(uint64_t sock)
{
    struct piece_connection *connection;
    HASH_FIND(hh, connections, &sock, sizeof(sock), connection);
    return connection;
}

static struct piece_connection *add(const struct wire_api_piece *piece)
{
    // The kernel follows no more than fit; what is here beyond them has lost its end in a full ring.
    if (HASH_COUNT(connections) >= CONNECTIONS_MAX)
        drop(connections);
    struct piece_connection *connection = calloc(1, sizeof(*connection));
    if (!connection)
        return NULL;
    connection->sock = piece->sock;
    connection->lost = piece->lost;
    connection->server = (struct wire_api_server){piece->net, piece->server_port};
    connection->event.client_port = piece->client_port;
    connection->event.server_port = piece->server_port;
    connection->event.family = piece->family;
    memcpy(connection->event.client_addr, piece->client_addr, sizeof(piece->client_addr));
    memcpy(connection->event.server_addr, piece->server_addr, sizeof(piece->server_addr));
    connection->exchange.progress.server_port = piece->server_port;
    exchange_begin(&connection->exchange, EXCHANGE_SERVER, body_values);
    HASH_ADD(hh, connections, sock, sizeof(connection->sock), connection);
    return connection;
}

// The path is known: true where nobody wants to know of this server.
static bool is_needless(struct piece_connection *connection)
{
    struct exchange_connection *exchange = &connection->exchange;
    if (exchange_at(exchange, exchange->latest)->flags & WIRE_API_INFERENCE)
        connection->asked = true;
    return !connection->asked && !is_known(connection);
}

// --- Bytes ---

// After a step. False: nothing more of this piece matters.
static bool follow(struct piece_connection *connection, enum exchange_side side, uint64_t now_ns)
{
    struct exchange_connection *exchange = &connection->exchange;
    __u8 happened = exchange->messages[side].happened;
    if (happened && side == EXCHANGE_ANSWERS)
        exchange_answered(exchange, now_ns);
    else if (happened)
        exchange_requested(exchange, now_ns);
    if (happened & HTTP_PATH)
        connection->needless = is_needless(connection);
    return !exchange->lost && !connection->needless;
}

// Bytes that can be read, and SCAN_AHEAD behind them.
static bool feed_bytes(struct piece_connection *connection, enum exchange_side side, uint64_t now_ns,
                       const uint8_t *data, size_t length)
{
    struct http_message *message = &connection->exchange.messages[side];
    for (size_t at = 0; at < length;) {
        size_t left = length - at;
        __u64 skip = http_skippable(message);
        if (skip) {
            skip = skip < left ? skip : left;
            http_skip(message, skip);
            at += skip;
        } else {
            at += http_step(message, data + at, (__u32)left);
        }
        if (!follow(connection, side, now_ns))
            return false;
    }
    return true;
}

// Bytes that the kernel has left out. Of a body only the length matters to go on.
static bool feed_gap(struct piece_connection *connection, enum exchange_side side, uint64_t now_ns,
                     uint64_t length)
{
    struct http_message *message = &connection->exchange.messages[side];
    while (length > 0) {
        uint64_t part = message->state == HTTP_UNTIL_CLOSE || message->left > length ? length : message->left;
        if (message->state < HTTP_BODY || message->state > HTTP_UNTIL_CLOSE) {
            message->happened |= HTTP_FAILED | HTTP_UNREAD;
        } else {
            message->unseen |= part > http_skippable(message);
            http_skip(message, part);
            length -= part;
        }
        if (!follow(connection, side, now_ns))
            return false;
    }
    return true;
}

static void feed(struct piece_connection *connection, enum exchange_side side,
                 const struct wire_api_piece *piece, const uint8_t *data)
{
    uint64_t now_ns = piece->header.time_ns;
    uint64_t head = data ? piece->head : 0, tail = data ? piece->tail : 0;
    if (feed_bytes(connection, side, now_ns, data, head) &&
        feed_gap(connection, side, now_ns, piece->count - head - tail) && tail > 0)
        feed_bytes(connection, side, now_ns, data + WIRE_API_PIECE_HEAD, tail);
    exchange_note(&connection->exchange, side, now_ns);
    __u32 lost = connection->exchange.lost - 1u;
    if (lost < WIRE_API_UNFOLLOWED && !connection->needless)
        unfollowed[lost]++;
    if (connection->needless || (connection->exchange.lost && !connection->known && !connection->asked))
        unfollow(connection);
}

// A request that may have begun on it is not seen.
static void lose(struct piece_connection *connection)
{
    unfollowed[WIRE_API_UNREAD]++;
    connection->exchange.lost = 1 + WIRE_API_UNREAD;
    connection->exchange.first = connection->exchange.end;
    connection->exchange.progress.in_flight = 0;
}

static bool begins(const struct wire_api_piece *piece, const uint8_t *data)
{
    return data && piece->head >= 5 && memcmp(data, "POST ", 5) == 0;
}

// Whether this may be the beginning of a request to an inference route.
static bool may_ask(const struct wire_api_piece *piece, const uint8_t *data)
{
    _cleanup_free_ struct piece_connection *connection =
        begins(piece, data) ? calloc(1, sizeof(*connection)) : NULL;
    if (!connection)
        return !data;
    exchange_begin(&connection->exchange, EXCHANGE_SERVER, body_values);
    feed_bytes(connection, EXCHANGE_REQUESTS, piece->header.time_ns, data, piece->head);
    return !connection->needless;
}

// Only a piece with which the kernel has begun to follow makes a connection: those behind one that is
// unfollowed here can be on their way still, but not what comes after them.
static struct piece_connection *connection_of(const struct wire_api_piece *piece, const uint8_t *data)
{
    struct piece_connection *connection = find(piece->sock);
    // Else its end was lost, or it begins again.
    if (connection && (piece->fresh || connection->event.client_port != piece->client_port)) {
        drop(connection);
        connection = NULL;
    }
    if (!connection && piece->fresh) {
        unfollowed[WIRE_API_UNREAD] += piece->lost > 0; // the first, which was to begin it
        return add(piece);
    }
    if (!connection && piece->kind == WIRE_API_PIECE_RECEIVED)
        unfollowed[WIRE_API_UNREAD] += may_ask(piece, data);
    if (connection && connection->lost != piece->lost) {
        connection->lost = piece->lost;
        if (!connection->exchange.lost)
            lose(connection);
    }
    return connection;
}

static void received(struct piece_connection *connection, const struct wire_api_piece *piece,
                     const uint8_t *data)
{
    struct exchange_connection *exchange = &connection->exchange;
    // Only where a request may begin is there a way back.
    if (exchange->lost && !begins(piece, data)) {
        unfollowed[WIRE_API_UNREAD] += !data;
        return;
    }
    if (exchange->lost)
        exchange_begin(exchange, EXCHANGE_SERVER, body_values);
    if (exchange->progress.pid != piece->header.pid) {
        connection->event.header = piece->header;
        exchange->progress.pid = piece->header.pid;
        exchange->progress.start_time_ns = piece->header.start_time_ns;
    }
    feed(connection, EXCHANGE_REQUESTS, piece, data);
}

static void over(struct piece_connection *connection, const struct wire_api_piece *piece)
{
    struct exchange_connection *exchange = &connection->exchange;
    bool server_first = piece->kind == WIRE_API_PIECE_CLOSED_SERVER && !exchange->client_gone;
    exchange_closed(exchange, piece->header.time_ns, server_first);
    exchange->progress.in_flight = 0;
}

static void handle(struct piece_connection *connection, const struct wire_api_piece *piece,
                   const uint8_t *data)
{
    switch (piece->kind) {
    case WIRE_API_PIECE_RECEIVED:
        received(connection, piece, data);
        break;
    case WIRE_API_PIECE_SENT:
        if (!connection->exchange.lost)
            feed(connection, EXCHANGE_ANSWERS, piece, data);
        break;
    case WIRE_API_PIECE_CLIENT_DONE:
        connection->exchange.client_gone = 1;
        break;
    case WIRE_API_PIECE_GONE:
        over(connection, piece);
        forget(connection);
        break;
    default:
        over(connection, piece);
    }
}

void piece_feed(const struct wire_api_piece *piece, const uint8_t *data, source_emit_fn emit, void *context)
{
    emit_event = emit;
    emit_context = context;
    struct piece_connection *connection = connection_of(piece, data);
    if (connection)
        handle(connection, piece, data);
    emit_event = NULL;
}

void piece_feed_visit(api_progress_fn visit, void *context)
{
    // What the kernel no longer follows has ended, even if the news of that found no room in the ring.
    for (struct piece_connection *each = connections; each; each = each->hh.next)
        if (each->exchange.progress.in_flight && each->exchange.progress.inference &&
            kernel->is_followed(each->sock))
            visit(&each->exchange.progress, context);
}

const uint64_t *piece_feed_unfollowed(void)
{
    return unfollowed;
}

void piece_feed_begin(const struct piece_kernel *of_kernel, bool values)
{
    kernel = of_kernel;
    body_values = values;
    for (size_t number = 1; number <= api_route_count(); number++)
        routes[number - 1] = api_route_hash(api_route_at(number));
}

void piece_feed_end(void)
{
    struct piece_connection *each, *next;
    HASH_ITER (hh, connections, each, next)
        unfollow(each);
}
