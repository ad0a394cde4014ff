// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// The head of an HTTP/1.x message: its first line and those headers that matter.
#pragma once

#include "bpf/lib/http_message.h"

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
    message->number_over = message->blank = 0;
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
    if (byte == '\r')
        return;
    if (byte == ' ' || byte == '\t') {
        if (length == 0)
            return;
        if (message->header == HTTP_HEADER_ENCODING || message->header == HTTP_HEADER_PACKED) {
            // Blanks at the end are no part of the value; those between two words are told by one.
            message->blank = 1;
            return;
        }
    } else if (message->blank) {
        message->blank = 0;
        word_add(word, ' ');
    }
    switch (message->header) {
    case HTTP_HEADER_LENGTH:
        // The number ends at the first byte that is no digit: a list says it more than once.
        if (byte < '0' || byte > '9')
            message->number_over = 1;
        else if (!message->number_over && message->number < (1ull << 56))
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

INLINE void http_chunk_begin(struct http_message *message)
{
    message->left = message->number;
    message->state = message->left ? HTTP_CHUNK : HTTP_TRAILER;
    if (message->state == HTTP_TRAILER)
        word_clear(&message->word);
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
