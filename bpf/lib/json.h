// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Picks a few values out of JSON text that streams by, and keeps nothing else of it: names of models, numbers
// of tokens, whether there is generated text. An invalid text gives wrong values, never more than these.
#pragma once

#include "bpf/lib/scan.h"
#include "wire/api.h"

enum json_state {
    JSON_OUTSIDE,
    JSON_STRING,
    JSON_ESCAPE,
    JSON_CLOSED, // after a string that may be a key
    JSON_NUMBER,
};

enum json_key {
    JSON_KEY_NONE,
    JSON_KEY_MODEL,
    JSON_KEY_STREAM,
    JSON_KEY_USAGE,
    JSON_KEY_INPUT,
    JSON_KEY_OUTPUT,
    JSON_KEY_TEXT,
    JSON_KEY_TYPE,
    JSON_KEY_ERROR,
};

enum json_found {
    JSON_FOUND_STREAM = 1 << 0, // "stream": true
    JSON_FOUND_INPUT = 1 << 1,
    JSON_FOUND_OUTPUT = 1 << 2,
    JSON_FOUND_TEXT = 1 << 3,  // generated text that is not empty
    JSON_FOUND_OTHER = 1 << 4, // a "response.…" event (OpenAI's Responses) that is no delta, or an error
    JSON_FOUND_ERROR = 1 << 5,
    JSON_FOUND_LONG_MODEL = 1 << 6, // the name did not fit
};

struct json {
    struct word word; // the string under way
    __u64 number;     // the number under way
    __u8 state;
    __u8 key; // whose value comes next or is under way
    __u8 depth;
    __u8 usage_depth; // inside of "usage"; 0: not
    __u8 answer;      // 0: a request
    __u8 values;      // 0: no model and no numbers are taken
    __u8 loose;       // began in the middle: the depth is not known
    __u8 found;
    __u32 input_tokens;
    __u32 output_tokens;
    __u8 model_length;
    __u8 late_length; // of a name behind a gap, of which it is not known yet whose it is
    __u8 late_depth;
    __u8 late_long;
    __u8 error_open;    // the value of "error" has just begun
    __u8 number_broken; // the number under way is none of tokens
    __u8 reserved[2];
    char model[WIRE_API_MODEL_MAX] __attribute__((aligned(8)));
    char late_model[WIRE_API_MODEL_MAX];
};

// A new text, of which there may be many that add to the same values (server-sent events).
INLINE void json_begin(struct json *json)
{
    json->state = JSON_OUTSIDE;
    json->key = JSON_KEY_NONE;
    json->depth = 0;
    json->usage_depth = 0;
    json->error_open = 0;
    json->loose = 0;
    json->found &= ~(JSON_FOUND_TEXT | JSON_FOUND_OTHER);
}

// Goes on after a gap, most likely in the middle of a long string. Where that is wrong, it shows at the next
// string: text follows what was taken for a closing quote.
INLINE void json_resume(struct json *json)
{
    json_begin(json);
    json->loose = 1;
    json->depth = 128;
    json->late_length = 0;
    json->state = JSON_STRING;
    json->word.length = WORD_MAX + 1;
}

// Where the text has ended, no bracket is open: only then it shows that a name behind a gap was one of the
// outermost object, and not of what a client passes on inside of a prompt.
INLINE bool json_late_is_outermost(const struct json *json)
{
    return json->loose && json->values && json->late_length && json->state == JSON_OUTSIDE &&
           json->late_depth == json->depth + 1;
}

// A name that comes now would be taken: the last of the outermost ones counts, as for the usual parsers.
INLINE bool json_model_begin(struct json *json)
{
    if (json->loose) {
        if (json->late_length && json->late_depth < json->depth)
            return false;
        json->late_length = 0;
        json->late_depth = json->depth;
        return true;
    }
    if (json->answer ? json->depth > 2 || json->model_length : json->depth != 1)
        return false;
    json->model_length = 0;
    return true;
}

// Any depth where it is not known.
INLINE bool json_depth_is(const struct json *json, __u8 depth)
{
    return json->loose || json->depth == depth;
}

INLINE __u8 json_key_of_request(const struct json *json)
{
    const struct word *word = &json->word;
    if (word_is(word, "model"))
        return JSON_KEY_MODEL;
    if (!json_depth_is(json, 1))
        return JSON_KEY_NONE;
    return word_is(word, "stream") ? JSON_KEY_STREAM : JSON_KEY_NONE;
}

INLINE __u8 json_key_of_answer(const struct json *json)
{
    const struct word *word = &json->word;
    bool in_usage = json->usage_depth && json->depth == json->usage_depth;
    switch (word->length) {
    case 4:
        if (word_is(word, "text"))
            return JSON_KEY_TEXT;
        return word_is(word, "type") && json->depth == 1 ? JSON_KEY_TYPE : JSON_KEY_NONE;
    case 5:
        if (word_is(word, "delta"))
            return JSON_KEY_TEXT;
        if (word_is(word, "usage"))
            return JSON_KEY_USAGE;
        if (word_is(word, "error"))
            return json->depth == 1 ? JSON_KEY_ERROR : JSON_KEY_NONE;
        return word_is(word, "model") ? JSON_KEY_MODEL : JSON_KEY_NONE;
    case 7:
        return word_is(word, "content") ? JSON_KEY_TEXT : JSON_KEY_NONE;
    case 8:
        return word_is(word, "thinking") || (word_is(word, "response") && json->depth == 1) ? JSON_KEY_TEXT
                                                                                            : JSON_KEY_NONE;
    case 9:
        if (word_is(word, "meta_info"))
            return JSON_KEY_USAGE;
        return word_is(word, "reasoning") || word_is(word, "arguments") ? JSON_KEY_TEXT : JSON_KEY_NONE;
    case 10:
        return word_is(word, "eval_count") && json_depth_is(json, 1) ? JSON_KEY_OUTPUT : JSON_KEY_NONE;
    case 11:
        return word_is(word, "text_output") && json->depth == 1 ? JSON_KEY_TEXT : JSON_KEY_NONE;
    case 12:
        if (word_is(word, "partial_json"))
            return JSON_KEY_TEXT;
        return word_is(word, "input_tokens") && in_usage ? JSON_KEY_INPUT : JSON_KEY_NONE;
    case 13:
        if (word_is(word, "prompt_tokens") && in_usage)
            return JSON_KEY_INPUT;
        return word_is(word, "output_tokens") && in_usage ? JSON_KEY_OUTPUT : JSON_KEY_NONE;
    case 16:
        if (word_is(word, "tokens_evaluated") && json_depth_is(json, 1))
            return JSON_KEY_INPUT;
        return word_is(word, "tokens_predicted") && json_depth_is(json, 1) ? JSON_KEY_OUTPUT : JSON_KEY_NONE;
    case 17:
        if (word_is(word, "reasoning_content"))
            return JSON_KEY_TEXT;
        if (word_is(word, "prompt_eval_count") && json_depth_is(json, 1))
            return JSON_KEY_INPUT;
        return word_is(word, "completion_tokens") && in_usage ? JSON_KEY_OUTPUT : JSON_KEY_NONE;
    }
    return JSON_KEY_NONE;
}

INLINE __u8 json_key_of(struct json *json)
{
    __u8 key = json->answer ? json_key_of_answer(json) : json_key_of_request(json);
    if (key == JSON_KEY_MODEL && json->values && !json_model_begin(json))
        return JSON_KEY_NONE;
    return json->values || key >= JSON_KEY_TEXT ? key : JSON_KEY_NONE;
}

INLINE void json_model_value(struct json *json)
{
    __u32 length = json->word.length;
    __u8 is_long = length > WIRE_API_MODEL_MAX;
    if (is_long)
        length = WIRE_API_MODEL_MAX;
    if (json->loose) {
        json->late_length = length;
        json->late_long = is_long;
        return;
    }
    json->model_length = length;
    json->found &= ~JSON_FOUND_LONG_MODEL;
    if (is_long)
        json->found |= JSON_FOUND_LONG_MODEL;
}

// A string has ended that is the value of json->key.
INLINE void json_string_value(struct json *json)
{
    const struct word *word = &json->word;
    switch (json->key) {
    case JSON_KEY_TEXT:
        if (word->length)
            json->found |= JSON_FOUND_TEXT;
        break;
    case JSON_KEY_TYPE:
        if (word_starts(word, "respons") && (word->tail & 0xffffffffff) != 0x64656c7461) // "delta"
            json->found |= JSON_FOUND_OTHER;
        break;
    case JSON_KEY_ERROR:
        if (word->length)
            json->found |= JSON_FOUND_ERROR | JSON_FOUND_OTHER;
        break;
    case JSON_KEY_MODEL:
        json_model_value(json);
        break;
    }
}

INLINE void json_text(struct json *json, __u8 byte)
{
    __u32 length = json->word.length;
    if (json->key == JSON_KEY_MODEL && length < WIRE_API_MODEL_MAX) {
        if (json->loose)
            json->late_model[length] = byte;
        else
            json->model[length] = byte;
    }
    word_add(&json->word, byte);
}

INLINE void json_number_end(struct json *json)
{
    if (json->number_broken)
        json->key = JSON_KEY_NONE;
    __u64 number = json->number < 0xffffffff ? json->number : 0xffffffff;
    if (json->key == JSON_KEY_INPUT) {
        json->input_tokens = number;
        json->found |= JSON_FOUND_INPUT;
    } else if (json->key == JSON_KEY_OUTPUT) {
        json->output_tokens = number;
        json->found |= JSON_FOUND_OUTPUT;
    }
    json->key = JSON_KEY_NONE;
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
        json->found |= JSON_FOUND_STREAM;
    bool digit = byte >= '0' && byte <= '9';
    if ((digit || byte == '-') && (json->key == JSON_KEY_INPUT || json->key == JSON_KEY_OUTPUT)) {
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
        // What else can follow stands for a character that no key and hardly a name has.
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
    }
    return json_outside(json, at, left);
}

// The text that is counted as a token: generated, and not a summary of what was streamed already.
INLINE bool json_has_content(const struct json *json)
{
    return (json->found & (JSON_FOUND_TEXT | JSON_FOUND_OTHER)) == JSON_FOUND_TEXT;
}
