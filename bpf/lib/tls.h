// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The part of source `api` for connections that OpenSSL encrypts: uprobes where a program reads plaintext out
// of it or writes some into it. A connection is an SSL object of a process, as not all of them have a socket
// of their own. Included by api.bpf.c, whose parser and maps it shares.
#pragma once

#define TLS_FEEDS 4
#define TLS_RECORD 16384 // bytes of plaintext in a record, at most

struct tls_key {
    __u64 ssl; // SSL *
    __u32 pid;
    __u32 reserved;
};

struct tls_connection {
    struct connection connection; // first; its family is 0 while the socket is not known
    __u64 sk;                     // struct sock *; 0: not known
    __u8 over;                    // nothing follows SSL_shutdown()
    __u8 reserved[7];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 8192);
    __type(key, struct tls_key);
    __type(value, struct tls_connection);
} tls_connections SEC(".maps");

// Never written: what a new connection starts from.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct tls_connection);
} tls_blank SEC(".maps");

// Which of them a socket carries.
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 8192);
    __type(key, __u64); // struct sock *
    __type(value, struct tls_key);
} tls_sockets SEC(".maps");

// Processes that have had any. The connections of one that is pushed out do not end with it, but with their
// sockets, or where their memory is used again.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, __u32);
    __type(value, __u8);
} tls_processes SEC(".maps");

// A call that has not returned yet. A thread can be in one of each kind: where SSL_read() ends the handshake,
// it calls Node, which may write at once.
struct tls_call {
    __u64 ssl;
    __u64 buffer;
    __u64 count_at; // size_t *: how much was moved, where a call succeeds; 0: that is what it returns
    __u64 stack;
    __u64 sk;      // the first socket that the thread used in it
    __u64 used_ns; // when it had used it
    __u8 writes;
    __u8 reserved[7];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, __u64); // by tls_call_key()
    __type(value, struct tls_call);
} tls_calls SEC(".maps");

// Unlike other programs, those of uprobes can be preempted by others of their kind.
struct tls_feed {
    __u32 taken;
    __u32 reserved;
    struct feed feed;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, TLS_FEEDS);
    __type(key, __u32);
    __type(value, struct tls_feed);
} tls_feeds SEC(".maps");

// Calls that could not be noted, as too many were under way.
__u64 tls_calls_missed;

INLINE struct tls_feed *tls_feed_take(void)
{
    for (__u32 i = 0; i < TLS_FEEDS; i++) {
        __u32 key = i;
        struct tls_feed *slot = bpf_map_lookup_elem(&tls_feeds, &key);
        if (slot && __sync_lock_test_and_set(&slot->taken, 1) == 0)
            return slot;
    }
    lost_add(WIRE_LOST_SCRATCH_BUSY);
    return NULL;
}

// --- Which connections to follow ---

INLINE struct tls_key tls_key_of(__u64 ssl)
{
    return (struct tls_key){.ssl = ssl, .pid = bpf_get_current_pid_tgid() >> 32};
}

// Where the requests to a connection's server are counted. One whose socket is not known stands for its
// process.
INLINE bool tls_server_known(const struct tls_call *call)
{
    struct server server = {.net = bpf_get_current_pid_tgid() >> 32};
    return call->sk ? server_known((struct sock *)call->sk, &server)
                    : bpf_map_lookup_elem(&servers, &server) != NULL;
}

// Servers read heads a byte at a time, too.
INLINE bool tls_may_begin(const struct tls_call *call, __u64 start, __u64 count)
{
    if (may_be_inference(start, count))
        return true;
    __u8 first = start;
    bool method = count < 8 ? first == 'G' || first == 'P' || first == 'H' || first == 'D' || first == 'O'
                            : is_method(start);
    return method && tls_server_known(call);
}

// Whoever writes the beginning of a request is a client. Anything may stand before a path, so that says
// nothing.
INLINE bool tls_may_call(__u64 start, __u64 count)
{
    __u64 mask = count < 6 ? (1ull << (8 * count)) - 1 : 0xffffffffffff;
    return count > 0 && ((start ^ POST) & mask) == 0;
}

INLINE void tls_socket_found(struct tls_connection *tls, const struct tls_key *key, struct sock *sk)
{
    struct connection *connection = &tls->connection;
    __u64 socket = (__u64)sk;
    tls->sk = socket;
    bpf_map_update_elem(&tls_sockets, &socket, key, BPF_ANY);
    connection_socket(connection, sk);
    if (connection->known && connection->exchange.role == EXCHANGE_SERVER) {
        struct server server = {.net = connection->net, .port = connection->exchange.progress.server_port};
        __u8 one = 1;
        bpf_map_update_elem(&servers, &server, &one, BPF_ANY);
    }
}

INLINE void tls_socket_gone(struct tls_connection *tls)
{
    __u64 socket = tls->sk;
    if (socket)
        bpf_map_delete_elem(&tls_sockets, &socket);
    tls->sk = 0;
    tls->connection.family = 0;
}

INLINE struct tls_connection *tls_new(const struct tls_key *key)
{
    __u32 zero = 0, pid = key->pid;
    __u8 one = 1;
    struct tls_connection *blank_connection = bpf_map_lookup_elem(&tls_blank, &zero);
    if (!blank_connection)
        return NULL;
    if (bpf_map_update_elem(&tls_connections, key, blank_connection, BPF_NOEXIST)) {
        __sync_fetch_and_add(&unfollowed[WIRE_API_TOO_MANY], 1);
        return NULL;
    }
    bpf_map_update_elem(&tls_processes, &pid, &one, BPF_ANY);
    return bpf_map_lookup_elem(&tls_connections, key);
}

INLINE void tls_begin(struct tls_connection *tls, const struct tls_key *key, enum exchange_role role)
{
    struct connection *connection = &tls->connection;
    connection->known = connection->asked = connection->needless = connection->whole = 0;
    connection->owner.pid = 0;
    if (!tls->sk) {
        connection->net = key->pid;
        connection->exchange.progress.server_port = 0;
        connection->client_port = 0;
    }
    exchange_begin(&connection->exchange, role, body_values);
}

// The connection's end; `own_first` where this end of it closed before the other did. A function, as its
// stack is then not part of that of the programs where it does not run.
static __noinline void tls_closed(struct tls_connection *tls, bool own_first)
{
    struct exchange_connection *exchange = &tls->connection.exchange;
    bool server_first = own_first == (exchange->role == EXCHANGE_SERVER);
    exchange_closed(exchange, bpf_ktime_get_boot_ns(), server_first);
    exchange->progress.in_flight = 0;
}

INLINE void tls_forget(struct tls_connection *tls, const struct tls_key *key)
{
    tls_socket_gone(tls);
    bpf_map_delete_elem(&tls_connections, key);
}

// The kernel itself encrypts for some (kTLS): then requests pass on the socket, too, and are followed there.
INLINE bool tls_seen_on_socket(const struct tls_call *call)
{
    __u64 sk = call->sk;
    return sk && bpf_map_lookup_elem(&connections, &sk);
}

// What a call has moved begins a request, or goes on with one.
INLINE struct tls_connection *tls_follow(const struct tls_call *call, const struct tls_key *key, __u64 count)
{
    struct tls_connection *tls = bpf_map_lookup_elem(&tls_connections, key);
    // The object's memory was used again, and nobody saw it freed.
    if (tls && tls->sk && call->sk && tls->sk != call->sk) {
        tls_closed(tls, true);
        tls_socket_gone(tls);
        tls->over = 0;
    }
    if (tls && (tls->over || !tls->connection.exchange.lost))
        return tls->over ? NULL : tls;
    struct moved moved = {.base = call->buffer};
    __u64 start = moved_start(&moved, &count);
    bool begins = call->writes ? tls_may_call(start, count) : tls_may_begin(call, start, count);
    if (!begins || tls_seen_on_socket(call))
        return NULL;
    if (!tls)
        tls = tls_new(key);
    if (tls)
        tls_begin(tls, key, call->writes ? EXCHANGE_CLIENT : EXCHANGE_SERVER);
    return tls;
}

INLINE void tls_moved(const struct tls_call *call, __u64 count)
{
    struct tls_key key = tls_key_of(call->ssl);
    struct tls_connection *tls = tls_follow(call, &key, count);
    if (!tls)
        return;
    if (call->sk && !tls->sk)
        tls_socket_found(tls, &key, (struct sock *)call->sk);
    struct exchange_connection *exchange = &tls->connection.exchange;
    struct tls_feed *slot = tls_feed_take();
    if (!slot) {
        exchange->lost = EXCHANGE_OVER;
        return;
    }
    // A thread may have to wait for its CPU before it returns; what is one record was on the socket before
    // that.
    bool one_record = call->used_ns && count <= TLS_RECORD;
    slot->feed.now_ns = one_record ? call->used_ns : bpf_ktime_get_boot_ns();
    struct moved moved = {.base = call->buffer};
    bool wanted = connection_moved(&tls->connection, &slot->feed, &moved, count,
                                   exchange_side(exchange, !call->writes));
    slot->taken = 0;
    if (!wanted)
        tls_forget(tls, &key);
}

// --- The calls ---

#if defined(__TARGET_ARCH_x86)
#define RETURN_POPS 8 // the address to return to
#else
#define RETURN_POPS 0
#endif

INLINE __u64 tls_call_key(__u32 thread, bool writes)
{
    return (__u64)thread << 1 | writes;
}

INLINE void tls_enter(struct pt_regs *regs, bool writes, __u64 count_at)
{
    __u64 key = tls_call_key(bpf_get_current_pid_tgid(), writes);
    struct tls_call call = {.ssl = PT_REGS_PARM1(regs),
                            .buffer = PT_REGS_PARM2(regs),
                            .count_at = count_at,
                            .stack = PT_REGS_SP(regs),
                            .writes = writes};
    // Some libraries have SSL_read_ex() call SSL_read(), or the other way round: the outer one counts.
    const struct tls_call *outer = bpf_map_lookup_elem(&tls_calls, &key);
    if (outer && outer->ssl == call.ssl && call.stack < outer->stack)
        return;
    if (bpf_map_update_elem(&tls_calls, &key, &call, BPF_ANY))
        __sync_fetch_and_add(&tls_calls_missed, 1);
}

SEC("uprobe")
int tls_read(struct pt_regs *regs)
{
    tls_enter(regs, false, 0);
    return 0;
}

SEC("uprobe")
int tls_read_ex(struct pt_regs *regs)
{
    tls_enter(regs, false, PT_REGS_PARM4(regs));
    return 0;
}

SEC("uprobe")
int tls_write(struct pt_regs *regs)
{
    tls_enter(regs, true, 0);
    return 0;
}

SEC("uprobe")
int tls_write_ex(struct pt_regs *regs)
{
    tls_enter(regs, true, PT_REGS_PARM4(regs));
    return 0;
}

// int SSL_write_ex2(SSL *s, const void *buf, size_t num, uint64_t flags, size_t *written)
SEC("uprobe")
int tls_write_ex2(struct pt_regs *regs)
{
    tls_enter(regs, true, PT_REGS_PARM5(regs));
    return 0;
}

// The other end has said that it is done.
INLINE void tls_ended(const struct tls_call *call)
{
    struct tls_key key = tls_key_of(call->ssl);
    struct tls_connection *tls = bpf_map_lookup_elem(&tls_connections, &key);
    if (tls)
        tls->connection.exchange.client_gone = 1;
}

// Of any of these calls.
SEC("uretprobe")
int tls_return(struct pt_regs *regs)
{
    __u32 thread = bpf_get_current_pid_tgid();
    __u64 stack = PT_REGS_SP(regs) - RETURN_POPS, key = tls_call_key(thread, false);
    const struct tls_call *call = bpf_map_lookup_elem(&tls_calls, &key);
    if (!call || call->stack != stack) {
        key = tls_call_key(thread, true);
        call = bpf_map_lookup_elem(&tls_calls, &key);
    }
    if (!call || call->stack != stack)
        return 0;
    int result = PT_REGS_RC(regs);
    __u64 count = 0;
    if (result > 0 && !call->count_at)
        count = result;
    else if (result > 0)
        bpf_probe_read_user(&count, sizeof(count), (void *)call->count_at);
    else if (result == 0 && !call->count_at && !call->writes)
        tls_ended(call);
    if (count)
        tls_moved(call, count);
    // Only now, as the entry is this thread's alone and a copy of it would take a tenth of the stack.
    bpf_map_delete_elem(&tls_calls, &key);
    return 0;
}

// --- Its socket, where the library itself reads and writes it ---

INLINE void tls_used(struct tls_call *call, struct sock *sk)
{
    call->used_ns = bpf_ktime_get_boot_ns();
    call->sk = (__u64)sk;
}

INLINE void tls_uses(struct sock *sk)
{
    __u32 thread = bpf_get_current_pid_tgid();
    __u64 reads = tls_call_key(thread, false), writes = tls_call_key(thread, true);
    struct tls_call *call = bpf_map_lookup_elem(&tls_calls, &reads);
    struct tls_call *other = bpf_map_lookup_elem(&tls_calls, &writes);
    if (!call || (other && other->stack < call->stack)) // the inner one
        call = other;
    if (!call || call->sk)
        return;
    // Not what an interrupt does meanwhile, or io_uring.
    struct pt_regs *regs = moving_registers();
    struct moved moved;
    if (regs && moved_find(regs, &moved))
        tls_used(call, sk);
}

SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(tls_receive_btf, struct sock *sk)
{
    if (is_tcp(sk))
        tls_uses(sk);
    return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(tls_send_btf, struct sock *sk, int result, int flags)
{
    if (result > 0 && is_tcp(sk))
        tls_uses(sk);
    return 0;
}

// --- The end of a connection ---

INLINE void tls_end(__u64 ssl, bool freed)
{
    struct tls_key key = tls_key_of(ssl);
    struct tls_connection *tls = bpf_map_lookup_elem(&tls_connections, &key);
    if (!tls)
        return;
    // Where the socket is not known, who ends a connection without SSL_shutdown() is taken to have found that
    // there is nobody to tell.
    bool own_first = !freed || tls->over || tls->sk;
    tls_closed(tls, own_first && !tls->connection.exchange.client_gone);
    tls->over = 1;
    if (freed)
        tls_forget(tls, &key);
}

SEC("uprobe")
int tls_shutdown(struct pt_regs *regs)
{
    tls_end(PT_REGS_PARM1(regs), false);
    return 0;
}

SEC("uprobe")
int tls_free(struct pt_regs *regs)
{
    tls_end(PT_REGS_PARM1(regs), true);
    return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tls_state_btf, struct sock *sk, int old_state, int state)
{
    __u64 socket = (__u64)sk;
    if (state != TCP_CLOSE_WAIT && state != TCP_FIN_WAIT1 && state != TCP_LAST_ACK && state != TCP_CLOSE)
        return 0;
    struct tls_key *found = bpf_map_lookup_elem(&tls_sockets, &socket);
    if (!found)
        return 0;
    struct tls_key key = *found;
    struct tls_connection *tls = bpf_map_lookup_elem(&tls_connections, &key);
    if (tls && tls->sk == socket && state == TCP_CLOSE_WAIT) {
        tls->connection.exchange.client_gone = 1;
    } else if (tls && tls->sk == socket) {
        tls_closed(tls, !tls->connection.exchange.client_gone && BPF_CORE_READ(sk, sk_err) == 0);
        tls_socket_gone(tls);
    }
    if (state == TCP_CLOSE)
        bpf_map_delete_elem(&tls_sockets, &socket);
    return 0;
}

static long tls_close_of(void *map, struct tls_key *key, struct tls_connection *tls, __u32 *pid)
{
    if (key->pid != *pid)
        return 0;
    struct tls_key gone = *key;
    tls_closed(tls, !tls->connection.exchange.client_gone);
    tls_forget(tls, &gone);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(tls_exit_btf, struct task_struct *task)
{
    __u32 thread = BPF_CORE_READ(task, pid), pid = BPF_CORE_READ(task, tgid);
    __u64 reads = tls_call_key(thread, false), writes = tls_call_key(thread, true);
    bpf_map_delete_elem(&tls_calls, &reads);
    bpf_map_delete_elem(&tls_calls, &writes);
    if (BPF_CORE_READ(task, signal, live.counter) != 0 || !bpf_map_lookup_elem(&tls_processes, &pid))
        return 0;
    bpf_for_each_map_elem(&tls_connections, tls_close_of, &pid, 0);
    bpf_map_delete_elem(&tls_processes, &pid);
    return 0;
}
