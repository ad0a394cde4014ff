// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Events of a stream are alike but for their text. What stands before and behind it is known again by a hash,
// and then it is passed over at once, with the JSON scanner in the state that the same bytes brought it to
// before.
#pragma once

#include "bpf/lib/http_message.h"

struct part_bytes {
    __u8 bytes[HTTP_PART_MAX];
};

VERIFIED_ALONE __u64 part_hash(const struct part_bytes *part, __u32 length)
{
    __u64 hash = length;
    if (!part)
        return 0;
    for (__u32 i = 0; i < HTTP_PART_MAX; i += 8) {
        if (i >= length)
            break;
        __u64 word = eight_at(&part->bytes[i]);
        if (length - i < 8)
            word &= (1ull << ((length & 7) * 8)) - 1;
        hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
        hash ^= hash >> 32;
    }
    return hash;
}

// Passes over the part that begins here, if it is the one that was here in an earlier event. Else 0, and
// part_end() is to say where it ends.
INLINE __u32 part_begin(struct http_message *message, struct http_part *part, const __u8 *at, __u32 left)
{
    struct json *json = &message->json;
    __u32 length = part->length;
    __u64 hash = 0;
    bool readable = length > 0 && length <= left && length <= HTTP_PART_MAX && !json->loose;
    if (readable)
        hash = part_hash((const struct part_bytes *)at, length);
    if (readable && part->known && part->hash == hash && part->depth_before == json->depth &&
        part->usage_before == json->usage_depth && part->found_before == json->found) {
        json->depth = part->depth;
        json->usage_depth = part->usage_depth;
        json->state = part->state;
        json->key = part->key;
        json->found = part->found;
        return length;
    }
    part->hash = hash;
    part->hashed = readable;
    part->known = 0;
    part->depth_before = json->depth;
    part->usage_before = json->usage_depth;
    part->found_before = json->found;
    part->model_before = json->model_length;
    part->open = 1;
    part->from = message->scanned;
    return 0;
}

// Nothing of it has to be found again: no name and no number.
INLINE void part_end(struct http_message *message, struct http_part *part)
{
    const struct json *json = &message->json;
    __u64 length = message->scanned - part->from;
    if (!part->open)
        return;
    part->open = 0;
    if (length > HTTP_PART_MAX)
        length = 0;
    part->known = part->hashed && part->length == length && !json->loose && !json->error_open &&
                  part->model_before == json->model_length && !json->told;
    part->length = length;
    part->depth = json->depth;
    part->usage_depth = json->usage_depth;
    part->state = json->state;
    part->key = json->key;
    part->found = json->found;
}

// Before each step over an event's data. How many bytes need no step.
INLINE __u32 http_parts(struct http_message *message, const __u8 *at, __u32 left)
{
    const struct json *json = &message->json;
    switch (message->parts_state) {
    case PARTS_HEAD:
        if (json->key != JSON_KEY_TEXT || json->state != JSON_OUTSIDE)
            return 0;
        part_end(message, &message->parts[0]);
        message->parts_state = PARTS_TEXT;
        return 0;
    case PARTS_TEXT:
        if (json->state != JSON_CLOSED)
            return 0;
        break;
    case PARTS_START:
        break;
    default:
        return 0;
    }
    __u32 which = message->parts_state == PARTS_TEXT;
    __u32 used = part_begin(message, &message->parts[which & 1], at, left);
    message->parts_state = which ? PARTS_TAIL : used ? PARTS_TEXT : PARTS_HEAD;
    return used;
}
