// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What a caller of sendto, recvmsg and the like handed over, read from its memory when the call returns.
#pragma once

#include "bpf/lib/endpoint.h"
#include "wire/socket.h"

// Of socketcall(), whose send() and recv() name no address (include/uapi/linux/net.h).
#define SYS_SEND 9
#define SYS_RECV 10

// Far fewer than the 1024 that the kernel takes; most of them would have to be empty to hide the data.
#define MESSAGE_PARTS_MAX 64
// A part begins below the most that is copied, and is not longer than that.
#define DATA_ROOM (2 * WIRE_SOCKET_DATA_MAX)

struct message {
    __u64 name; // pointers in user memory
    __u64 data; // 0: in parts
    __u64 parts;
    __u64 size;  // bytes of data
    __u64 count; // parts
    __u32 flags;
};

// Where the header of the nth message lies: struct msghdr, or struct mmsghdr, which begins with one.
INLINE __u64 message_header(const struct call *call, __u32 index)
{
    return call_socket_arg(call, 1) + (__u64)index * (call->compat ? 32 : 64);
}

INLINE void message_read(const struct call *call, __u32 index, struct message *ret_message)
{
    if (call->type == WIRE_SOCKET_SENDTO || call->type == WIRE_SOCKET_RECVFROM) {
        ret_message->data = call_socket_arg(call, 1);
        ret_message->size = call_socket_arg(call, 2);
        ret_message->flags = call_socket_arg(call, 3);
        if (call->socketcall != SYS_SEND && call->socketcall != SYS_RECV)
            ret_message->name = call_socket_arg(call, 4);
        return;
    }
    bool single = call->type == WIRE_SOCKET_SENDMSG || call->type == WIRE_SOCKET_RECVMSG;
    ret_message->flags = call_socket_arg(call, single ? 2 : 3);
    // The header's members: name, its length, parts, their number, ….
    const void *header = (const void *)message_header(call, index);
    if (call->compat) {
        __u32 words[4] = {};
        bpf_probe_read_user(words, sizeof(words), header);
        ret_message->name = words[0];
        ret_message->parts = words[2];
        ret_message->count = words[3];
    } else {
        __u64 words[4] = {};
        bpf_probe_read_user(words, sizeof(words), header);
        ret_message->name = words[0];
        ret_message->parts = words[2];
        ret_message->count = words[3];
    }
}

// What the call returned for the nth message: its bytes, of a call with many too. False where that is not
// known: another than the first one has failed.
INLINE bool message_result(const struct call *call, __u32 index, __s64 *ret_result)
{
    *ret_result = call->result;
    if ((call->type != WIRE_SOCKET_SENDMMSG && call->type != WIRE_SOCKET_RECVMMSG) || call->result <= 0)
        return true;
    __u32 length = 0;
    long offset = call->compat ? 28 : 56;
    if (call->result <= index ||
        bpf_probe_read_user(&length, sizeof(length), (void *)message_header(call, index) + offset))
        return false;
    *ret_result = length;
    return true;
}

// Reads a socket address; the protocol is left as it is. `unspecified` is the family that 0 stands for, if
// any. False where it is not one of IPv4 or IPv6.
INLINE bool message_address(__u64 pointer, __u16 unspecified, struct destination *ret_destination)
{
    struct {
        __u16 family;
        __u16 port;
        __u32 addr;
    } head = {};
    if (!pointer || bpf_probe_read_user(&head, sizeof(head), (const void *)pointer))
        return false;
    if (!head.family)
        head.family = unspecified;
    ret_destination->port = __builtin_bswap16(head.port);
    if (head.family == AF_INET) {
        ret_destination->family = 4;
        __builtin_memcpy(ret_destination->addr, &head.addr, sizeof(head.addr));
        return true;
    }
    if (head.family != AF_INET6 ||
        bpf_probe_read_user(ret_destination->addr, sizeof(ret_destination->addr), (const void *)pointer + 8))
        return false;
    ret_destination->family = endpoint_unmap(ret_destination->addr) ? 4 : 6;
    return true;
}

INLINE void message_part(const struct call *call, const struct message *message, __u32 index, __u64 *ret_data,
                         __u64 *ret_size)
{
    if (call->compat) {
        __u32 words[2] = {};
        bpf_probe_read_user(words, sizeof(words), (const void *)message->parts + index * sizeof(words));
        *ret_data = words[0];
        *ret_size = words[1];
    } else {
        __u64 words[2] = {};
        bpf_probe_read_user(words, sizeof(words), (const void *)message->parts + index * sizeof(words));
        *ret_data = words[0];
        *ret_size = words[1];
    }
}

// Copies the beginning of the data, of which there are `length` bytes, to `buffer`, which has DATA_ROOM.
// The cursor must lie in a map's memory, for the reason that path_append() gives.
INLINE void message_copy(const struct call *call, const struct message *message, __u64 length, char *buffer,
                         volatile __u32 *cursor)
{
    for (__u32 i = 0; i < MESSAGE_PARTS_MAX; i++) {
        __u32 at = *cursor;
        __u64 data = message->data, size = message->size;
        if (message->data ? i > 0 : i >= message->count)
            break;
        if (!message->data)
            message_part(call, message, i, &data, &size);
        if (at >= WIRE_SOCKET_DATA_MAX || at >= length)
            break;
        if (!size)
            continue; // whatever it points to
        if (size > length - at)
            size = length - at;
        if (size > WIRE_SOCKET_DATA_MAX)
            size = WIRE_SOCKET_DATA_MAX;
        if (bpf_probe_read_user(buffer + at, size, (const void *)data))
            break;
        *cursor = at + size;
    }
    if (*cursor > WIRE_SOCKET_DATA_MAX)
        *cursor = WIRE_SOCKET_DATA_MAX;
}
