// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What an open descriptor is: the kernel's objects behind it. User space tells the kinds apart.
#pragma once

#include "bpf/lib/endpoint.h"
#include "bpf/lib/path.h"
#include "wire/descriptor.h"

// The data behind a record that has a descriptor, and the latest start of its path's component.
#define DESCRIPTOR_DATA_MAX WIRE_DESCRIPTOR_PATH_MAX
#define DESCRIPTOR_PATH_LIMIT (WIRE_DESCRIPTOR_PATH_MAX - WIRE_PATH_COMPONENT_MAX)

// Of a UNIX socket the end that has a name: its own, or the peer's where it has none. NULL: neither.
INLINE struct unix_sock *unix_named(struct sock *sock)
{
    struct unix_sock *end = (void *)sock;
    if (!BPF_CORE_READ(end, addr))
        end = (void *)BPF_CORE_READ(end, peer);
    return BPF_CORE_READ(end, addr) ? end : NULL;
}

// A name in no directory is any bytes after a zero.
INLINE void unix_append_abstract(struct wire_descriptor *descriptor, struct unix_sock *end, char *data,
                                 volatile __u32 *cursor)
{
    struct unix_address *address = BPF_CORE_READ(end, addr);
    __u32 length = BPF_CORE_READ(address, len) - sizeof(__u16);
    __u32 at = *cursor;
    if (length <= 1 || length > sizeof(address->name[0].sun_path) || at > DESCRIPTOR_PATH_LIMIT)
        return;
    bpf_core_read(data + at, sizeof(address->name[0].sun_path) - 1, &address->name[0].sun_path[1]);
    *cursor = at + length - 1;
    descriptor->flags |= WIRE_DESCRIPTOR_ABSTRACT;
}

// Fills in what is open as `fd`; `record_size` is that of the struct that `data` follows. The descriptor and
// the endpoint must be zeroed; data has room for DESCRIPTOR_DATA_MAX bytes, and its cursor, which is at 0,
// lies in a map (see path_append). Returns whether it is an IP socket.
INLINE bool descriptor_fill(struct wire_descriptor_call *record, struct task_struct *task, int fd,
                            __u32 record_size, char *data, volatile __u32 *cursor)
{
    struct wire_descriptor *descriptor = &record->descriptor;
    descriptor->num = fd;
    struct file *file = task_file(task, fd);
    if (!file)
        return false;
    struct inode *inode = BPF_CORE_READ(file, f_inode);
    struct super_block *super = BPF_CORE_READ(inode, i_sb);
    const struct path *path = &file->f_path;
    descriptor->flags = WIRE_DESCRIPTOR_KNOWN;
    descriptor->ino = BPF_CORE_READ(inode, i_ino);
    descriptor->dev = BPF_CORE_READ(super, s_dev);
    descriptor->magic = BPF_CORE_READ(super, s_magic);
    descriptor->mode = BPF_CORE_READ(inode, i_mode);
    // There is none behind a socket's file that was opened with O_PATH, which is a path and no more.
    struct sock *sock = file_sock(file);
    if (sock) {
        descriptor->family = BPF_CORE_READ(sock, __sk_common.skc_family);
        endpoint_fill(&record->call.endpoint, sock);
        if (descriptor->family == AF_INET || descriptor->family == AF_INET6)
            return true;
        struct unix_sock *end = descriptor->family == AF_UNIX ? unix_named(sock) : NULL;
        if (!end)
            return false;
        path = BPF_CORE_READ(end, path.dentry) ? &end->path : NULL;
        if (!path)
            unix_append_abstract(descriptor, end, data, cursor);
    }
    if (path && path_append(path, data, cursor, DESCRIPTOR_PATH_LIMIT))
        descriptor->flags |= WIRE_DESCRIPTOR_TRUNCATED;
    descriptor->path_at = record_size;
    descriptor->path_size = *cursor;
    return false;
}
