#include "compiler.h"

#include <string.h>

enum { LIST_ITEMS_MAX = 1000000 }; // after lists within lists are put in

struct list *compiler_list(struct compiler *compiler, const char *name, size_t length)
{
    const struct table_entry *entry = table_find(&compiler->items.lists, name, length);
    return entry ? entry->item : NULL;
}

// A text that carries its own quotes, as '"a b"' does in YAML, is meant without them.
struct literal literal_of(const struct file *file, const struct node *node)
{
    struct literal literal = {.text = node->text, .length = node->length, .place = place_of(file, node)};
    char first = node->length >= 2 ? node->text[0] : '\0';
    if ((first == '"' || first == '\'') && node->text[node->length - 1] == first) {
        literal.text++;
        literal.length -= 2;
        literal.quoted = true;
    }
    return literal;
}

static bool add(struct compiler *compiler, struct list *list, size_t *capacity, const struct literal *items,
                size_t count)
{
    if (list->flat_count + count > LIST_ITEMS_MAX) {
        problem_at(compiler->report, RULE_ERROR, CODE_ITEM,
                   place_of(list->definition.file, list->definition.node),
                   "the list \"%.80s\" has more than %d items with those of the lists in it: make it smaller",
                   list->definition.name, LIST_ITEMS_MAX);
        return false;
    }
    while (list->flat_count + count > *capacity) {
        struct literal *more = arena_grow(&compiler->load, list->flat, sizeof(*more), capacity);
        if (!more)
            return false;
        list->flat = more;
    }
    if (count)
        memcpy(&list->flat[list->flat_count], items, count * sizeof(*items));
    list->flat_count += count;
    return true;
}

static bool flatten_item(struct compiler *compiler, struct list *list, size_t *capacity,
                         const struct literal *literal)
{
    struct list *inner = literal->quoted ? NULL : compiler_list(compiler, literal->text, literal->length);
    if (!inner)
        return add(compiler, list, capacity, literal, 1);
    if (inner->definition.index >= list->definition.visibility || inner == list) {
        problem_at(compiler->report, RULE_WARNING, "LOAD_LIST_ORDER", literal->place,
                   "the list \"%.80s\" is defined later, so here this is a plain text: define it before",
                   literal->text);
        return add(compiler, list, capacity, literal, 1);
    }
    if (inner->definition.progress == PROGRESS_RUNNING) {
        problem_at(compiler->report, RULE_ERROR, CODE_ITEM, literal->place,
                   "the list \"%.80s\" contains itself: remove it here", literal->text);
        return false;
    }
    inner->definition.used = true;
    return compiler_flatten(compiler, inner) && add(compiler, list, capacity, inner->flat, inner->flat_count);
}

bool compiler_flatten(struct compiler *compiler, struct list *list)
{
    if (list->definition.progress == PROGRESS_DONE)
        return true;
    list->definition.progress = PROGRESS_RUNNING;
    size_t capacity = 0;
    bool ok = true;
    for (const struct list_part *part = list->first; ok && part; part = part->next) {
        for (const struct node *node = part->items->first; ok && node; node = node->next) {
            struct literal literal = literal_of(part->file, node);
            char *text = arena_copy(&compiler->load, literal.text, literal.length);
            literal.text = text;
            ok = text && flatten_item(compiler, list, &capacity, &literal);
        }
    }
    list->definition.progress = PROGRESS_DONE;
    // What is broken must not be multiplied by the lists that use it.
    list->flat_count = ok ? list->flat_count : 0;
    return ok;
}
