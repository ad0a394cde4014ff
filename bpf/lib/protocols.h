// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Numbers of the kernel and of protocols, by kinds of which more than one source needs some. Others are with
// the source that needs them.
#pragma once

// include/linux/socket.h, include/uapi/linux/in.h
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define MSG_PEEK 2

// include/linux/net.h
#define SOCK_STREAM 1
#define SOCK_RAW 3

// include/uapi/linux/stat.h
#define S_IFMT 0170000
#define S_IFSOCK 0140000

// include/net/tcp_states.h
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_FIN_WAIT1 4
#define TCP_CLOSE 7
#define TCP_CLOSE_WAIT 8
#define TCP_LAST_ACK 9
#define TCP_LISTEN 10

// Bytes of headers, without options.
#define IPV4_HEADER_MIN 20
#define IPV6_HEADER 40
#define UDP_HEADER 8
#define TCP_HEADER_MIN 20
