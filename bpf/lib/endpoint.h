// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The two ends of an IP socket, read from the kernel's own objects.
#pragma once

#include "bpf/lib/call.h"
#include "wire/endpoint.h"

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define TCP_LISTEN 10
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

// Fills in the local end of a socket whose family is known.
INLINE void endpoint_local(struct wire_endpoint *endpoint, struct sock *sock)
{
    endpoint->local_port = BPF_CORE_READ(sock, __sk_common.skc_num);
    if (BPF_CORE_READ(sock, __sk_common.skc_family) == AF_INET6) {
        BPF_CORE_READ_INTO(&endpoint->local_addr, sock, __sk_common.skc_v6_rcv_saddr);
        endpoint_unmap(endpoint->local_addr);
    } else {
        __be32 addr = BPF_CORE_READ(sock, __sk_common.skc_rcv_saddr);
        __builtin_memcpy(endpoint->local_addr, &addr, sizeof(addr));
    }
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

// Fills in a zeroed endpoint from a socket; its family stays 0 where that is no IP socket.
INLINE void endpoint_fill(struct wire_endpoint *endpoint, struct sock *sock)
{
    __u16 family = BPF_CORE_READ(sock, __sk_common.skc_family);
    if (family != AF_INET && family != AF_INET6)
        return;
    endpoint->family = family == AF_INET ? 4 : 6;
    endpoint->protocol = BPF_CORE_READ(sock, sk_protocol);
    endpoint_local(endpoint, sock);
    endpoint->remote_port = __builtin_bswap16(BPF_CORE_READ(sock, __sk_common.skc_dport));
    if (family == AF_INET6) {
        BPF_CORE_READ_INTO(&endpoint->remote_addr, sock, __sk_common.skc_v6_daddr);
        if (endpoint_unmap(endpoint->remote_addr))
            endpoint->family = 4;
    } else {
        __be32 addr = BPF_CORE_READ(sock, __sk_common.skc_daddr);
        __builtin_memcpy(endpoint->remote_addr, &addr, sizeof(addr));
    }
    if (endpoint->remote_port) {
        endpoint->flags |= WIRE_ENDPOINT_CONNECTED;
        endpoint->role = endpoint_role(sock, endpoint->protocol);
    }
    if (BPF_CORE_READ(sock, __sk_common.skc_state) == TCP_LISTEN)
        endpoint->role = WIRE_ROLE_SERVER;
}
