// Steps are laid from the last one back, so that each knows the steps it leads to.
#include "bound.h"

#include <string.h>

struct emitter {
    struct compiler *compiler;
    const struct event_type *type;
    struct table *readings;
    struct step *steps;
    uint32_t count;
};

// What is in memory under that name, made zeroed where there is none.
static struct reading *reading_open(struct emitter *emitter, char *name, size_t size, bool *ret_fresh)
{
    struct table_entry *entry = table_add(emitter->readings, &emitter->compiler->load, name, size);
    if (!entry)
        return NULL;
    *ret_fresh = !entry->item;
    if (!entry->item)
        entry->item = arena_alloc(&emitter->compiler->set->arena, sizeof(struct reading));
    return entry->item;
}

// A term that transforms is bound to each type of event on its own.
static struct reading *reading_of_call(struct emitter *emitter, const struct term *term)
{
    const void *key[] = {term, emitter->type};
    bool fresh;
    char *name = arena_copy(&emitter->compiler->load, (const char *)key, sizeof(key));
    struct reading *reading = name ? reading_open(emitter, name, sizeof(key), &fresh) : NULL;
    if (!reading || !fresh)
        return reading;
    reading->term = term_bind(term, emitter->type, &emitter->compiler->set->arena);
    reading->many = term->many;
    // A list that a transformer makes is `in` another one only as a whole.
    reading->list = term->many && term->transformer == TRANSFORM_GETOPT;
    return reading->term ? reading : NULL;
}

// Rules that read the same share the reading.
static struct reading *reading_of(struct emitter *emitter, const struct term *term)
{
    if (term->kind != TERM_FIELD)
        return reading_of_call(emitter, term);
    const struct field *field = compiler_field(emitter->type, term->name.text, term->name.length);
    const struct field_arg *arg = &term->field_arg;
    const char *key = arg->set && arg->key ? arg->key : "";
    size_t size = sizeof(field) + strlen(key) + 1;
    char *name = arena_alloc(&emitter->compiler->load, size);
    if (!name)
        return NULL;
    memcpy(name, &field, sizeof(field));
    memcpy(name + sizeof(field), key, strlen(key));
    name[size - 1] = arg->set ? 'a' : '-';
    bool fresh;
    struct reading *reading = reading_open(emitter, name, size, &fresh);
    if (reading && fresh) {
        reading->field = field;
        reading->arg = *arg;
        reading->many = field->many;
    }
    return reading;
}

struct reading *bound_reading(const struct term *term, const struct event_type *type,
                              struct compiler *compiler, struct table *readings)
{
    struct emitter emitter = {.compiler = compiler, .type = type, .readings = readings};
    return reading_of(&emitter, term);
}

static uint32_t emit(struct emitter *emitter, const struct bound *bound, uint32_t on_true, uint32_t on_false);

static uint32_t emit_chain(struct emitter *emitter, const struct bound *bound, uint32_t on_true,
                           uint32_t on_false)
{
    size_t count = 0;
    for (const struct bound *child = bound->first; child; child = child->next)
        count++;
    const struct bound **children = arena_alloc(&emitter->compiler->load, count * sizeof(*children));
    if (!children)
        return on_false;
    size_t used = 0;
    for (const struct bound *child = bound->first; child; child = child->next)
        children[used++] = child;
    uint32_t next = bound->kind == BOUND_AND ? on_true : on_false;
    while (used-- > 0)
        next = bound->kind == BOUND_AND ? emit(emitter, children[used], next, on_false)
                                        : emit(emitter, children[used], on_true, next);
    return next;
}

static uint32_t emit(struct emitter *emitter, const struct bound *bound, uint32_t on_true, uint32_t on_false)
{
    switch (bound->kind) {
    case BOUND_TRUE:
        return on_true;
    case BOUND_FALSE:
        return on_false;
    case BOUND_NOT:
        return emit(emitter, bound->first, on_false, on_true);
    case BOUND_AND:
    case BOUND_OR:
        return emit_chain(emitter, bound, on_true, on_false);
    default:
        break;
    }
    emitter->steps[emitter->count] =
        (struct step){.reading = reading_of(emitter, bound->left),
                      .right = bound->right ? reading_of(emitter, bound->right) : NULL,
                      .comparison = bound->comparison,
                      .on_true = on_true,
                      .on_false = on_false};
    return emitter->count++;
}

static size_t count_tests(const struct bound *bound)
{
    size_t count = bound->kind == BOUND_TEST;
    for (const struct bound *child = bound->first; child; child = child->next)
        count += count_tests(child);
    return count;
}

bool bound_emit(const struct bound *bound, const struct event_type *type, struct compiler *compiler,
                struct table *readings, struct judge *ret_judge)
{
    struct emitter emitter = {.compiler = compiler, .type = type, .readings = readings};
    emitter.steps = arena_alloc(&compiler->set->arena, count_tests(bound) * sizeof(*emitter.steps));
    if (!emitter.steps)
        return false;
    ret_judge->entry = emit(&emitter, bound, STEP_HOLDS, STEP_FAILS);
    ret_judge->steps = emitter.steps;
    return !compiler->load.failed && !compiler->set->arena.failed;
}
