// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What is known of sockets, told by one load: most are not followed, and need no look into a map.
#pragma once

#include "bpf/lib/scan.h"

#define SOCKETS_BITS 14 // of the slots' number: twice as many as connections
#define SOCKETS_SLOTS (1 << SOCKETS_BITS)

// Of a pointer that the verifier knows, only the lower half may be taken for a number.
INLINE __u32 socket_slot(const void *sk)
{
    __u64 number;
    asm volatile("r0 = %1; w0 = w0; %0 = r0" : "=r"(number) : "r"(sk) : "r0");
    __u32 low = number;
    return low * 0x9e3779b1u >> (32 - SOCKETS_BITS);
}

// How many followed sockets have their slot there.
__u32 followed[SOCKETS_SLOTS];

INLINE bool followed_maybe(const void *sk)
{
    return followed[socket_slot(sk)] != 0;
}

INLINE void followed_add(const void *sk)
{
    __sync_fetch_and_add(&followed[socket_slot(sk)], 1);
}

INLINE void followed_remove(const void *sk)
{
    __sync_fetch_and_sub(&followed[socket_slot(sk)], 1);
}

// Sockets on which no request can come any more, because what came first was none. The latest of its slot.
__u64 other_protocol[SOCKETS_SLOTS];
// Those of which that is not known, and will not be.
__u64 undecided[SOCKETS_SLOTS];

INLINE bool other_is(const void *sk)
{
    return other_protocol[socket_slot(sk)] == (__u64)sk;
}

INLINE void other_forget(const void *sk)
{
    __u32 slot = socket_slot(sk);
    if (other_protocol[slot] == (__u64)sk)
        other_protocol[slot] = 0;
    if (undecided[slot] == (__u64)sk)
        undecided[slot] = 0;
}

// Whether a connection that begins so is none of HTTP/1.x, nor of what can stand before it: empty lines, and
// the header of the PROXY protocol.
INLINE bool other_begins(__u64 start)
{
    __u8 a = start, b = start >> 8, c = start >> 16;
    if ((start & 0xffffffffff) == WORD_PART("HTTP/", 0)) // this is the client's end
        return true;
    bool letters = a >= 'A' && a <= 'Z' && b >= 'A' && b <= 'Z' && c >= 'A' && c <= 'Z';
    return !letters && a != '\r' && a != '\n';
}

// These are the first bytes that were received on this socket, or else it stays undecided.
INLINE void other_decide(struct sock *sk, __u64 start, __u64 count)
{
    struct tcp_sock *tcp = (struct tcp_sock *)sk;
    __u32 slot = socket_slot(sk);
    if (undecided[slot] == (__u64)sk)
        return;
    __u64 taken = BPF_CORE_READ(tcp, bytes_received) -
                  (__u32)(BPF_CORE_READ(tcp, rcv_nxt) - BPF_CORE_READ(tcp, copied_seq));
    if (taken == count && other_begins(start))
        other_protocol[slot] = (__u64)sk;
    else
        undecided[slot] = (__u64)sk;
}
