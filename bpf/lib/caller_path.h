// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A name as the caller of a system call gave it, and the directory that it begins at. There is no kernel
// object behind a call that failed, nor any more behind what was removed, so the name is the caller's text:
// read once, when the call returns.
#pragma once

#include "bpf/lib/path_filter.h"
#include "bpf/lib/task.h"

#define AT_FDCWD -100

// Where a name begins: at the caller's root, its working directory or an open directory. NULL: there is no
// such descriptor.
INLINE const struct path *caller_base(struct task_struct *task, bool absolute, int dirfd)
{
    struct fs_struct *fs = BPF_CORE_READ(task, fs);
    if (absolute)
        return &fs->root;
    if (dirfd == AT_FDCWD)
        return &fs->pwd;
    struct file *directory = task_file(task, dirfd);
    return directory ? &directory->f_path : NULL;
}
