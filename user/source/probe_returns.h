// The return instructions of functions through which exceptions pass (probe_kind.throws).
#pragma once

#include "elf_returns.h"
#include "probes.h"

struct probe_returns {
    uint64_t offsets[ELF_RETURNS_MAX];
    size_t count;
};

// For each of a kind's symbols that has a program at its return, where those are. One whose returns are not
// all known is left alone: its offset becomes 0. The number of these. Adds to *in_out_read how many bytes
// were read.
size_t probe_returns_find(const struct probe_kind *kind, int fd, uint64_t *in_out_offsets,
                          struct probe_returns *ret_returns, uint64_t *in_out_read);
