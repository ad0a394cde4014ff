// Reads what the formats wrote, as strictly as their specifications have it: for the unit tests and the fuzz
// target. Everything here ends in false where something is not as it should be.
#pragma once

#include "base/text.h"
#include "deliver/format.h"

#include <ctype.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

// No control characters, and UTF-8 throughout.
static inline bool parse_is_line(const struct text *line)
{
    const char *bytes = text_string(line);
    if (strlen(bytes) != line->length)
        return false;
    for (size_t i = 0; i < line->length;) {
        size_t length = text_utf8_length(bytes + i, line->length - i);
        unsigned char first = (unsigned char)bytes[i];
        if (length == 0 || first < 0x20 || first == 0x7f ||
            (first == 0xc2 && (unsigned char)bytes[i + 1] < 0xa0))
            return false;
        i += length;
    }
    return true;
}

// --- CEF ---

// Members of the extension by their keys, and the seven fields of the header as "0" to "6".
static inline json_t *parse_cef(const char *line)
{
    json_t *parsed = json_object();
    char *part = malloc(strlen(line) + 1);
    size_t length = 0, field = 0;
    bool good = strncmp(line, "CEF:", 4) == 0 && part;
    const char *at = line + 4;
    for (; good && field < 7; at++) {
        if (*at == '\0') {
            good = false;
        } else if (*at == '\\') {
            good = at[1] == '\\' || at[1] == '|';
            part[length++] = *++at;
        } else if (*at == '|') {
            char name[2] = {(char)('0' + field++), '\0'};
            json_object_set_new(parsed, name, json_stringn(part, length));
            length = 0;
        } else {
            part[length++] = *at;
        }
    }
    // A value ends where the next key begins: at the last blank before the next '=' that is not escaped.
    while (good && *at) {
        const char *equals = strchr(at, '=');
        good = equals && equals > at;
        for (const char *key = at; good && key < equals; key++)
            good = isalnum((unsigned char)*key);
        if (!good)
            break;
        const char *end = equals + 1, *blank = NULL;
        for (; *end && *end != '='; end++) {
            if (*end == ' ')
                blank = end;
            if (*end == '\\' && end[1])
                end++;
        }
        if (*end == '=') {
            good = blank != NULL;
            end = blank ? blank : end;
        }
        length = 0;
        for (const char *from = equals + 1; good && from < end; from++) {
            if (*from != '\\') {
                part[length++] = *from;
                continue;
            }
            from++;
            good = *from == '\\' || *from == '=' || *from == 'n' || *from == 'r';
            part[length++] = (char)(*from == 'n' ? '\n' : *from == 'r' ? '\r' : *from);
        }
        char key[64];
        snprintf(key, sizeof(key), "%.*s", (int)(equals - at), at);
        good = good && !json_object_get(parsed, key);
        json_object_set_new(parsed, key, json_stringn(part, length));
        at = *end ? end + 1 : end;
    }
    free(part);
    if (good)
        return parsed;
    json_decref(parsed);
    return NULL;
}

// --- RFC 5424 ---

struct syslog_message {
    unsigned priority; // facility and severity
    char timestamp[40], hostname[256], application[49], process[129], message_id[33];
    json_t *data;        // members of all elements as "ID NAME"
    const char *message; // in the line
};

static inline const char *parse_word(const char *at, char *ret_word, size_t size)
{
    size_t length = 0;
    while (*at > ' ' && *at < 0x7f && length + 1 < size)
        ret_word[length++] = *at++;
    ret_word[length] = '\0';
    return length > 0 && *at == ' ' ? at + 1 : NULL;
}

static inline const char *parse_element(const char *at, json_t *data)
{
    char id[33], name[80];
    size_t length = strcspn(at, " =]\"");
    if (length == 0 || length >= sizeof(id))
        return NULL;
    memcpy(id, at, length);
    id[length] = '\0';
    at += length;
    while (*at == ' ') {
        at++;
        size_t named = strcspn(at, " =]\"");
        if (named == 0 || named > 32 || at[named] != '=' || at[named + 1] != '"')
            return NULL;
        snprintf(name, sizeof(name), "%s %.*s", id, (int)named, at);
        at += named + 2;
        char *value = malloc(strlen(at) + 1);
        size_t used = 0;
        for (; value && *at && *at != '"' && *at != ']'; at++) {
            if (*at == '\\' && (at[1] == '"' || at[1] == '\\' || at[1] == ']'))
                at++;
            value[used++] = *at;
        }
        json_object_set_new(data, name, json_stringn(value, used));
        free(value);
        if (*at++ != '"')
            return NULL;
    }
    return *at == ']' ? at + 1 : NULL;
}

static inline bool parse_syslog(const char *line, struct syslog_message *ret)
{
    char *end;
    struct syslog_message parsed = {.data = json_object()};
    parsed.priority = (unsigned)strtoul(line + 1, &end, 10);
    const char *at = line[0] == '<' && strncmp(end, ">1 ", 3) == 0 && parsed.priority < 192 ? end + 3 : NULL;
    at = at ? parse_word(at, parsed.timestamp, sizeof(parsed.timestamp)) : NULL;
    at = at ? parse_word(at, parsed.hostname, sizeof(parsed.hostname)) : NULL;
    at = at ? parse_word(at, parsed.application, sizeof(parsed.application)) : NULL;
    at = at ? parse_word(at, parsed.process, sizeof(parsed.process)) : NULL;
    at = at ? parse_word(at, parsed.message_id, sizeof(parsed.message_id)) : NULL;
    while (at && *at == '[')
        at = parse_element(at + 1, parsed.data);
    if (!at || (*at && *at != ' ')) {
        json_decref(parsed.data);
        return false;
    }
    parsed.message = *at ? at + 1 : at;
    *ret = parsed;
    return true;
}
