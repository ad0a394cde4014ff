// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `api`: HTTP requests to inference servers, timed where their bytes pass: when a TCP socket has sent
// or received. The parser (bpf/lib/http.h) keeps names of models and numbers; no other part of a body stays
// here or leaves.
#include "bpf/lib/exchange.h"
#include "bpf/lib/feed.h"
#include "bpf/lib/followed.h"
#include "bpf/lib/moved.h"
#include "bpf/lib/protocols.h"
#include "bpf/lib/waiting.h"

#define STEPS_MAX (1 << 23) // of bpf_loop()

const volatile bool body_values;
bool wake_always; // a rule wants these events

// Which first two bytes of a path, behind the slash, some inference route has.
__u64 route_starts[65536 / 64];
__u64 unfollowed[WIRE_API_UNFOLLOWED];
_Static_assert((WIRE_API_UNFOLLOWED & (WIRE_API_UNFOLLOWED - 1)) == 0, "used as a mask");

struct connection {
    struct exchange_connection exchange; // first
    struct wire_header owner;            // who reads the requests, of a client's who writes them
    __u64 net;
    __u8 client_addr[16];
    __u8 server_addr[16];
    __be16 client_port;
    __u8 family;   // 4 or 6
    __u8 known;    // the server is in `servers`
    __u8 asked;    // for inference
    __u8 needless; // neither, so nobody wants to know of it
    __u8 whole;    // the head of a request was
    __u8 waits;    // none was so far, and it is in `waiting`
    __u8 reserved[1];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 8192);
    __type(key, __u64); // struct sock *
    __type(value, struct connection);
} connections SEC(".maps");

// Never written: what a new connection starts from.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct connection);
} blank SEC(".maps");

// By hash of the path.
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 256);
    __type(key, __u64);
    __type(value, __u16);
} routes SEC(".maps");

struct server {
    __u64 net;
    __u64 port;
};

// Where inference was granted: other requests to the same place are timed, too. A place that is pushed out
// comes back with its next inference.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1024);
    __type(key, struct server);
    __type(value, __u8);
} servers SEC(".maps");

struct feeding {
    struct connection *connection;
    struct feed *feed;
    __u32 side;
};

INLINE __u16 exchange_route(const __u64 *hashes, __u32 count)
{
    for (__u32 i = 0; i < HTTP_HASHES && i < count; i++) {
        __u64 hash = hashes[i];
        __u16 *route = bpf_map_lookup_elem(&routes, &hash);
        if (route)
            return *route;
    }
    return 0;
}

INLINE bool connection_known(struct connection *connection)
{
    struct server server = {.net = connection->net, .port = connection->exchange.progress.server_port};
    if (!connection->known && connection->exchange.role == EXCHANGE_SERVER)
        connection->known = bpf_map_lookup_elem(&servers, &server) != NULL;
    return connection->known;
}

// A server that refuses inference may be any web server that somebody has tried it on.
INLINE void connection_granted(struct connection *connection)
{
    struct server server = {.net = connection->net, .port = connection->exchange.progress.server_port};
    __u8 one = 1;
    if (!connection->known && connection->exchange.role == EXCHANGE_SERVER)
        bpf_map_update_elem(&servers, &server, &one, BPF_ANY);
    connection->known = 1;
}

INLINE void api_fill(struct wire_api *record, const struct connection *connection,
                     const struct wire_api_exchange *exchange)
{
    __builtin_memset(record, 0, sizeof(*record));
    __builtin_memcpy(&record->header, &connection->owner, sizeof(record->header));
    __builtin_memcpy(&record->exchange, exchange, sizeof(record->exchange));
    record->header.size = sizeof(*record);
    record->header.type = exchange->flags & WIRE_API_INFERENCE ? WIRE_API_INFER : WIRE_API_HTTP;
    record->header.time_ns = exchange->end_ns;
    record->family = connection->family;
    // The addresses are as a server has them, the peer for the client.
    if (connection->exchange.role == EXCHANGE_CLIENT) {
        __builtin_memcpy(record->client_addr, connection->server_addr, sizeof(record->client_addr));
        __builtin_memcpy(record->server_addr, connection->client_addr, sizeof(record->server_addr));
        record->client_port = connection->exchange.progress.server_port;
        record->server_port = __builtin_bswap16(connection->client_port);
        return;
    }
    __builtin_memcpy(record->client_addr, connection->client_addr, sizeof(record->client_addr));
    __builtin_memcpy(record->server_addr, connection->server_addr, sizeof(record->server_addr));
    record->client_port = __builtin_bswap16(connection->client_port);
    record->server_port = connection->exchange.progress.server_port;
}

static __noinline void api_send(struct connection *connection, const struct wire_api_exchange *exchange)
{
    bool inference = exchange->flags & WIRE_API_INFERENCE;
    if (inference && exchange->status >= 200 && exchange->status < 300)
        connection_granted(connection);
    else if (!inference && !connection_known(connection))
        return;
    struct wire_api *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
    if (!record) {
        lost_add(WIRE_LOST_RING_FULL);
        return;
    }
    api_fill(record, connection, exchange);
    bpf_ringbuf_submit(record, ring_flags(wake_always));
}

static __noinline void api_send_call(struct connection *connection, const struct wire_api_exchange *exchange)
{
    const struct http_message *requests = &connection->exchange.messages[EXCHANGE_REQUESTS];
    struct wire_api_call *call = bpf_ringbuf_reserve(&ring, sizeof(*call), 0);
    if (!call) {
        lost_add(WIRE_LOST_RING_FULL);
        return;
    }
    api_fill(&call->api, connection, exchange);
    call->api.header.size = sizeof(*call);
    call->api.header.type = WIRE_API_CALL;
    __builtin_memcpy(call->host, requests->host, sizeof(call->host));
    call->host_port = requests->host_port;
    __builtin_memset(call->reserved, 0, sizeof(call->reserved));
    bpf_ringbuf_submit(call, ring_flags(wake_always));
}

INLINE void exchange_emit(struct exchange_connection *exchange_connection,
                          const struct wire_api_exchange *exchange)
{
    struct connection *connection = (struct connection *)exchange_connection;
    if (exchange->flags & WIRE_API_CLIENT)
        api_send_call(connection, exchange);
    else
        api_send(connection, exchange);
}

// The path is known: true where nobody wants to know of this server, or of what this client asks.
INLINE bool connection_needless(struct connection *connection)
{
    struct exchange_connection *exchange = &connection->exchange;
    if (exchange_at(exchange, exchange->latest)->flags & WIRE_API_INFERENCE)
        connection->asked = 1;
    return !connection->asked && !connection_known(connection);
}

static long feed_step(__u32 index, struct feeding *feeding)
{
    struct connection *connection = feeding->connection;
    struct feed *feed = feeding->feed;
    __u32 side = feeding->side & 1;
    struct http_message *message = &connection->exchange.messages[side];
    __u32 at = feed->at;
    __u32 have = feed->have;
    if (at < have && have <= WINDOW)
        feed->at = at + http_step(message, &feed->window[at & (WINDOW - 1)], have - at);
    else if (!feed_more(feed, message))
        return 1;
    __u8 happened = message->happened;
    if (happened && side == EXCHANGE_ANSWERS)
        exchange_answered(&connection->exchange, feed->now_ns);
    else if (happened)
        exchange_requested(&connection->exchange, feed->now_ns);
    if (happened & HTTP_PATH)
        connection->needless = connection_needless(connection);
    if (happened & HTTP_HEAD)
        connection->whole = 1;
    return connection->exchange.lost || connection->needless;
}

// --- Which connections to follow ---

#define POST WORD_PART("POST /", 0)

INLINE bool is_method(__u64 start)
{
    switch ((__u32)start) {
    case WORD_PART("GET ", 0):
    case WORD_PART("POST", 0):
    case WORD_PART("PUT ", 0):
    case WORD_PART("HEAD", 0):
    case WORD_PART("DELE", 0):
    case WORD_PART("PATC", 0):
    case WORD_PART("OPTI", 0):
        return true;
    }
    return false;
}

INLINE bool server_known(struct sock *sk, struct server *ret_server)
{
    ret_server->net = (__u64)BPF_CORE_READ(sk, __sk_common.skc_net.net);
    ret_server->port = BPF_CORE_READ(sk, __sk_common.skc_num);
    return bpf_map_lookup_elem(&servers, ret_server) != NULL;
}

// Whether a request to an inference route may begin so. What cannot be told yet, may.
INLINE bool may_be_inference(__u64 start, __u64 count)
{
    if (count < 8) {
        __u64 mask = count < 6 ? (1ull << (8 * count)) - 1 : 0xffffffffffff;
        return count > 0 && ((start ^ POST) & mask) == 0;
    }
    __u32 bit = start >> 48;
    return (start & 0xffffffffffff) == POST && (route_starts[(bit >> 6) & 1023] >> (bit & 63) & 1);
}

// Whether a request may begin here that is worth following.
INLINE bool may_begin(struct sock *sk, __u64 start, __u64 count)
{
    struct server server;
    return may_be_inference(start, count) || (count >= 8 && is_method(start) && server_known(sk, &server));
}

INLINE struct connection *connection_new(struct sock *sk, __u64 key)
{
    __u32 zero = 0;
    struct connection *connection = bpf_map_lookup_elem(&blank, &zero);
    if (!connection)
        return NULL;
    followed_add(sk);
    if (bpf_map_update_elem(&connections, &key, connection, BPF_NOEXIST)) {
        followed_remove(sk);
        __sync_fetch_and_add(&unfollowed[WIRE_API_TOO_MANY], 1);
        return NULL;
    }
    return bpf_map_lookup_elem(&connections, &key);
}

INLINE void connection_delete(struct sock *sk)
{
    __u64 key = (__u64)sk;
    if (followed_maybe(sk) && bpf_map_delete_elem(&connections, &key) == 0)
        followed_remove(sk);
}

// Until the head is whole.
INLINE void connection_wait(struct connection *connection, __u64 key)
{
    connection->waits = 1;
    connection->exchange.progress.in_flight = 0; // nothing was asked for yet
    __u64 other = waiting_begin(key);
    if (!other || other == key)
        return;
    connection_delete((struct sock *)other);
    __sync_fetch_and_add(&unfollowed[WIRE_API_TOO_MANY], 1);
}

// Both ends' addresses; IPv4 inside of IPv6 as IPv4.
INLINE void connection_addresses(struct connection *connection, struct sock *sk)
{
    __u32 *client = (__u32 *)connection->client_addr, *server = (__u32 *)connection->server_addr;
    connection->family = 4;
    if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6) {
        BPF_CORE_READ_INTO(&connection->client_addr, sk, __sk_common.skc_v6_daddr);
        BPF_CORE_READ_INTO(&connection->server_addr, sk, __sk_common.skc_v6_rcv_saddr);
        connection->family = 6;
        if (client[0] || client[1] || client[2] != __builtin_bswap32(0xffff))
            return;
        connection->family = 4;
        client[2] = client[3] = server[2] = server[3] = 0;
    }
    client[0] = BPF_CORE_READ(sk, __sk_common.skc_daddr);
    server[0] = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
}

INLINE void connection_socket(struct connection *connection, struct sock *sk)
{
    connection->net = (__u64)BPF_CORE_READ(sk, __sk_common.skc_net.net);
    connection->exchange.progress.server_port = BPF_CORE_READ(sk, __sk_common.skc_num);
    connection->client_port = BPF_CORE_READ(sk, __sk_common.skc_dport);
    connection_addresses(connection, sk);
}

INLINE void connection_begin(struct connection *connection, struct sock *sk)
{
    connection_socket(connection, sk);
    connection->known = connection->asked = connection->needless = connection->whole = 0;
    connection->owner.pid = 0;
    exchange_begin(&connection->exchange, EXCHANGE_SERVER, body_values);
}

// What is asked of a socket each time: read by plain loads where the kernel's verifier knows the pointer.
struct now {
    __u8 state;
    __be16 client_port;
};

// A socket's memory can be used again; then an entry stayed behind where deleting it failed. (The own port is
// gone before a socket is closed.)
INLINE bool connection_is(const struct connection *connection, __be16 client_port)
{
    return connection->client_port == client_port;
}

// Hands `count` bytes that moved at feed->now_ns to the parser; `moved` is NULL where nobody knows where they
// lie. False: the entry is of no more use to anybody.
INLINE bool connection_moved(struct connection *connection, struct feed *feed, const struct moved *moved,
                             __u64 count, enum exchange_side side)
{
    feed->base = moved ? moved->base : 0;
    feed->base_left = moved && !moved->base ? 0 : count; // unknown: at address 0, where nothing can be read
    feed->pieces = moved ? moved->pieces : 0;
    feed->pieces_left = moved ? moved->pieces_count : 0;
    feed->left = count;
    feed->have = feed->at = feed->most = 0;
    feed->next_at = feed->next_count = 0;
    if (side == EXCHANGE_REQUESTS && connection->owner.pid != bpf_get_current_pid_tgid() >> 32) {
        header_fill(&connection->owner, (void *)bpf_get_current_task(), 0, 0);
        connection->exchange.progress.pid = connection->owner.pid;
        connection->exchange.progress.start_time_ns = connection->owner.start_time_ns;
    }

    struct feeding feeding = {.connection = connection, .feed = feed, .side = side};
    bpf_loop(STEPS_MAX, feed_step, &feeding, 0);
    exchange_note(&connection->exchange, side, feed->now_ns);
    feed_wipe(feed);
    if (connection->needless || (connection->exchange.lost && !connection->known && !connection->asked))
        return false;
    __u32 lost = connection->exchange.lost - 1;
    if (lost < WIRE_API_UNFOLLOWED) {
        barrier_var(lost); // else 6.1 loses sight of the bound
        __sync_fetch_and_add(&unfollowed[lost & (WIRE_API_UNFOLLOWED - 1)], 1);
    }
    return true;
}

INLINE void socket_moved(struct sock *sk, struct now now, struct pt_regs *regs, __u64 count, __u32 side)
{
    __u64 key = (__u64)sk;
    // A server that has shut down its side cannot answer any more: what it still reads, it throws away.
    // (llama-server does so after each stream, and a client that keeps connections may have sent its next
    // request by then.)
    if (side == EXCHANGE_REQUESTS && now.state != TCP_ESTABLISHED && now.state != TCP_CLOSE_WAIT)
        return;
    struct connection *connection = followed_maybe(sk) ? bpf_map_lookup_elem(&connections, &key) : NULL;
    if (connection && connection->waits) {
        if (!waiting_end(key))
            return;
        connection->waits = 0;
    }
    if (connection && !connection_is(connection, now.client_port))
        connection->exchange.lost = EXCHANGE_OVER;
    if (side == EXCHANGE_ANSWERS && (!connection || connection->exchange.lost))
        return;

    struct moved moved = {};
    bool found = regs && moved_find(regs, &moved);
    if (!connection || connection->exchange.lost) {
        __u64 seen = count;
        __u64 start = found ? moved_start(&moved, &seen) : 0;
        if (!may_begin(sk, start, seen)) {
            if (found && seen >= 8)
                other_decide(sk, start, count);
            return;
        }
        if (!connection)
            connection = connection_new(sk, key);
        if (!connection)
            return;
        connection_begin(connection, sk);
    }

    struct feeds_slot *slot = feeds_take();
    if (!slot) {
        connection->exchange.lost = EXCHANGE_OVER;
        return;
    }
    slot->record.now_ns = bpf_ktime_get_boot_ns();
    bool wanted = connection_moved(connection, &slot->record, found ? &moved : NULL, count, side);
    feeds_give(slot);
    if (!wanted)
        connection_delete(sk);
    else if (!connection->whole && !connection->exchange.lost)
        connection_wait(connection, key);
}

// --- The adapters: from 6.3 on, tracepoints that only sockets pass ---

INLINE bool is_tcp(struct sock *sk)
{
    __u16 family = sk->__sk_common.skc_family;
    return sk->sk_protocol == IPPROTO_TCP && (family == AF_INET || family == AF_INET6);
}

INLINE struct now now_of(struct sock *sk)
{
    return (struct now){.state = sk->__sk_common.skc_state, .client_port = sk->__sk_common.skc_dport};
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(api_receive_btf, struct sock *sk, int result, int flags)
{
    if (result > 0 && !(flags & MSG_PEEK) && !other_is(sk) && is_tcp(sk))
        socket_moved(sk, now_of(sk), moving_registers(), result, EXCHANGE_REQUESTS);
    return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(api_send_btf, struct sock *sk, int result, int flags)
{
    if (result > 0 && followed_maybe(sk) && is_tcp(sk))
        socket_moved(sk, now_of(sk), moving_registers(), result, EXCHANGE_ANSWERS);
    return 0;
}

// --- Before that, where programs may be attached to functions: TCP's own (arguments as from 5.19 on) ---

SEC("fexit/tcp_recvmsg")
int BPF_PROG(api_receive_fexit, struct sock *sk, void *message, __u64 size, int flags, int *name_length,
             int result)
{
    if (result > 0 && !(flags & MSG_PEEK) && !other_is(sk))
        socket_moved(sk, now_of(sk), moving_registers(), result, EXCHANGE_REQUESTS);
    return 0;
}

SEC("fexit/tcp_sendmsg")
int BPF_PROG(api_send_fexit, struct sock *sk, void *message, __u64 size, int result)
{
    if (result > 0 && followed_maybe(sk))
        socket_moved(sk, now_of(sk), moving_registers(), result, EXCHANGE_ANSWERS);
    return 0;
}

// --- Else: the system calls' return ---

SEC("tracepoint/syscalls")
int api_call_tp(struct syscall_exit_context *context)
{
    __s64 result = context->result;
    if (result <= 0)
        return 0;
    struct task_struct *task = (void *)bpf_get_current_task();
    struct pt_regs *regs = task_registers(task);
    struct file *file = task_file(task, PT_REGS_PARM1_CORE_SYSCALL(regs));
    // A socket's file and the socket name each other; no other file's private data does.
    struct socket *socket = file ? BPF_CORE_READ(file, private_data) : NULL;
    if (!socket || BPF_CORE_READ(socket, file) != file)
        return 0;
    struct sock *sk = BPF_CORE_READ(socket, sk);
    __u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
    if (!sk || BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP || (family != AF_INET && family != AF_INET6))
        return 0;
    __u32 side = EXCHANGE_REQUESTS;
    switch (context->number) {
    case NR_WRITE:
    case NR_WRITEV:
    case NR_SENDTO:
    case NR_SENDMSG:
        side = EXCHANGE_ANSWERS;
        break;
    case NR_RECVFROM:
        if (PT_REGS_PARM4_CORE_SYSCALL(regs) & MSG_PEEK)
            return 0;
        break;
    case NR_RECVMSG:
        if (PT_REGS_PARM3_CORE_SYSCALL(regs) & MSG_PEEK)
            return 0;
        break;
    }
    if (side == EXCHANGE_REQUESTS && other_is(sk))
        return 0;
    struct now now = {.state = BPF_CORE_READ(sk, __sk_common.skc_state),
                      .client_port = BPF_CORE_READ(sk, __sk_common.skc_dport)};
    socket_moved(sk, now, regs, result, side);
    return 0;
}

// --- The end of a connection ---

INLINE void connection_over(struct sock *sk, int state)
{
    __u64 key = (__u64)sk;
    struct connection *connection = followed_maybe(sk) ? bpf_map_lookup_elem(&connections, &key) : NULL;
    if (!connection || connection->waits || !connection_is(connection, sk->__sk_common.skc_dport))
        return;
    struct exchange_connection *exchange = &connection->exchange;
    // The client's end: it closed (or only stopped sending, which a client that waits seldom does).
    if (state == TCP_CLOSE_WAIT)
        exchange->client_gone = 1;
    if (state != TCP_FIN_WAIT1 && state != TCP_LAST_ACK && state != TCP_CLOSE)
        return;
    // A reset, or no answer for too long, leaves an error at the socket.
    bool server_first = !exchange->client_gone && BPF_CORE_READ(sk, sk_err) == 0;
    exchange_closed(exchange, bpf_ktime_get_boot_ns(), server_first);
    exchange->progress.in_flight = 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(api_state_btf, struct sock *sk, int old_state, int state)
{
    if (state == TCP_CLOSE_WAIT || state == TCP_FIN_WAIT1 || state == TCP_LAST_ACK || state == TCP_CLOSE)
        connection_over(sk, state);
    return 0;
}

// No call is under way on it any more, so nobody holds the entry.
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(api_destroy_btf, struct sock *sk)
{
    waiting_end((__u64)sk);
    connection_delete(sk);
    other_forget(sk);
    return 0;
}

// --- The same where the bytes on the socket are encrypted ---

#include "bpf/lib/tls.h"
