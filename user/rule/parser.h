// What the parsers of conditions and of terms share.
#pragma once

#include "lexer.h"

struct parser {
    struct lexer lexer;
    const struct passage *passage;
    struct arena *arena;
    struct rule_report *report;
    const char *code; // of what is reported
    size_t depth;
};

// Reports it. Always NULL.
__attribute__((format(printf, 3, 4))) void *parser_fail(struct parser *parser, size_t offset,
                                                        const char *format, ...);
// Says what should stand here and what does. Always NULL.
void *parser_fail_expected(struct parser *parser, const char *expected);
void *parser_fail_value(struct parser *parser, const char *expected);
bool word_is(const struct word *word, const char *text);

// A field with its argument, whose name was taken. NULL: what is wrong is in the report, or memory is short.
struct term *parse_field(struct parser *parser, const struct word *name);
// transformer(…), whose name was taken and is followed by a bracket. The same.
struct term *parse_call(struct parser *parser, const struct word *name);
