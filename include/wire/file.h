// Records of the source `file`.
#pragma once

#include "wire/call.h"

enum wire_file_type {
    WIRE_FILE_OPEN,
    WIRE_FILE_OPENAT,
    WIRE_FILE_OPENAT2,
    WIRE_FILE_CREAT,
    WIRE_FILE_OPEN_BY_HANDLE_AT,
    WIRE_FILE_TYPES,
};

#define WIRE_FILE_PATH_MAX 4096
#define WIRE_FILE_RAW_MAX 4096

enum wire_file_how {
    WIRE_FILE_BY_INODE = 1 << 0,  // the inode is that of a file that a rule names exactly
    WIRE_FILE_TRUNCATED = 1 << 1, // the path was longer than a record holds
    WIRE_FILE_IO_URING = 1 << 2,  // asked for through io_uring
};

// An attempt to open a file. After the struct follow raw_size bytes, only where result is negative: the name
// as the caller gave it, with NUL; and path_size bytes, a wire path (include/wire/path.h): of the opened
// file, or, where result is negative, of the directory that the name begins at.
struct wire_file_open {
    struct wire_call call; // its result is the descriptor
    __u64 ino;
    __u32 dev;   // major << 20 | minor, as the kernel keeps it
    __u32 flags; // O_*; of a successful open as the kernel kept them, plus what the caller's register says
    __u32 mode;  // of the inode: S_IFMT and permissions
    __u16 path_size;
    __u16 raw_size;
    __u32 how; // enum wire_file_how
    __u32 reserved;
};
WIRE_SIZE(struct wire_file_open, 128);
