// The words of the condition language. What a piece of text is depends on where it stands, so the parser asks
// for what may come next.
#pragma once

#include "ast.h"

struct lexer {
    const char *text;
    size_t length;
    size_t at;
};

void lexer_skip_blanks(struct lexer *lexer);
// The next character after blanks, or NUL at the end.
char lexer_peek(struct lexer *lexer);
// Takes that character if it is next.
bool lexer_take(struct lexer *lexer, char character);
// The same for `and`, `or`, `not`.
bool lexer_keyword(struct lexer *lexer, const char *keyword);
// The name of a field or a macro.
bool lexer_name(struct lexer *lexer, struct word *ret_word);
bool lexer_comparator(struct lexer *lexer, enum comparator *ret_comparator, struct word *ret_word);
// The rest of `[argument]` whose bracket was taken.
bool lexer_arg(struct lexer *lexer, struct word *ret_word);
// A value, quoted or not. False: there is none here, or a quote is not closed, or memory is short.
bool lexer_value(struct lexer *lexer, struct arena *arena, struct literal *ret_literal, size_t *ret_offset);
// What stands here, to show in a message: a word, or one character.
struct word lexer_here(struct lexer *lexer);
