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
    JSON_HEX,    // the digits of a \u in a name
    JSON_CLOSED, // after a string that may be a key
    JSON_NUMBER,
    JSON_DEAF, // until the next text
};

enum json_key {
    JSON_KEY_NONE,
    JSON_KEY_MODEL,
    JSON_KEY_STREAM,
    JSON_KEY_USAGE,
    JSON_KEY_INPUT,        // all tokens of the prompt
    JSON_KEY_INPUT_BESIDE, // those but for the two that follow
    JSON_KEY_INPUT_READ,   // from a cache
    JSON_KEY_INPUT_WRITTEN,
    JSON_KEY_OUTPUT,
    JSON_KEY_OUTPUT_BESIDE, // more of them
    JSON_KEY_TEXT,
    JSON_KEY_TYPE,
    JSON_KEY_ERROR,
};

enum json_found {
    JSON_FOUND_STREAM = 1 << 0, // "stream": true
    JSON_FOUND_TEXT = 1 << 3,   // generated text that is not empty
    JSON_FOUND_OTHER = 1 << 4,  // a "response.…" event (OpenAI's Responses) that is no delta, or an error
    JSON_FOUND_ERROR = 1 << 5,
    JSON_FOUND_LONG_MODEL = 1 << 6, // the name did not fit
};

struct json {
    struct word word; // the string under way
    __u64 number;     // the number under way, or the character of a \u
    __u8 state;
    __u8 key; // whose value comes next or is under way
    __u8 depth;
    __u8 usage_depth; // inside of "usage"; 0: not
    __u8 answer;      // 0: a request
    __u8 values;      // 0: no model and no numbers are taken
    __u8 loose;       // began in the middle: the depth is not known
    __u8 found;
    __u32 tokens[8]; // by key, from JSON_KEY_INPUT on; the latest of each
    __u8 told;       // which of them
    __u8 model_length;
    __u8 error_open;    // the value of "error" has just begun
    __u8 number_broken; // the number under way is none of tokens
    __u8 hex_left;      // digits that a \u still has
    __u16 half;         // the first half of a surrogate pair, which ended where the name
    __u16 half_end;     // had this length; U+FFFD stands for it so far
    // What was found behind a gap at the outermost depth where anything was: it is not known yet whose it is.
    __u8 late_depth; // 0: nothing
    __u8 late_length;
    __u8 late_long;
    __u8 late_found;
    __u8 late_told;
    __u8 reserved[3];
    __u32 late_tokens[8]; // as `tokens`
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
    json->late_depth = json->late_length = json->late_found = json->late_told = 0;
    json->state = JSON_STRING;
    json->word.length = WORD_MAX + 1;
}

// Where the text has ended, no bracket is open: only then it shows that what was found behind a gap was of
// the outermost object, and not of what a client or a model passes on inside of it. (Inside of a string the
// keys' quotes would be escaped.)
INLINE bool json_late_is_outermost(const struct json *json)
{
    return json->loose && json->values && json->late_depth && json->state == JSON_OUTSIDE &&
           json->late_depth == json->depth + 1;
}

// Whether a key behind a gap can be one of the outermost object, as far as is known: what was found deeper
// was not.
INLINE bool json_claim(struct json *json, __u8 depth)
{
    if (json->late_depth && depth > json->late_depth)
        return false;
    if (depth != json->late_depth)
        json->late_length = json->late_found = json->late_told = 0;
    json->late_depth = depth;
    return true;
}

// A name that comes now would be taken: the last of the outermost ones counts, as for the usual parsers.
INLINE bool json_model_begin(struct json *json)
{
    json->half = 0;
    if (json->loose) {
        if (!json_claim(json, json->depth))
            return false;
        json->late_length = 0;
        __builtin_memset(json->late_model, 0, sizeof(json->late_model));
        return true;
    }
    if (json->answer ? json->depth > 2 || json->model_length : json->depth != 1)
        return false;
    json->model_length = 0;
    __builtin_memset(json->model, 0, sizeof(json->model));
    return true;
}

// "usage" stands beside the answer's other values, or in the object that an event is about.
#define JSON_USAGE_DEPTH 2

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

// Numbers of tokens are told in no deeper objects.
INLINE __u8 json_usage_key(const struct json *json)
{
    return json->loose || json->depth <= JSON_USAGE_DEPTH ? JSON_KEY_USAGE : JSON_KEY_NONE;
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
            return json_usage_key(json);
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
            return json_usage_key(json);
        return word_is(word, "reasoning") || word_is(word, "arguments") ? JSON_KEY_TEXT : JSON_KEY_NONE;
    case 10:
        return word_is(word, "eval_count") && json_depth_is(json, 1) ? JSON_KEY_OUTPUT : JSON_KEY_NONE;
    case 11:
        if (word_is(word, "inputTokens"))
            return in_usage ? JSON_KEY_INPUT_BESIDE : JSON_KEY_NONE;
        return word_is(word, "text_output") && json->depth == 1 ? JSON_KEY_TEXT : JSON_KEY_NONE;
    case 12:
        if (word_is(word, "partial_json"))
            return JSON_KEY_TEXT;
        if (word_is(word, "outputTokens"))
            return in_usage ? JSON_KEY_OUTPUT : JSON_KEY_NONE;
        if (word_is(word, "billed_units")) // of what Cohere has counted, what it bills
            return in_usage ? JSON_KEY_USAGE : JSON_KEY_NONE;
        if (word_is(word, "modelVersion"))
            return JSON_KEY_MODEL;
        return word_is(word, "input_tokens") && in_usage ? JSON_KEY_INPUT_BESIDE : JSON_KEY_NONE;
    case 13:
        if (word_is(word, "usageMetadata"))
            return json_usage_key(json);
        if (word_is(word, "prompt_tokens") && in_usage)
            return JSON_KEY_INPUT;
        return word_is(word, "output_tokens") && in_usage ? JSON_KEY_OUTPUT : JSON_KEY_NONE;
    case 16:
        if (word_is(word, "promptTokenCount"))
            return in_usage ? JSON_KEY_INPUT : JSON_KEY_NONE;
        if (word_is(word, "tokens_evaluated") && json_depth_is(json, 1))
            return JSON_KEY_INPUT;
        return word_is(word, "tokens_predicted") && json_depth_is(json, 1) ? JSON_KEY_OUTPUT : JSON_KEY_NONE;
    case 17:
        if (word_is(word, "reasoning_content"))
            return JSON_KEY_TEXT;
        if (word_is(word, "prompt_eval_count") && json_depth_is(json, 1))
            return JSON_KEY_INPUT;
        return word_is(word, "completion_tokens") && in_usage ? JSON_KEY_OUTPUT : JSON_KEY_NONE;
    case 18:
        return word_is(word, "thoughtsTokenCount") && in_usage ? JSON_KEY_OUTPUT_BESIDE : JSON_KEY_NONE;
    case 20:
        if (word_is(word, "candidatesTokenCount"))
            return in_usage ? JSON_KEY_OUTPUT : JSON_KEY_NONE;
        return word_is(word, "cacheReadInputTokens") && in_usage ? JSON_KEY_INPUT_READ : JSON_KEY_NONE;
    case 21:
        return word_is(word, "cacheWriteInputTokens") && in_usage ? JSON_KEY_INPUT_WRITTEN : JSON_KEY_NONE;
    case 23:
        return word_is(word, "cache_read_input_tokens") && in_usage ? JSON_KEY_INPUT_READ : JSON_KEY_NONE;
    }
    // "cache_creation_input_tokens"; no more is kept of a key.
    if (in_usage && word->length > WORD_MAX && word_begins(word, "cache_creation_input_tok"))
        return JSON_KEY_INPUT_WRITTEN;
    return JSON_KEY_NONE;
}

INLINE bool json_is_number(__u8 key)
{
    return key >= JSON_KEY_INPUT && key <= JSON_KEY_OUTPUT_BESIDE;
}

INLINE __u8 json_key_of(struct json *json)
{
    __u8 key = json->answer ? json_key_of_answer(json) : json_key_of_request(json);
    if (key == JSON_KEY_MODEL && json->values && !json_model_begin(json))
        return JSON_KEY_NONE;
    bool taken = key == JSON_KEY_STREAM || json_is_number(key);
    if (json->loose && taken && !json_claim(json, json->depth - (json->depth == json->usage_depth)))
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

INLINE void json_tell(struct json *json, __u8 key, __u64 number)
{
    __u32 which = (key - JSON_KEY_INPUT) & 7;
    __u32 tokens = number < 0xffffffff ? number : 0xffffffff;
    if (json->loose) {
        json->late_tokens[which] = tokens;
        json->late_told |= 1 << which;
        return;
    }
    json->tokens[which] = tokens;
    json->told |= 1 << which;
}

// `late_told`: which of those from behind a gap count, too, and more than those before it.
INLINE bool json_told(const struct json *json, __u8 late_told, enum json_key key)
{
    return (json->told | late_told) >> (key - JSON_KEY_INPUT) & 1;
}

INLINE __u64 json_tokens(const struct json *json, __u8 late_told, enum json_key key)
{
    __u32 which = key - JSON_KEY_INPUT;
    if (late_told >> which & 1)
        return json->late_tokens[which];
    return json->told >> which & 1 ? json->tokens[which] : 0;
}

// Tokens of the prompt, those from and for a cache included. False where nobody has said.
INLINE bool json_input(const struct json *json, __u8 late_told, __u32 *ret_tokens)
{
    __u64 sum = json_tokens(json, late_told, JSON_KEY_INPUT);
    if (json_told(json, late_told, JSON_KEY_INPUT_BESIDE))
        sum = json_tokens(json, late_told, JSON_KEY_INPUT_BESIDE) +
              json_tokens(json, late_told, JSON_KEY_INPUT_READ) +
              json_tokens(json, late_told, JSON_KEY_INPUT_WRITTEN);
    *ret_tokens = sum < 0xffffffff ? sum : 0xffffffff;
    return json_told(json, late_told, JSON_KEY_INPUT) || json_told(json, late_told, JSON_KEY_INPUT_BESIDE);
}

INLINE bool json_output(const struct json *json, __u8 late_told, __u32 *ret_tokens)
{
    __u64 sum =
        json_tokens(json, late_told, JSON_KEY_OUTPUT) + json_tokens(json, late_told, JSON_KEY_OUTPUT_BESIDE);
    *ret_tokens = sum < 0xffffffff ? sum : 0xffffffff;
    return json_told(json, late_told, JSON_KEY_OUTPUT) || json_told(json, late_told, JSON_KEY_OUTPUT_BESIDE);
}

INLINE void json_number_end(struct json *json)
{
    if (!json->number_broken)
        json_tell(json, json->key, json->number);
    json->key = JSON_KEY_NONE;
}

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
