// The sum in a rule's condition: where it may stand, and taking it out.
#include "compiler.h"
#include "sum.h"

#include <string.h>

struct finder {
    struct compiler *compiler;
    const struct expr *found;
    bool failed;
};

__attribute__((format(printf, 4, 5))) static void fail(struct finder *finder, const struct expr *test,
                                                       const struct term *term, const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    finder->failed = true;
    problem_at(finder->compiler->report, RULE_ERROR, CODE_CONDITION,
               place_in(test->passage, term->name.offset), "%s", message);
}

// The sum that a term reads, or NULL.
static const struct term *sum_in(const struct term *term)
{
    if (!term || (term->field && term->field->arg == FIELD_ARG_WINDOW))
        return term;
    const struct term *found = NULL;
    for (const struct term *child = term->first; child && !found; child = child->next)
        found = sum_in(child);
    return found;
}

static void find_in_test(struct finder *finder, const struct expr *test, bool conjunct)
{
    const struct term *left = sum_in(test->left), *term = left ? left : sum_in(test->right);
    if (!term)
        return;
    const char *name = term->field->name;
    if (!conjunct)
        fail(finder, test, term,
             "%s adds up events for which the rest of the condition holds, so it is joined to the rest by "
             "`and`: it cannot stand within `or`, `not` or an exception",
             name);
    else if (test->left != term || test->right || (test->comparator != CMP_GT && test->comparator != CMP_GE))
        fail(finder, test, term, "%s is compared by > or >=, with a number: write %s[10m] > 100000000", name,
             name);
    else if (!term->has_arg)
        fail(finder, test, term, "this field needs an argument, how long it adds up: write %s[10m]", name);
    else if (test->comparator == CMP_GE && test->comparison->u == 0)
        fail(finder, test, term, "every sum is 0 or more: write > 0, or a larger number");
    else if (finder->found)
        fail(finder, test, term, "a rule can have one %s: remove this one, or make another rule of it", name);
    finder->found = test;
}

static void find(struct finder *finder, const struct expr *expr, bool conjunct)
{
    if (expr->kind == EXPR_TEST)
        find_in_test(finder, expr, conjunct);
    if (expr->kind == EXPR_MACRO)
        find(finder, expr->macro->expr, conjunct);
    for (const struct expr *child = expr->first; child; child = child->next)
        find(finder, child, conjunct && expr->kind == EXPR_AND);
}

// Whether a test can be true, or false, of an event of which only the type is known.
static bool test_can_be(const struct expr *test, const struct event_type *type, bool truth)
{
    struct value value;
    if (test->right || test->left->kind != TERM_FIELD || !compiler_constant(type, test->left->field, &value))
        return true;
    return comparison_holds(test->comparison, &value) == truth;
}

static bool can_be(const struct expr *expr, const struct event_type *type, bool truth)
{
    switch (expr->kind) {
    case EXPR_TEST:
        return test_can_be(expr, type, truth);
    case EXPR_MACRO:
        return can_be(expr->macro->expr, type, truth);
    case EXPR_NOT:
        return can_be(expr->first, type, !truth);
    default:
        break;
    }
    // A true `and` and a false `or` ask it of all parts, the others of one.
    bool all = (expr->kind == EXPR_AND) == truth;
    for (const struct expr *child = expr->first; child; child = child->next)
        if (can_be(child, type, truth) != all)
            return !all;
    return all;
}

static bool check_type(struct finder *finder, const struct rule_item *item, const struct term *term)
{
    const char *name = term->field->name, *only = "";
    for (size_t i = 0; i < event_type_count(); i++) {
        const struct event_type *type = event_type_at(i);
        if (!field_find(type, name, strlen(name)))
            continue;
        if (can_be(item->expr, type, true))
            return true;
        only = type->name;
    }
    fail(finder, finder->found, term, "only events of the type %s have %s, and this rule is about others",
         only, name);
    return false;
}

static const struct sum *make_sum(struct compiler *compiler, const struct rule_item *item,
                                  const struct expr *test)
{
    struct arena *arena = &compiler->set->arena;
    const char *summed = test->left->field->summed;
    struct sum *sum = arena_alloc(arena, sizeof(*sum));
    if (!sum)
        return NULL;
    *sum = (struct sum){
        .field = field_find_any(summed, strlen(summed)),
        .window_s = test->left->field_arg.index,
        .or_equal = test->comparator == CMP_GE,
        .limit = test->comparison->u,
        .rule = arena_copy(arena, item->definition.name, strlen(item->definition.name)),
        .condition = arena_copy(arena, item->condition.text, item->condition.length),
    };
    return sum->rule && sum->condition ? sum : NULL;
}

bool compiler_find_sum(struct compiler *compiler, const struct rule_item *item, const struct sum **ret_sum)
{
    struct finder finder = {.compiler = compiler};
    *ret_sum = NULL;
    if (!item->measure.sums)
        return true;
    find(&finder, item->expr, true);
    if (finder.failed || !check_type(&finder, item, finder.found->left))
        return true;
    *ret_sum = make_sum(compiler, item, finder.found);
    return *ret_sum;
}
