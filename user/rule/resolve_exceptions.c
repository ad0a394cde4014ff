// From a rule's exceptions to the part of its condition that they stand for.
#include "compiler.h"

#include <string.h>

struct maker {
    struct compiler *compiler;
    const struct exception *exception;
    const struct exception_part *part; // the values at hand
};

static struct expr *expr_new(struct maker *maker, enum expr_kind kind)
{
    struct expr *expr = arena_alloc(&maker->compiler->load, sizeof(*expr));
    if (expr)
        expr->kind = kind;
    return expr;
}

static struct passage *passage_of(struct maker *maker, const struct file *file, const struct node *node)
{
    struct arena *arena = &maker->compiler->load;
    struct passage *passage = arena_alloc(arena, sizeof(*passage));
    return passage && passage_add(passage, arena, file, node) && passage_join(passage, arena) ? passage
                                                                                              : NULL;
}

// FIELD and COMPARATOR, without the values.
static struct expr *test_new(struct maker *maker, const struct node *field, const struct node *comp,
                             const char *usual)
{
    const struct exception *exception = maker->exception;
    struct expr *test = expr_new(maker, EXPR_TEST);
    struct passage *passage = passage_of(maker, exception->file, field);
    if (!test || !passage)
        return NULL;
    test->passage = passage;
    test->left = left_parse(passage, &maker->compiler->load, maker->compiler->report);
    if (!test->left)
        return NULL;
    // The comparator is checked already; as it stands elsewhere, what is wrong with it is told at the field.
    const char *text = comp ? comp->text : usual;
    comparator_parse(text, strlen(text), &test->comparator, &test->quantifier);
    test->comparator_name = (struct word){.text = text, .length = strlen(text)};
    return test;
}

static bool add_literal(struct maker *maker, struct expr *test, size_t *capacity, const struct node *node)
{
    if (test->literals_count == *capacity) {
        struct literal *more = arena_grow(&maker->compiler->load, test->literals, sizeof(*more), capacity);
        if (!more)
            return false;
        test->literals = more;
    }
    struct literal *literal = &test->literals[test->literals_count++];
    *literal = literal_of(maker->part->file, node);
    literal->text = arena_copy(&maker->compiler->load, literal->text, literal->length);
    return literal->text;
}

// `in`, with a value such as (a, b) or the name of a list.
static bool add_values(struct maker *maker, struct expr *test, const struct node *value)
{
    size_t capacity = 0;
    bool list = comparator_takes_list(test->comparator) || test->quantifier != QUANTIFIER_NONE;
    if (value->kind == NODE_SCALAR && list && value->text[0] == '(') {
        struct passage *passage = passage_of(maker, maker->part->file, value);
        return passage && list_parse(passage, &maker->compiler->load, maker->compiler->report, test);
    }
    if (value->kind == NODE_SCALAR)
        return add_literal(maker, test, &capacity, value);
    if (!list) {
        problem_at(maker->compiler->report, RULE_ERROR, CODE_VALIDATE, place_of(maker->part->file, value),
                   "\"%.*s\" takes one value, not a list", (int)test->comparator_name.length,
                   test->comparator_name.text);
        return false;
    }
    for (const struct node *item = value->first; item; item = item->next)
        if (!add_literal(maker, test, &capacity, item))
            return false;
    return true;
}

static struct expr *make_single(struct maker *maker)
{
    const struct exception *exception = maker->exception;
    struct expr *test = test_new(maker, exception->fields, exception->comps, "in");
    size_t capacity = 0;
    for (maker->part = exception->first; test && maker->part; maker->part = maker->part->next)
        for (const struct node *value = maker->part->values->first; value; value = value->next)
            if (!add_literal(maker, test, &capacity, value))
                return NULL;
    return test;
}

// One of the values: a field and a comparator for each of its elements.
static struct expr *make_row(struct maker *maker, const struct node *row)
{
    const struct exception *exception = maker->exception;
    struct expr *and = expr_new(maker, EXPR_AND);
    const struct node *field = exception->fields->first, *value = row->first;
    const struct node *comp = exception->comps ? exception->comps->first : NULL;
    struct expr **tail = and? &and->first : NULL;
    for (; and&&field; field = field->next, value = value->next, comp = comp ? comp->next : NULL) {
        *tail = test_new(maker, field, comp, "=");
        if (!*tail || !add_values(maker, *tail, value))
            return NULL;
        tail = &(*tail)->next;
    }
    return and;
}

static struct expr *make_several(struct maker *maker)
{
    struct expr * or = expr_new(maker, EXPR_OR);
    struct expr **tail = or ? & or->first : NULL;
    for (maker->part = maker->exception->first; or &&maker->part; maker->part = maker->part->next) {
        for (const struct node *row = maker->part->values->first; row; row = row->next) {
            *tail = make_row(maker, row);
            if (!*tail)
                return NULL;
            tail = &(*tail)->next;
        }
    }
    return or ;
}

static bool has_values(const struct exception *exception)
{
    for (const struct exception_part *part = exception->first; part; part = part->next)
        if (part->values->first)
            return true;
    return false;
}

bool compiler_except(struct compiler *compiler, struct rule_item *rule)
{
    struct maker maker = {.compiler = compiler};
    struct expr *and = expr_new(&maker, EXPR_AND), *last = rule->expr;
    if (!and)
        return false;
    and->passage = &rule->condition;
    and->first = rule->expr;
    for (maker.exception = rule->exceptions; maker.exception; maker.exception = maker.exception->next) {
        // An exception without values is a place for others to fill.
        if (!has_values(maker.exception))
            continue;
        struct expr *not = expr_new(&maker, EXPR_NOT);
        struct expr *made =
            maker.exception->fields->kind == NODE_SCALAR ? make_single(&maker) : make_several(&maker);
        if (!made || !not )
            return !compiler->load.failed;
        made->passage = made->passage ? made->passage : and->passage;
        not ->passage = and->passage;
        not ->first = made;
        last->next = not ;
        last = not ;
    }
    if (last != rule->expr)
        rule->expr = and;
    return true;
}
