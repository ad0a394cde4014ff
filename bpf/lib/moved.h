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

// The registers with which the current task entered the kernel, to be read by plain loads (5.15). NULL where
// they are not those of the call that moves bytes (io_uring).
INLINE struct pt_regs *moving_registers(void)
{
    struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
#if defined(__TARGET_ARCH_x86)
    return (long)regs->ax == -38 ? regs : NULL; // see registers_inside()
#else
    return regs;
#endif
}

INLINE long moving_call(const struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
    return (int)regs->orig_ax;
#else
    return regs->syscallno;
#endif
}

// Where in user memory the bytes are that the system call under way moved. False for calls not known.
INLINE bool moved_find(const struct pt_regs *regs, struct moved *ret_moved)
{
    struct user_message *message;
    __u64 pieces[2];
    __u64 second = PT_REGS_PARM2_SYSCALL(regs);
    switch (moving_call(regs)) {
    case NR_READ:
    case NR_WRITE:
    case NR_RECVFROM:
    case NR_SENDTO:
        ret_moved->base = second;
        return true;
    case NR_READV:
    case NR_WRITEV:
        ret_moved->pieces = second;
        ret_moved->pieces_count = PT_REGS_PARM3_SYSCALL(regs);
        return true;
    case NR_RECVMSG:
    case NR_SENDMSG:
        message = (struct user_message *)second;
        if (bpf_probe_read_user(pieces, sizeof(pieces), &message->iovecs))
            return false;
        ret_moved->pieces = pieces[0];
        ret_moved->pieces_count = pieces[1];
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
