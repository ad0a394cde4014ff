// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The bytes of one call on their way from user memory to the parser.
#pragma once

#include "bpf/lib/http.h"
#include "bpf/lib/moved.h"

#define WINDOW 4096
#define PIECES_READ 4     // descriptions of them, at once
#define PIECES_GATHERED 8 // in the window beside the first
#define PIECE_SHORT SCAN_RUN

// Never written.
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u8[WINDOW]);
} nothing SEC(".maps");

// One call's bytes on their way through the parser: those of several pieces of user memory, through a window.
struct feed {
    __u64 base; // of the piece
    __u64 base_left;
    __u64 pieces; // struct user_iovec[], behind those in `next`
    __u64 pieces_left;
    __u64 left; // bytes of the call that are not in the window yet
    __u64 now_ns;
    __u32 have; // bytes in the window
    __u32 at;   // of those, the next
    __u32 most; // that were in the window at a time
    __u16 next_at;
    __u16 next_count;
    struct user_iovec next[PIECES_READ]; // pieces
    __u8 window[WINDOW + SCAN_RUN + SCAN_AHEAD];
};

SCRATCH(feeds, struct feed)

INLINE bool feed_piece(struct feed *feed)
{
    __u32 at = feed->next_at;
    if (at >= feed->next_count) {
        __u32 count = feed->pieces_left < PIECES_READ ? feed->pieces_left : PIECES_READ;
        __u32 size = count * sizeof(*feed->next);
        if (size == 0 || size > sizeof(feed->next) ||
            bpf_probe_read_user(feed->next, size, (void *)feed->pieces))
            return false;
        feed->pieces += size;
        feed->pieces_left -= count;
        feed->next_count = count;
        at = 0;
    }
    const struct user_iovec *piece = &feed->next[at & (PIECES_READ - 1)];
    feed->next_at = at + 1;
    feed->base = piece->base;
    feed->base_left = piece->length;
    return true;
}

// Pieces are where a server's own parts meet, seldom where lines end: short ones are looked at together.
INLINE void feed_gather(struct feed *feed)
{
    for (int i = 0; i < PIECES_GATHERED; i++) {
        __u32 have = feed->have;
        if (feed->base_left || !feed->left || !feed_piece(feed))
            break;
        __u64 size = feed->base_left < feed->left ? feed->base_left : feed->left;
        if (size > PIECE_SHORT || have >= WINDOW || have + size > WINDOW)
            break;
        if (size > 0 && bpf_probe_read_user(&feed->window[have], size, (void *)feed->base))
            break;
        feed->have = have + size;
        feed->left -= size;
        feed->base_left -= size;
    }
    if (feed->have > feed->most)
        feed->most = feed->have;
}

// Gets more bytes into the window, or passes over those that need not be looked at. False: there are none.
INLINE bool feed_more(struct feed *feed, struct http_message *message)
{
    if (feed->left == 0)
        return false;
    if (feed->base_left == 0)
        return feed_piece(feed);
    __u64 count = feed->base_left < feed->left ? feed->base_left : feed->left;
    __u64 skip = http_skippable(message);
    if (!skip) {
        __u32 size = count < WINDOW ? count : WINDOW;
        feed->at = 0;
        feed->have = 0;
        if (size > 0 && size <= WINDOW && !bpf_probe_read_user(feed->window, size, (void *)feed->base)) {
            feed->have = size;
            count = size;
        } else {
            // Nowhere in memory that can be read: of a body only the length matters to go on.
            message->unseen = 1;
            skip = message->state == HTTP_UNTIL_CLOSE ? count : message->left;
            if (message->state < HTTP_BODY || message->state > HTTP_UNTIL_CLOSE)
                message->happened |= HTTP_FAILED | HTTP_UNREAD;
        }
    }
    if (skip) {
        count = skip < count ? skip : count;
        http_skip(message, count);
    }
    feed->base += count;
    feed->base_left -= count;
    feed->left -= count;
    if (!skip)
        feed_gather(feed);
    return true;
}

// No byte of a prompt stays behind.
INLINE void feed_wipe(struct feed *feed)
{
    __u32 zero = 0;
    void *zeroes = bpf_map_lookup_elem(&nothing, &zero);
    __u32 most = feed->most;
    if (zeroes && most <= WINDOW)
        bpf_probe_read_kernel(feed->window, most, zeroes);
}
