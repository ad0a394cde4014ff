// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// JSON that streams by, a step at a time: strings, escapes, structure. What is taken out of it is told by
// json_values.h.
#pragma once

#include "bpf/lib/json_values.h"

INLINE void json_character(struct json *json, __u32 code)
{
    if (code < 0x80) {
        json_text(json, code);
        return;
    }
    if (code < 0x800) {
        json_text(json, 0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            json_text(json, 0xe0 | code >> 12);
        } else {
            json_text(json, 0xf0 | code >> 18);
            json_text(json, 0x80 | (code >> 12 & 0x3f));
        }
        json_text(json, 0x80 | (code >> 6 & 0x3f));
    }
    json_text(json, 0x80 | (code & 0x3f));
}

#define JSON_UNKNOWN 0xfffd // shown for what is no character, as for what is no UTF-8

// The four digits of a \u are there.
INLINE void json_escaped_code(struct json *json)
{
    __u32 code = json->number & 0xffff;
    if (code >= 0xdc00 && code < 0xe000 && json->half && json->word.length == json->half_end) {
        json->word.length -= 3;
        json_character(json, 0x10000 + ((json->half & 0x3ffu) << 10) + (code & 0x3ff));
        json->half = 0;
        return;
    }
    bool half = code >= 0xd800 && code < 0xdc00;
    json_character(json, code == 0 || (code >= 0xd800 && code < 0xe000) ? JSON_UNKNOWN : code);
    json->half = half ? code : 0;
    json->half_end = json->word.length;
}

// A byte of an escape in a name; rare, so it need not be in line. False: it is no part of the escape.
OUTLINE bool json_escape_byte(struct json *json, __u8 byte)
{
    if (json->state == JSON_HEX) {
        __u8 digit = hex_digit(byte);
        if (digit > 15) {
            json_character(json, JSON_UNKNOWN);
            json->state = JSON_STRING;
            return false;
        }
        json->number = json->number << 4 | digit;
        json->hex_left -= 1;
        if (json->hex_left == 0) {
            json_escaped_code(json);
            json->state = JSON_STRING;
        }
        return true;
    }
    json->state = JSON_STRING;
    switch (byte) {
    case 'u':
        json->number = 0;
        json->hex_left = 4;
        json->state = JSON_HEX;
        break;
    case 'b':
        json_text(json, '\b');
        break;
    case 'f':
        json_text(json, '\f');
        break;
    case 'n':
        json_text(json, '\n');
        break;
    case 'r':
        json_text(json, '\r');
        break;
    case 't':
        json_text(json, '\t');
        break;
    case '/':
    case '"':
    case '\\':
        json_text(json, byte);
        break;
    default:
        json_character(json, JSON_UNKNOWN);
    }
    return true;
}

// The same for a name: one of up to 32 bytes is taken at once.
INLINE __u32 json_name_begin(struct json *json, const __u8 *at, __u32 left)
{
    __u32 length = 0;
    __u64 marks = marks_string_end(at + 1);
#define NEXT_EIGHT(n)                           \
    if (!marks) {                               \
        length = n;                             \
        marks = marks_string_end(at + 1 + (n)); \
    }
    NEXT_EIGHT(8)
    NEXT_EIGHT(16)
    NEXT_EIGHT(24)
#undef NEXT_EIGHT
    length += marks ? marks_first(marks) : 8;
    if (json->loose || !marks || length + 2 > left || at[1 + length] != '"')
        return 0;
    __u64 *model = (__u64 *)json->model;
    __u64 mask = (1ull << (8 * (length & 7))) - 1;
    model[0] = eight_at(at + 1) & (length < 8 ? mask : ~0ull);
    if (length >= 8)
        model[1] = eight_at(at + 9) & (length < 16 ? mask : ~0ull);
    if (length >= 16)
        model[2] = eight_at(at + 17) & (length < 24 ? mask : ~0ull);
    if (length >= 24)
        model[3] = eight_at(at + 25) & mask;
    json->word.length = length;
    json_string_value(json);
    json->key = JSON_KEY_NONE;
    json->state = JSON_CLOSED;
    return length + 2;
}

// A string that ends within the next bytes is taken at once, as most do; so is the beginning of one that is
// too long for a key. How many bytes, or 0.
INLINE __u32 json_string_begin(struct json *json, const __u8 *at, __u32 left)
{
    struct word *word = &json->word;
    if (json->key == JSON_KEY_MODEL)
        return json_name_begin(json, at, left);
    if (json->key == JSON_KEY_TYPE)
        return 0;
    __u32 length = 0;
    __u64 marks = marks_string_end(at + 1);
    if (!marks) {
        length = 8;
        marks = marks_string_end(at + 9);
    }
    if (!marks) {
        length = 16;
        marks = marks_string_end(at + 17);
    }
    if (!marks) {
        if (left < WORD_MAX + 1)
            return 0;
        word->parts[0] = eight_at(at + 1);
        word->parts[1] = eight_at(at + 9);
        word->parts[2] = eight_at(at + 17);
        word->length = WORD_MAX + 1;
        json->state = JSON_STRING;
        return WORD_MAX + 1;
    }
    length += marks_first(marks);
    if (length + 2 > left || at[1 + length] != '"')
        return 0;
    __u64 mask = (1ull << (8 * (length & 7))) - 1;
    word->parts[0] = length < 8 ? eight_at(at + 1) & mask : eight_at(at + 1);
    word->parts[1] = length < 8 ? 0 : length < 16 ? eight_at(at + 9) & mask : eight_at(at + 9);
    word->parts[2] = length < 16 ? 0 : eight_at(at + 17) & mask;
    word->length = length;
    if (json->key != JSON_KEY_NONE) {
        json_string_value(json);
        json->key = JSON_KEY_NONE;
    } else if (left > length + 2 && at[2 + length] == ':') {
        json->key = json_key_of(json);
        json->state = JSON_OUTSIDE;
        return length + 3;
    }
    json->state = JSON_CLOSED;
    return length + 2;
}

INLINE void json_open(struct json *json, __u8 byte)
{
    if (json->depth < 255)
        json->depth += 1;
    else
        json->values = 0; // too deep to know any more where a name or a number belongs
    if (json->key == JSON_KEY_USAGE && byte == '{')
        json->usage_depth = json->depth;
    json->error_open = json->key == JSON_KEY_ERROR;
}

INLINE void json_close(struct json *json)
{
    if (json->usage_depth == json->depth)
        json->usage_depth = 0;
    if (json->depth > 0)
        json->depth -= 1;
    else
        json->values = 0;
}

INLINE __u32 json_outside(struct json *json, const __u8 *at, __u32 left)
{
    __u8 byte = *at;
    __u32 before = 0;
    json->state = JSON_OUTSIDE;
    // An empty object or list is no error.
    if (json->error_open && byte > ' ') {
        json->error_open = 0;
        if (byte != '}' && byte != ']')
            json->found |= JSON_FOUND_ERROR | JSON_FOUND_OTHER;
    }
    if (byte == ',' || byte == '{' || byte == '[' || byte == '}' || byte == ']') {
        if (byte == '{' || byte == '[')
            json_open(json, byte);
        else if (byte != ',')
            json_close(json);
        json->key = JSON_KEY_NONE;
        if (left == 1 || at[1] != '"' || json->error_open)
            return 1;
        // The string that follows, which it mostly is, along with it.
        before = 1;
        byte = '"';
    }
    if (byte == '"') { // a key, or the value of json->key
        __u32 used = json_string_begin(json, at + before, left - before);
        if (used)
            return before + used;
        word_clear(&json->word);
        json->state = JSON_STRING;
        return before + 1;
    }
    if (json->key == JSON_KEY_NONE && !json->error_open)
        return MARKLESS_RUN(marks_structure, at, left);
    if (byte == 't' && json->key == JSON_KEY_STREAM)
        *(json->loose ? &json->late_found : &json->found) |= JSON_FOUND_STREAM;
    bool digit = byte >= '0' && byte <= '9';
    if ((digit || byte == '-') && json_is_number(json->key)) {
        json->number = digit ? byte - '0' : 0;
        json->number_broken = !digit;
        json->state = JSON_NUMBER;
    }
    return 1;
}

// After a quote that was taken for a closing one comes what does not follow a string: it opened one instead.
INLINE void json_turn(struct json *json, __u8 byte)
{
    word_clear(&json->word);
    json->state = JSON_STRING;
    if (byte == '\\')
        json->state = JSON_ESCAPE;
    else if (byte == '"')
        json->state = JSON_CLOSED;
    else
        json_text(json, byte);
}

// Consumes some of the `left` bytes, at least the first, and says how many.
INLINE __u32 json_step(struct json *json, const __u8 *at, __u32 left)
{
    __u8 byte = *at;
    switch (json->state) {
    case JSON_HEX:
        if (json_escape_byte(json, byte))
            return 1;
        __attribute__((fallthrough));
    case JSON_STRING:
        if (byte == '"') {
            json_string_value(json);
            // After a value no colon comes, so nothing takes it for a key.
            json->key = JSON_KEY_NONE;
            json->state = JSON_CLOSED;
            return 1;
        }
        if (byte == '\\') {
            json->state = JSON_ESCAPE;
            return 1;
        }
        if (json->word.length > WORD_MAX && json->key != JSON_KEY_MODEL && json->key != JSON_KEY_TYPE)
            return MARKLESS_RUN(marks_string_end, at, left);
        json_text(json, byte);
        return 1;
    case JSON_ESCAPE:
        if (json->key == JSON_KEY_MODEL) {
            json_escape_byte(json, byte);
            return 1;
        }
        // What else can follow stands for a character that no key has.
        json_text(json, byte == '/' || byte == '"' || byte == '\\' ? byte : '?');
        json->state = JSON_STRING;
        return 1;
    case JSON_CLOSED:
        if (byte == ':') {
            json->key = json_key_of(json);
            json->state = JSON_OUTSIDE;
            return 1;
        }
        if (byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n')
            return 1;
        if (json->loose && byte != ',' && byte != '}' && byte != ']') {
            json_turn(json, byte);
            return 1;
        }
        break;
    case JSON_NUMBER:
        if (byte >= '0' && byte <= '9') {
            if (json->number < 0xffffffff)
                json->number = json->number * 10 + (byte - '0');
            return 1;
        }
        if (byte == '.' || byte == 'e' || byte == 'E' || byte == '+' || byte == '-') {
            json->number_broken = 1;
            return 1;
        }
        json_number_end(json);
        break;
    case JSON_DEAF:
        return MARKLESS_RUN(marks_line_end, at, left);
    }
    return json_outside(json, at, left);
}

// Between two lines of one text.
INLINE void json_line_end(struct json *json)
{
    if (json->state == JSON_NUMBER) {
        json_number_end(json);
        json->state = JSON_OUTSIDE;
    } else if (json->state == JSON_STRING || json->state == JSON_ESCAPE || json->state == JSON_HEX) {
        json->state = JSON_DEAF; // no string goes over a line's end
    }
}

// The text that is counted as a token: generated, and not a summary of what was streamed already.
INLINE bool json_has_content(const struct json *json)
{
    return (json->found & (JSON_FOUND_TEXT | JSON_FOUND_OTHER)) == JSON_FOUND_TEXT;
}
