#include "lexer.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum comparator comparator;
} comparators[] = {
    // A name that starts like another one comes first.
    {"==", CMP_EQ},
    {"=", CMP_EQ},
    {"!=", CMP_NE},
    {"<=", CMP_LE},
    {"<", CMP_LT},
    {">=", CMP_GE},
    {">", CMP_GT},
    {"exists", CMP_EXISTS},
    {"intersects", CMP_INTERSECTS},
    {"in", CMP_IN},
    {"pmatch", CMP_PMATCH},
    {"glob", CMP_GLOB},
    {"iglob", CMP_IGLOB},
    {"contains", CMP_CONTAINS},
    {"icontains", CMP_ICONTAINS},
    {"bcontains", CMP_BCONTAINS},
    {"startswith", CMP_STARTSWITH},
    {"bstartswith", CMP_BSTARTSWITH},
    {"endswith", CMP_ENDSWITH},
    {"regex", CMP_REGEX},
};

static bool is_name(char character)
{
    return isalnum((unsigned char)character) || character == '_';
}

static char at(const struct lexer *lexer, size_t position)
{
    return position < lexer->length ? lexer->text[position] : '\0';
}

static struct word word_from(const struct lexer *lexer, size_t start, size_t end)
{
    return (struct word){.text = lexer->text + start, .length = end - start, .offset = start};
}

void lexer_skip_blanks(struct lexer *lexer)
{
    while (lexer->at < lexer->length && strchr(" \t\r\n\v\f", lexer->text[lexer->at]) &&
           lexer->text[lexer->at])
        lexer->at++;
}

char lexer_peek(struct lexer *lexer)
{
    lexer_skip_blanks(lexer);
    return at(lexer, lexer->at);
}

bool lexer_take(struct lexer *lexer, char character)
{
    if (lexer_peek(lexer) != character || lexer->at == lexer->length)
        return false;
    lexer->at++;
    return true;
}

// The text, and not merely the start of a longer name.
static bool starts_with(const struct lexer *lexer, const char *text)
{
    size_t length = strlen(text);
    if (lexer->length - lexer->at < length || memcmp(lexer->text + lexer->at, text, length) != 0)
        return false;
    return !is_name(text[0]) || !is_name(at(lexer, lexer->at + length));
}

bool lexer_keyword(struct lexer *lexer, const char *keyword)
{
    lexer_skip_blanks(lexer);
    if (!starts_with(lexer, keyword) || at(lexer, lexer->at + strlen(keyword)) == '.')
        return false;
    lexer->at += strlen(keyword);
    return true;
}

bool lexer_name(struct lexer *lexer, struct word *ret_word)
{
    lexer_skip_blanks(lexer);
    size_t start = lexer->at, end = start;
    if (!isalpha((unsigned char)at(lexer, start)))
        return false;
    while (is_name(at(lexer, end)) || (at(lexer, end) == '.' && isalpha((unsigned char)at(lexer, end + 1))))
        end++;
    *ret_word = word_from(lexer, start, end);
    lexer->at = end;
    return true;
}

bool lexer_comparator(struct lexer *lexer, enum comparator *ret_comparator, struct word *ret_word)
{
    lexer_skip_blanks(lexer);
    for (size_t i = 0; i < sizeof(comparators) / sizeof(comparators[0]); i++) {
        if (!starts_with(lexer, comparators[i].name))
            continue;
        size_t end = lexer->at + strlen(comparators[i].name);
        *ret_comparator = comparators[i].comparator;
        *ret_word = word_from(lexer, lexer->at, end);
        lexer->at = end;
        return true;
    }
    return false;
}

bool lexer_arg(struct lexer *lexer, struct word *ret_word)
{
    char quote = at(lexer, lexer->at);
    quote = quote == '"' || quote == '\'' ? quote : '\0';
    size_t start = lexer->at + (quote ? 1 : 0), end = start;
    while (end < lexer->length && lexer->text[end] != (quote ? quote : ']') &&
           (quote || !strchr("[\"' \t\r\n", lexer->text[end])))
        end++;
    if (end == start || end == lexer->length || at(lexer, end + (quote ? 1 : 0)) != ']')
        return false;
    *ret_word = word_from(lexer, start, end);
    lexer->at = end + (quote ? 2 : 1);
    return true;
}

// The byte of \xHH, or 0.
static char hex_byte(const char *from, size_t left)
{
    if (left < 4 || from[1] != 'x' || !isxdigit((unsigned char)from[2]) || !isxdigit((unsigned char)from[3]))
        return '\0';
    const char digits[] = {from[2], from[3], '\0'};
    return (char)strtoul(digits, NULL, 16);
}

// Only quotes, backslashes, three blanks and bytes such as \xff are escaped; any other backslash stays, so
// that a pattern such as "\d+\.so" may be written as it is.
static size_t unescape(char *to, const char *from, size_t length)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        char next = i + 1 < length ? from[i + 1] : '\0';
        char byte = from[i] == '\\' ? hex_byte(from + i, length - i) : '\0';
        if (byte) {
            to[used++] = byte;
            i += 3;
            continue;
        }
        if (from[i] != '\\' || !next || !strchr("\\\"'nrt", next)) {
            to[used++] = from[i];
            continue;
        }
        to[used++] = next == 'n' ? '\n' : next == 'r' ? '\r' : next == 't' ? '\t' : next;
        i++;
    }
    to[used] = '\0';
    return used;
}

static bool quoted_value(struct lexer *lexer, struct arena *arena, struct literal *ret_literal)
{
    char quote = lexer->text[lexer->at];
    size_t start = lexer->at + 1, end = start;
    while (end < lexer->length && lexer->text[end] != quote)
        end += lexer->text[end] == '\\' ? 2 : 1;
    if (end >= lexer->length)
        return false;
    char *text = arena_alloc(arena, end - start + 1);
    if (!text)
        return false;
    ret_literal->length = unescape(text, lexer->text + start, end - start);
    ret_literal->text = text;
    ret_literal->quoted = true;
    lexer->at = end + 1;
    return true;
}

bool lexer_value(struct lexer *lexer, struct arena *arena, struct literal *ret_literal, size_t *ret_offset)
{
    char first = lexer_peek(lexer);
    size_t start = lexer->at, end = start;
    *ret_offset = start;
    if (first == '"' || first == '\'')
        return quoted_value(lexer, arena, ret_literal);
    while (end < lexer->length && lexer->text[end] && !strchr("()\"' \t\r\n\v\f=,", lexer->text[end]))
        end++;
    if (end == start)
        return false;
    char *text = arena_copy(arena, lexer->text + start, end - start);
    if (!text)
        return false;
    ret_literal->text = text;
    ret_literal->length = end - start;
    ret_literal->quoted = false;
    lexer->at = end;
    return true;
}

struct word lexer_here(struct lexer *lexer)
{
    enum { SHOWN_MAX = 40 };
    lexer_skip_blanks(lexer);
    size_t end = lexer->at;
    while (end < lexer->length && end - lexer->at < SHOWN_MAX && lexer->text[end] &&
           !strchr("() \t\r\n,", lexer->text[end]))
        end++;
    if (end == lexer->at && end < lexer->length)
        end++;
    return word_from(lexer, lexer->at, end);
}
