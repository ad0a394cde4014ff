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

static void resolve_test(struct compiler *compiler, struct expr *test)
{
    if (term_resolve(compiler, test->left, test->passage, CODE_CONDITION))
        test->comparison = compiler_compare(compiler, test);
}

// `visibility`: macros from there on are not yet defined.
static void resolve_macro(struct compiler *compiler, struct expr *expr, size_t visibility)
{
    const struct passage *passage = expr->passage;
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

static void resolve_expr(struct compiler *compiler, struct expr *expr, size_t visibility)
{
    if (expr->kind == EXPR_TEST)
        resolve_test(compiler, expr);
    else if (expr->kind == EXPR_MACRO)
        resolve_macro(compiler, expr, visibility);
    for (struct expr *child = expr->first; child; child = child->next)
        resolve_expr(compiler, child, visibility);
}

static bool parse_passage(struct compiler *compiler, struct passage *passage, struct expr **ret_expr)
{
    if (is_empty(passage))
        return true;
    if (!passage_join(passage, &compiler->load))
        return false;
    *ret_expr = condition_parse(passage, &compiler->load, compiler->report);
    return true;
}

static bool resolve_rule(struct compiler *compiler, struct rule_item *rule)
{
    if (!parse_passage(compiler, &rule->condition, &rule->expr))
        return false;
    if (!rule->expr || compiler->options->syntax_only)
        return true;
    if (!compiler_except(compiler, rule))
        return false;
    compiler->lenient = rule->lenient ? rule : NULL;
    resolve_expr(compiler, rule->expr, SIZE_MAX);
    compiler->lenient = NULL;
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
        if (macro && !parse_passage(compiler, &macro->condition, &macro->expr))
            return false;
        if (macro && macro->expr && !compiler->options->syntax_only)
            resolve_expr(compiler, macro->expr, macro->definition.visibility);
    }
    for (size_t i = 0; i < items->rules.count; i++) {
        struct rule_item *rule = items->rules.entries[i].item;
        if (rule && !resolve_rule(compiler, rule))
            return false;
    }
    // What is broken may be what would have used them.
    if (compiler->report->errors == 0 && !compiler->options->syntax_only) {
        warn_unused(compiler, &items->macros, "LOAD_UNUSED_MACRO", "macro");
        warn_unused(compiler, &items->lists, "LOAD_UNUSED_LIST", "list");
    }
    return !compiler->load.failed && !compiler->set->arena.failed;
}
