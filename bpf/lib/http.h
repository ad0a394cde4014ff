// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One direction of an HTTP/1.x connection: a message after the other, however the bytes are cut.
#pragma once

#include "bpf/lib/http_fast.h"

// --- The body ---

// The end of a line, by the WHATWG's grammar: LF, CR or both.
INLINE void http_event_line(struct http_message *message)
{
    struct word *word = &message->json.word;
    if (message->event_state == EVENT_DATA)
        json_line_end(&message->json);
    else if (message->event_state != EVENT_IGNORED && word->length == 0)
        http_event(message);
    else if (message->event_state == EVENT_NAME && word_is(word, "data"))
        message->event_open = 1;
    message->parts_state = PARTS_NONE;
    word_clear(word);
}

INLINE __u32 http_events_step(struct http_message *message, const __u8 *at, __u32 left)
{
    __u32 used = http_events_fast(message, at, left);
    if (used)
        return used;
    // Between two lines the JSON scanner has no word under way.
    struct word *word = &message->json.word;
    __u8 byte = *at;
    if (byte == '\n' || byte == '\r') {
        if (byte == '\r' || message->event_state != EVENT_AFTER_CR)
            http_event_line(message);
        message->event_state = byte == '\r' ? EVENT_AFTER_CR : EVENT_NAME;
        return 1;
    }
    switch (message->event_state) {
    case EVENT_DATA:
        return json_step(&message->json, at, left);
    case EVENT_IGNORED:
        return MARKLESS_RUN(marks_line_end, at, left);
    default:
        if (word->length == 0 && left >= 8 && (eight_at(at) & 0xffffffffff) == WORD_PART("data:", 0)) {
            message->event_state = EVENT_DATA;
            message->event_open = 1;
            return 5;
        }
        message->event_state = EVENT_NAME;
        if (byte == ':') {
            bool first = message->scanned == 7 && word_is(word, "\xef\xbb\xbf"
                                                                "data");
            message->event_state = first || word_is(word, "data") ? EVENT_DATA : EVENT_IGNORED;
            message->event_open |= message->event_state == EVENT_DATA;
        } else {
            word_add(word, byte);
        }
        return 1;
    }
}

INLINE __u32 http_lines_step(struct http_message *message, const __u8 *at, __u32 left)
{
    if (*at == '\n') {
        http_event(message);
        return 1;
    }
    message->event_open |= *at != '\r';
    return json_step(&message->json, at, left);
}

INLINE __u32 http_body_step(struct http_message *message, const __u8 *at, __u32 left)
{
    switch (message->format) {
    case HTTP_EVENTS:
        return http_events_step(message, at, left);
    case HTTP_LINES:
        return http_lines_step(message, at, left);
    case HTTP_JSON:
        return json_step(&message->json, at, left);
    default:
        return left;
    }
}

VERIFIED_ALONE __u32 http_body_bytes(struct http_message *message, const struct ahead *ahead, __u32 left)
{
    return message && ahead ? http_body_step(message, ahead->bytes, left) : left;
}

// Some steps at once. How far they came is kept in memory, so that the verifier sees one state after each.
INLINE __u32 http_body_run(struct http_message *message, const __u8 *at, __u32 left)
{
    __u64 start = message->scanned;
    for (int i = 0; i < SCAN_STEPS; i++) {
        __u64 pos = message->scanned - start;
        if (pos >= left || pos >= SCAN_RUN)
            break;
        message->scanned += http_body_bytes(message, (const struct ahead *)(at + pos), left - pos);
    }
    return message->scanned - start;
}

// How many of the next bytes need not be looked at. Whoever leaves them out says so by http_skip().
INLINE __u64 http_skippable(const struct http_message *message)
{
    __u8 state = message->state;
    if (state == HTTP_UNTIL_CLOSE)
        return message->format == HTTP_OPAQUE ? ~0ull : 0;
    if (state != HTTP_BODY && state != HTTP_CHUNK)
        return 0;
    if (message->format == HTTP_OPAQUE)
        return message->left;
    __u32 enough = message->json.model_length ? HTTP_HEAD_SCAN_NAMED : HTTP_HEAD_SCAN;
    if (message->format == HTTP_JSON && message->scanned >= enough && message->left > HTTP_TAIL_SCAN)
        return message->left - HTTP_TAIL_SCAN;
    return 0;
}

// After bytes of the body were passed over or looked at.
INLINE void http_advance(struct http_message *message, __u64 count)
{
    if (message->state == HTTP_UNTIL_CLOSE)
        return;
    message->left -= count;
    if (message->left)
        return;
    if (message->state == HTTP_BODY) {
        http_end(message);
        return;
    }
    message->state = HTTP_CHUNK_END;
}

// `count` bytes are left out: at most http_skippable() of them, or, where they could not be read, at most
// what is left of the body.
INLINE void http_skip(struct http_message *message, __u64 count)
{
    message->bytes += count;
    if (message->format == HTTP_JSON)
        json_resume(&message->json);
    else
        message->event_state = EVENT_IGNORED;
    if (message->format >= HTTP_EVENTS)
        message->json.state = JSON_DEAF; // not even whether another event has begun is known
    http_advance(message, count);
}

INLINE void http_chunk_size_byte(struct http_message *message, __u8 byte)
{
    __u8 digit = hex_digit(byte);
    if (digit < 16) {
        if (message->number >> 52)
            http_fail(message);
        message->number = message->number << 4 | digit;
        message->has_length = 1;
        return;
    }
    if (!message->has_length) {
        http_fail(message);
        return;
    }
    message->state = HTTP_CHUNK_REST;
}

// --- All ---

INLINE bool http_in_body(const struct http_message *message)
{
    return message->state >= HTTP_BODY && message->state <= HTTP_UNTIL_CLOSE;
}

// What is around the body.
INLINE __u32 http_frame_step(struct http_message *message, const __u8 *at, __u32 left)
{
    __u8 byte = *at;
    __u32 used =
        message->state < HTTP_BODY ? http_head_fast(message, at, left) : http_chunk_fast(message, at, left);
    if (used) {
        message->bytes += used;
        return used;
    }
    used = 1;
    switch (message->state) {
    case HTTP_START:
        if (byte == '\r' || byte == '\n')
            return 1;
        http_begin(message);
        http_first_line_1(message, byte);
        break;
    case HTTP_LINE_1:
        http_first_line_1(message, byte);
        break;
    case HTTP_LINE_2:
        http_first_line_2(message, byte);
        break;
    case HTTP_LINE_3:
        http_first_line_3(message, byte);
        break;
    case HTTP_NAME:
        http_name_byte(message, byte);
        break;
    case HTTP_VALUE:
        if (byte == '\n')
            http_header_end(message);
        else
            http_header_byte(message, byte);
        break;
    case HTTP_IGNORED:
        if (byte == '\n')
            message->state = HTTP_NAME;
        else
            used = MARKLESS_RUN(marks_line_end, at, left);
        break;
    case HTTP_CHUNK_SIZE:
        http_chunk_size_byte(message, byte);
        if (message->state != HTTP_CHUNK_REST || byte != '\n')
            break;
        __attribute__((fallthrough));
    case HTTP_CHUNK_REST:
        if (byte == '\n')
            http_chunk_begin(message);
        break;
    case HTTP_CHUNK_END:
        if (byte == '\n') {
            http_chunk_next(message);
        } else if (byte != '\r') {
            http_fail(message);
        }
        break;
    case HTTP_TRAILER:
        if (byte == '\n') {
            if (message->word.length == 0)
                http_end(message);
            word_clear(&message->word);
        } else if (byte != '\r') {
            word_add(&message->word, byte);
        }
        break;
    }
    message->bytes += used;
    return used;
}

VERIFIED_ALONE __u32 http_frame_bytes(struct http_message *message, const struct ahead *ahead, __u32 left)
{
    return message && ahead ? http_frame_step(message, ahead->bytes, left) : left;
}

// Consumes some of the `left` bytes, at least the first, and says how many. Ends where something has
// happened.
INLINE __u32 http_step(struct http_message *message, const __u8 *at, __u32 left)
{
    if (http_in_body(message)) {
        if (message->state != HTTP_UNTIL_CLOSE && message->left < left)
            left = message->left;
        __u32 used = http_body_run(message, at, left);
        message->bytes += used;
        http_advance(message, used);
        return used;
    }
    message->run = http_frame_bytes(message, (const struct ahead *)at, left);
    for (int i = 1; i < SCAN_STEPS; i++) {
        __u64 pos = message->run;
        if (pos >= left || pos >= SCAN_RUN || message->happened || http_in_body(message))
            break;
        message->run = pos + http_frame_bytes(message, (const struct ahead *)(at + pos), left - pos);
    }
    return message->run;
}
