#include "compiler.h"

#include <string.h>

static bool measure_macro(struct compiler *compiler, struct macro *macro, size_t above);

// What the fields of a term say of the condition.
static void measure_term(const struct term *term, struct measure *measure)
{
    if (term && term->field) {
        const char *name = term->field->name;
        measure->names_type |= strcmp(name, "evt.type") == 0;
        measure->sums |= term->field->arg == FIELD_ARG_WINDOW;
        measure->specific |= strncmp(name, "evt.", 4) == 0 || !field_is_context(term->field);
    }
    for (const struct term *child = term ? term->first : NULL; child; child = child->next)
        measure_term(child, measure);
}

static void merge(struct measure *measure, const struct measure *inner)
{
    measure->nodes += inner->nodes;
    measure->depth = inner->depth > measure->depth ? inner->depth : measure->depth;
    measure->specific |= inner->specific;
    measure->names_type |= inner->names_type;
    measure->sums |= inner->sums;
}

// `above`: the macros that surround this, which bounds the recursion.
static bool measure_expr(struct compiler *compiler, const struct expr *expr, size_t above,
                         struct measure *ret_measure)
{
    struct measure measure = {.nodes = 1};
    if (expr->kind == EXPR_TEST) {
        measure_term(expr->left, &measure);
        measure_term(expr->right, &measure);
    }
    if (expr->kind == EXPR_MACRO) {
        struct macro *macro = expr->macro;
        if (macro->definition.progress == PROGRESS_RUNNING || above > EXPANDED_DEPTH_MAX) {
            problem_at(compiler->report, RULE_ERROR, CODE_CONDITION,
                       place_in(expr->passage, expr->name.offset),
                       "the macro \"%.80s\" contains itself, or too many others: remove it here",
                       macro->definition.name);
            return false;
        }
        if (!measure_macro(compiler, macro, above + 1))
            return false;
        merge(&measure, &macro->measure);
    }
    for (const struct expr *child = expr->first; child; child = child->next) {
        struct measure inner;
        if (!measure_expr(compiler, child, above, &inner))
            return false;
        merge(&measure, &inner);
    }
    measure.depth++;
    if (measure.nodes > EXPANDED_NODES_MAX || measure.depth > EXPANDED_DEPTH_MAX) {
        problem_at(compiler->report, RULE_ERROR, CODE_CONDITION, place_in(expr->passage, 0),
                   "with its macros this condition is too large: use lists, or split it");
        return false;
    }
    *ret_measure = measure;
    return true;
}

static bool measure_macro(struct compiler *compiler, struct macro *macro, size_t above)
{
    if (macro->definition.progress == PROGRESS_DONE)
        return true;
    macro->definition.progress = PROGRESS_RUNNING;
    bool ok = measure_expr(compiler, macro->expr, above, &macro->measure);
    macro->definition.progress = PROGRESS_DONE;
    return ok;
}

bool compiler_measure(struct compiler *compiler)
{
    const struct items *items = &compiler->items;
    for (size_t i = 0; i < items->macros.count; i++)
        if (!measure_macro(compiler, items->macros.entries[i].item, 0))
            return false;
    for (size_t i = 0; i < items->rules.count; i++) {
        struct rule_item *rule = items->rules.entries[i].item;
        if (rule->left_out)
            continue;
        if (!measure_expr(compiler, rule->expr, 0, &rule->measure))
            return false;
    }
    return true;
}
