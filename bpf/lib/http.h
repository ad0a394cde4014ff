// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// One direction of an HTTP/1.x connection: a message after the other, however the bytes are cut.
#pragma once

#include "bpf/lib/json.h"

enum http_state {
    HTTP_START,   // between messages
    HTTP_LINE_1,  // method, or version
    HTTP_LINE_2,  // path, or status
    HTTP_LINE_3,  // version, or reason
    HTTP_NAME,    // of a header
    HTTP_VALUE,   // of a header that matters
    HTTP_IGNORED, // the rest of another header
    HTTP_BODY,    // of a known length
    HTTP_UNTIL_CLOSE,
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK_REST, // of the size's line
    HTTP_CHUNK,
    HTTP_CHUNK_END, // the line end behind it
    HTTP_TRAILER,
    HTTP_BROKEN, // not HTTP/1.x, or no longer
};

// What a step has found; the caller clears it.
enum http_happened {
    HTTP_BEGUN = 1 << 0,
    HTTP_PATH = 1 << 1, // the path is whole
    HTTP_HEAD = 1 << 2, // the head is whole
    HTTP_CONTENT = 1 << 3,
    HTTP_ENDED = 1 << 4,
    HTTP_FAILED = 1 << 5,
};

enum http_header {
    HTTP_HEADER_LENGTH,
    HTTP_HEADER_ENCODING,
    HTTP_HEADER_TYPE,
    HTTP_HEADER_PACKED,
    HTTP_HEADER_TRACE,
    HTTP_HEADER_SERVER,
};

enum http_format { HTTP_OPAQUE, HTTP_JSON, HTTP_EVENTS, HTTP_LINES };

enum http_event_state { EVENT_NAME, EVENT_DATA, EVENT_IGNORED };

// Of a body of known length that is longer, only these first and last bytes are looked at; fewer of the first
// where they held the model's name.
#define HTTP_HEAD_SCAN 16384
#define HTTP_HEAD_SCAN_NAMED 2048
#define HTTP_TAIL_SCAN 4096

#define HTTP_HASHES 3 // of the path as it is, and with its second or third segment taken for any
#define HTTP_HASH_START 0xcbf29ce484222325ull

INLINE __u64 http_hash(__u64 hash, __u8 byte)
{
    return (hash ^ byte) * 0x100000001b3ull; // FNV-1a
}

struct http_message {
    struct word word;
    __u64 left;   // bytes of the body or the chunk
    __u64 number; // a number under way
    __u64 bytes;  // of the message so far
    __u64 scanned;
    __u64 hashes[HTTP_HASHES];
    __u32 events;
    __u32 content_events;
    __u16 status;
    __u8 answer; // 0: a request; set once
    __u8 values; // 0: nothing is taken out of bodies; set once
    __u8 state;
    __u8 happened;
    __u8 method;
    __u8 segment; // of the path
    __u8 header;
    __u8 chunked;
    __u8 has_length;
    __u8 format;
    __u8 bodiless; // the answer to HEAD
    __u8 event_state;
    __u8 event_open; // data has come since the last event
    __u8 errors;     // an event held an error
    __u8 unseen;     // bytes were passed over that should have been looked at
    __u8 reserved[3];
    char traceparent[WIRE_API_TRACEPARENT_MAX];
    char server[WIRE_API_SERVER_MAX];
    struct json json;
};

INLINE void http_begin(struct http_message *message)
{
    word_clear(&message->word);
    message->left = message->number = message->bytes = message->scanned = 0;
    message->hashes[0] = message->hashes[1] = message->hashes[2] = HTTP_HASH_START;
    message->events = message->content_events = 0;
    message->status = 0;
    message->method = 0;
    message->segment = 0;
    message->chunked = message->has_length = message->format = message->bodiless = 0;
    message->event_state = message->event_open = message->errors = message->unseen = 0;
    __builtin_memset(message->traceparent, 0, sizeof(message->traceparent));
    __builtin_memset(message->server, 0, sizeof(message->server));
    message->json.found = 0;
    message->json.input_tokens = message->json.output_tokens = 0;
    message->json.model_length = 0;
    message->json.answer = message->answer;
    message->json.values = message->values;
    json_begin(&message->json);
    message->happened |= HTTP_BEGUN;
    message->state = HTTP_LINE_1;
}

INLINE void http_fail(struct http_message *message)
{
    message->state = HTTP_BROKEN;
    message->happened |= HTTP_FAILED;
}

// An event of a stream is whole.
INLINE void http_event(struct http_message *message)
{
    if (!message->event_open)
        return;
    message->event_open = 0;
    message->events += 1;
    if (json_has_content(&message->json)) {
        message->content_events += 1;
        message->happened |= HTTP_CONTENT;
    }
    if (message->json.found & JSON_FOUND_ERROR)
        message->errors = 1;
    json_begin(&message->json);
}

INLINE void http_end(struct http_message *message)
{
    if (message->format == HTTP_EVENTS || message->format == HTTP_LINES)
        http_event(message);
    word_clear(&message->json.word); // which may be the beginning of a text
    message->happened |= HTTP_ENDED;
    message->state = HTTP_START;
}

// --- The head ---

INLINE __u8 http_method_of(const struct word *word)
{
    if (word_is(word, "POST"))
        return WIRE_API_POST;
    if (word_is(word, "GET"))
        return WIRE_API_GET;
    if (word_is(word, "PUT"))
        return WIRE_API_PUT;
    if (word_is(word, "DELETE"))
        return WIRE_API_DELETE;
    if (word_is(word, "HEAD"))
        return WIRE_API_HEAD;
    if (word_is(word, "OPTIONS"))
        return WIRE_API_OPTIONS;
    if (word_is(word, "PATCH"))
        return WIRE_API_PATCH;
    return WIRE_API_METHOD_OTHER;
}

INLINE bool http_is_version(const struct word *word)
{
    return word_is(word, "HTTP/1.1") || word_is(word, "HTTP/1.0");
}

INLINE void http_first_line_1(struct http_message *message, __u8 byte)
{
    struct word *word = &message->word;
    if (byte != ' ') {
        if (word->length >= 8 || (!message->answer && (byte < 'A' || byte > 'Z')))
            http_fail(message);
        else
            word_add(word, byte);
        return;
    }
    message->state = HTTP_LINE_2;
    message->method = http_method_of(word);
    if (message->answer ? !http_is_version(word) : message->method == WIRE_API_METHOD_OTHER)
        http_fail(message);
    word_clear(word);
}

INLINE void http_path_byte(struct http_message *message, __u8 byte)
{
    __u64 *hashes = message->hashes;
    hashes[0] = http_hash(hashes[0], byte);
    if (byte == '/') {
        if (message->segment < 255)
            message->segment += 1;
        hashes[1] = http_hash(hashes[1], byte);
        hashes[2] = http_hash(hashes[2], byte);
        if (message->segment == 2)
            hashes[1] = http_hash(hashes[1], '*');
        if (message->segment == 3)
            hashes[2] = http_hash(hashes[2], '*');
        return;
    }
    if (message->segment != 2)
        hashes[1] = http_hash(hashes[1], byte);
    if (message->segment != 3)
        hashes[2] = http_hash(hashes[2], byte);
}

INLINE void http_first_line_2(struct http_message *message, __u8 byte)
{
    if (message->answer) {
        if (byte >= '0' && byte <= '9' && message->status < 1000)
            message->status = message->status * 10 + (byte - '0');
        else if (message->status < 100 || message->status > 999)
            http_fail(message);
        else
            message->state = byte == '\n' ? HTTP_NAME : HTTP_LINE_3;
        return;
    }
    if (byte == ' ' || byte == '\n') {
        message->happened |= HTTP_PATH;
        word_clear(&message->word);
        message->state = HTTP_LINE_3;
        if (byte == '\n')
            http_fail(message); // HTTP/0.9
        return;
    }
    // What follows a question mark is not part of the path; a word of one byte tells that there was one.
    if (byte == '?')
        message->word.length = 1;
    if (message->word.length == 0)
        http_path_byte(message, byte);
}

INLINE void http_first_line_3(struct http_message *message, __u8 byte)
{
    if (byte == '\r')
        return;
    if (byte != '\n') {
        if (!message->answer)
            word_add(&message->word, byte);
        return;
    }
    if (!message->answer && !http_is_version(&message->word))
        http_fail(message);
    else
        message->state = HTTP_NAME;
    word_clear(&message->word);
}

INLINE void http_header_begin(struct http_message *message)
{
    const struct word *word = &message->word;
    message->state = HTTP_VALUE;
    message->number = 0;
    if (word_is(word, "content-length"))
        message->header = HTTP_HEADER_LENGTH;
    else if (word_is(word, "transfer-encoding"))
        message->header = HTTP_HEADER_ENCODING;
    else if (word_is(word, "content-type"))
        message->header = HTTP_HEADER_TYPE;
    else if (word_is(word, "content-encoding"))
        message->header = HTTP_HEADER_PACKED;
    else if (word_is(word, "traceparent") && !message->answer)
        message->header = HTTP_HEADER_TRACE;
    else if (word_is(word, "server") && message->answer)
        message->header = HTTP_HEADER_SERVER;
    else
        message->state = HTTP_IGNORED;
    word_clear(&message->word);
}

INLINE void http_header_byte(struct http_message *message, __u8 byte)
{
    struct word *word = &message->word;
    __u32 length = word->length;
    if (byte == '\r' || ((byte == ' ' || byte == '\t') && length == 0))
        return;
    switch (message->header) {
    case HTTP_HEADER_LENGTH:
        if (byte >= '0' && byte <= '9' && message->number < (1ull << 56))
            message->number = message->number * 10 + (byte - '0');
        break;
    case HTTP_HEADER_TRACE:
        if (length < WIRE_API_TRACEPARENT_MAX - 1)
            message->traceparent[length] = byte;
        break;
    case HTTP_HEADER_SERVER:
        if (length < WIRE_API_SERVER_MAX - 1)
            message->server[length] = lower(byte);
        break;
    }
    word_add(word, lower(byte));
}

INLINE void http_header_end(struct http_message *message)
{
    const struct word *word = &message->word;
    switch (message->header) {
    case HTTP_HEADER_LENGTH:
        message->left = message->number;
        message->has_length = word->length > 0;
        break;
    case HTTP_HEADER_ENCODING: // "chunked", or "gzip, chunked"
        message->chunked = (word->tail & 0xffffffffffffff) == 0x6368756e6b6564;
        break;
    case HTTP_HEADER_TYPE:
        if (message->format == HTTP_OPAQUE && word->parts[0] == WORD_PART("text/eve", 0))
            message->format = HTTP_EVENTS;
        else if (message->format == HTTP_OPAQUE && word->parts[0] == WORD_PART("applicat", 0)) {
            if (word->parts[1] == WORD_PART("ion/x-nd", 0) || word->parts[1] == WORD_PART("ion/ndjs", 0))
                message->format = HTTP_LINES;
            else if (word->parts[1] == WORD_PART("ion/json", 0))
                message->format = HTTP_JSON;
        } else if (word->parts[0] == WORD_PART("multipar", 0)) {
            message->unseen = 1;
        }
        break;
    case HTTP_HEADER_PACKED: // compressed: nothing to be found in it
        if (!word_is(word, "identity"))
            message->unseen = 1;
        break;
    }
    word_clear(&message->word);
    message->state = HTTP_NAME;
}

INLINE void http_chunk_next(struct http_message *message)
{
    message->state = HTTP_CHUNK_SIZE;
    message->number = 0;
    message->has_length = 0; // no digit yet
}

INLINE void http_head_end(struct http_message *message)
{
    __u16 status = message->status;
    if (message->answer && status >= 100 && status < 200) {
        // An interim answer, and the real one follows; but 101 is another protocol from here on.
        message->state = HTTP_START;
        if (status == 101)
            http_fail(message);
        return;
    }
    message->happened |= HTTP_HEAD;
    if (!message->answer)
        message->format = HTTP_JSON; // whatever curl -d calls it
    if (message->unseen)
        message->format = HTTP_OPAQUE;
    word_clear(&message->word);
    word_clear(&message->json.word);
    message->number = 0;
    if (message->bodiless || status == 204 || status == 304)
        http_end(message);
    else if (message->chunked)
        http_chunk_next(message);
    else if (message->has_length && message->left)
        message->state = HTTP_BODY;
    else if (message->has_length || !message->answer)
        http_end(message);
    else
        message->state = HTTP_UNTIL_CLOSE;
}

INLINE void http_name_byte(struct http_message *message, __u8 byte)
{
    if (byte == '\r')
        return;
    byte = lower(byte);
    // No other letter begins a name that matters.
    if (message->word.length == 0 && byte != '\n' && byte != 'c' && byte != 't' && byte != 's')
        message->state = HTTP_IGNORED;
    else if (byte == ':')
        http_header_begin(message);
    else if (byte != '\n')
        word_add(&message->word, byte);
    else if (message->word.length == 0)
        http_head_end(message);
    else
        word_clear(&message->word); // a line without a colon
}

// --- The body ---

INLINE __u32 http_events_step(struct http_message *message, const __u8 *at, __u32 left)
{
    // Between two lines the JSON scanner has no word under way.
    struct word *word = &message->json.word;
    __u8 byte = *at;
    if (byte == '\n') {
        if (message->event_state == EVENT_NAME && word->length == 0)
            http_event(message);
        message->event_state = EVENT_NAME;
        word_clear(word);
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
        if (byte == ':') {
            message->event_state = word_is(word, "data") ? EVENT_DATA : EVENT_IGNORED;
            message->event_open |= message->event_state == EVENT_DATA;
        } else if (byte != '\r') {
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
    message->event_open = 1;
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
    if (message->format == HTTP_JSON && state == HTTP_BODY && message->scanned >= enough &&
        message->left > HTTP_TAIL_SCAN)
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
    http_advance(message, count);
}

INLINE void http_chunk_size_byte(struct http_message *message, __u8 byte)
{
    __u8 digit = lower(byte);
    if (digit >= '0' && digit <= '9')
        digit -= '0';
    else if (digit >= 'a' && digit <= 'f')
        digit -= 'a' - 10;
    else
        digit = 16;
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

INLINE void http_chunk_begin(struct http_message *message)
{
    message->left = message->number;
    message->state = message->left ? HTTP_CHUNK : HTTP_TRAILER;
    if (message->state == HTTP_TRAILER)
        word_clear(&message->word);
}

// --- All ---

// Consumes some of the `left` bytes, at least the first, and says how many.
INLINE __u32 http_step(struct http_message *message, const __u8 *at, __u32 left)
{
    __u8 byte = *at;
    __u32 used = 1;
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
    case HTTP_BODY:
    case HTTP_CHUNK:
    case HTTP_UNTIL_CLOSE:
        if (message->state != HTTP_UNTIL_CLOSE && message->left < left)
            left = message->left;
        used = http_body_step(message, at, left);
        message->scanned += used;
        http_advance(message, used);
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
