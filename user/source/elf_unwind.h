// How deep a function's stack is at each of its instructions, out of the tables by which exceptions are
// unwound (.eh_frame). Believes nothing: the file is any container's.
#pragma once

#include "elf_image.h"

enum {
    UNWIND_ROWS_MAX = 4096,
    UNWIND_PADS_MAX = 1024,
    UNWIND_RECORD_MAX = 65536, // bytes of a function's table
};

// From this address to that of the next row.
struct unwind_row {
    uint64_t address;
    // Of the stack, as against the function's first instruction.
    enum unwind_depth { UNWIND_UNKNOWN, UNWIND_AS_ENTERED, UNWIND_DEEPER } depth;
};

// A function, or a part of one that was put somewhere else.
struct unwind_part {
    uint64_t begin, end;
    struct unwind_row rows[UNWIND_ROWS_MAX];
    size_t rows_count;
    uint64_t pads[UNWIND_PADS_MAX]; // where exceptions that it catches make it go on
    size_t pads_count;
};

// The part that an address is in. 0, -ENOENT: the file says nothing of that address, -EOPNOTSUPP: in a way
// that is not known here, -EBADMSG: it does not hold together, or what read() gives.
int unwind_find(const struct elf_image *image, uint64_t address, struct unwind_part *ret_part);
