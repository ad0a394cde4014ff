// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Whether a record is worth waking the reader for. Rules are judged in user space, but a wake-up costs the
// caller more than all the rest of a record. One with none of the clues that the rules give
// (include/demand.h) waits for the next one that has, or for the reader's tick, a second at most.
#pragma once

#include "bpf/lib/common.h"
#include "wire/path_filter.h"

bool wake_all = true; // some rule gives no clue
__u64 wake_names[PATH_FILTER_WORDS];

INLINE bool wake_clue(const __u64 *set, const void *bytes)
{
    const __u64 *words = bytes;
    __u32 bit = path_filter_hash(words[0], words[1], 0);
    return set[(bit >> 6) & (PATH_FILTER_WORDS - 1)] >> (bit & 63) & 1;
}

// The same for a source whose types differ in that: bit n is set where some rule about type n gives no clue.
// The types share the names.
__u32 wake_types = ~0u;

// The name must be filled with zeroes up to its 16 bytes.
INLINE bool wake_for_name(const struct wire_header *header)
{
    return wake_all || wake_clue(wake_names, header->comm);
}

// `usual`: most records of its kind are of no interest, so that one without a clue can wait.
INLINE bool wake_for_type(const struct wire_header *header, bool usual)
{
    return (!usual && wake_types >> (header->type & 31) & 1) || wake_clue(wake_names, header->comm);
}
