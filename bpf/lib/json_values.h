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
