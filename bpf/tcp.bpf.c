// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `tcp`: what connections are like, by container and by what the other end is. A connection is looked
// at when its state changes, which is some ten times in its life, and once in a while by the program
// look_at_connection() while it is open; never for a packet.
//
// Most changes come in an interrupt, while any process runs. So whose a connection is is noted where that is
// sure: with who asks for it or listens, in the call that does so.
#include "wire/tcp.h"
#include "bpf/lib/endpoint.h"
#include "bpf/lib/measure.h"

#define CONNECTIONS 65536
#define LISTENERS 8192

#define SOCK_DONE 1 // include/net/sock.h: a bit's number; the other end's FIN was received

#define EEXIST 17
#define ENETUNREACH 101
#define ECONNRESET 104
#define ETIMEDOUT 110
#define ECONNREFUSED 111
#define EHOSTDOWN 112
#define EHOSTUNREACH 113
#define ENOPROTOOPT 92

enum stage { STAGE_LISTENS, STAGE_ASKED, STAGE_OPEN, STAGE_ENDED };

// Whose it is.
struct owner {
    __u64 cgroup_id; // 0: not known
    __u64 pid;       // of a process in it
};

struct connection {
    struct owner owner;
    __u64 since_ns; // of the stage, CLOCK_BOOTTIME; 0: since before we looked
    // Counted so far:
    __u64 sent;
    __u64 received;
    __u32 retransmits;
    __u32 drops;
    __u8 stage;
    __u8 peer;
    __u8 way;
    __u8 reserved[5];
};

// By address of the socket.
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, CONNECTIONS);
    __type(key, __u64);
    __type(value, struct connection);
} connections SEC(".maps");

// Whose a listening socket is, for the connections that it gets. Where several share a port, the latest. The
// connections of one that is pushed out have no container.
struct listener_key {
    __u64 net;
    __u8 addr[16];
    __u32 port;
    __u32 reserved;
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, LISTENERS);
    __type(key, struct listener_key);
    __type(value, struct owner);
} listeners SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, WIRE_PEER_PREFIXES_MAX);
    __type(key, struct wire_peer_prefix);
    __type(value, __u32); // enum wire_peer
} prefixes SEC(".maps");

// A field of a kernel object: by a load, where the verifier knows the object's type, else by a call, which
// costs more. `known` is a constant wherever it is asked for.
#define FIELD(known, object, field) ((known) ? (object)->field : BPF_CORE_READ(object, field))

// --- Addresses ---

INLINE void map_v4(__be32 address, __u8 *ret_addr)
{
    __u32 *words = (__u32 *)ret_addr;
    words[0] = words[1] = 0;
    words[2] = __builtin_bswap32(0xffff);
    words[3] = address;
}

// All zeroes: any.
INLINE void local_address(struct sock *sock, bool known, __u8 *ret_addr)
{
    if (FIELD(known, sock, __sk_common.skc_family) == AF_INET6) {
        bpf_core_read(ret_addr, 16, &sock->__sk_common.skc_v6_rcv_saddr);
        return;
    }
    __be32 address = FIELD(known, sock, __sk_common.skc_rcv_saddr);
    __builtin_memset(ret_addr, 0, 16);
    if (address)
        map_v4(address, ret_addr);
}

INLINE void remote_address(struct sock *sock, bool known, __u8 *ret_addr)
{
    if (FIELD(known, sock, __sk_common.skc_family) == AF_INET6)
        bpf_core_read(ret_addr, 16, &sock->__sk_common.skc_v6_daddr);
    else
        map_v4(FIELD(known, sock, __sk_common.skc_daddr), ret_addr);
}

INLINE __u8 peer_of(struct sock *sock, bool known)
{
    struct wire_peer_prefix remote = {.bits = 128};
    __u64 local[2];
    local_address(sock, known, (__u8 *)local);
    remote_address(sock, known, remote.addr);
    // An address of our own that is not called loopback is one all the same.
    if (__builtin_memcmp(local, remote.addr, sizeof(local)) == 0)
        return WIRE_PEER_LOOPBACK;
    const __u32 *peer = bpf_map_lookup_elem(&prefixes, &remote);
    return peer ? *peer : WIRE_PEER_PUBLIC;
}

INLINE void listener_key_fill(struct listener_key *ret_key, struct sock *sock, bool known)
{
    __builtin_memset(ret_key, 0, sizeof(*ret_key));
    ret_key->net = (__u64)FIELD(known, sock, __sk_common.skc_net.net);
    ret_key->port = FIELD(known, sock, __sk_common.skc_num);
    local_address(sock, known, ret_key->addr);
}

INLINE struct owner owner_current(void)
{
    return (struct owner){measure_cgroup(), bpf_get_current_pid_tgid() >> 32};
}

INLINE struct owner owner_by_listener(struct sock *sock)
{
    struct listener_key key;
    listener_key_fill(&key, sock, true);
    const struct owner *owner = bpf_map_lookup_elem(&listeners, &key);
    if (!owner) {
        __builtin_memset(key.addr, 0, sizeof(key.addr));
        owner = bpf_map_lookup_elem(&listeners, &key);
    }
    return owner ? *owner : (struct owner){};
}

// --- Counting ---

INLINE struct connection *connection_of(struct sock *sock)
{
    __u64 key = (__u64)sock;
    return bpf_map_lookup_elem(&connections, &key);
}

INLINE void connection_put(struct sock *sock, const struct connection *connection, __u64 flags)
{
    __u64 key = (__u64)sock;
    // As an int: before 6.4 the upper half of what this returns is not set.
    int error = (int)bpf_map_update_elem(&connections, &key, connection, flags);
    if (error && error != -EEXIST)
        lost_add(WIRE_LOST_STATE_FULL);
}

// NULL: there is no room.
INLINE struct wire_measure *entry_of(const struct connection *connection, __u16 measure, __u8 way,
                                     __u8 reason)
{
    __u16 detail = WIRE_TCP_DETAIL(connection->peer, way, reason);
    struct wire_measure_key key = measure_key(connection->owner.cgroup_id, measure, detail);
    return measure_entry_of(&key, connection->owner.pid);
}

INLINE void add_one(const struct connection *connection, __u16 measure, __u8 way, __u8 reason, __u64 now)
{
    struct wire_measure *entry = entry_of(connection, measure, way, reason);
    if (entry)
        measure_count_one(entry, now);
}

INLINE void add_time(const struct connection *connection, __u16 measure, __u8 way, __u64 time_ns, __u64 now)
{
    struct wire_measure *entry = entry_of(connection, measure, way, 0);
    if (entry)
        measure_count_time(entry, time_ns, now);
}

INLINE void add_amount(const struct connection *connection, __u16 measure, __u8 way, __u64 amount, __u64 now)
{
    struct wire_measure *entry = entry_of(connection, measure, way, 0);
    if (entry)
        measure_count_amount(entry, amount, now);
}

// What the kernel has counted.
struct account {
    __u64 sent, received; // each byte once
    __u32 retransmits;
    __u32 rtt_us;
};

// The kernel counts the other end's FIN as a byte received.
INLINE bool account_read(struct sock *sock, bool known, struct account *ret_account)
{
    struct tcp_sock *tcp = known ? bpf_skc_to_tcp_sock(sock) : (void *)sock;
    if (!tcp)
        return false;
    bool finished = FIELD(known, sock, __sk_common.skc_flags) & 1 << SOCK_DONE;
    ret_account->sent = FIELD(known, tcp, bytes_sent) - FIELD(known, tcp, bytes_retrans);
    ret_account->received = FIELD(known, tcp, bytes_received);
    if (finished && ret_account->received)
        ret_account->received -= 1;
    ret_account->retransmits = FIELD(known, tcp, total_retrans);
    ret_account->rtt_us = FIELD(known, tcp, srtt_us) >> 3;
    return true;
}

INLINE void count_retransmits(const struct account *account, struct connection *connection, __u64 now)
{
    if (account->retransmits <= connection->retransmits)
        return;
    add_amount(connection, WIRE_TCP_RETRANSMITS, 0, account->retransmits - connection->retransmits, now);
    connection->retransmits = account->retransmits;
}

// The one place that knows how many bytes went out and came in since the last look. That look and the
// connection's end can be at the same time on two CPUs, within some ns; those bytes count twice then.
INLINE bool count_bytes(const struct account *account, struct connection *connection, __u64 now)
{
    __u64 more_sent = account->sent - connection->sent,
          more_received = account->received - connection->received;
    // The socket can be gone while we look, and its memory another one's.
    if ((__s64)more_sent < 0 || (__s64)more_received < 0)
        return false;
    connection->sent = account->sent;
    connection->received = account->received;
    if (more_sent)
        add_amount(connection, WIRE_TCP_BYTES, WIRE_TCP_OUT, more_sent, now);
    if (more_received)
        add_amount(connection, WIRE_TCP_BYTES, WIRE_TCP_IN, more_received, now);
    return more_sent || more_received;
}

INLINE void count_open(const struct account *account, struct connection *connection, bool ends, __u64 now)
{
    bool moved = count_bytes(account, connection, now);
    count_retransmits(account, connection, now);
    if (account->rtt_us && (moved || ends))
        add_time(connection, WIRE_TCP_RTT, 0, (__u64)account->rtt_us * 1000, now);
}

INLINE void count_drops(struct sock *sock, struct connection *listener, __u64 now)
{
    __u32 total = BPF_CORE_READ(sock, sk_drops.counter);
    __s32 more = total - listener->drops;
    listener->drops = total;
    if (more > 0)
        add_amount(listener, WIRE_TCP_LISTEN_DROPS, 0, more, now);
}

// --- What happens to a connection ---

INLINE void asked(struct sock *sock)
{
    struct connection connection = {.owner = owner_current(),
                                    .since_ns = bpf_ktime_get_boot_ns(),
                                    .stage = STAGE_ASKED,
                                    .peer = peer_of(sock, true),
                                    .way = WIRE_TCP_OUT};
    connection_put(sock, &connection, BPF_ANY);
}

INLINE void listens(struct sock *sock, bool known, struct owner owner, __u64 flags)
{
    struct connection listener = {
        .owner = owner, .stage = STAGE_LISTENS, .drops = BPF_CORE_READ(sock, sk_drops.counter)};
    struct listener_key key;
    listener_key_fill(&key, sock, known);
    connection_put(sock, &listener, flags);
    bpf_map_update_elem(&listeners, &key, &owner, flags);
}

INLINE void connected(struct sock *sock, int before)
{
    __u64 now = bpf_ktime_get_boot_ns();
    struct connection *asked_for = connection_of(sock);
    if (asked_for && asked_for->stage == STAGE_ASKED) {
        add_time(asked_for, WIRE_TCP_CONNECTS, WIRE_TCP_OUT, now - asked_for->since_ns, now);
        asked_for->since_ns = now;
        asked_for->stage = STAGE_OPEN;
        return;
    }
    // It asked before we looked.
    if (before == TCP_SYN_SENT)
        return;
    struct connection connection = {.owner = owner_by_listener(sock),
                                    .since_ns = now,
                                    .stage = STAGE_OPEN,
                                    .peer = peer_of(sock, true),
                                    .way = WIRE_TCP_IN};
    add_one(&connection, WIRE_TCP_CONNECTS, WIRE_TCP_IN, 0, now);
    connection_put(sock, &connection, BPF_ANY);
}

INLINE __u8 reason_of(struct sock *sock)
{
    struct tcp_sock *tcp = (void *)sock;
    switch (BPF_CORE_READ(sock, sk_err)) {
    case 0:
        // The first sequence number is chosen when a port is there (tcp_v4_connect()).
        return BPF_CORE_READ(tcp, write_seq) ? WIRE_TCP_ABORTED : WIRE_TCP_NO_PORT;
    case ECONNREFUSED:
        return WIRE_TCP_REFUSED;
    case ETIMEDOUT:
        return WIRE_TCP_TIMED_OUT;
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENOPROTOOPT: // ICMP: no such protocol there
        return WIRE_TCP_UNREACHABLE;
    case ECONNRESET:
        return WIRE_TCP_RESET;
    default:
        return WIRE_TCP_OTHER;
    }
}

INLINE void ended(struct sock *sock)
{
    struct connection *connection = connection_of(sock);
    if (!connection)
        return;
    __u64 now = bpf_ktime_get_boot_ns();
    __u8 stage = connection->stage;
    connection->stage = STAGE_ENDED;
    if (stage == STAGE_LISTENS) {
        count_drops(sock, connection, now);
        return;
    }
    struct account account;
    if (!account_read(sock, true, &account))
        return;
    if (stage == STAGE_ASKED) {
        add_one(connection, WIRE_TCP_FAILURES, 0, reason_of(sock), now);
        count_retransmits(&account, connection, now);
    } else if (stage == STAGE_OPEN) {
        count_open(&account, connection, true, now);
        if (connection->since_ns)
            add_time(connection, WIRE_TCP_ENDED, connection->way, now - connection->since_ns, now);
    }
}

// Before the change, but for the state; the address of an end is there by then.
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_changed_btf, struct sock *sock, int old, int new)
{
    if (new != TCP_ESTABLISHED &&new != TCP_SYN_SENT &&new != TCP_CLOSE &&new != TCP_LISTEN)
        return 0;
    if (sock->sk_protocol != IPPROTO_TCP)
        return 0;
    if (new == TCP_SYN_SENT)
        asked(sock);
    else if (new == TCP_LISTEN)
        listens(sock, true, owner_current(), BPF_ANY);
    else if (new == TCP_ESTABLISHED)
        connected(sock, old);
    else
        ended(sock);
    return 0;
}

// A socket that is closed may still send a reset, so it is forgotten only here.
SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroyed_btf, struct sock *sock)
{
    __u64 key = (__u64)sock;
    bpf_map_delete_elem(&connections, &key);
    return 0;
}

INLINE void count_reset(struct sock *sock, __u8 way)
{
    struct connection *connection = connection_of(sock);
    if (connection)
        add_one(connection, WIRE_TCP_RESETS, way, 0, bpf_ktime_get_boot_ns());
}

// The socket may be NULL, or none of TCP's full ones; neither is in the table.
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(reset_sent_btf, struct sock *sock)
{
    count_reset(sock, WIRE_TCP_OUT);
    return 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(reset_received_btf, struct sock *sock)
{
    count_reset(sock, WIRE_TCP_IN);
    return 0;
}

// --- What is there for long ---

// Of each socket in the table.
SEC("iter/bpf_map_elem")
int look_at_connection(struct bpf_iter__bpf_map_elem *context)
{
    const __u64 *key = context->key;
    struct connection *connection = context->value;
    if (!key || !connection)
        return 0;
    struct sock *sock = (void *)*key;
    __u64 now = bpf_ktime_get_boot_ns();
    struct account account;
    if (connection->stage == STAGE_OPEN && account_read(sock, false, &account))
        count_open(&account, connection, false, now);
    else if (connection->stage == STAGE_LISTENS)
        count_drops(sock, connection, now);
    return 0;
}

// Of each open file of each process, once: sockets from before we looked. What they moved until now is not
// counted.
SEC("iter/task_file")
int look_at_file(struct bpf_iter__task_file *context)
{
    struct task_struct *task = context->task;
    struct file *file = context->file;
    if (!task || !file)
        return 0;
    struct sock *sock = file_sock(file);
    if (!sock || BPF_CORE_READ(sock, sk_protocol) != IPPROTO_TCP || sock_is_raw(sock))
        return 0;
    __u16 family = BPF_CORE_READ(sock, __sk_common.skc_family);
    __u8 state = BPF_CORE_READ(sock, __sk_common.skc_state);
    struct owner owner = {BPF_CORE_READ(task_cgroup(task), id), BPF_CORE_READ(task, tgid)};
    if (family != AF_INET && family != AF_INET6)
        return 0;
    if (state == TCP_LISTEN) {
        listens(sock, false, owner, BPF_NOEXIST);
    } else if (state != TCP_CLOSE && state != TCP_SYN_SENT) {
        struct account account;
        if (!account_read(sock, false, &account))
            return 0;
        struct connection connection = {.owner = owner,
                                        .stage = STAGE_OPEN,
                                        .peer = peer_of(sock, false),
                                        .way = BPF_CORE_READ(sock, sk_max_ack_backlog) ? WIRE_TCP_IN
                                                                                       : WIRE_TCP_OUT,
                                        .sent = account.sent,
                                        .received = account.received,
                                        .retransmits = account.retransmits};
        connection_put(sock, &connection, BPF_NOEXIST);
    }
    return 0;
}
