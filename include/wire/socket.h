// Records of the source `socket`.
#pragma once

#include "wire/endpoint.h"

enum wire_socket_type {
    WIRE_SOCKET_SOCKET,
    WIRE_SOCKET_BIND,
    WIRE_SOCKET_LISTEN,
    WIRE_SOCKET_ACCEPT,
    WIRE_SOCKET_ACCEPT4,
    // From here on: data.
    WIRE_SOCKET_SENDTO,
    WIRE_SOCKET_SENDMSG,
    WIRE_SOCKET_SENDMMSG,
    WIRE_SOCKET_RECVFROM,
    WIRE_SOCKET_RECVMSG,
    WIRE_SOCKET_RECVMMSG,
    WIRE_SOCKET_TYPES,
};

#define WIRE_SOCKET_DATA_MAX 80  // bytes of what was sent or received; Falco's default length of a snap
#define WIRE_SOCKET_NAME_MAX 108 // bytes of a UNIX socket's name (sun_path)

enum wire_socket_how {
    WIRE_SOCKET_HAS_RESULT = 1 << 0,   // without: the result could not be joined (io_uring)
    WIRE_SOCKET_NAME_CHANGED = 1 << 1, // the socket has sent to this address for the first time
};

// A call about a socket. Of sends and receives the result is the number of bytes; sendmmsg and recvmmsg have
// a record for a message. After the struct follow data_size bytes of what was sent or received, and name_size
// bytes of a UNIX socket's name, which begins with NUL where it is an abstract one.
struct wire_socket {
    struct wire_endpoint_call call;
    __u64 size;  // bytes that the caller asked for, of sendto and recvfrom
    __s32 fd;    // of the socket that the call was about or made; -1: not known, or none was made
    __u32 how;   // enum wire_socket_how
    __u32 flags; // SOCK_* of accept4, MSG_* of sends and receives
    __s32 backlog;
    // Of socket(), as the caller gave them.
    __s32 domain;
    __s32 type;
    __s32 protocol;
    __u16 data_size;
    __u16 name_size;
};
WIRE_SIZE(struct wire_socket, 176);
