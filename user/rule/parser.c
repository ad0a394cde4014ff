#include "lexer.h"

#include <stdarg.h>
#include <string.h>

struct parser {
    struct lexer lexer;
    const struct passage *passage;
    struct arena *arena;
    struct rule_report *report;
    size_t depth;
};

static struct expr *parse_or(struct parser *parser);

__attribute__((format(printf, 3, 4))) static struct expr *fail(struct parser *parser, size_t offset,
                                                               const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (!parser->arena->failed)
        problem_at(parser->report, RULE_ERROR, CODE_CONDITION, place_in(parser->passage, offset), "%s",
                   message);
    return NULL;
}

// Says what should stand here and what does.
static struct expr *fail_expected(struct parser *parser, const char *expected)
{
    struct word here = lexer_here(&parser->lexer);
    if (here.length == 0)
        return fail(parser, parser->lexer.at, "the condition ends too early: expected %s", expected);
    return fail(parser, here.offset, "expected %s, found \"%.*s\"", expected, (int)here.length, here.text);
}

static struct expr *expr_new(struct parser *parser, enum expr_kind kind)
{
    struct expr *expr = arena_alloc(parser->arena, sizeof(*expr));
    if (expr)
        expr->kind = kind;
    return expr;
}

static bool is_word(const struct word *word, const char *text)
{
    return strlen(text) == word->length && memcmp(word->text, text, word->length) == 0;
}

static bool is_transformer(const struct word *word)
{
    static const char *const names[] = {"tolower", "toupper", "b64",    "basename",
                                        "len",     "join",    "concat", "getopt"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (is_word(word, names[i]))
            return true;
    return false;
}

static bool takes_list(enum comparator comparator)
{
    return comparator == CMP_IN || comparator == CMP_INTERSECTS || comparator == CMP_PMATCH;
}

static struct expr *fail_value(struct parser *parser, const char *expected)
{
    char next = lexer_peek(&parser->lexer);
    if (next == '"' || next == '\'')
        return fail(parser, parser->lexer.at, "this quote is never closed: add a %c where the text ends",
                    next);
    return fail_expected(parser, expected);
}

static bool parse_value(struct parser *parser, struct literal *literal)
{
    size_t offset;
    if (!lexer_value(&parser->lexer, parser->arena, literal, &offset))
        return false;
    literal->place = place_in(parser->passage, offset);
    return true;
}

static struct expr *parse_list(struct parser *parser, struct expr *expr)
{
    struct lexer *lexer = &parser->lexer;
    size_t open = lexer->at, capacity = 0;
    if (!lexer_take(lexer, '('))
        return fail_expected(parser, "a list in brackets, such as (a, b)");
    if (lexer_take(lexer, ')'))
        return expr;
    for (;;) {
        if (expr->literals_count == capacity) {
            struct literal *more = arena_grow(parser->arena, expr->literals, sizeof(*more), &capacity);
            if (!more)
                return NULL;
            expr->literals = more;
        }
        if (!parse_value(parser, &expr->literals[expr->literals_count]))
            return fail_value(parser, "a value of the list");
        expr->literals_count++;
        if (lexer_take(lexer, ')'))
            return expr;
        if (lexer_take(lexer, ','))
            continue;
        if (lexer_here(lexer).length == 0) {
            lexer->at = open;
            lexer_skip_blanks(lexer);
            return fail(parser, lexer->at, "this bracket is never closed: add a )");
        }
        return fail_expected(parser, "a comma or a ) after the value");
    }
}

static struct expr *parse_operand(struct parser *parser, struct expr *expr)
{
    if (expr->comparator == CMP_EXISTS)
        return expr;
    if (takes_list(expr->comparator))
        return parse_list(parser, expr);
    int length = (int)expr->comparator_name.length;
    const char *name = expr->comparator_name.text;
    if (lexer_peek(&parser->lexer) == '(')
        return fail(parser, parser->lexer.at, "\"%.*s\" takes one value; for a list write: in (a, b)", length,
                    name);
    expr->literals = arena_alloc(parser->arena, sizeof(*expr->literals));
    if (!expr->literals)
        return NULL;
    if (!parse_value(parser, expr->literals))
        return fail_value(parser, "a value to compare with");
    expr->literals_count = 1;

    const struct literal *value = expr->literals;
    const struct word word = {.text = value->text, .length = value->length};
    if (value->quoted || lexer_peek(&parser->lexer) != '(')
        return expr;
    if (is_word(&word, "val"))
        return fail(parser, value->place.offset,
                    "val() is not supported yet: compare with a literal value instead of another field");
    if (is_word(&word, "oneof") || is_word(&word, "anyof") || is_word(&word, "allof"))
        return fail(parser, value->place.offset,
                    "\"%s\" is not supported yet: write the comparisons out, with \"or\" or \"and\" between",
                    value->text);
    return expr;
}

// FIELD [not] COMPARATOR VALUE
static struct expr *parse_test(struct parser *parser, const struct word *name)
{
    struct lexer *lexer = &parser->lexer;
    struct expr *expr = expr_new(parser, EXPR_TEST);
    if (!expr)
        return NULL;
    expr->name = *name;
    if (lexer->at < lexer->length && lexer->text[lexer->at] == '[') {
        lexer->at++;
        expr->has_arg = true;
        if (!lexer_arg(lexer, &expr->arg))
            return fail(parser, lexer->at, "the argument of %.*s cannot be read: write it as [name] or [2]",
                        (int)name->length, name->text);
    }
    bool negated = lexer_keyword(lexer, "not");
    if (!lexer_comparator(lexer, &expr->comparator, &expr->comparator_name))
        return fail_expected(parser, "a comparison such as =, !=, in, startswith or exists");
    if (!parse_operand(parser, expr))
        return NULL;
    if (!negated)
        return expr;
    struct expr *not = expr_new(parser, EXPR_NOT);
    if (not )
        not ->first = expr;
    return not ;
}

static struct expr *parse_bracket(struct parser *parser, size_t open)
{
    struct expr *expr = parse_or(parser);
    if (!expr || lexer_take(&parser->lexer, ')'))
        return expr;
    if (lexer_here(&parser->lexer).length == 0)
        return fail(parser, open, "this bracket is never closed: add a )");
    return fail_expected(parser, "\"and\", \"or\" or a )");
}

static struct expr *parse_primary(struct parser *parser)
{
    struct lexer *lexer = &parser->lexer;
    if (lexer_take(lexer, '('))
        return parse_bracket(parser, lexer->at - 1);
    if (lexer_peek(lexer) == '!')
        return fail(parser, lexer->at, "expected a field or a macro, found \"!\": write \"not\" instead");

    struct word name;
    if (!lexer_name(lexer, &name))
        return fail_expected(parser, "a field, a macro, \"not\" or a (");
    if (is_word(&name, "and") || is_word(&name, "or"))
        return fail(parser, name.offset, "expected a field or a macro before \"%.*s\"", (int)name.length,
                    name.text);
    if (lexer_peek(lexer) == '(' && is_transformer(&name))
        return fail(parser, name.offset,
                    "transformers such as %.*s() are not supported yet: compare the field itself, for "
                    "example with icontains or iglob",
                    (int)name.length, name.text);
    if (memchr(name.text, '.', name.length))
        return parse_test(parser, &name);

    struct expr *expr = expr_new(parser, EXPR_MACRO);
    if (expr)
        expr->name = name;
    return expr;
}

static struct expr *parse_not(struct parser *parser)
{
    if (parser->depth == CONDITION_DEPTH_MAX)
        return fail(parser, parser->lexer.at,
                    "more than %d brackets within each other: move the inner ones into a macro",
                    CONDITION_DEPTH_MAX);
    parser->depth++;
    struct expr *expr;
    if (lexer_keyword(&parser->lexer, "not")) {
        struct expr *inner = parse_not(parser);
        expr = inner ? expr_new(parser, EXPR_NOT) : NULL;
        if (expr)
            expr->first = inner;
    } else {
        expr = parse_primary(parser);
    }
    parser->depth--;
    return expr;
}

// Operands with the same word between them. One alone is handed through as it is.
static struct expr *parse_chain(struct parser *parser, enum expr_kind kind, const char *keyword,
                                struct expr *(*parse_one)(struct parser *))
{
    struct expr *first = parse_one(parser);
    if (!first || !lexer_keyword(&parser->lexer, keyword))
        return first;
    struct expr *chain = expr_new(parser, kind);
    if (!chain)
        return NULL;
    chain->first = first;
    for (struct expr *last = first;; last = last->next) {
        last->next = parse_one(parser);
        if (!last->next)
            return NULL;
        if (!lexer_keyword(&parser->lexer, keyword))
            return chain;
    }
}

static struct expr *parse_and(struct parser *parser)
{
    return parse_chain(parser, EXPR_AND, "and", parse_not);
}

static struct expr *parse_or(struct parser *parser)
{
    return parse_chain(parser, EXPR_OR, "or", parse_and);
}

struct expr *condition_parse(const struct passage *passage, struct arena *arena, struct rule_report *report)
{
    struct parser parser = {.lexer = {.text = passage->text, .length = passage->length},
                            .passage = passage,
                            .arena = arena,
                            .report = report};
    if (lexer_here(&parser.lexer).length == 0)
        return fail(&parser, 0, "the condition is empty: write a comparison such as evt.type = execve");
    struct expr *expr = parse_or(&parser);
    if (!expr)
        return NULL;
    struct word here = lexer_here(&parser.lexer);
    if (here.length == 0)
        return expr;
    if (here.text[0] == ')')
        return fail(&parser, here.offset, "this ) closes nothing: remove it or open a ( before");
    if (is_word(&here, "&&") || is_word(&here, "||"))
        return fail(&parser, here.offset, "write \"%s\" instead of \"%.2s\"",
                    here.text[0] == '&' ? "and" : "or", here.text);
    return fail_expected(&parser, "\"and\", \"or\" or the end of the condition");
}
