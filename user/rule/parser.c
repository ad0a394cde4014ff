#include "parser.h"

#include <stdarg.h>
#include <string.h>

static struct expr *parse_or(struct parser *parser);

void *parser_fail(struct parser *parser, size_t offset, const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (!parser->arena->failed)
        problem_at(parser->report, RULE_ERROR, parser->code, place_in(parser->passage, offset), "%s",
                   message);
    return NULL;
}

void *parser_fail_expected(struct parser *parser, const char *expected)
{
    struct word here = lexer_here(&parser->lexer);
    if (here.length == 0)
        return parser_fail(parser, parser->lexer.at, "the condition ends too early: expected %s", expected);
    return parser_fail(parser, here.offset, "expected %s, found \"%.*s\"", expected, (int)here.length,
                       here.text);
}

void *parser_fail_value(struct parser *parser, const char *expected)
{
    char next = lexer_peek(&parser->lexer);
    if (next == '"' || next == '\'')
        return parser_fail(parser, parser->lexer.at,
                           "this quote is never closed: add a %c where the text ends", next);
    return parser_fail_expected(parser, expected);
}

bool word_is(const struct word *word, const char *text)
{
    return strlen(text) == word->length && memcmp(word->text, text, word->length) == 0;
}

static struct expr *expr_new(struct parser *parser, enum expr_kind kind)
{
    struct expr *expr = arena_alloc(parser->arena, sizeof(*expr));
    if (expr) {
        expr->kind = kind;
        expr->passage = parser->passage;
    }
    return expr;
}

bool comparator_takes_list(enum comparator comparator)
{
    return comparator == CMP_IN || comparator == CMP_INTERSECTS || comparator == CMP_PMATCH;
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
        return parser_fail_expected(parser, "a list in brackets, such as (a, b)");
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
            return parser_fail_value(parser, "a value of the list");
        expr->literals_count++;
        if (lexer_take(lexer, ')'))
            return expr;
        if (lexer_take(lexer, ','))
            continue;
        if (lexer_here(lexer).length == 0) {
            lexer->at = open;
            lexer_skip_blanks(lexer);
            return parser_fail(parser, lexer->at, "this bracket is never closed: add a )");
        }
        return parser_fail_expected(parser, "a comma or a ) after the value");
    }
}

// A word that is followed by a bracket, and nothing else.
static bool take_word(struct lexer *lexer, const char *text)
{
    struct lexer ahead = *lexer;
    if (!lexer_keyword(&ahead, text) || lexer_peek(&ahead) != '(')
        return false;
    *lexer = ahead;
    return true;
}

static enum quantifier take_quantifier(struct lexer *lexer)
{
    return take_word(lexer, "oneof")   ? QUANTIFIER_ONE
           : take_word(lexer, "anyof") ? QUANTIFIER_ANY
           : take_word(lexer, "allof") ? QUANTIFIER_ALL
                                       : QUANTIFIER_NONE;
}

static bool takes_quantifier(enum comparator comparator)
{
    return !comparator_takes_list(comparator) && comparator != CMP_EXISTS && comparator != CMP_LT &&
           comparator != CMP_LE && comparator != CMP_GT && comparator != CMP_GE;
}

// val(FIELD) or transformer(…). False where neither stands here; then *ret_right is untouched.
static bool parse_right(struct parser *parser, struct term **ret_right)
{
    struct lexer ahead = parser->lexer;
    struct word name;
    enum transformer transformer;
    if (!lexer_name(&ahead, &name) || lexer_peek(&ahead) != '(')
        return false;
    if (!word_is(&name, "val") && !transformer_find(&name, &transformer))
        return false;
    parser->lexer = ahead;
    *ret_right = NULL;
    if (!word_is(&name, "val")) {
        *ret_right = parse_call(parser, &name);
        return true;
    }
    size_t open = parser->lexer.at;
    lexer_take(&parser->lexer, '(');
    if (!lexer_name(&parser->lexer, &name)) {
        parser_fail_expected(parser, "a field");
        return true;
    }
    struct term *right = lexer_peek(&parser->lexer) == '(' ? parse_call(parser, &name)
                         : memchr(name.text, '.', name.length)
                             ? parse_field(parser, &name)
                             : parser_fail(parser, name.offset, "val() takes a field, such as proc.pname");
    if (!right)
        return true;
    if (lexer_take(&parser->lexer, ')'))
        *ret_right = right;
    else if (lexer_here(&parser->lexer).length == 0)
        parser_fail(parser, open, "this bracket is never closed: add a )");
    else
        parser_fail_expected(parser, "a )");
    return true;
}

static struct expr *parse_operand(struct parser *parser, struct expr *expr)
{
    if (expr->comparator == CMP_EXISTS)
        return expr;
    if (parse_right(parser, &expr->right))
        return expr->right ? expr : NULL;
    if (comparator_takes_list(expr->comparator))
        return parse_list(parser, expr);
    int length = (int)expr->comparator_name.length;
    const char *name = expr->comparator_name.text;
    lexer_skip_blanks(&parser->lexer);
    size_t start = parser->lexer.at;
    expr->quantifier = take_quantifier(&parser->lexer);
    if (expr->quantifier != QUANTIFIER_NONE && !takes_quantifier(expr->comparator))
        return parser_fail(parser, start, "\"%.*s\" does not go with oneof, anyof or allof", length, name);
    if (expr->quantifier != QUANTIFIER_NONE)
        return parse_list(parser, expr);
    if (lexer_peek(&parser->lexer) == '(')
        return parser_fail(parser, parser->lexer.at,
                           "\"%.*s\" takes one value; for a list write: in (a, b), or %.*s anyof (a, b)",
                           length, name, length, name);
    expr->literals = arena_alloc(parser->arena, sizeof(*expr->literals));
    if (!expr->literals)
        return NULL;
    if (!parse_value(parser, expr->literals))
        return parser_fail_value(parser, "a value to compare with");
    expr->literals_count = 1;
    return expr;
}

// TERM [not] COMPARATOR VALUE
static struct expr *parse_test(struct parser *parser, struct term *left)
{
    struct lexer *lexer = &parser->lexer;
    struct expr *expr = left ? expr_new(parser, EXPR_TEST) : NULL;
    if (!expr)
        return NULL;
    expr->left = left;
    bool negated = lexer_keyword(lexer, "not");
    if (!lexer_comparator(lexer, &expr->comparator, &expr->comparator_name))
        return parser_fail_expected(parser, "a comparison such as =, !=, in, startswith or exists");
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
        return parser_fail(parser, open, "this bracket is never closed: add a )");
    return parser_fail_expected(parser, "\"and\", \"or\" or a )");
}

static struct expr *parse_primary(struct parser *parser)
{
    struct lexer *lexer = &parser->lexer;
    if (lexer_take(lexer, '('))
        return parse_bracket(parser, lexer->at - 1);
    if (lexer_peek(lexer) == '!')
        return parser_fail(parser, lexer->at,
                           "expected a field or a macro, found \"!\": write \"not\" instead");

    struct word name;
    if (!lexer_name(lexer, &name))
        return parser_fail_expected(parser, "a field, a macro, \"not\" or a (");
    if (word_is(&name, "and") || word_is(&name, "or"))
        return parser_fail(parser, name.offset, "expected a field or a macro before \"%.*s\"",
                           (int)name.length, name.text);
    if (lexer_peek(lexer) == '(')
        return parse_test(parser, parse_call(parser, &name));
    if (memchr(name.text, '.', name.length))
        return parse_test(parser, parse_field(parser, &name));

    struct expr *expr = expr_new(parser, EXPR_MACRO);
    if (expr)
        expr->name = name;
    return expr;
}

static struct expr *parse_not(struct parser *parser)
{
    if (parser->depth == CONDITION_DEPTH_MAX)
        return parser_fail(parser, parser->lexer.at,
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

struct term *left_parse(const struct passage *passage, struct arena *arena, struct rule_report *report)
{
    struct parser parser = {.lexer = {.text = passage->text, .length = passage->length},
                            .passage = passage,
                            .arena = arena,
                            .report = report,
                            .code = CODE_VALIDATE};
    struct word name;
    if (!lexer_name(&parser.lexer, &name))
        return parser_fail_expected(&parser, "a field");
    bool call = lexer_peek(&parser.lexer) == '(';
    struct term *left = call ? parse_call(&parser, &name) : parse_field(&parser, &name);
    return !left || lexer_here(&parser.lexer).length == 0 ? left : parser_fail_expected(&parser, "one field");
}

bool comparator_parse(const char *text, size_t length, enum comparator *ret_comparator,
                      enum quantifier *ret_quantifier)
{
    static const struct {
        const char *name;
        enum quantifier quantifier;
    } names[] = {{"oneof", QUANTIFIER_ONE}, {"anyof", QUANTIFIER_ANY}, {"allof", QUANTIFIER_ALL}};
    struct lexer lexer = {.text = text, .length = length};
    struct word word;
    *ret_quantifier = QUANTIFIER_NONE;
    if (!lexer_comparator(&lexer, ret_comparator, &word))
        return false;
    for (size_t i = 0; takes_quantifier(*ret_comparator) && i < 3; i++)
        if (lexer_keyword(&lexer, names[i].name))
            *ret_quantifier = names[i].quantifier;
    return lexer_here(&lexer).length == 0;
}

bool list_parse(const struct passage *passage, struct arena *arena, struct rule_report *report,
                struct expr *test)
{
    struct parser parser = {.lexer = {.text = passage->text, .length = passage->length},
                            .passage = passage,
                            .arena = arena,
                            .report = report,
                            .code = CODE_VALIDATE};
    if (!parse_list(&parser, test))
        return false;
    return lexer_here(&parser.lexer).length == 0 || parser_fail_expected(&parser, "nothing after the list");
}

struct expr *condition_parse(const struct passage *passage, struct arena *arena, struct rule_report *report)
{
    struct parser parser = {.lexer = {.text = passage->text, .length = passage->length},
                            .passage = passage,
                            .arena = arena,
                            .report = report,
                            .code = CODE_CONDITION};
    if (lexer_here(&parser.lexer).length == 0)
        return parser_fail(&parser, 0,
                           "the condition is empty: write a comparison such as evt.type = execve");
    struct expr *expr = parse_or(&parser);
    if (!expr)
        return NULL;
    struct word here = lexer_here(&parser.lexer);
    if (here.length == 0)
        return expr;
    if (here.text[0] == ')')
        return parser_fail(&parser, here.offset, "this ) closes nothing: remove it or open a ( before");
    if (word_is(&here, "&&") || word_is(&here, "||"))
        return parser_fail(&parser, here.offset, "write \"%s\" instead of \"%.2s\"",
                           here.text[0] == '&' ? "and" : "or", here.text);
    return parser_fail_expected(&parser, "\"and\", \"or\" or the end of the condition");
}
