#include "promql.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_SIZE = 256 };

struct reading {
    void (*found)(enum promql_kind kind, const char *name, void *context);
    void *context;
    bool in_selector;
    bool list_follows, in_list; // of labels
    char label[NAME_MAX_SIZE];  // the latest in a selector
};

static bool is_one_of(const char *name, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, words[i]) == 0)
            return true;
    return false;
}

static void tell(struct reading *reading, enum promql_kind kind, const char *name, size_t length)
{
    char copy[NAME_MAX_SIZE];
    snprintf(copy, sizeof(copy), "%.*s", (int)length, name);
    reading->found(kind, copy, reading->context);
}

// `text` is at the quote; returns what is behind the other one. Names of rules have no quotes in them.
static const char *read_string(struct reading *reading, const char *text)
{
    const char *begin = text + 1, *end = begin;
    while (*end && *end != *text)
        end += *end == '\\' && end[1] && *text != '`' ? 2 : 1;
    if (reading->in_selector && strcmp(reading->label, "rule") == 0)
        for (const char *part = begin; part < end;) {
            const char *bar = memchr(part, '|', (size_t)(end - part));
            const char *stop = bar ? bar : end;
            tell(reading, PROMQL_RULE, part, (size_t)(stop - part));
            part = stop + 1;
        }
    return *end ? end + 1 : end;
}

static void read_word(struct reading *reading, const char *word, char next)
{
    static const char *const grouping[] = {"by", "without", "on", "ignoring", "group_left", "group_right"};
    static const char *const others[] = {"and", "or", "unless", "bool", "offset", "inf", "Inf", "nan", "NaN"};
    static const char *const aggregations[] = {"sum",      "min",    "max",    "avg",
                                               "count",    "group",  "topk",   "bottomk",
                                               "quantile", "stddev", "stdvar", "count_values"};
    if (reading->in_selector) {
        snprintf(reading->label, sizeof(reading->label), "%s", word);
        tell(reading, PROMQL_LABEL, word, strlen(word));
    } else if (reading->in_list) {
        tell(reading, PROMQL_LABEL, word, strlen(word));
    } else if (is_one_of(word, grouping, ARRAY_SIZE(grouping))) {
        reading->list_follows = next == '(';
    } else if (!is_one_of(word, others, ARRAY_SIZE(others)) &&
               !is_one_of(word, aggregations, ARRAY_SIZE(aggregations)) && next != '(') {
        tell(reading, PROMQL_METRIC, word, strlen(word));
    }
}

static bool is_name_byte(char byte)
{
    return isalnum((unsigned char)byte) || byte == '_' || byte == ':';
}

void promql_names(const char *expression,
                  void (*found)(enum promql_kind kind, const char *name, void *context), void *context)
{
    struct reading reading = {.found = found, .context = context};
    for (const char *text = expression; *text;) {
        if (*text == '"' || *text == '\'' || *text == '`') {
            text = read_string(&reading, text);
            continue;
        }
        if (*text == '[') {
            text += strcspn(text, "]");
            continue;
        }
        if (is_name_byte(*text)) {
            char word[NAME_MAX_SIZE];
            size_t length = 0;
            while (is_name_byte(text[length]) || (isdigit((unsigned char)*text) && text[length] == '.'))
                length++;
            snprintf(word, sizeof(word), "%.*s", (int)length, text);
            text += length;
            // Numbers and durations are no names.
            if (!isdigit((unsigned char)*word))
                read_word(&reading, word, text[strspn(text, " \n\t")]);
            continue;
        }
        reading.in_selector = *text == '{' || (reading.in_selector && *text != '}');
        if (*text == '(') {
            reading.in_list = reading.list_follows;
            reading.list_follows = false;
        } else if (*text == ')') {
            reading.in_list = false;
        }
        text++;
    }
}
