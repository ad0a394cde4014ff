#include "compiler.h"

#include <string.h>

static bool measure_macro(struct compiler *compiler, struct macro *macro, size_t above);

static void merge(struct measure *measure, const struct measure *inner)
{
    measure->nodes += inner->nodes;
    measure->depth = inner->depth > measure->depth ? inner->depth : measure->depth;
    measure->specific |= inner->specific;
    measure->names_type |= inner->names_type;
}

// `above`: the macros that surround this, which bounds the recursion.
static bool measure_expr(struct compiler *compiler, const struct expr *expr, const struct passage *passage,
                         size_t above, struct measure *ret_measure)
{
    struct measure measure = {.nodes = 1};
    if (expr->kind == EXPR_TEST) {
        const char *name = expr->field->name;
        measure.names_type = strcmp(name, "evt.type") == 0;
        measure.specific = strncmp(name, "evt.", 4) == 0 || !field_is_context(expr->field);
    }
    if (expr->kind == EXPR_MACRO) {
        struct macro *macro = expr->macro;
        if (macro->definition.progress == PROGRESS_RUNNING || above > EXPANDED_DEPTH_MAX) {
            problem_at(compiler->report, RULE_ERROR, CODE_CONDITION, place_in(passage, expr->name.offset),
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
        if (!measure_expr(compiler, child, passage, above, &inner))
            return false;
        merge(&measure, &inner);
    }
    measure.depth++;
    if (measure.nodes > EXPANDED_NODES_MAX || measure.depth > EXPANDED_DEPTH_MAX) {
        problem_at(compiler->report, RULE_ERROR, CODE_CONDITION, place_in(passage, 0),
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
    bool ok = measure_expr(compiler, macro->expr, &macro->condition, above, &macro->measure);
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
        if (!measure_expr(compiler, rule->expr, &rule->condition, 0, &rule->measure))
            return false;
    }
    return true;
}
