// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Source `egress`: how many bytes leave the node, by who sends them and where they go; and the first bytes of
// TLS connections, which name the server. Counted where packets leave a socket: large ones are not cut there
// yet, and nothing that goes to the node itself is looked at.
#include "wire/egress.h"
#include "bpf/lib/protocols.h"
#include "bpf/lib/task.h"

#define LOOPBACK_IFINDEX 1    // include/net/flow.h
#define PF_KTHREAD 0x00200000 // include/linux/sched.h
#define IPPROTO_HOPOPTS 0
#define IPV6_JUMBO 194 // its option; with the header around it
#define IPV6_JUMBO_HEADER 8
#define TCP_SYN 0x02
#define TCP_ACK 0x10
#define EPHEMERAL_PORTS 32768 // net.ipv4.ip_local_port_range begins there
#define TLS_HANDSHAKE 0x16
#define TLS_CLIENT_HELLO 1
#define TLS_HELLO_MIN 44

// Of a socket: who sends by it. Of TCP that is who asked for the connection or, of accepted ones, who
// listened; of all else who made it.
struct egress_owner {
    struct wire_header header;
    __u8 client;  // it asked for its connection
    __u8 greeted; // its first bytes were looked at
    __u8 counted; // as a connection, of a socket without any
    __u8 asked;   // by TCP, with the number that follows
    __u32 asked_sequence;
};

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE); // accepted sockets have their listening one's
    __type(key, int);
    __type(value, struct egress_owner);
} egress_owners SEC(".maps");

// What is sent to ports that the sender named.
struct egress_table {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 16384);
    __type(key, struct wire_egress_key);
    __type(value, struct wire_egress_flow);
} egress_flows SEC(".maps");

// What is sent to others, which are those of our clients most of the time: anybody on the network can have
// us answer to many addresses, and would leave no room for what is sent by ourselves.
struct egress_table egress_answers SEC(".maps");

// What there is no room for, of each cgroup: of the key nothing else is filled. Else who sends a byte to each
// of many addresses would hide what is sent then.
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 1024);
    __type(key, struct wire_egress_key);
    __type(value, struct wire_egress_flow);
} egress_elsewhere SEC(".maps");

// Never written: what a new flow starts from.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct wire_egress_flow);
} egress_blank SEC(".maps");

// Bytes for which there was no room there either.
__u64 egress_bytes_lost;
// Sockets with no room for their owner.
__u64 egress_owners_lost;

struct hello_record {
    struct wire_egress_hello event;
    char data[WIRE_EGRESS_HELLO_MAX];
};

SCRATCH(scratch, struct hello_record)

// --- Who ---

INLINE void owner_set(void *sk, struct task_struct *task)
{
    struct egress_owner *owner = bpf_sk_storage_get(&egress_owners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
    if (owner)
        header_fill(&owner->header, task, WIRE_EGRESS_EGRESS, sizeof(struct wire_egress));
    else
        __sync_fetch_and_add(&egress_owners_lost, 1);
}

// A thread of the kernel's works for somebody else, whose cgroup the socket has.
INLINE void owner_set_current(struct bpf_sock *sk)
{
    struct task_struct *task = (void *)bpf_get_current_task();
    if (!(BPF_CORE_READ(task, flags) & PF_KTHREAD))
        owner_set(sk, task);
}

INLINE bool address_is_loopback(__be32 address)
{
    return __builtin_bswap32(address) >> 24 == 127;
}

// ::1, or a loopback address of IPv4.
INLINE bool address6_is_loopback(const __be32 *words)
{
    if (words[0] || words[1])
        return false;
    return words[2] ? words[2] == __builtin_bswap32(0xffff) && address_is_loopback(words[3])
                    : words[3] == __builtin_bswap32(1);
}

// An owner is most of what a connection costs. TCP's are noted once it is known that they may leave the node.
SEC("cgroup/sock_create")
int egress_socket_cgroup(struct bpf_sock *sk)
{
    if (sk->protocol != IPPROTO_TCP || sk->type != SOCK_STREAM)
        owner_set_current(sk);
    return 1;
}

INLINE bool address_of_socket_is_loopback(const __be32 address, const __be32 *words, __u32 family)
{
    return family == AF_INET ? address_is_loopback(address) : address6_is_loopback(words);
}

// By the other end's address where a connection is asked for, the own one where any are waited for: in the
// call that does so.
INLINE bool may_leave(struct bpf_sock_ops *context)
{
    __u32 family = context->family;
    if (context->op == BPF_SOCK_OPS_TCP_CONNECT_CB) {
        __be32 remote[4] = {context->remote_ip6[0], context->remote_ip6[1], context->remote_ip6[2],
                            context->remote_ip6[3]};
        return !address_of_socket_is_loopback(context->remote_ip4, remote, family);
    }
    if (context->op == BPF_SOCK_OPS_TCP_LISTEN_CB) {
        __be32 local[4] = {context->local_ip6[0], context->local_ip6[1], context->local_ip6[2],
                           context->local_ip6[3]};
        return !address_of_socket_is_loopback(context->local_ip4, local, family);
    }
    return false;
}

// The result is for whom the reply is, which is left as it is.
SEC("sockops")
int egress_begun_sockops(struct bpf_sock_ops *context)
{
    struct bpf_sock *sk = context->sk;
    if (sk && may_leave(context))
        owner_set_current(sk);
    return 1;
}

// What a socket of IPv6 is bound to is not in the place of IPv4's addresses: a loopback one stands there.
INLINE bool is_at_loopback(struct sock *sk)
{
    __be32 address[4];
    if (sk->__sk_common.skc_family == AF_INET)
        return address_is_loopback(sk->__sk_common.skc_rcv_saddr);
    BPF_CORE_READ_INTO(&address, sk, __sk_common.skc_v6_rcv_saddr);
    return address6_is_loopback(address);
}

// Sockets that are there already. Each is found by every process that has it; the first is taken for its
// owner.
SEC("iter/task_file")
int egress_sockets_iter(struct bpf_iter__task_file *context)
{
    struct task_struct *task = context->task;
    struct file *file = context->file;
    if (!task || !file)
        return 0;
    struct socket *socket = bpf_sock_from_file(file);
    struct sock *sk = socket ? socket->sk : NULL;
    if (!sk || bpf_sk_storage_get(&egress_owners, sk, NULL, 0))
        return 0;
    __u16 family = sk->__sk_common.skc_family;
    // TCP's are noted when they are connected anew, others only here.
    if ((family == AF_INET || family == AF_INET6) && (sk->sk_protocol != IPPROTO_TCP || !is_at_loopback(sk)))
        owner_set(sk, task);
    return 0;
}

// --- Where to, and how much ---

struct packet {
    struct wire_egress_key to; // but for who sends
    __u32 data;                // where the bytes begin that count
    __u32 sequence;            // of TCP
    __u8 tcp_flags;
};

INLINE bool packet_read_ip(struct __sk_buff *skb, struct packet *packet, __u32 *ret_offset, bool *ret_later)
{
    __u8 ip[IPV6_HEADER];
    if (bpf_skb_load_bytes(skb, 0, ip, IPV4_HEADER_MIN))
        return false;
    if (ip[0] >> 4 == 4) {
        packet->to.family = 4;
        packet->to.protocol = ip[9];
        __builtin_memcpy(packet->to.addr, ip + 16, 4);
        *ret_offset = (ip[0] & 0xf) * 4;
        *ret_later = (ip[6] & 0x1f) | ip[7];
        return true;
    }
    if (ip[0] >> 4 != 6 || bpf_skb_load_bytes(skb, 0, ip, IPV6_HEADER))
        return false;
    packet->to.family = 6;
    packet->to.protocol = ip[6];
    __builtin_memcpy(packet->to.addr, ip + 24, 16);
    *ret_offset = IPV6_HEADER;
    // The kernel gives such a header to what it cuts into packets later, and is larger than any. Others with
    // options count as a protocol of their own.
    if (ip[6] == IPPROTO_HOPOPTS && bpf_skb_load_bytes(skb, IPV6_HEADER, ip, IPV6_JUMBO_HEADER) == 0 &&
        ip[1] == 0 && ip[2] == IPV6_JUMBO) {
        packet->to.protocol = ip[0];
        *ret_offset += IPV6_JUMBO_HEADER;
    }
    return true;
}

// False: it is no IP packet.
INLINE bool packet_read(struct __sk_buff *skb, struct packet *packet)
{
    __u32 offset = 0;
    bool later_fragment = false;
    __u8 head[14];
    if (!packet_read_ip(skb, packet, &offset, &later_fragment))
        return false;
    packet->data = offset;
    if (later_fragment)
        return true;
    if (packet->to.protocol == IPPROTO_TCP && bpf_skb_load_bytes(skb, offset, head, sizeof(head)) == 0) {
        packet->to.port = head[2] << 8 | head[3];
        __builtin_memcpy(&packet->sequence, head + 4, sizeof(packet->sequence));
        packet->tcp_flags = head[13];
        packet->data = offset + (head[12] >> 4) * 4;
    } else if (packet->to.protocol == IPPROTO_UDP && bpf_skb_load_bytes(skb, offset, head, UDP_HEADER) == 0) {
        packet->to.port = head[2] << 8 | head[3];
        packet->data = offset + UDP_HEADER;
    }
    return true;
}

INLINE struct wire_egress_flow *flow_in(void *flows, const struct wire_egress_key *key,
                                        const struct egress_owner *owner)
{
    struct wire_egress_flow *flow = bpf_map_lookup_elem(flows, key);
    if (flow)
        return flow;
    __u32 zero = 0;
    struct wire_egress_flow *blank = bpf_map_lookup_elem(&egress_blank, &zero);
    if (!blank)
        return NULL;
    bpf_map_update_elem(flows, key, blank, BPF_NOEXIST);
    flow = bpf_map_lookup_elem(flows, key);
    if (flow && owner)
        flow->owner = owner->header;
    return flow;
}

INLINE struct wire_egress_flow *flow_of(const struct wire_egress_key *key, const struct egress_owner *owner)
{
    struct wire_egress_flow *flow =
        key->port ? flow_in(&egress_flows, key, owner) : flow_in(&egress_answers, key, owner);
    if (flow)
        return flow;
    struct wire_egress_key elsewhere = {.cgroup_id = key->cgroup_id};
    return flow_in(&egress_elsewhere, &elsewhere, owner);
}

// --- TLS ---

INLINE void hello_sent(struct __sk_buff *skb, const struct packet *packet, __u32 size)
{
    __u8 head[6];
    if (size < TLS_HELLO_MIN || bpf_skb_load_bytes(skb, packet->data, head, sizeof(head)) ||
        head[0] != TLS_HANDSHAKE || head[1] != 3 || head[5] != TLS_CLIENT_HELLO)
        return;
    struct scratch_slot *slot = scratch_take();
    if (!slot)
        return;
    struct wire_egress_hello *event = &slot->record.event;
    if (size > WIRE_EGRESS_HELLO_MAX)
        size = WIRE_EGRESS_HELLO_MAX;
    // Changes nothing but what older verifiers know of it.
    barrier_var(size);
    size = ((size - 1) & (WIRE_EGRESS_HELLO_MAX - 1)) + 1;
    if (bpf_skb_load_bytes(skb, packet->data, slot->record.data, size) == 0) {
        __builtin_memset(event, 0, sizeof(*event));
        event->header.size = sizeof(*event) + size;
        event->header.source = source_id;
        event->header.type = WIRE_EGRESS_HELLO;
        event->header.time_ns = bpf_ktime_get_boot_ns();
        __builtin_memcpy(event->addr, packet->to.addr, sizeof(event->addr));
        event->family = packet->to.family;
        event->size = size;
        ring_write(event, sizeof(*event) + size, false);
    }
    scratch_give(slot);
}

// Whether the packet is the first of a connection, and not sent again.
INLINE bool packet_begins(const struct packet *packet, struct egress_owner *owner)
{
    bool asks = (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
    if (!owner)
        return asks;
    if (packet->to.protocol != IPPROTO_TCP) {
        bool first = !owner->counted;
        owner->counted = 1;
        return first;
    }
    // A socket that listens may have been a client before, and those that it accepts have what it has.
    if ((packet->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))
        owner->client = 0;
    if (!asks || (owner->asked && owner->asked_sequence == packet->sequence))
        return false;
    owner->client = 1;
    owner->greeted = 0;
    owner->asked = 1;
    owner->asked_sequence = packet->sequence;
    return true;
}

INLINE void packet_sent(struct __sk_buff *skb)
{
    if (skb->ifindex == LOOPBACK_IFINDEX || !skb->sk)
        return;
    struct bpf_sock *sk = bpf_sk_fullsock(skb->sk);
    struct packet packet = {};
    if (!sk || !packet_read(skb, &packet))
        return;
    struct egress_owner *owner = bpf_sk_storage_get(&egress_owners, sk, NULL, 0);
    bool tcp = packet.to.protocol == IPPROTO_TCP, begins = packet_begins(&packet, owner);
    __u32 length = skb->len;
    __u32 size = length > packet.data ? length - packet.data : 0;
    // Else anybody who knocks at a port fills the map with our answers.
    if (size == 0 && !begins)
        return;
    if (owner) {
        packet.to.cgroup_id = owner->header.cgroup_id;
        packet.to.start_time_ns = owner->header.start_time_ns;
        packet.to.pid = owner->header.pid;
    } else {
        packet.to.cgroup_id = bpf_skb_cgroup_id(skb);
    }
    // The ports of a server's clients are none that anybody knows.
    if (tcp ? !owner || !owner->client : packet.to.port >= EPHEMERAL_PORTS)
        packet.to.port = 0;
    if (tcp && size && owner && owner->client && !owner->greeted) {
        owner->greeted = 1;
        hello_sent(skb, &packet, size);
    }
    struct wire_egress_flow *flow = flow_of(&packet.to, owner);
    if (!flow) {
        __sync_fetch_and_add(&egress_bytes_lost, size);
        return;
    }
    __sync_fetch_and_add(&flow->bytes, size);
    __sync_fetch_and_add(&flow->packets, 1);
    if (begins)
        __sync_fetch_and_add(&flow->connections, 1);
    flow->last_ns = bpf_ktime_get_boot_ns();
}

// Returns 1, which lets the packet pass.
SEC("cgroup_skb/egress")
int egress_sent_cgroup(struct __sk_buff *skb)
{
    packet_sent(skb);
    return 1;
}
