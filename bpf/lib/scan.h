// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Words that stream by, a byte at a time. This and what builds on it (json.h, http.h, exchange.h) compile as
// BPF and as user C alike, so that unit tests run the very parser that the kernel runs. No loops: who calls
// has one.
#pragma once

#ifdef __bpf__
#include "bpf/lib/common.h"
#else
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#define INLINE static inline __attribute__((always_inline, unused))
#endif

// Bytes behind the one that is looked at that may always be read, whatever lies there.
#define SCAN_AHEAD 32

// The first bytes of a word, and its last eight with the latest lowest.
#define WORD_MAX 24
struct word {
    union {
        __u8 bytes[WORD_MAX];
        __u64 parts[WORD_MAX / 8];
    };
    __u64 tail;
    __u32 length;
    __u32 reserved;
};

INLINE void word_clear(struct word *word)
{
    word->parts[0] = word->parts[1] = word->parts[2] = 0;
    word->tail = 0;
    word->length = 0;
}

INLINE void word_add(struct word *word, __u8 byte)
{
    __u32 length = word->length;
    if (length < WORD_MAX)
        word->bytes[length] = byte;
    word->tail = word->tail << 8 | byte;
    word->length = length + 1;
}

// Eight bytes of a literal as the little-endian number that they are in memory, zero after its end.
#define WORD_BYTE(text, at) \
    ((at) < sizeof(text) - 1 ? (__u64)(__u8)(text)[(at) < sizeof(text) ? (at) : 0] << ((at) % 8 * 8) : 0)
#define WORD_PART(text, at)                                                              \
    (WORD_BYTE(text, (at) + 0) | WORD_BYTE(text, (at) + 1) | WORD_BYTE(text, (at) + 2) | \
     WORD_BYTE(text, (at) + 3) | WORD_BYTE(text, (at) + 4) | WORD_BYTE(text, (at) + 5) | \
     WORD_BYTE(text, (at) + 6) | WORD_BYTE(text, (at) + 7))
#define word_is(word, text)                                                          \
    ((word)->length == sizeof(text) - 1 && (word)->parts[0] == WORD_PART(text, 0) && \
     (word)->parts[1] == WORD_PART(text, 8) && (word)->parts[2] == WORD_PART(text, 16))
// The same for the first eight bytes only.
#define word_starts(word, text) \
    (((word)->parts[0] & (~0ull >> (64 - 8 * (sizeof(text) - 1)))) == WORD_PART(text, 0))

INLINE __u8 lower(__u8 byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte + 32 : byte;
}

INLINE __u64 has_zero(__u64 word)
{
    return (word - 0x0101010101010101ull) & ~word & 0x8080808080808080ull;
}

#define EIGHT(byte) ((byte)*0x0101010101010101ull)

// A quote, a backslash or the end of a line among eight bytes.
INLINE __u64 ends_plain(const __u8 *at)
{
    __u64 word = *(const __u64 *)at;
    return has_zero(word ^ EIGHT('"')) | has_zero(word ^ EIGHT('\\')) | has_zero(word ^ EIGHT('\n'));
}

// How many of the next bytes are surely inside of a JSON string: 32, 8 or 1, of which the caller knows the
// first.
INLINE __u32 plain_run(const __u8 *at, __u32 left)
{
    if (left < 8 || ends_plain(at))
        return 1;
    if (left < 32 || ends_plain(at + 8) || ends_plain(at + 16) || ends_plain(at + 24))
        return 8;
    return 32;
}

INLINE __u64 ends_line(const __u8 *at)
{
    return has_zero(*(const __u64 *)at ^ EIGHT('\n'));
}

// The same for the rest of a line.
INLINE __u32 line_run(const __u8 *at, __u32 left)
{
    if (left < 8 || ends_line(at))
        return 1;
    if (left < 32 || ends_line(at + 8) || ends_line(at + 16) || ends_line(at + 24))
        return 8;
    return 32;
}
