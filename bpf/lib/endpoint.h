// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The two ends of a socket, read from the kernel's own objects.
#pragma once

#include "bpf/lib/call.h"
#include "bpf/lib/protocols.h"
#include "wire/endpoint.h"

#define SOCK_BINDPORT_LOCK 8 // include/net/sock.h: bind() named the port

// An IPv4 address on an IPv6 socket is IPv4 to everybody who reads an alert.
INLINE bool endpoint_unmap(__u8 *addr)
{
    __u32 *words = (__u32 *)addr;
    if (words[0] || words[1] || words[2] != __builtin_bswap32(0xffff))
        return false;
    words[0] = words[3];
    words[2] = words[3] = 0;
    return true;
}

// Where a call sends or connects to. Without padding, so that it can be compared as a whole.
struct destination {
    __u8 addr[16];
    __u16 port; // host order
    __u8 family;
    __u8 protocol;
    __u32 reserved;
};

// The kernel's own copy of the address, which cgroup hooks are given.
INLINE void destination_v4(struct destination *ret_destination, struct bpf_sock_addr *context)
{
    *(__u32 *)ret_destination->addr = context->user_ip4;
    ret_destination->family = 4;
    ret_destination->protocol = context->protocol;
    ret_destination->port = __builtin_bswap16(context->user_port);
}

INLINE void destination_v6(struct destination *ret_destination, struct bpf_sock_addr *context)
{
    __u32 *words = (__u32 *)ret_destination->addr;
    words[0] = context->user_ip6[0];
    words[1] = context->user_ip6[1];
    words[2] = context->user_ip6[2];
    words[3] = context->user_ip6[3];
    ret_destination->family = endpoint_unmap(ret_destination->addr) ? 4 : 6;
    ret_destination->protocol = context->protocol;
    ret_destination->port = __builtin_bswap16(context->user_port);
}

// Fills in the remote end as the caller named it.
INLINE void endpoint_named(struct wire_endpoint *endpoint, const struct destination *destination)
{
    __builtin_memcpy(endpoint->remote_addr, destination->addr, sizeof(endpoint->remote_addr));
    endpoint->remote_port = destination->port;
    endpoint->family = destination->family;
    endpoint->protocol = destination->protocol;
    endpoint->flags |= WIRE_ENDPOINT_NAMED;
}

// Fills in the local end of a socket whose family is known. Returns whether it is an IPv4 address.
INLINE bool endpoint_local(struct wire_endpoint *endpoint, struct sock *sock)
{
    endpoint->local_port = BPF_CORE_READ(sock, __sk_common.skc_num);
    if (BPF_CORE_READ(sock, __sk_common.skc_family) == AF_INET6) {
        BPF_CORE_READ_INTO(&endpoint->local_addr, sock, __sk_common.skc_v6_rcv_saddr);
        return endpoint_unmap(endpoint->local_addr);
    }
    __be32 addr = BPF_CORE_READ(sock, __sk_common.skc_rcv_saddr);
    __builtin_memcpy(endpoint->local_addr, &addr, sizeof(addr));
    return true;
}

// A raw socket of TCP or UDP is not one of theirs: it has no ports, and passes none of their hooks.
INLINE bool sock_is_raw(struct sock *sock)
{
    return BPF_CORE_READ(sock, sk_type) == SOCK_RAW;
}

// The socket behind an open file, or NULL.
INLINE struct sock *file_sock(struct file *file)
{
    umode_t mode = BPF_CORE_READ(file, f_inode, i_mode);
    if ((mode & S_IFMT) != S_IFSOCK)
        return NULL;
    struct socket *socket = BPF_CORE_READ(file, private_data);
    return BPF_CORE_READ(socket, sk);
}

// Which end a connected socket is. The kernel does not keep who asked, but what tells it:
// - sk_clone_lock() makes the accepted socket from the listening one, whose backlog it keeps and whose
//   SOCK_BINDPORT_LOCK it drops (net/core/sock.c);
// - where connect() chose the port, its bucket has fastreuse -1 (net/ipv4/inet_hashtables.c).
// What is left, behind listen(fd, 0) or after bind() to port 0, could be either.
INLINE __u8 endpoint_role(struct sock *sock, __u8 protocol)
{
    bool port_named = BPF_CORE_READ_BITFIELD_PROBED(sock, sk_userlocks) & SOCK_BINDPORT_LOCK;
    if (protocol == IPPROTO_UDP)
        return port_named ? WIRE_ROLE_UNKNOWN : WIRE_ROLE_CLIENT;
    if (protocol != IPPROTO_TCP)
        return WIRE_ROLE_UNKNOWN;
    if (BPF_CORE_READ(sock, sk_max_ack_backlog))
        return WIRE_ROLE_SERVER;
    struct inet_connection_sock *connection = (void *)sock;
    if (port_named || BPF_CORE_READ(connection, icsk_bind_hash, fastreuse) < 0)
        return WIRE_ROLE_CLIENT;
    return WIRE_ROLE_UNKNOWN;
}

// Fills in a zeroed endpoint from a socket; its family stays 0 where that is neither an IP nor a UNIX socket.
INLINE void endpoint_fill(struct wire_endpoint *endpoint, struct sock *sock)
{
    __u16 family = BPF_CORE_READ(sock, __sk_common.skc_family);
    if (family == AF_UNIX)
        endpoint->family = WIRE_FAMILY_UNIX;
    if (family != AF_INET && family != AF_INET6)
        return;
    endpoint->family = family == AF_INET ? 4 : 6;
    endpoint->protocol = BPF_CORE_READ(sock, sk_protocol);
    bool local_v4 = endpoint_local(endpoint, sock);
    bool raw = sock_is_raw(sock);
    if (raw)
        endpoint->local_port = 0; // it is the protocol's number
    endpoint->remote_port = __builtin_bswap16(BPF_CORE_READ(sock, __sk_common.skc_dport));
    if (family == AF_INET6) {
        BPF_CORE_READ_INTO(&endpoint->remote_addr, sock, __sk_common.skc_v6_daddr);
        const __u64 *remote = (const void *)endpoint->remote_addr;
        if (endpoint_unmap(endpoint->remote_addr) || (local_v4 && !remote[0] && !remote[1]))
            endpoint->family = 4;
    } else {
        __be32 addr = BPF_CORE_READ(sock, __sk_common.skc_daddr);
        __builtin_memcpy(endpoint->remote_addr, &addr, sizeof(addr));
    }
    if (BPF_CORE_READ(sock, __sk_common.skc_state) == TCP_LISTEN) {
        endpoint->role = WIRE_ROLE_SERVER;
    } else if (endpoint->remote_port) {
        endpoint->flags |= WIRE_ENDPOINT_CONNECTED;
        endpoint->role = raw ? WIRE_ROLE_UNKNOWN : endpoint_role(sock, endpoint->protocol);
    }
}
