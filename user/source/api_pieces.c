#include "api_pieces.h"

#include "api_pieces.skel.h"
#include "base/cleanup.h"
#include "bpf/lib/exchange.h"
#include "hook.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <uthash.h>

enum { CONNECTIONS_MAX = 4096 };

static struct api_pieces_bpf *skeleton;
static struct hooks attached;
static struct wire_api_slot *slots; // mapped, WIRE_API_PIECE_SLOTS of them
static bool body_values;
static int servers_fd = -1;

struct piece_connection {
    struct exchange_connection exchange; // first
    struct wire_api event;               // what its events begin as
    uint64_t sock;
    struct wire_api_server server;
    bool known;    // the server is in the kernel's `servers`
    bool asked;    // for inference
    bool needless; // neither, so nobody wants to know of it
    UT_hash_handle hh;
};

static struct piece_connection *connections;
static uint64_t unfollowed[WIRE_API_UNFOLLOWED];
static bool stopped;

// Where events go while a piece is parsed.
static source_emit_fn emit_event;
static void *emit_context;

// --- What the clock of a connection asks for (bpf/lib/exchange.h) ---

static inline __u16 exchange_route(const __u64 *hashes, __u32 count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t number = 1; number <= api_route_count(); number++)
            if (api_route_hash(api_route_at(number)) == hashes[i])
                return api_route_value(number);
    return 0;
}

// As in api.bpf.c: other requests count at servers that have granted inference.
static bool is_known(struct piece_connection *connection)
{
    __u8 one;
    if (!connection->known)
        connection->known = bpf_map_lookup_elem(servers_fd, &connection->server, &one) == 0;
    return connection->known;
}

static void grant(struct piece_connection *connection)
{
    __u8 one = 1;
    if (!connection->known)
        connection->known = bpf_map_update_elem(servers_fd, &connection->server, &one, BPF_ANY) == 0;
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

// The kernel hands over no more of it, until a request begins that may matter.
static void unfollow(struct piece_connection *connection)
{
    bpf_map_delete_elem(bpf_map__fd(skeleton->maps.followed), &connection->sock);
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
        forget(connections);
    struct piece_connection *connection = calloc(1, sizeof(*connection));
    if (!connection)
        return NULL;
    connection->sock = piece->sock;
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
                 const struct wire_api_piece *piece, const struct wire_api_slot *slot)
{
    uint64_t now_ns = piece->header.time_ns;
    uint64_t head = slot ? piece->head : 0, tail = slot ? piece->tail : 0;
    if (feed_bytes(connection, side, now_ns, slot ? slot->data : NULL, head) &&
        feed_gap(connection, side, now_ns, piece->count - head - tail) && tail > 0)
        feed_bytes(connection, side, now_ns, slot->data + WIRE_API_PIECE_HEAD, tail);
    exchange_note(&connection->exchange, side, now_ns);
    __u32 lost = connection->exchange.lost - 1u;
    if (lost < WIRE_API_UNFOLLOWED && !connection->needless)
        unfollowed[lost]++;
    if (connection->needless || (connection->exchange.lost && !connection->known && !connection->asked))
        unfollow(connection);
}

static void received(const struct wire_api_piece *piece, const struct wire_api_slot *slot)
{
    struct piece_connection *connection = find(piece->sock);
    // The socket's memory was used again, and its end was lost.
    if (connection && connection->event.client_port != piece->client_port) {
        forget(connection);
        connection = NULL;
    }
    if (!connection)
        connection = add(piece);
    if (!connection)
        return;
    struct exchange_connection *exchange = &connection->exchange;
    // Only where a request may begin is there a way back.
    if (exchange->lost && (!slot || piece->head < 5 || memcmp(slot->data, "POST ", 5) != 0))
        return;
    if (exchange->lost)
        exchange_begin(exchange, EXCHANGE_SERVER, body_values);
    if (exchange->progress.pid != piece->header.pid) {
        connection->event.header = piece->header;
        exchange->progress.pid = piece->header.pid;
        exchange->progress.start_time_ns = piece->header.start_time_ns;
    }
    feed(connection, EXCHANGE_REQUESTS, piece, slot);
}

static void over(struct piece_connection *connection, const struct wire_api_piece *piece)
{
    struct exchange_connection *exchange = &connection->exchange;
    bool server_first = piece->kind == WIRE_API_PIECE_CLOSED_SERVER && !exchange->client_gone;
    exchange_closed(exchange, piece->header.time_ns, server_first);
    exchange->progress.in_flight = 0;
}

static void handle(const struct wire_api_piece *piece, const struct wire_api_slot *slot)
{
    if (piece->kind == WIRE_API_PIECE_RECEIVED) {
        received(piece, slot);
        return;
    }
    struct piece_connection *connection = find(piece->sock);
    if (!connection)
        return;
    switch (piece->kind) {
    case WIRE_API_PIECE_SENT:
        if (!connection->exchange.lost)
            feed(connection, EXCHANGE_ANSWERS, piece, slot);
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

void api_pieces_refine(const struct wire_header *raw, size_t size, source_emit_fn emit, void *context)
{
    const struct wire_api_piece *piece = (const struct wire_api_piece *)raw;
    if (!skeleton || size < sizeof(*piece) || piece->kind >= WIRE_API_PIECE_KINDS ||
        piece->head > WIRE_API_PIECE_HEAD || piece->tail > WIRE_API_PIECE_TAIL ||
        (uint64_t)piece->head + piece->tail > piece->count)
        return;
    struct wire_api_slot *slot = piece->slot < WIRE_API_PIECE_SLOTS ? &slots[piece->slot] : NULL;
    emit_event = emit;
    emit_context = context;
    handle(piece, slot);
    emit_event = NULL;
    if (!slot)
        return;
    // No byte of a prompt stays behind.
    explicit_bzero(slot->data, piece->head);
    explicit_bzero(slot->data + WIRE_API_PIECE_HEAD, piece->tail);
    bpf_map_update_elem(bpf_map__fd(skeleton->maps.free_slots), NULL, &piece->slot, BPF_ANY);
}

void api_pieces_visit(api_progress_fn visit, void *context)
{
    for (struct piece_connection *each = connections; each; each = each->hh.next)
        if (each->exchange.progress.in_flight && each->exchange.progress.inference)
            visit(&each->exchange.progress, context);
}

bool api_pieces_unfollowed(uint64_t ret_counts[WIRE_API_UNFOLLOWED])
{
    if (!skeleton)
        return false;
    memcpy(ret_counts, unfollowed, sizeof(unfollowed));
    ret_counts[WIRE_API_TOO_MANY] += skeleton->bss->too_many;
    ret_counts[WIRE_API_UNREAD] += skeleton->bss->no_slot;
    return true;
}

// --- Start and stop ---

#define PIECES_HOOK(what, with, where)                                       \
    {                                                                        \
        .name = what, .program = with, .attach_point = where, .wanted = true \
    }

// Sending before receiving: a request that is seen has its answer seen, too.
static const struct hook hooks[] = {
    PIECES_HOOK("connection gone", "pieces_destroy_btf", "tp_btf/tcp_destroy_sock"),
    PIECES_HOOK("connection closed", "pieces_state_btf", "tp_btf/inet_sock_set_state"),
    PIECES_HOOK("send", "pieces_send_fexit", "fexit/tcp_sendmsg"),
    PIECES_HOOK("receive", "pieces_receive_fexit", "fexit/tcp_recvmsg"),
};

static int prepare(void)
{
    int free_fd = bpf_map__fd(skeleton->maps.free_slots);
    size_t size = WIRE_API_PIECE_SLOTS * sizeof(struct wire_api_slot);
    void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(skeleton->maps.slots), 0);
    if (mapped == MAP_FAILED)
        return -errno;
    slots = mapped;
    servers_fd = bpf_map__fd(skeleton->maps.servers);
    for (uint32_t slot = 0; slot < WIRE_API_PIECE_SLOTS; slot++)
        if (bpf_map_update_elem(free_fd, NULL, &slot, BPF_ANY))
            return -errno;
    api_route_starts(skeleton->bss->route_starts);
    return 0;
}

static int load(const struct source_env *env, struct source_report *ret_report)
{
    skeleton = api_pieces_bpf__open();
    if (!skeleton)
        return hook_load_failed(-errno, ret_report);
    skeleton->rodata->source_id = env->id;
    body_values = !env->no_body_values;
    int error = hook_load(skeleton->skeleton, env, hooks, ARRAY_SIZE(hooks), ret_report);
    if (error)
        return error;
    error = prepare();
    return error ? hook_load_failed(error, ret_report) : 0;
}

static void clear(void)
{
    hook_detach_all(&attached);
    if (slots)
        munmap(slots, WIRE_API_PIECE_SLOTS * sizeof(*slots));
    slots = NULL;
    api_pieces_bpf__destroy(skeleton);
    skeleton = NULL;
}

int api_pieces_start(const struct source_env *env, bool wake, struct source_report *ret_report)
{
    struct piece_connection *each, *next;
    int error = skeleton ? 0 : load(env, ret_report);
    // What became of connections meanwhile is not known.
    if (stopped)
        HASH_ITER (hh, connections, each, next)
            unfollow(each);
    stopped = false;
    if (!error) {
        skeleton->bss->wake_always = wake;
        error = hook_update(skeleton->obj, hooks, ARRAY_SIZE(hooks), &attached, ret_report);
    }
    if (error)
        clear();
    return error;
}

// What is in the ring by now is still parsed, so all but the hooks stays, until the process ends.
void api_pieces_stop(void)
{
    hook_detach_all(&attached);
    stopped = skeleton != NULL;
}
