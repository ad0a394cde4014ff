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
    if (byte == '/' || byte == ':') {
        hashes[4] = hashes[3];
        hashes[3] = HTTP_HASH_TAIL;
    }
    hashes[3] = http_hash(hashes[3], byte);
    hashes[4] = http_hash(hashes[4], byte);
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

INLINE void http_name_add(struct http_message *message, __u8 byte)
{
    __u32 length = message->name_length;
    if (length < WIRE_API_MODEL_MAX) {
        message->json.model[length] = byte;
        message->name_length = length + 1;
    } else {
        message->json.found |= JSON_FOUND_LONG_MODEL;
    }
}

// Keeps the name of a model: the segment behind one that is called so.
INLINE void http_naming_byte(struct http_message *message, __u8 byte)
{
    struct word *word = &message->word;
    if (byte == '/') {
        bool named = word_is(word, "models") || word_is(word, "model") || word_is(word, "deployments") ||
                     word_is(word, "tunedModels") || word_is(word, "predictions");
        word_clear(word);
        message->naming = named ? NAMING_MODEL : NAMING_NOTHING;
        if (named) {
            message->name_length = message->name_colon = 0;
            __builtin_memset(message->json.model, 0, sizeof(message->json.model)); // nothing of another name
        }
        return;
    }
    __u8 digit = hex_digit(byte);
    switch (message->naming) {
    case NAMING_NOTHING:
        word_add(word, byte);
        break;
    case NAMING_MODEL:
        if (byte == ':')
            message->name_colon = message->name_length;
        if (byte == '%')
            message->naming = NAMING_ESCAPE_1;
        else
            http_name_add(message, byte);
        break;
    case NAMING_ESCAPE_1:
        message->number = digit;
        message->naming = NAMING_ESCAPE_2;
        break;
    case NAMING_ESCAPE_2:
        // Neither what is no number nor a control character.
        digit = message->number < 16 && digit < 16 ? message->number << 4 | digit : 0;
        http_name_add(message, digit > ' ' && digit != 0x7f ? digit : '?');
        message->naming = NAMING_MODEL;
        break;
    }
}

// In ….:generateContent the colon ends the name.
INLINE void http_naming_end(struct http_message *message)
{
    if (message->naming != NAMING_NOTHING && message->name_colon)
        message->name_length = message->name_colon;
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
        if (!message->query)
            http_naming_end(message);
        word_clear(&message->word);
        message->state = HTTP_LINE_3;
        if (byte == '\n')
            http_fail(message); // HTTP/0.9
        return;
    }
    if (message->query)
        return;
    if (byte == '?') {
        message->query = 1;
        http_naming_end(message);
        return;
    }
    http_path_byte(message, byte);
    http_naming_byte(message, byte);
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
    else if (word_is(word, "traceparent") && !message->answer) {
        message->header = HTTP_HEADER_TRACE;
        __builtin_memset(message->traceparent, 0, sizeof(message->traceparent));
    } else if (word_is(word, "server") && message->answer) {
        // Of several the last, and nothing of those before behind it.
        message->header = HTTP_HEADER_SERVER;
        __builtin_memset(message->server, 0, sizeof(message->server));
    } else if (word_is(word, "host") && message->host_state == HOST_NONE) {
        message->header = HTTP_HEADER_HOST;
        http_host_clear(message);
    } else if (word_is(word, "x-amzn-bedrock-input-token-count") && message->values)
        message->header = HTTP_HEADER_INPUT;
    else if (word_is(word, "x-amzn-bedrock-output-token-count") && message->values)
        message->header = HTTP_HEADER_OUTPUT;
    else
        message->state = HTTP_IGNORED;
    word_clear(&message->word);
}

// Only what a host's name or address consists of is kept.
INLINE void http_host_byte(struct http_message *message, __u8 byte)
{
    bool blank = byte == ' ' || byte == '\t';
    bool digit = byte >= '0' && byte <= '9';
    __u32 length = message->host_length;
    byte = lower(byte);
    switch (message->host_state) {
    case HOST_NONE:
        message->host_state = byte == '[' ? HOST_BRACKET : HOST_NAME;
        break;
    case HOST_NAME:
        if (byte == ':' || blank) {
            message->host_state = blank ? HOST_BLANK : HOST_PORT;
            return;
        }
        break;
    case HOST_PORT:
        if (blank)
            message->host_state = HOST_BLANK;
        else if (digit && message->number < 6553)
            message->number = message->number * 10 + (byte - '0');
        else if (digit && message->number == 6553 && byte <= '5')
            message->number = 65530 + (byte - '0');
        else
            message->host_state = HOST_WRONG;
        return;
    case HOST_BLANK:
        if (!blank)
            message->host_state = HOST_WRONG;
        return;
    }
    if (byte == ']' && message->host_state == HOST_BRACKET)
        message->host_state = HOST_NAME;
    else if (!digit && !(byte >= 'a' && byte <= 'z') && byte != '.' && byte != '-' && byte != '_' &&
             !(byte == ':' && message->host_state == HOST_BRACKET) && !(byte == '[' && length == 0))
        message->host_state = HOST_WRONG;
    // What tells a provider is a name's end, so one that does not fit is of no use.
    if (length >= WIRE_API_HOST_MAX - 1) {
        message->host_state = HOST_WRONG;
        return;
    }
    message->host[length] = byte;
    message->host_length = length + 1;
}

INLINE void http_host_end(struct http_message *message)
{
    bool whole = message->host_state == HOST_NAME || message->host_state == HOST_PORT ||
                 message->host_state == HOST_BLANK;
    if (whole)
        message->host_port = message->number;
    else
        http_host_clear(message);
    message->host_state = HOST_KNOWN;
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
    case HTTP_HEADER_HOST:
        http_host_byte(message, byte);
        break;
    case HTTP_HEADER_INPUT:
    case HTTP_HEADER_OUTPUT:
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
            message->unseen = message->packed = 1;
        break;
    case HTTP_HEADER_HOST:
        http_host_end(message);
        break;
    case HTTP_HEADER_INPUT:
        json_tell(&message->json, JSON_KEY_INPUT, message->number);
        break;
    case HTTP_HEADER_OUTPUT:
        json_tell(&message->json, JSON_KEY_OUTPUT, message->number);
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
    if (message->client && message->host_state == HOST_NONE)
        http_host_clear(message);
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
    // No other letter begins a name that matters, at a client's end one more.
    __u8 another = !message->client ? 's' : message->answer ? 'x' : 'h';
    if (message->word.length == 0 && byte != '\n' && byte != 'c' && byte != 't' && byte != 's' &&
        byte != another)
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
