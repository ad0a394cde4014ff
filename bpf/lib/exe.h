// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the inode of a program's file tells: which layer of an overlay it is from, whether who runs it could
// change it, and when that last happened.
#pragma once

#include "bpf/lib/common.h"
#include "wire/process.h"

#define OVERLAYFS_SUPER_MAGIC 0x794c7630 // include/uapi/linux/magic.h
#define SB_RDONLY 1
#define S_IMMUTABLE (1 << 3)
#define S_IWGRP 0020
#define S_IWOTH 0002
#define CAP_DAC_OVERRIDE 1
#define CAP_FOWNER 3
#define GROUPS_STEPS 17 // NGROUPS_MAX is 65536
#define ID_EXTENTS 5    // UID_GID_MAP_MAX_BASE_EXTENTS

// The fraction's highest bit says something else on kernels with finer times (6.13).
#define INODE_TIME(inode, which)                                            \
    ({                                                                      \
        struct inode___whole *whole = (void *)(inode);                      \
        struct inode___private *hidden = (void *)(inode);                   \
        struct inode___parts *parts = (void *)(inode);                      \
        __u64 seconds, fraction;                                            \
        if (bpf_core_field_exists(parts->i_##which##_sec)) {                \
            seconds = BPF_CORE_READ(parts, i_##which##_sec);                \
            fraction = BPF_CORE_READ(parts, i_##which##_nsec) & 0x7fffffff; \
        } else if (bpf_core_field_exists(hidden->__i_##which)) {            \
            seconds = BPF_CORE_READ(hidden, __i_##which.tv_sec);            \
            fraction = BPF_CORE_READ(hidden, __i_##which.tv_nsec);          \
        } else {                                                            \
            seconds = BPF_CORE_READ(whole, i_##which.tv_sec);               \
            fraction = BPF_CORE_READ(whole, i_##which.tv_nsec);             \
        }                                                                   \
        seconds * 1000000000 + fraction;                                    \
    })

// A file that was written or added after the overlay was mounted has a dentry in the upper layer. struct
// ovl_inode is the module's own and has no type information where overlayfs is a module, but the pointer has
// been the member right behind the inode since 4.13 (fs/overlayfs/ovl_entry.h).
INLINE __u8 exe_layer(struct inode *inode)
{
    if (BPF_CORE_READ(inode, i_sb, s_magic) != OVERLAYFS_SUPER_MAGIC)
        return 0;
    struct dentry *upper = NULL;
    bpf_probe_read_kernel(&upper, sizeof(upper), (void *)inode + bpf_core_type_size(struct inode));
    if (upper && BPF_CORE_READ(upper, d_inode))
        return WIRE_EXE_UPPER_LAYER;
    return WIRE_EXE_LOWER_LAYER;
}

// One of the supplementary groups, which are sorted.
INLINE bool cred_in_group(const struct cred *cred, __u32 gid)
{
    struct group_info *info = BPF_CORE_READ(cred, group_info);
    __u32 low = 0, high = BPF_CORE_READ(info, ngroups);
    for (int i = 0; i < GROUPS_STEPS && low < high; i++) {
        __u32 middle = (low + high) / 2, found = 0;
        bpf_core_read(&found, sizeof(found), &info->gid[middle]);
        if (found == gid)
            return true;
        if (found < gid)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

INLINE bool id_is_mapped(const struct uid_gid_map *map, __u32 id)
{
    __u32 count = BPF_CORE_READ(map, nr_extents);
    for (__u32 i = 0; i < ID_EXTENTS && i < count; i++) {
        const struct uid_gid_extent *extent = &map->extent[i];
        if (id - BPF_CORE_READ(extent, lower_first) < BPF_CORE_READ(extent, count))
            return true;
    }
    return false;
}

// As access(2) would say, without access control lists. The owner can always give itself the right. Of a
// namespace with more than five ranges of ids, no right by capability is assumed.
INLINE bool exe_is_writable(const struct cred *cred, struct inode *inode)
{
    if (BPF_CORE_READ(inode, i_sb, s_flags) & SB_RDONLY || BPF_CORE_READ(inode, i_flags) & S_IMMUTABLE)
        return false;
    __u32 uid = BPF_CORE_READ(inode, i_uid.val), gid = BPF_CORE_READ(inode, i_gid.val);
    if (uid == BPF_CORE_READ(cred, fsuid.val))
        return true;
    umode_t mode = BPF_CORE_READ(inode, i_mode);
    bool in_group = gid == BPF_CORE_READ(cred, fsgid.val) || cred_in_group(cred, gid);
    if (mode & (in_group ? S_IWGRP : S_IWOTH))
        return true;
    __u64 capabilities = 0;
    bpf_core_read(&capabilities, sizeof(capabilities), &cred->cap_effective);
    if (!(capabilities & (1 << CAP_DAC_OVERRIDE | 1 << CAP_FOWNER)))
        return false;
    struct user_namespace *namespace = BPF_CORE_READ(cred, user_ns);
    return BPF_CORE_READ(namespace, level) == 0 ||
           (id_is_mapped(&namespace->uid_map, uid) && id_is_mapped(&namespace->gid_map, gid));
}

INLINE void exe_fill(struct wire_process_execve *event, const struct cred *cred, struct inode *inode)
{
    event->exe_flags |= WIRE_EXE_KNOWN | exe_layer(inode);
    if (exe_is_writable(cred, inode))
        event->exe_flags |= WIRE_EXE_WRITABLE;
    event->exe_ino = BPF_CORE_READ(inode, i_ino);
    event->exe_ctime_ns = INODE_TIME(inode, ctime);
    event->exe_mtime_ns = INODE_TIME(inode, mtime);
}
