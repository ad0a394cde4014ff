#include "compiler.h"

#include <string.h>

static bool is_empty(const struct passage *passage)
{
    return !passage->first;
}

__attribute__((format(printf, 4, 5))) static void
report(struct compiler *compiler, const struct passage *passage, size_t offset, const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    problem_at(compiler->report, RULE_ERROR, CODE_CONDITION, place_in(passage, offset), "%s", message);
}

static void resolve_test(struct compiler *compiler, struct expr *test, const struct passage *passage)
{
    const struct word *name = &test->name;
    test->field = compiler_look_up(compiler, name, passage, CODE_CONDITION);
    if (!test->field)
        return;
    const char *wrong =
        compiler_arg(test->field, test->has_arg ? &test->arg : NULL, &compiler->set->arena, &test->field_arg);
    if (wrong) {
        report(compiler, passage, test->has_arg ? test->arg.offset : name->offset, "%s", wrong);
        return;
    }
    test->comparison = compiler_compare(compiler, test, passage);
}

// `visibility`: macros from there on are not yet defined.
static void resolve_macro(struct compiler *compiler, struct expr *expr, const struct passage *passage,
                          size_t visibility)
{
    const struct word *name = &expr->name;
    const struct table_entry *entry = table_find(&compiler->items.macros, name->text, name->length);
    struct macro *macro = entry ? entry->item : NULL;
    if (macro && macro->definition.index < visibility) {
        macro->definition.used = true;
        expr->macro = macro;
        return;
    }
    if (macro)
        report(compiler, passage, name->offset,
               "the macro \"%.*s\" is defined later: define it before this one", (int)name->length,
               name->text);
    else if (compiler_list(compiler, name->text, name->length))
        report(compiler, passage, name->offset, "\"%.*s\" is a list, not a macro: write FIELD in (%.*s)",
               (int)name->length, name->text, (int)name->length, name->text);
    else
        report(compiler, passage, name->offset,
               "there is no macro \"%.*s\": define it, or write a comparison such as proc.name = %.*s",
               (int)name->length, name->text, (int)name->length, name->text);
}

static void resolve_expr(struct compiler *compiler, struct expr *expr, const struct passage *passage,
                         size_t visibility)
{
    if (expr->kind == EXPR_TEST)
        resolve_test(compiler, expr, passage);
    else if (expr->kind == EXPR_MACRO)
        resolve_macro(compiler, expr, passage, visibility);
    for (struct expr *child = expr->first; child; child = child->next)
        resolve_expr(compiler, child, passage, visibility);
}

static bool resolve_condition(struct compiler *compiler, struct passage *passage, size_t visibility,
                              struct expr **ret_expr)
{
    if (is_empty(passage))
        return true;
    if (!passage_join(passage, &compiler->load))
        return false;
    *ret_expr = condition_parse(passage, &compiler->load, compiler->report);
    if (*ret_expr)
        resolve_expr(compiler, *ret_expr, passage, visibility);
    return true;
}

static void warn_unused(struct compiler *compiler, const struct table *table, const char *code,
                        const char *what)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct definition *definition = table->entries[i].item;
        if (definition && definition->name && !definition->used)
            problem_at(compiler->report, RULE_WARNING, code, place_of(definition->file, definition->node),
                       "the %s \"%.80s\" is used nowhere: remove it, or is a name misspelt?", what,
                       definition->name);
    }
}

bool compiler_resolve(struct compiler *compiler)
{
    struct items *items = &compiler->items;
    for (size_t i = 0; i < items->lists.count; i++) {
        struct list *list = items->lists.entries[i].item;
        if (list)
            compiler_flatten(compiler, list);
    }
    for (size_t i = 0; i < items->macros.count; i++) {
        struct macro *macro = items->macros.entries[i].item;
        if (macro &&
            !resolve_condition(compiler, &macro->condition, macro->definition.visibility, &macro->expr))
            return false;
    }
    for (size_t i = 0; i < items->rules.count; i++) {
        struct rule_item *rule = items->rules.entries[i].item;
        if (rule && !resolve_condition(compiler, &rule->condition, SIZE_MAX, &rule->expr))
            return false;
    }
    // What is broken may be what would have used them.
    if (compiler->report->errors == 0) {
        warn_unused(compiler, &items->macros, "LOAD_UNUSED_MACRO", "macro");
        warn_unused(compiler, &items->lists, "LOAD_UNUSED_LIST", "list");
    }
    return !compiler->load.failed && !compiler->set->arena.failed;
}
