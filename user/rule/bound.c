#include "bound.h"

static struct bound *bound_alloc(struct arena *arena, enum bound_kind kind)
{
    struct bound *bound = arena_alloc(arena, sizeof(*bound));
    if (bound)
        bound->kind = kind;
    return bound;
}

// Nothing is in an empty list.
static bool is_hopeless(const struct comparison *comparison)
{
    enum comparator comparator = comparison->comparator;
    if (comparator == CMP_ONEOF || comparator == CMP_ANYOF || comparator == CMP_ALLOF)
        return comparison->parts_count == 0;
    if (comparator != CMP_IN && comparator != CMP_INTERSECTS && comparator != CMP_PMATCH)
        return false;
    for (size_t i = 0; i < comparison->sets_count; i++)
        if (comparison->sets[i]->table.count || comparison->sets[i]->globs_count)
            return false;
    return true;
}

static struct bound *bound_test(const struct expr *expr, const struct event_type *type, struct arena *arena)
{
    const struct term *left = expr->left;
    struct value value;
    // A value that is missing compares with nothing.
    if (!term_exists(left, type) || (expr->right && !term_exists(expr->right, type)) ||
        (!expr->right && is_hopeless(expr->comparison)))
        return bound_alloc(arena, BOUND_FALSE);
    // Judged apart, once the rest of the condition holds.
    if (left->field && left->field->arg == FIELD_ARG_WINDOW)
        return bound_alloc(arena, BOUND_TRUE);
    const struct field *field =
        left->kind == TERM_FIELD ? compiler_field(type, left->name.text, left->name.length) : NULL;
    if (field && !expr->right && compiler_constant(type, field, &value))
        return bound_alloc(arena, comparison_holds(expr->comparison, &value) ? BOUND_TRUE : BOUND_FALSE);
    struct bound *bound = bound_alloc(arena, BOUND_TEST);
    if (bound) {
        bound->left = left;
        bound->right = expr->right;
        bound->field = field;
        bound->comparison = expr->comparison;
    }
    return bound;
}

static struct bound *bound_not(const struct expr *expr, const struct event_type *type, struct arena *arena)
{
    struct bound *inner = bound_new(expr->first, type, arena);
    if (!inner || inner->kind == BOUND_NOT)
        return inner ? inner->first : NULL;
    if (inner->kind == BOUND_TRUE || inner->kind == BOUND_FALSE) {
        inner->kind = inner->kind == BOUND_TRUE ? BOUND_FALSE : BOUND_TRUE;
        return inner;
    }
    struct bound *bound = bound_alloc(arena, BOUND_NOT);
    if (bound)
        bound->first = inner;
    return bound;
}

static struct bound *bound_chain(const struct expr *expr, const struct event_type *type, struct arena *arena)
{
    bool and = expr->kind == EXPR_AND;
    enum bound_kind decides = and? BOUND_FALSE : BOUND_TRUE;
    enum bound_kind idle = and? BOUND_TRUE : BOUND_FALSE;
    struct bound *chain = bound_alloc(arena, and? BOUND_AND : BOUND_OR);
    if (!chain)
        return NULL;
    struct bound **tail = &chain->first;
    for (const struct expr *child = expr->first; child; child = child->next) {
        struct bound *bound = bound_new(child, type, arena);
        if (!bound || bound->kind == decides)
            return bound;
        if (bound->kind == idle)
            continue;
        *tail = bound;
        tail = &bound->next;
    }
    if (!chain->first)
        chain->kind = idle;
    return chain->first && !chain->first->next ? chain->first : chain;
}

struct bound *bound_new(const struct expr *expr, const struct event_type *type, struct arena *arena)
{
    switch (expr->kind) {
    case EXPR_TEST:
        return bound_test(expr, type, arena);
    case EXPR_MACRO:
        return bound_new(expr->macro->expr, type, arena);
    case EXPR_NOT:
        return bound_not(expr, type, arena);
    default:
        return bound_chain(expr, type, arena);
    }
}
