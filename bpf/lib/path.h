// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The real path of an open file, walked from its dentry up to the root of its mount namespace. A chroot does
// not shorten it, and no user pointer takes part, so it cannot be forged.
#pragma once

#include "bpf/lib/common.h"
#include "wire/path.h"

// The members of an object that are wanted together lie close to each other, so one read gets them all: a
// read costs 10 ns however small it is. Where a kernel has moved them apart, the build of that kernel fails
// the range test below, which is constant once offsets are relocated, and each member is read by itself.
#define CHUNK_OFFSET(type, first, member) \
    ((long)bpf_core_field_offset(type, member) - (long)bpf_core_field_offset(type, first))
#define CHUNK_HAS(chunk, type, first, member) \
    (CHUNK_OFFSET(type, first, member) >= 0 && CHUNK_OFFSET(type, first, member) <= (long)sizeof(chunk) - 8)
#define CHUNK_GET(chunk, type, first, member, as) \
    (*(as *)((char *)(chunk) + CHUNK_OFFSET(type, first, member)))

struct path_walk {
    struct dentry *dentry;
    struct mount *mount;
    struct dentry *mount_root;
    struct mount *mount_parent;
    struct dentry *mountpoint;
};

// A component: its length, where its bytes are, and the first 16 of them where they came along.
struct path_name {
    __u32 length;
    bool has_words;
    const unsigned char *bytes;
    __u64 words[2];
};

INLINE void path_walk_mount(struct path_walk *walk, struct mount *mount)
{
    __u64 chunk[3];
    walk->mount = mount;
    if (CHUNK_HAS(chunk, struct mount, mnt_parent, mnt_mountpoint) &&
        CHUNK_HAS(chunk, struct mount, mnt_parent, mnt.mnt_root)) {
        bpf_probe_read_kernel(chunk, sizeof(chunk), &mount->mnt_parent);
        walk->mount_parent = CHUNK_GET(chunk, struct mount, mnt_parent, mnt_parent, struct mount *);
        walk->mountpoint = CHUNK_GET(chunk, struct mount, mnt_parent, mnt_mountpoint, struct dentry *);
        walk->mount_root = CHUNK_GET(chunk, struct mount, mnt_parent, mnt.mnt_root, struct dentry *);
        return;
    }
    walk->mount_parent = BPF_CORE_READ(mount, mnt_parent);
    walk->mountpoint = BPF_CORE_READ(mount, mnt_mountpoint);
    walk->mount_root = BPF_CORE_READ(mount, mnt.mnt_root);
}

INLINE void path_walk_begin(struct path_walk *walk, const struct path *path)
{
    __u64 chunk[2];
    struct vfsmount *vfsmount;
    if (CHUNK_HAS(chunk, struct path, mnt, dentry)) {
        bpf_probe_read_kernel(chunk, sizeof(chunk), &path->mnt);
        vfsmount = CHUNK_GET(chunk, struct path, mnt, mnt, struct vfsmount *);
        walk->dentry = CHUNK_GET(chunk, struct path, mnt, dentry, struct dentry *);
    } else {
        vfsmount = BPF_CORE_READ(path, mnt);
        walk->dentry = BPF_CORE_READ(path, dentry);
    }
    path_walk_mount(walk, (void *)vfsmount - bpf_core_field_offset(struct mount, mnt));
}

// Where a dentry keeps a short name itself.
INLINE long dentry_inline_name(void)
{
    if (bpf_core_field_exists(struct dentry___older, d_iname))
        return bpf_core_field_offset(struct dentry___older, d_iname);
    return bpf_core_field_offset(struct dentry, d_shortname);
}

enum path_step { PATH_END, PATH_COMPONENT, PATH_MOUNT };

// One step up. PATH_COMPONENT: *ret_name is the component that was left behind. PATH_MOUNT: stepped from a
// mounted root to the place where it is mounted, which has no name of its own.
INLINE enum path_step path_walk_up(struct path_walk *walk, struct path_name *ret_name)
{
    struct dentry *dentry = walk->dentry;
    if (dentry == walk->mount_root) {
        if (walk->mount_parent == walk->mount)
            return PATH_END;
        walk->dentry = walk->mountpoint;
        path_walk_mount(walk, walk->mount_parent);
        return PATH_MOUNT;
    }

    __u64 chunk[8];
    struct dentry *up;
    ret_name->has_words = false;
    if (CHUNK_HAS(chunk, struct dentry, d_parent, d_name.name) &&
        CHUNK_HAS(chunk, struct dentry, d_parent, d_name.len)) {
        bpf_probe_read_kernel(chunk, sizeof(chunk), &dentry->d_parent);
        up = CHUNK_GET(chunk, struct dentry, d_parent, d_parent, struct dentry *);
        ret_name->length = CHUNK_GET(chunk, struct dentry, d_parent, d_name.len, __u32);
        ret_name->bytes = CHUNK_GET(chunk, struct dentry, d_parent, d_name.name, const unsigned char *);
        long name_offset = dentry_inline_name();
        long name_in_chunk = name_offset - (long)bpf_core_field_offset(struct dentry, d_parent);
        if (name_in_chunk >= 0 && name_in_chunk <= (long)sizeof(chunk) - 16 &&
            ret_name->bytes == (void *)dentry + name_offset) {
            ret_name->words[0] = *(__u64 *)((char *)chunk + name_in_chunk);
            ret_name->words[1] = *(__u64 *)((char *)chunk + name_in_chunk + 8);
            ret_name->has_words = true;
        }
    } else {
        up = BPF_CORE_READ(dentry, d_parent);
        ret_name->length = BPF_CORE_READ(dentry, d_name.len);
        ret_name->bytes = BPF_CORE_READ(dentry, d_name.name);
    }
    if (up == dentry)
        return PATH_END;
    walk->dentry = up;
    return PATH_COMPONENT;
}

// A file that is in no directory, such as one in memory (memfd_create), is its own parent and has a name all
// the same. Pipes and the like have an empty one, the root of a file system is called "/".
INLINE void path_append_alone(const struct path_walk *walk, char *data, volatile __u32 *cursor, __u32 limit)
{
    struct dentry *dentry = walk->dentry;
    __u32 at = *cursor;
    if (dentry == walk->mount_root || BPF_CORE_READ(dentry, d_parent) != dentry || at > limit)
        return;
    long length =
        bpf_probe_read_kernel_str(data + at, WIRE_PATH_COMPONENT_MAX, BPF_CORE_READ(dentry, d_name.name));
    if (length > 1 && data[at] != '/')
        *cursor = at + length;
}

// Appends a wire path at data[*cursor] and moves the cursor on, which stays at or below `limit` +
// WIRE_PATH_COMPONENT_MAX: `data` must be that large. Returns 1 where the walk had to stop early, else 0.
// The cursor must lie in a map's memory: the verifier then takes it for unknown in each round of the loop,
// so that the rounds look alike; a register's ranges would make it follow every way through the loop.
INLINE int path_append(const struct path *path, char *data, volatile __u32 *cursor, __u32 limit)
{
    struct path_walk walk;
    struct path_name name = {};
    path_walk_begin(&walk, path);
    path_append_alone(&walk, data, cursor, limit);
    for (int i = 0; i < WIRE_PATH_DEPTH_MAX; i++) {
        enum path_step step = path_walk_up(&walk, &name);
        if (step == PATH_END)
            return 0;
        if (step == PATH_MOUNT)
            continue;
        __u32 at = *cursor;
        if (at > limit)
            return 1;
        long length = bpf_probe_read_kernel_str(data + at, WIRE_PATH_COMPONENT_MAX, name.bytes);
        if (length <= 0)
            return 1;
        *cursor = at + length;
    }
    return 1;
}
