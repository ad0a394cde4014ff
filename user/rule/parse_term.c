#include "parser.h"

#include <string.h>

bool transformer_find(const struct word *name, enum transformer *ret_transformer)
{
    static const char *const names[] = {
        [TRANSFORM_TOLOWER] = "tolower",   [TRANSFORM_TOUPPER] = "toupper", [TRANSFORM_B64] = "b64",
        [TRANSFORM_BASENAME] = "basename", [TRANSFORM_LEN] = "len",         [TRANSFORM_JOIN] = "join",
        [TRANSFORM_CONCAT] = "concat",     [TRANSFORM_GETOPT] = "getopt",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!word_is(name, names[i]))
            continue;
        *ret_transformer = (enum transformer)i;
        return true;
    }
    return false;
}

static struct term *term_new(struct parser *parser, enum term_kind kind)
{
    struct term *term = arena_alloc(parser->arena, sizeof(*term));
    if (term)
        term->kind = kind;
    return term;
}

// [argument] where there is one, right behind.
static bool parse_arg(struct parser *parser, struct term *term)
{
    struct lexer *lexer = &parser->lexer;
    if (lexer->at == lexer->length || lexer->text[lexer->at] != '[')
        return true;
    lexer->at++;
    term->has_arg = true;
    if (!lexer_arg(lexer, &term->arg))
        parser_fail(parser, lexer->at, "the argument of %.*s cannot be read: write it as [name] or [2]",
                    (int)term->name.length, term->name.text);
    return term->arg.text;
}

struct term *parse_field(struct parser *parser, const struct word *name)
{
    struct term *term = term_new(parser, TERM_FIELD);
    if (!term)
        return NULL;
    term->name = *name;
    return parse_arg(parser, term) ? term : NULL;
}

static struct term *parse_term(struct parser *parser);

// What stands between brackets, the first of which was taken.
static bool parse_terms(struct parser *parser, struct term *above, size_t open)
{
    struct term **tail = &above->first;
    if (lexer_take(&parser->lexer, ')'))
        return true;
    for (;;) {
        *tail = parse_term(parser);
        if (!*tail)
            return false;
        tail = &(*tail)->next;
        if (lexer_take(&parser->lexer, ')'))
            return true;
        if (lexer_take(&parser->lexer, ','))
            continue;
        if (lexer_here(&parser->lexer).length == 0)
            return parser_fail(parser, open, "this bracket is never closed: add a )");
        return parser_fail_expected(parser, "a comma or a )");
    }
}

static struct term *parse_bare_list(struct parser *parser)
{
    size_t open = parser->lexer.at;
    struct term *list = term_new(parser, TERM_LIST);
    if (!list || !lexer_take(&parser->lexer, '('))
        return NULL;
    list->name = (struct word){.text = "(", .length = 1, .offset = open};
    return parse_terms(parser, list, open) ? list : NULL;
}

static struct term *parse_text(struct parser *parser)
{
    struct literal literal;
    size_t offset;
    struct term *term = term_new(parser, TERM_TEXT);
    if (!term)
        return NULL;
    if (!lexer_value(&parser->lexer, parser->arena, &literal, &offset))
        return parser_fail_value(parser, "a field, a text in quotes or a transformer");
    term->name = (struct word){.text = literal.text, .length = literal.length, .offset = offset};
    term->text = literal.text;
    term->length = literal.length;
    return term;
}

static struct term *parse_term(struct parser *parser)
{
    struct lexer *lexer = &parser->lexer;
    if (parser->depth == CONDITION_DEPTH_MAX)
        return parser_fail(parser, lexer->at, "more than %d brackets within each other", CONDITION_DEPTH_MAX);
    parser->depth++;
    struct term *term;
    struct word name;
    char first = lexer_peek(lexer);
    size_t start = lexer->at;
    if (first == '(')
        term = parse_bare_list(parser);
    else if (first == '"' || first == '\'' || !lexer_name(lexer, &name))
        term = parse_text(parser);
    else if (lexer_peek(lexer) == '(')
        term = parse_call(parser, &name);
    else if (memchr(name.text, '.', name.length))
        term = parse_field(parser, &name);
    else {
        lexer->at = start;
        term = parse_text(parser);
    }
    parser->depth--;
    return term;
}

struct term *parse_call(struct parser *parser, const struct word *name)
{
    struct term *call = term_new(parser, TERM_CALL);
    if (!call)
        return NULL;
    call->name = *name;
    lexer_skip_blanks(&parser->lexer);
    size_t open = parser->lexer.at;
    lexer_take(&parser->lexer, '(');
    if (word_is(name, "val"))
        return parser_fail(parser, name->offset,
                           "val() stands alone on the right-hand side; transformers read fields without it");
    if (!transformer_find(name, &call->transformer))
        return parser_fail(
            parser, name->offset,
            "there is no transformer \"%.*s\": there are tolower, toupper, b64, basename, len, "
            "join, concat and getopt",
            (int)name->length, name->text);
    if (!parse_terms(parser, call, open) || !parse_arg(parser, call))
        return NULL;
    if (call->has_arg && call->transformer != TRANSFORM_GETOPT)
        return parser_fail(parser, call->arg.offset, "only getopt() takes an argument in brackets");
    return call;
}
