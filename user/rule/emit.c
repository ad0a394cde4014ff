// Steps are laid from the last one back, so that each knows the steps it leads to.
#include "bound.h"

#include <string.h>

struct emitter {
    struct compiler *compiler;
    struct table *readings;
    struct step *steps;
    uint32_t count;
};

// Rules that read the same share the reading.
static struct reading *reading_of(struct emitter *emitter, const struct bound *bound)
{
    struct arena *arena = &emitter->compiler->set->arena;
    const char *key = bound->arg->set && bound->arg->key ? bound->arg->key : "";
    size_t size = sizeof(bound->field) + strlen(key) + 1;
    char *name = arena_alloc(&emitter->compiler->load, size);
    if (!name)
        return NULL;
    memcpy(name, &bound->field, sizeof(bound->field));
    memcpy(name + sizeof(bound->field), key, strlen(key));
    name[size - 1] = bound->arg->set ? 'a' : '-';
    struct table_entry *entry = table_add(emitter->readings, &emitter->compiler->load, name, size);
    if (!entry || entry->item)
        return entry ? entry->item : NULL;
    struct reading *reading = arena_alloc(arena, sizeof(*reading));
    if (reading) {
        reading->field = bound->field;
        reading->arg = *bound->arg;
    }
    entry->item = reading;
    return reading;
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
    emitter->steps[emitter->count] = (struct step){.reading = reading_of(emitter, bound),
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

bool bound_emit(const struct bound *bound, struct compiler *compiler, struct table *readings,
                struct judge *ret_judge)
{
    struct emitter emitter = {.compiler = compiler, .readings = readings};
    emitter.steps = arena_alloc(&compiler->set->arena, count_tests(bound) * sizeof(*emitter.steps));
    if (!emitter.steps)
        return false;
    ret_judge->entry = emit(&emitter, bound, STEP_HOLDS, STEP_FAILS);
    ret_judge->steps = emitter.steps;
    return !compiler->load.failed && !compiler->set->arena.failed;
}
