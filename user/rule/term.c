#include "compiler.h"

#include <string.h>

bool term_exists(const struct term *term, const struct event_type *type)
{
    if (term->kind == TERM_FIELD && !compiler_field(type, term->name.text, term->name.length))
        return false;
    for (const struct term *child = term->first; child; child = child->next)
        if (!term_exists(child, type))
            return false;
    return true;
}

struct term *term_bind(const struct term *term, const struct event_type *type, struct arena *arena)
{
    struct term *bound = arena_alloc(arena, sizeof(*bound));
    if (!bound)
        return NULL;
    *bound = *term;
    bound->next = NULL;
    bound->first = NULL;
    if (term->kind == TERM_FIELD)
        bound->field = compiler_field(type, term->name.text, term->name.length);
    if (term->kind == TERM_TEXT)
        bound->text = arena_copy(arena, term->text, term->length);
    if (term->kind == TERM_TEXT && !bound->text)
        return NULL;
    struct term **tail = &bound->first;
    for (const struct term *child = term->first; child; child = child->next) {
        *tail = term_bind(child, type, arena);
        if (!*tail)
            return NULL;
        tail = &(*tail)->next;
    }
    // What is left of the file that the rule was read from goes away.
    bound->name = (struct word){0};
    bound->arg.text =
        term->kind == TERM_CALL && term->has_arg ? arena_copy(arena, term->arg.text, term->arg.length) : NULL;
    return bound;
}

bool term_get(const struct term *term, const struct event *event, size_t nth, struct arena *arena,
              struct value *ret_value)
{
    const struct term *child = term->first;
    switch (term->kind) {
    case TERM_FIELD:
        return term->field && field_get(term->field, event, &term->field_arg, nth, ret_value);
    case TERM_TEXT:
        return nth == 0 && value_set_bytes(ret_value, term->text, term->length);
    case TERM_LIST:
        for (; child && nth > 0; nth--)
            child = child->next;
        return child && term_get(child, event, 0, arena, ret_value);
    default:
        return transform(term, event, nth, arena, ret_value);
    }
}
