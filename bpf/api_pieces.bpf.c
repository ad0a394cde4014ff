// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `api` before Linux 5.17, where a program cannot loop over a message: what connections with inference
// requests move is handed to user space in pieces, which parses and wipes them.
#include "bpf/lib/moved.h"
#include "bpf/lib/protocols.h"
#include "wire/api.h"

#define HEAD WIRE_API_PIECE_HEAD
#define TAIL WIRE_API_PIECE_TAIL
#define IOVECS_MAX 16 // of a call that are looked at; what the verifier does grows with the square
#define UNWOKEN_MAX 16

bool wake_always; // a rule wants these events

// As in api.bpf.c.
__u64 route_starts[65536 / 64];
__u64 too_many; // connections that `followed` had no room for

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 4096);
    __type(key, __u64); // struct sock *
    __type(value, struct wire_api_followed);
} followed SEC(".maps");

// Where inference was asked for, as user space has found. A place that is pushed out comes back with its next
// inference.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1024);
    __type(key, struct wire_api_server);
    __type(value, __u8);
} servers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct wire_api_slots);
} slots SEC(".maps");

// Those that nobody uses; user space puts them back.
struct {
    __uint(type, BPF_MAP_TYPE_QUEUE);
    __uint(max_entries, WIRE_API_PIECE_LARGE);
    __uint(key_size, 0);
    __uint(value_size, sizeof(__u32));
} free_large SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_QUEUE);
    __uint(max_entries, WIRE_API_PIECE_SMALL);
    __uint(key_size, 0);
    __uint(value_size, sizeof(__u32));
} free_small SEC(".maps");

// The bytes of a call.
struct bytes {
    __u64 base; // 0: in pieces
    __u64 pieces;
    __u64 pieces_count;
    __u64 count;
};

#define POST 0x2f2054534f50ull // "POST /"

INLINE struct wire_api_server server_of(struct sock *sk)
{
    return (struct wire_api_server){.net = (__u64)BPF_CORE_READ(sk, __sk_common.skc_net.net),
                                    .port = BPF_CORE_READ(sk, __sk_common.skc_num)};
}

// Whether a request may begin here that is worth following. What cannot be told yet, is.
INLINE bool may_begin(struct sock *sk, const struct bytes *bytes)
{
    __u64 start = 0, base = bytes->base, count = bytes->count;
    if (!base) {
        __u64 piece[2] = {};
        bpf_probe_read_user(piece, sizeof(piece), (void *)bytes->pieces);
        base = piece[0];
        count = piece[1] < count ? piece[1] : count;
    }
    if (count >= 8)
        bpf_probe_read_user(&start, 8, (void *)base);
    else
        bpf_probe_read_user(&start, count & 7, (void *)base);
    if (count < 8) {
        __u64 mask = count < 6 ? (1ull << (8 * count)) - 1 : 0xffffffffffff;
        return count > 0 && ((start ^ POST) & mask) == 0;
    }
    __u32 bit = start >> 48;
    if ((start & 0xffffffffffff) == POST && (route_starts[(bit >> 6) & 1023] >> (bit & 63) & 1))
        return true;
    struct wire_api_server server = server_of(sk);
    return bpf_map_lookup_elem(&servers, &server) != NULL;
}

INLINE bool bytes_find(__u64 count, struct bytes *ret_bytes)
{
    struct pt_regs *regs = task_registers((void *)bpf_get_current_task());
    __u64 second = PT_REGS_PARM2_CORE_SYSCALL(regs);
    ret_bytes->count = count;
    if (!registers_inside(regs))
        return false;
    struct user_message user;
    switch (registers_syscall(regs)) {
    case NR_READ:
    case NR_WRITE:
    case NR_RECVFROM:
    case NR_SENDTO:
        ret_bytes->base = second;
        return true;
    case NR_READV:
    case NR_WRITEV:
        ret_bytes->pieces = second;
        ret_bytes->pieces_count = PT_REGS_PARM3_CORE_SYSCALL(regs);
        return true;
    case NR_RECVMSG:
    case NR_SENDMSG:
        if (bpf_probe_read_user(&user, sizeof(user), (void *)second))
            return false;
        ret_bytes->pieces = user.iovecs;
        ret_bytes->pieces_count = user.iovecs_count;
        return true;
    }
    return false;
}

// --- Handing over ---

INLINE __u32 slot_claim(__u64 count)
{
    __u32 number;
    if (count <= WIRE_API_PIECE_BLOCK && bpf_map_pop_elem(&free_small, &number) == 0)
        return number;
    return bpf_map_pop_elem(&free_large, &number) ? WIRE_API_PIECE_NO_SLOT : number;
}

INLINE struct wire_api_slots *slots_all(void)
{
    __u32 zero = 0;
    return bpf_map_lookup_elem(&slots, &zero);
}

// NULL: the number is no slot's.
INLINE __u8 *slot_data(struct wire_api_slots *all, __u64 number)
{
    barrier_var(number);
    if (!all || number >= WIRE_API_PIECE_BLOCKS)
        return NULL;
    __u64 at = number * WIRE_API_PIECE_BLOCK;
    barrier_var(at);
    return &all->data[at];
}

// Where a loop over iovecs is. In memory, of which a verifier of that time forgets what it was: else it would
// follow each way through each round.
struct gathering {
    __u64 left;
    __u32 used;
    __u32 reserved;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct gathering);
} gatherings SEC(".maps");

// False: that was the last one.
INLINE bool slot_take(__u8 *data, struct gathering *at, __u64 iovec)
{
    __u64 piece[2];
    __u32 used = at->used;
    if (at->left == 0 || used >= HEAD || bpf_probe_read_user(piece, sizeof(piece), (void *)iovec))
        return false;
    __u64 size = piece[1] < at->left ? piece[1] : at->left;
    __u32 part = size < HEAD - used ? size : HEAD - used;
    used &= HEAD - 1;
    barrier_var(part);
    if (part > HEAD || bpf_probe_read_user(&data[used], part, (void *)piece[0]))
        return false;
    at->left -= size;
    at->used = used + part;
    return part == size;
}

// Several iovecs go into the head, one behind the other.
INLINE __u32 slot_gather(__u8 *data, const struct bytes *bytes)
{
    __u32 zero = 0;
    struct gathering *at = bpf_map_lookup_elem(&gatherings, &zero);
    if (!at)
        return 0;
    at->left = bytes->count;
    at->used = 0;
    for (__u32 i = 0; i < IOVECS_MAX; i++)
        if (i >= bytes->pieces_count || !slot_take(data, at, bytes->pieces + i * 16))
            break;
    return at->used;
}

INLINE void slot_fill(__u8 *data, const struct bytes *bytes, struct wire_api_piece *piece)
{
    __u64 count = bytes->count;
    if (!bytes->base) {
        piece->head = slot_gather(data, bytes);
        return;
    }
    __u32 head = count < HEAD ? count : HEAD;
    barrier_var(head);
    if (head > HEAD || bpf_probe_read_user(data, head, (void *)bytes->base))
        return;
    piece->head = head;
    __u64 rest = count - head;
    __u32 tail = rest < TAIL ? rest : TAIL;
    barrier_var(tail);
    if (tail > 0 && tail <= TAIL &&
        !bpf_probe_read_user(&data[HEAD], tail, (void *)(bytes->base + count - tail)))
        piece->tail = tail;
}

// Both ends' addresses; IPv4 inside of IPv6 as IPv4.
INLINE void piece_addresses(struct wire_api_piece *piece, struct sock *sk)
{
    __u32 *client = (__u32 *)piece->client_addr, *server = (__u32 *)piece->server_addr;
    piece->net = (__u64)BPF_CORE_READ(sk, __sk_common.skc_net.net);
    piece->server_port = BPF_CORE_READ(sk, __sk_common.skc_num);
    piece->client_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
    piece->family = 4;
    if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6) {
        BPF_CORE_READ_INTO(&piece->client_addr, sk, __sk_common.skc_v6_daddr);
        BPF_CORE_READ_INTO(&piece->server_addr, sk, __sk_common.skc_v6_rcv_saddr);
        piece->family = 6;
        if (client[0] || client[1] || client[2] != __builtin_bswap32(0xffff))
            return;
        piece->family = 4;
        client[2] = client[3] = server[2] = server[3] = 0;
    }
    client[0] = BPF_CORE_READ(sk, __sk_common.skc_daddr);
    server[0] = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
}

// No byte of a prompt stays behind.
INLINE void slot_give_back(__u32 number)
{
    struct wire_api_slots *all = slots_all();
    __u8 *data = slot_data(all, number);
    if (!data)
        return;
    if (number >= WIRE_API_PIECE_SMALL_FIRST) {
        bpf_probe_read_kernel(data, WIRE_API_PIECE_BLOCK, all->ahead);
        bpf_map_push_elem(&free_small, &number, 0);
        return;
    }
    bpf_probe_read_kernel(data, HEAD, all->ahead);
    bpf_probe_read_kernel(&data[HEAD], TAIL, all->ahead);
    bpf_map_push_elem(&free_large, &number, 0);
}

__u32 unwoken; // pieces since the reader was last woken; only about right

INLINE struct wire_api_followed *followed_find(struct sock *sk)
{
    __u64 key = (__u64)sk;
    struct wire_api_followed *found = bpf_map_lookup_elem(&followed, &key);
    return found && found->client_port == BPF_CORE_READ(sk, __sk_common.skc_dport) ? found : NULL;
}

// What was written there is nobody's, and the next pieces say that one is missing.
INLINE void piece_lost(struct sock *sk, const struct wire_api_piece *piece)
{
    struct wire_api_followed *now = followed_find(sk);
    lost_add(WIRE_LOST_RING_FULL);
    if (now) {
        now->fresh |= piece->fresh;
        __sync_fetch_and_add(&now->lost, 1);
    }
    slot_give_back(piece->slot);
}

// `from` is what was known of the connection just now. No pointer to it is kept: a verifier would follow each
// way through the loop over iovecs once more for it.
INLINE void piece_send(struct sock *sk, enum wire_api_piece_kind kind, const struct bytes *bytes,
                       const struct wire_api_followed *from)
{
    struct wire_api_piece piece = {.sock = (__u64)sk, .slot = WIRE_API_PIECE_NO_SLOT, .kind = kind};
    header_fill(&piece.header, (void *)bpf_get_current_task(), WIRE_API_PIECE, sizeof(piece));
    piece_addresses(&piece, sk);
    piece.fresh = kind == WIRE_API_PIECE_RECEIVED && from->fresh;
    piece.lost = from->lost;
    if (bytes) {
        piece.count = bytes->count;
        piece.slot = slot_claim(bytes->count);
        __u8 *data = slot_data(slots_all(), piece.slot);
        if (data)
            slot_fill(data, bytes, &piece);
    }
    bool wake = wake_always || unwoken >= UNWOKEN_MAX;
    unwoken = wake ? 0 : unwoken + 1;
    if (bpf_ringbuf_output(&ring, &piece, sizeof(piece), ring_flags(wake)))
        piece_lost(sk, &piece);
}

INLINE bool follow(struct sock *sk, const struct bytes *bytes)
{
    __u64 key = (__u64)sk;
    struct wire_api_followed begun = {.client_port = BPF_CORE_READ(sk, __sk_common.skc_dport), .fresh = 1};
    if (!may_begin(sk, bytes))
        return false;
    if (bpf_map_update_elem(&followed, &key, &begun, BPF_ANY) == 0)
        return true;
    __sync_fetch_and_add(&too_many, 1);
    return false;
}

// --- Where bytes pass: TCP's functions, as they were before 5.19 ---

SEC("fexit/tcp_recvmsg")
int BPF_PROG(pieces_receive_fexit, struct sock *sk, void *message, __u64 size, int nonblock, int flags,
             int *name_length, int result)
{
    struct bytes bytes = {};
    if (result <= 0 || flags & MSG_PEEK)
        return 0;
    __u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);
    if (state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT)
        return 0;
    bool found = bytes_find(result, &bytes);
    if (!followed_find(sk) && !(found && follow(sk, &bytes)))
        return 0;
    struct wire_api_followed *now = followed_find(sk);
    if (!now)
        return 0;
    struct wire_api_followed from = *now;
    now->fresh = 0;
    piece_send(sk, WIRE_API_PIECE_RECEIVED, &bytes, &from);
    return 0;
}

SEC("fexit/tcp_sendmsg")
int BPF_PROG(pieces_send_fexit, struct sock *sk, void *message, __u64 size, int result)
{
    struct bytes bytes = {};
    struct wire_api_followed *now = result > 0 ? followed_find(sk) : NULL;
    if (!now)
        return 0;
    struct wire_api_followed from = *now;
    bytes_find(result, &bytes);
    piece_send(sk, WIRE_API_PIECE_SENT, &bytes, &from);
    return 0;
}

// --- The end of a connection ---

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(pieces_state_btf, struct sock *sk, int old_state, int state)
{
    if (state != TCP_CLOSE_WAIT && state != TCP_FIN_WAIT1 && state != TCP_LAST_ACK && state != TCP_CLOSE)
        return 0;
    struct wire_api_followed *now = followed_find(sk);
    if (!now)
        return 0;
    // A reset, or no answer for too long, leaves an error at the socket.
    enum wire_api_piece_kind kind = WIRE_API_PIECE_CLOSED_SERVER;
    if (state == TCP_CLOSE_WAIT)
        kind = WIRE_API_PIECE_CLIENT_DONE;
    else if (BPF_CORE_READ(sk, sk_err))
        kind = WIRE_API_PIECE_CLOSED;
    piece_send(sk, kind, NULL, now);
    return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(pieces_destroy_btf, struct sock *sk)
{
    __u64 key = (__u64)sk;
    struct wire_api_followed *now = bpf_map_lookup_elem(&followed, &key);
    if (!now)
        return 0;
    struct wire_api_followed last = *now;
    if (bpf_map_delete_elem(&followed, &key) == 0)
        piece_send(sk, WIRE_API_PIECE_GONE, NULL, &last);
    return 0;
}
