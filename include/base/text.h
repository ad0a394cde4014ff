// A growable text buffer with a hard cap, given when it is made. What would pass the cap is cut off and
// `truncated` says so; an allocation failure does the same, so callers check once, at the end.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct text {
    char *data; // NUL-terminated once anything was added; NULL before
    size_t length;
    size_t capacity;
    size_t max;
    bool truncated;
};

#define TEXT_INIT(max_bytes) \
    {                        \
        .max = (max_bytes)   \
    }

void text_free(struct text *text);
#define _cleanup_text_ __attribute__((cleanup(text_free)))

// Empties the text and keeps its memory for the next use.
void text_reset(struct text *text);

// The text as a C string; "" when nothing was added. Owned by the buffer.
const char *text_string(const struct text *text);

void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const char *bytes, size_t length);
void text_add_char(struct text *text, char character);
__attribute__((format(printf, 2, 3))) void text_addf(struct text *text, const char *format, ...);

// Length of the valid UTF-8 sequence at `bytes`, of which there are `left` (at least 1), or 0. Overlong
// forms, surrogates and values past U+10FFFF are not valid (RFC 3629).
size_t text_utf8_length(const char *bytes, size_t left);

// Whether the valid sequence of that length is a character that lies about the text around it: a control
// character (C0, DEL, C1), the end of a line or paragraph (U+2028, U+2029), or one that sets the direction of
// writing (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069).
bool text_is_special(const char *bytes, size_t length, unsigned *ret_character);

// Adds a JSON string, quotes included. Special characters are escaped. Bytes that are not UTF-8
// become U+FFFD, so that the output is always valid JSON whatever a file name holds.
void text_add_json(struct text *text, const char *string, size_t length);

// Adds bytes for a terminal or a log line: special characters and bytes that are not UTF-8 as \xNN.
void text_add_printable(struct text *text, const char *string, size_t length);

// Edits (insert, drop, replace) that turn one name into the other; SIZE_MAX where one is longer than 63
// bytes.
size_t text_distance(const char *left, size_t left_length, const char *right, size_t right_length);
