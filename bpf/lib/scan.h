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
#include <string.h>
#define INLINE static inline __attribute__((always_inline, unused))
#endif
#define OUTLINE static __attribute__((noinline, unused))

// Bytes behind the one that is looked at that may always be read, whatever lies there.
#define SCAN_AHEAD 320
struct ahead {
    __u8 bytes[SCAN_AHEAD];
};

// How many steps are taken at once, and where the last of them may begin.
#define SCAN_STEPS 16
#define SCAN_RUN 512

// A function that the verifier looks at only once, however often it is called; its pointers can be NULL for
// all that it knows.
#ifdef __bpf__
#define VERIFIED_ALONE __attribute__((noinline))
#else
#define VERIFIED_ALONE INLINE
#endif

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
// The same for all of its first bytes that are kept.
#define word_begins(word, text)                                                          \
    ((word)->parts[0] == WORD_PART(text, 0) && (word)->parts[1] == WORD_PART(text, 8) && \
     (word)->parts[2] == WORD_PART(text, 16))
// The same for the first eight bytes only.
#define word_starts(word, text) \
    (((word)->parts[0] & (~0ull >> (64 - 8 * (sizeof(text) - 1)))) == WORD_PART(text, 0))

INLINE __u8 lower(__u8 byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte + 32 : byte;
}

// 16: none.
INLINE __u8 hex_digit(__u8 byte)
{
    byte = lower(byte);
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : 16;
}

// lower() for eight of them.
INLINE __u64 lower_eight(__u64 word)
{
    __u64 low = word & 0x7f7f7f7f7f7f7f7full;
    __u64 from_a = low + 0x3f3f3f3f3f3f3f3full, above_z = low + 0x2525252525252525ull;
    return word | ((from_a & ~above_z & ~word & 0x8080808080808080ull) >> 2);
}

INLINE __u64 has_zero(__u64 word)
{
    return (word - 0x0101010101010101ull) & ~word & 0x8080808080808080ull;
}

// Eight bytes at any address.
INLINE __u64 eight_at(const __u8 *at)
{
#ifdef __bpf__
    return *(const __u64 *)at;
#else
    __u64 word;
    memcpy(&word, at, sizeof(word));
    return word;
#endif
}

#define EIGHT(byte) ((byte)*0x0101010101010101ull)

// How many bytes come before the first one that such a sum of has_zero() has found. (Above that one there can
// be false marks.)
INLINE __u32 marks_first(__u64 marks)
{
    // As many ones as bytes lie below the lowest mark, added up in the highest byte.
    marks >>= 7;
    return ((((marks - 1) & ~marks) & EIGHT(1)) * EIGHT(1) >> 56) & 7;
}

// Control characters from 8 to 15, which the ends of lines are among, are marks everywhere.
INLINE __u64 marks_line_ends(__u64 word)
{
    return has_zero((word | EIGHT(7)) ^ EIGHT(15));
}

// A quote, a backslash or the end of a line among eight bytes.
INLINE __u64 marks_string_end(const __u8 *at)
{
    __u64 word = eight_at(at);
    return has_zero(word ^ EIGHT('"')) | has_zero(word ^ EIGHT('\\')) | marks_line_ends(word);
}

INLINE __u64 marks_line_end(const __u8 *at)
{
    return marks_line_ends(eight_at(at));
}

// A quote, a comma, a bracket or brace of any kind (with Y, y and _, which do no harm) or the end of a line.
INLINE __u64 marks_structure(const __u8 *at)
{
    __u64 word = eight_at(at);
    return has_zero(word ^ EIGHT('"')) | has_zero(word ^ EIGHT(',')) |
           has_zero((word | EIGHT(0x26)) ^ EIGHT(0x7f)) | marks_line_ends(word);
}

// How many of the next bytes are surely none of those. The caller knows that the first is not.
#define MARKLESS_RUN(marks_of, at, left)                                                                  \
    ({                                                                                                    \
        __u64 marks_ = marks_of(at);                                                                      \
        __u32 run_ = marks_ ? marks_first(marks_) : 8;                                                    \
        if (!marks_ && (left) >= 32 && !(marks_of((at) + 8) | marks_of((at) + 16) | marks_of((at) + 24))) \
            run_ = 32;                                                                                    \
        run_ > (left) ? (left) : run_ ? run_ : 1;                                                         \
    })
