// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Shortcuts through what most messages have, a line at a time where all of it is there. Each leaves the
// message as the bytes one by one would have left it (tests/unit/test_api_fast.c compares), or says 0 and
// leaves it alone.
#pragma once

#include "bpf/lib/http_head.h"
#include "bpf/lib/http_parts.h"

#define LINE_MAX 64

// How many bytes the line has with its end, if it ends within the next ones; or 0.
INLINE __u32 http_line(const __u8 *at, __u32 left)
{
    __u32 length = 0;
    __u64 marks = has_zero(eight_at(at) ^ EIGHT('\n'));
#define NEXT_EIGHT(n)                                       \
    if (!marks) {                                           \
        length = n;                                         \
        marks = has_zero(eight_at(at + (n)) ^ EIGHT('\n')); \
    }
    NEXT_EIGHT(8)
    NEXT_EIGHT(16)
    NEXT_EIGHT(24)
    NEXT_EIGHT(32)
    NEXT_EIGHT(40)
    NEXT_EIGHT(48)
    NEXT_EIGHT(56)
#undef NEXT_EIGHT
    if (!marks)
        return 0;
    length += marks_first(marks) + 1;
    return length <= left ? length : 0;
}

// Which bits of eight bytes to take for an ASCII letter of either case to be the literal's, in lower case.
#define CASE_BYTE(text, at)                                                                           \
    ((WORD_BYTE(text, at) >> ((at) % 8 * 8)) >= 'a' && (WORD_BYTE(text, at) >> ((at) % 8 * 8)) <= 'z' \
         ? (__u64)0x20 << ((at) % 8 * 8)                                                              \
         : 0)
#define CASE_PART(text)                                                                  \
    (CASE_BYTE(text, 0) | CASE_BYTE(text, 1) | CASE_BYTE(text, 2) | CASE_BYTE(text, 3) | \
     CASE_BYTE(text, 4) | CASE_BYTE(text, 5) | CASE_BYTE(text, 6) | CASE_BYTE(text, 7))
#define BYTES_PART(length) (~0ull >> (64 - 8 * (length)))
// Whether the next bytes, up to eight, are those of the literal, in any case.
#define is_next(at, text) \
    (((eight_at(at) | CASE_PART(text)) & BYTES_PART(sizeof(text) - 1)) == WORD_PART(text, 0))

// --- First lines ---

// What tells a line that was seen before; not the line itself, whose query may hold a secret.
INLINE __u64 http_line_hash(const __u8 *at, __u32 length)
{
    __u64 hash = length;
#define NEXT_EIGHT(n)                                  \
    if (length > (n)) {                                \
        __u64 word_ = eight_at(at + (n));              \
        if (length < (n) + 8)                          \
            word_ &= (1ull << ((length & 7) * 8)) - 1; \
        hash = (hash ^ word_) * 0x9e3779b97f4a7c15ull; \
        hash ^= hash >> 32;                            \
    }
    NEXT_EIGHT(0)
    NEXT_EIGHT(8)
    NEXT_EIGHT(16)
    NEXT_EIGHT(24)
    NEXT_EIGHT(32)
    NEXT_EIGHT(40)
    NEXT_EIGHT(48)
    NEXT_EIGHT(56)
#undef NEXT_EIGHT
    return hash;
}

// The same request again on the same connection. What the first line says is still there, unless
// it named a model.
INLINE __u32 http_again(struct http_message *message, const __u8 *at, __u32 left)
{
    __u32 length = http_line(at, left);
    __u64 hash = length ? http_line_hash(at, length) : 0;
    bool again = length && message->line_known && message->line_hash == hash && !message->client &&
                 !message->name_length && !message->query;
    message->line_hash = hash;
    message->line_known = 0; // until it has proved to be one
    if (!again)
        return 0;
    __u8 method = message->method, segment = message->segment;
    __u64 hashes[HTTP_HASHES];
    __builtin_memcpy(hashes, message->hashes, sizeof(hashes));
    http_begin(message);
    __builtin_memcpy(message->hashes, hashes, sizeof(hashes));
    message->method = method;
    message->segment = segment;
    message->happened |= HTTP_PATH;
    message->state = HTTP_NAME;
    return length;
}

INLINE __u32 http_status_line(struct http_message *message, const __u8 *at, __u32 left)
{
    __u64 version = eight_at(at), status = eight_at(at + 8);
    __u8 hundreds = (status >> 8) - '0', tens = (status >> 16) - '0', ones = (status >> 24) - '0';
    __u32 length = http_line(at, left);
    if (length < 14 || (version != WORD_PART("HTTP/1.1", 0) && version != WORD_PART("HTTP/1.0", 0)) ||
        (status & 0xff000000ff) != (' ' | (__u64)' ' << 32) || hundreds < 1 || hundreds > 9 || tens > 9 ||
        ones > 9)
        return 0;
    http_begin(message);
    message->status = hundreds * 100 + tens * 10 + ones;
    message->state = HTTP_NAME;
    return length;
}

// --- Headers ---

// Up to seven digits behind "Content-Length: ".
INLINE __u32 http_length_line(struct http_message *message, const __u8 *at)
{
    __u64 word = eight_at(at + 16), number = 0;
    __u64 marks = has_zero(word ^ EIGHT('\r'));
    __u32 digits = marks ? marks_first(marks) : 0;
    if (digits == 0 || at[17 + digits] != '\n')
        return 0;
    for (__u32 i = 0; i < 7 && i < digits; i++, word >>= 8) {
        __u8 digit = word - '0';
        if (digit > 9)
            return 0;
        number = number * 10 + digit;
    }
    message->left = message->number = number;
    message->has_length = 1;
    return 18 + digits;
}

// Behind "Content-Type: ": what a body may be that is looked at. What it is, is known where the line ends.
INLINE __u32 http_type_line(struct http_message *message, const __u8 *at, __u32 left)
{
    bool json = is_next(at + 14, "applicat") && is_next(at + 22, "ion/json");
    __u32 length = json || is_next(at + 14, "text/eve") ? http_line(at, left) : 0;
    if (length && message->format == HTTP_OPAQUE)
        message->format = json ? HTTP_JSON : HTTP_EVENTS;
    return length;
}

// Behind "Server: ".
INLINE __u32 http_server_line(struct http_message *message, const __u8 *at, __u32 left)
{
    __u64 parts[3] = {eight_at(at + 8), eight_at(at + 16), eight_at(at + 24)};
    __u32 length = 0;
    __u64 marks = has_zero(parts[0] ^ EIGHT('\r'));
    if (!marks) {
        length = 8;
        marks = has_zero(parts[1] ^ EIGHT('\r'));
    }
    if (!marks) {
        length = 16;
        marks = has_zero(parts[2] ^ EIGHT('\r'));
    }
    if (!marks)
        return 0;
    length += marks_first(marks);
    // A line can end before that, by LF alone.
    if (http_line(at, left) != 10 + length || (__u8)parts[0] <= ' ')
        return 0;
    __u64 mask = (1ull << ((length & 7) * 8)) - 1;
    parts[0] &= length < 8 ? mask : ~0ull;
    parts[1] &= length < 8 ? 0 : length < 16 ? mask : ~0ull;
    parts[2] &= length < 16 ? 0 : mask;
    __u64 *server = (__u64 *)message->server;
    server[0] = lower_eight(parts[0]);
    server[1] = lower_eight(parts[1]);
    server[2] = lower_eight(parts[2]);
    return 10 + length;
}

// The rest of a line that does not matter.
INLINE __u32 http_other_line(struct http_message *message, const __u8 *at, __u32 left)
{
    __u32 length = http_line(at, left);
    message->state = length ? HTTP_NAME : HTTP_IGNORED;
    return length ? length : left < LINE_MAX ? left : LINE_MAX;
}

// At the beginning of a header's line.
INLINE __u32 http_header_line(struct http_message *message, const __u8 *at, __u32 left)
{
    message->line_known = 1;
    if (at[0] == '\r' && at[1] == '\n' && left >= 2) {
        http_head_end(message);
        return 2;
    }
    if (left < 40)
        return 0;
    switch (lower(*at)) {
    case 'c':
        if (!is_next(at, "content-"))
            break;
        if (is_next(at + 8, "length: "))
            return http_length_line(message, at);
        return is_next(at + 8, "type: ") ? http_type_line(message, at, left) : 0;
    case 't':
        if (is_next(at, "tracepar"))
            return 0;
        if (!is_next(at, "transfer"))
            break;
        if (!is_next(at + 8, "-encodin") || !is_next(at + 16, "g: chunk") || !is_next(at + 24, "ed\r\n"))
            return 0;
        message->chunked = 1;
        return 28;
    case 's':
        if (is_next(at, "server: ") && message->answer)
            return http_server_line(message, at, left);
        if (is_next(at, "server"))
            return 0;
        break;
    case 'a':
    case 'd':
    case 'k':
    case 'u':
        break;
    default:
        return 0;
    }
    return http_other_line(message, at, left);
}

INLINE __u32 http_head_fast(struct http_message *message, const __u8 *at, __u32 left)
{
    switch (message->state) {
    case HTTP_START:
        return message->answer ? http_status_line(message, at, left) : http_again(message, at, left);
    case HTTP_NAME:
        return message->word.length == 0 ? http_header_line(message, at, left) : 0;
    case HTTP_IGNORED:
        return *at == '\n' ? 0 : http_other_line(message, at, left);
    }
    return 0;
}

// --- Between chunks ---

INLINE __u32 http_chunk_line(struct http_message *message, const __u8 *at, __u32 left)
{
    __u64 word = eight_at(at), number = 0;
    __u64 marks = has_zero(word ^ EIGHT('\r'));
    __u32 digits = marks ? marks_first(marks) : 0;
    if (digits == 0 || digits > 6 || digits + 2 > left || at[digits + 1] != '\n' || message->has_length)
        return 0;
    for (__u32 i = 0; i < 6 && i < digits; i++, word >>= 8) {
        __u8 digit = lower(word);
        if (digit >= '0' && digit <= '9')
            digit -= '0';
        else if (digit >= 'a' && digit <= 'f')
            digit -= 'a' - 10;
        else
            return 0;
        number = number << 4 | digit;
    }
    message->number = number;
    message->has_length = 1;
    http_chunk_begin(message);
    return digits + 2;
}

INLINE __u32 http_chunk_fast(struct http_message *message, const __u8 *at, __u32 left)
{
    bool line_end = left >= 2 && at[0] == '\r' && at[1] == '\n';
    switch (message->state) {
    case HTTP_CHUNK_SIZE:
        return http_chunk_line(message, at, left);
    case HTTP_CHUNK_END:
        if (!line_end)
            return 0;
        http_chunk_next(message);
        return 2 + http_chunk_line(message, at + 2, left - 2);
    case HTTP_TRAILER:
        if (!line_end || message->word.length)
            return 0;
        http_end(message);
        return 2;
    }
    return 0;
}

// --- Events ---

INLINE __u32 http_events_fast(struct http_message *message, const __u8 *at, __u32 left)
{
    struct json *json = &message->json;
    if (message->event_state == EVENT_DATA) {
        __u32 used = http_parts(message, at, left);
        if (used || left < 2 || at[0] != '\n' || at[1] != '\n' ||
            (json->state != JSON_CLOSED && (json->state != JSON_OUTSIDE || json->key != JSON_KEY_NONE)))
            return used;
        if (message->parts_state == PARTS_TAIL)
            part_end(message, &message->parts[1]);
        message->parts_state = PARTS_NONE;
        http_event(message);
        message->event_state = EVENT_NAME;
        word_clear(&json->word);
        return 2;
    }
    if (message->event_state == EVENT_NAME && left >= 6 && json->word.length == 0 &&
        json->state == JSON_OUTSIDE && json->key == JSON_KEY_NONE && !json->error_open &&
        (eight_at(at) & BYTES_PART(6)) == WORD_PART("data: ", 0)) {
        message->parts_state = message->event_open ? PARTS_NONE : PARTS_START;
        message->event_state = EVENT_DATA;
        message->event_open = 1;
        return 6;
    }
    return 0;
}
