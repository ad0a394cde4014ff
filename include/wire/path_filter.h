// The sets by which the kernel drops paths that no rule names: how user space and the kernel hash alike.
#pragma once

#ifdef __bpf__
#include "vmlinux.h"
#else
#include <linux/types.h>
#endif

#define PATH_FILTER_WORDS 1024 // 65536 bits a set; a thousand names give 1.5 % of needless records
#define PATH_FILTER_RAW_MAX 256
#define PATH_FILTER_RAW_ROOM 4096 // a name with its NUL is not longer

// `first` and `second` are the first 16 bytes of a name, little-endian, zero after its end.
static inline __u32 path_filter_hash(__u64 first, __u64 second, __u32 length)
{
    __u64 mixed = (first ^ length) * 0x9e3779b97f4a7c15ull;
    mixed ^= mixed >> 32;
    mixed = (mixed ^ second) * 0xd6e8feb86659fd93ull;
    return (__u32)(mixed >> 48);
}
