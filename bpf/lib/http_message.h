// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What is known of an HTTP/1.x message while it passes by.
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
    HTTP_CHUNK,
    HTTP_UNTIL_CLOSE,
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK_REST, // of the size's line
    HTTP_CHUNK_END,  // the line end behind it
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
    HTTP_UNREAD = 1 << 6, // failed because bytes could not be read that were needed
    HTTP_EVENT = 1 << 7,  // the first event of a stream
};

enum http_header {
    HTTP_HEADER_LENGTH,
    HTTP_HEADER_ENCODING,
    HTTP_HEADER_TYPE,
    HTTP_HEADER_PACKED,
    HTTP_HEADER_TRACE,
    HTTP_HEADER_SERVER,
    HTTP_HEADER_HOST,
    HTTP_HEADER_INPUT, // tokens, as Bedrock tells them beside bodies of any shape
    HTTP_HEADER_OUTPUT,
};

// Where the path is, as far as it names the model.
enum http_naming {
    NAMING_NOTHING,
    NAMING_MODEL,
    NAMING_ESCAPE_1, // in a %, two digits
    NAMING_ESCAPE_2,
};

// Where the Host header is.
enum http_host {
    HOST_NONE,
    HOST_NAME,
    HOST_BRACKET, // inside of an IPv6 address
    HOST_PORT,
    HOST_BLANK, // nothing may follow
    HOST_WRONG,
    HOST_KNOWN, // whole; a second one is ignored
};

enum http_format { HTTP_OPAQUE, HTTP_JSON, HTTP_EVENTS, HTTP_LINES };

enum http_event_state { EVENT_NAME, EVENT_DATA, EVENT_IGNORED, EVENT_AFTER_CR };

// Of a body of known length that is longer, only these first and last bytes are looked at; fewer of the first
// where they held the model's name.
#ifndef HTTP_HEAD_SCAN // a test may come to the end of it sooner
#define HTTP_HEAD_SCAN 16384
#define HTTP_HEAD_SCAN_NAMED 2048
#define HTTP_TAIL_SCAN 4096
#endif

// Of the path: as it is, and with its second or third segment taken for any. Where a client calls, something
// may also stand before a path that is known, so there are two more, of what follows the last and the last
// but one of its slashes and colons.
#define HTTP_HASHES_SERVER 3
#define HTTP_HASHES 5
#define HTTP_HASH_START 0xcbf29ce484222325ull
#define HTTP_HASH_TAIL 0x84222325cbf29ce4ull // where the latter start

INLINE __u64 http_hash(__u64 hash, __u8 byte)
{
    return (hash ^ byte) * 0x100000001b3ull; // FNV-1a
}

#define HTTP_PART_MAX 256

// What stands in an event before its text, or behind; see http_parts.h.
struct http_part {
    __u64 hash;
    __u64 from; // where it began, as http_message.scanned
    __u16 length;
    __u8 known;  // the bytes of that hash leave the scanner in the state below
    __u8 hashed; // the hash is that of the part that is open
    __u8 open;
    __u8 depth_before, usage_before, found_before, model_before;
    __u8 depth, usage_depth, state, key, found;
    __u8 reserved[2];
};

enum http_parts_state {
    PARTS_NONE,
    PARTS_START, // of an event's data
    PARTS_HEAD,  // the first part is under way
    PARTS_TEXT,
    PARTS_TAIL,
};

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
    __u8 event_open;  // data has come since the last event
    __u8 errors;      // an event held an error
    __u8 unseen;      // bytes were passed over that should have been looked at
    __u8 number_over; // the number in a header has ended
    __u8 blank;       // blanks in a header that something may follow
    __u8 client;      // seen at the client's end; set once
    __u8 query;       // of the request's target, behind the path
    __u8 packed;      // the body is compressed
    __u8 naming;      // enum http_naming
    __u8 name_length; // of the model's name in the path, which lies at json.model until the body begins
    __u8 name_colon;  // that before the last colon in it
    __u8 host_length;
    __u8 host_state; // enum http_host
    __u16 host_port;
    char traceparent[WIRE_API_TRACEPARENT_MAX];
    char server[WIRE_API_SERVER_MAX] __attribute__((aligned(8)));
    char host[WIRE_API_HOST_MAX]; // the latest
    struct json json;
    __u64 line_hash; // of the request's first line
    __u64 run;       // how many bytes of those at hand are done
    __u8 line_known; // that line was good, and what it says is kept above
    __u8 parts_state;
    __u8 padding[6];
    struct http_part parts[2]; // of events
};

INLINE void http_begin(struct http_message *message)
{
    word_clear(&message->word);
    message->left = message->number = message->bytes = message->scanned = 0;
    message->hashes[0] = message->hashes[1] = message->hashes[2] = HTTP_HASH_START;
    message->hashes[3] = message->hashes[4] = 0;
    message->query = message->packed = 0;
    message->naming = message->name_length = message->name_colon = 0;
    message->host_length = message->host_state = 0;
    message->events = message->content_events = 0;
    message->status = 0;
    message->method = 0;
    message->segment = 0;
    message->chunked = message->has_length = message->format = message->bodiless = 0;
    message->event_state = message->event_open = message->errors = message->unseen = 0;
    __builtin_memset(message->traceparent, 0, sizeof(message->traceparent));
    __builtin_memset(message->server, 0, sizeof(message->server));
    message->json.found = 0;
    message->json.told = 0;
    message->json.model_length = 0;
    message->json.late_depth = message->json.late_length = 0;
    message->json.answer = message->answer;
    message->json.values = message->values;
    json_begin(&message->json);
    message->parts_state = PARTS_NONE;
    message->parts[0].length = message->parts[1].length = 0;
    message->happened |= HTTP_BEGUN;
    message->state = HTTP_LINE_1;
}

INLINE void http_host_clear(struct http_message *message)
{
    __builtin_memset(message->host, 0, sizeof(message->host));
    message->host_port = 0;
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
    if (message->events == 0)
        message->happened |= HTTP_EVENT;
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
