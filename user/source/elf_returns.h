// Where a function returns, so that probes can be there: for functions through which exceptions pass, as a
// return probe puts an address on the stack that no unwinder knows, and the process is ended for it. Reads
// the code and believes nothing: the file is any container's.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    ELF_RETURNS_MAX = 24,
    ELF_PARTS_MAX = 16,                     // of a function, and what it ends by jumping to
    ELF_PART_MAX = 1024 * 1024,             // bytes of each
    ELF_RETURNS_READ_MAX = 8 * 1024 * 1024, // bytes of the file
};

// Looks for all the return instructions at which a call of the function at that offset in the file can end:
// also in its parts elsewhere, and in functions that it jumps to instead of calling them and returning. The
// stack pointer at each is the same as at the function's beginning, if it is the end of that call. Adds to
// *in_out_read how many bytes were read. Their number, at most ELF_RETURNS_MAX, or
// -ENOENT: the file does not say how that function's stack is unwound,
// -EOPNOTSUPP: it can end in a way that is not understood, or some of its code is not,
// -ENOSPC: there are too many, -ENOEXEC and -EBADMSG as for elf_symbols_find(), or what read() gives.
int elf_returns_find(int fd, uint64_t offset, uint64_t *ret_offsets, uint64_t *in_out_read);
