// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Where in user memory the bytes are that a system call has just read or written.
#pragma once

#include "bpf/lib/task.h"

#if defined(__TARGET_ARCH_x86)
#define NR_READ 0
#define NR_WRITE 1
#define NR_READV 19
#define NR_WRITEV 20
#define NR_SENDTO 44
#define NR_RECVFROM 45
#define NR_SENDMSG 46
#define NR_RECVMSG 47
#else
#define NR_READ 63
#define NR_WRITE 64
#define NR_READV 65
#define NR_WRITEV 66
#define NR_SENDTO 206
#define NR_RECVFROM 207
#define NR_SENDMSG 211
#define NR_RECVMSG 212
#endif

// What user space passes to writev() and sendmsg(): uapi.
struct user_iovec {
    __u64 base;
    __u64 length;
};

struct user_message {
    __u64 name;
    __u32 name_length;
    __u32 padding;
    __u64 iovecs;
    __u64 iovecs_count;
};

struct moved {
    __u64 base; // of the bytes; 0: in pieces
    __u64 pieces;
    __u64 pieces_count;
};

// Where in user memory the bytes are that the system call under way moved. False for calls not known.
INLINE bool moved_find(struct pt_regs *regs, struct moved *ret_moved)
{
    struct user_message message;
    __u64 second = PT_REGS_PARM2_CORE_SYSCALL(regs);
    switch (registers_syscall(regs)) {
    case NR_READ:
    case NR_WRITE:
    case NR_RECVFROM:
    case NR_SENDTO:
        ret_moved->base = second;
        return true;
    case NR_READV:
    case NR_WRITEV:
        ret_moved->pieces = second;
        ret_moved->pieces_count = PT_REGS_PARM3_CORE_SYSCALL(regs);
        return true;
    case NR_RECVMSG:
    case NR_SENDMSG:
        if (bpf_probe_read_user(&message, sizeof(message), (void *)second))
            return false;
        ret_moved->pieces = message.iovecs;
        ret_moved->pieces_count = message.iovecs_count;
        return true;
    }
    return false;
}

// The first eight bytes, or those of the first piece, zero after their end.
INLINE __u64 moved_start(const struct moved *moved, __u64 *in_out_count)
{
    __u64 count = *in_out_count;
    __u64 start = 0;
    __u64 base = moved->base;
    if (!base) {
        struct user_iovec piece = {};
        bpf_probe_read_user(&piece, sizeof(piece), (void *)moved->pieces);
        base = piece.base;
        if (piece.length < count)
            count = piece.length;
        *in_out_count = count;
    }
    if (count >= 8)
        bpf_probe_read_user(&start, 8, (void *)base);
    else
        bpf_probe_read_user(&start, count & 7, (void *)base);
    return start;
}
