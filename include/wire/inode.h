// Records of the source `inode`.
#pragma once

#include "wire/call.h"

enum wire_inode_type {
    WIRE_INODE_SYMLINK,
    WIRE_INODE_SYMLINKAT,
    WIRE_INODE_LINK,
    WIRE_INODE_LINKAT,
    WIRE_INODE_RENAME,
    WIRE_INODE_RENAMEAT,
    WIRE_INODE_RENAMEAT2,
    WIRE_INODE_UNLINK,
    WIRE_INODE_UNLINKAT,
    WIRE_INODE_RMDIR,
    WIRE_INODE_MKDIR,
    WIRE_INODE_MKDIRAT,
    WIRE_INODE_CHMOD,
    WIRE_INODE_FCHMOD,
    WIRE_INODE_FCHMODAT,
    WIRE_INODE_FCHMODAT2,
    WIRE_INODE_TYPES,
};

#define WIRE_INODE_RAW_MAX 4096 // of one name, its NUL included
#define WIRE_INODE_PATH_MAX 4096
#define WIRE_INODE_DATA_MAX (2 * WIRE_INODE_RAW_MAX + 2 * WIRE_INODE_PATH_MAX)

enum wire_inode_how {
    WIRE_INODE_BASED = 1 << 0,     // what the name begins at is known: `path`
    WIRE_INODE_TRUNCATED = 1 << 1, // `path` was longer than a record holds
    WIRE_INODE_SAME_BASE = 1 << 2, // (second name only) `path` is that of the first, and left out here
};

// One of the names in a call.
struct wire_inode_name {
    __u32 how;       // enum wire_inode_how
    __s32 dirfd;     // as the caller gave it, AT_FDCWD for calls without; for fchmod() its descriptor
    __u16 raw_size;  // 0: the call takes no name, or it could not be read
    __u16 path_size; // 0 may also be the root
};
WIRE_SIZE(struct wire_inode_name, 12);

// A call that changes names or permissions. After the struct follow the names as the caller gave them, each
// with NUL, then for each a wire path (include/wire/path.h) of what it begins at: a directory, or the
// caller's root; for fchmod() and for empty names the open file itself. A symbolic link's target begins
// nowhere.
struct wire_inode {
    struct wire_call call;
    struct wire_inode_name names[2]; // in the order of the call
    __u32 mode;                      // as asked for
    __u32 flags;
};
WIRE_SIZE(struct wire_inode, 128);
