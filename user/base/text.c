#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_free(struct text *text)
{
    free(text->data);
    text->data = NULL;
    text->length = text->capacity = 0;
}

void text_reset(struct text *text)
{
    text->length = 0;
    text->truncated = false;
    if (text->data)
        text->data[0] = '\0';
}

const char *text_string(const struct text *text)
{
    return text->data ? text->data : "";
}

// Makes room for `more` bytes and a NUL; returns how many of them fit.
static size_t text_reserve(struct text *text, size_t more)
{
    size_t room = text->max > text->length ? text->max - text->length : 0;
    if (more > room) {
        text->truncated = true;
        more = room;
    }
    size_t wanted = text->length + more + 1;
    if (wanted > text->capacity) {
        size_t capacity = text->capacity ? text->capacity : 256;
        while (capacity < wanted)
            capacity *= 2;
        char *data = realloc(text->data, capacity);
        if (!data) {
            text->truncated = true;
            return 0;
        }
        text->data = data;
        text->capacity = capacity;
    }
    return more;
}

void text_add_bytes(struct text *text, const char *bytes, size_t length)
{
    length = text_reserve(text, length);
    if (!text->data)
        return;
    if (length)
        memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

void text_add_char(struct text *text, char character)
{
    text_add_bytes(text, &character, 1);
}

void text_addf(struct text *text, const char *format, ...)
{
    char small[256];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(small, sizeof(small), format, args);
    va_end(args);
    if (length < 0)
        return;
    if ((size_t)length < sizeof(small)) {
        text_add_bytes(text, small, (size_t)length);
        return;
    }

    char *large = malloc((size_t)length + 1);
    if (!large) {
        text->truncated = true;
        return;
    }
    va_start(args, format);
    vsnprintf(large, (size_t)length + 1, format, args);
    va_end(args);
    text_add_bytes(text, large, (size_t)length);
    free(large);
}

size_t text_utf8_length(const char *string, size_t left)
{
    const unsigned char *bytes = (const unsigned char *)string;
    unsigned char first = bytes[0];
    if (first < 0x80)
        return 1;
    size_t length = first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3 : 4;
    if (first < 0xc2 || first > 0xf4 || left < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    if ((first == 0xe0 && bytes[1] < 0xa0) || (first == 0xed && bytes[1] > 0x9f) ||
        (first == 0xf0 && bytes[1] < 0x90) || (first == 0xf4 && bytes[1] > 0x8f))
        return 0;
    return length;
}

bool text_is_special(const char *bytes, size_t length, unsigned *ret_character)
{
    static const struct {
        unsigned first, last;
    } ranges[] = {{0, 0x1f},        {0x7f, 0x9f},     {0x61c, 0x61c},
                  {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069}};
    unsigned character = (unsigned char)bytes[0];
    if (length > 1)
        character &= 0x7fu >> length;
    for (size_t i = 1; i < length; i++)
        character = character << 6 | ((unsigned char)bytes[i] & 0x3f);
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        if (character >= ranges[i].first && character <= ranges[i].last) {
            *ret_character = character;
            return true;
        }
    return false;
}

void text_add_json(struct text *text, const char *string, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)string;
    unsigned character;
    text_add_char(text, '"');
    for (size_t i = 0; i < length;) {
        // Most text needs no escape: it is copied in runs.
        size_t run = i;
        while (run < length && bytes[run] >= 0x20 && bytes[run] < 0x7f && bytes[run] != '"' &&
               bytes[run] != '\\')
            run++;
        if (run > i) {
            text_add_bytes(text, string + i, run - i);
            i = run;
            continue;
        }

        size_t sequence = text_utf8_length(string + i, length - i);
        if (sequence == 0) {
            text_add(text, "\xef\xbf\xbd");
            i++;
            continue;
        }
        if (bytes[i] == '"' || bytes[i] == '\\') {
            text_add_char(text, '\\');
            text_add_char(text, string[i]);
        } else if (bytes[i] == '\n') {
            text_add(text, "\\n");
        } else if (bytes[i] == '\t') {
            text_add(text, "\\t");
        } else if (text_is_special(string + i, sequence, &character)) {
            text_addf(text, "\\u%04x", character);
        } else {
            text_add_bytes(text, string + i, sequence);
        }
        i += sequence;
    }
    text_add_char(text, '"');
}

void text_add_printable(struct text *text, const char *string, size_t length)
{
    unsigned character;
    for (size_t i = 0; i < length;) {
        size_t sequence = text_utf8_length(string + i, length - i);
        if (sequence == 0 || text_is_special(string + i, sequence, &character)) {
            text_addf(text, "\\x%02x", (unsigned char)string[i]);
            i++;
            continue;
        }
        text_add_bytes(text, string + i, sequence);
        i += sequence;
    }
}

size_t text_distance(const char *left, size_t left_length, const char *right, size_t right_length)
{
    size_t row[64];
    if (left_length >= 64 || right_length >= 64)
        return SIZE_MAX;
    for (size_t k = 0; k <= right_length; k++)
        row[k] = k;
    for (size_t i = 1; i <= left_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= right_length; k++) {
            size_t above = row[k];
            size_t best = diagonal + (left[i - 1] != right[k - 1]);
            best = above + 1 < best ? above + 1 : best;
            best = row[k - 1] + 1 < best ? row[k - 1] + 1 : best;
            diagonal = above;
            row[k] = best;
        }
    }
    return row[right_length];
}
