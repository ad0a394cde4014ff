#include "rule_set.h"

#include <stdlib.h>
#include <string.h>

enum { VALUES_MAX = 4096 }; // of one field of one event

void rule_set_free(struct rule_set **set)
{
    if (!*set)
        return;
    regex_free_all((*set)->regexes);
    demand_free(&(*set)->demand);
    if ((*set)->composed)
        arena_free((*set)->composed);
    arena_free(&(*set)->arena);
    free(*set);
    *set = NULL;
}

size_t rule_set_count(const struct rule_set *set)
{
    return set->count;
}

const struct rule *rule_set_at(const struct rule_set *set, size_t index)
{
    return index < set->count ? &set->rules[index] : NULL;
}

void rule_set_demand(const struct rule_set *set, struct demand *ret_demand)
{
    demand_add(ret_demand, &set->demand);
}

static inline bool read_value(const struct rule_set *set, const struct reading *reading,
                              const struct event *event, size_t nth, struct value *ret_value)
{
    return __builtin_expect(reading->term != NULL, 0)
               ? term_get(reading->term, event, nth, set->composed, ret_value)
               : field_get(reading->field, event, &reading->arg, nth, ret_value);
}

static inline bool read_first(const struct rule_set *set, struct reading *reading, const struct event *event,
                              uint64_t round)
{
    if (reading->round != round) {
        reading->present = read_value(set, reading, event, 0, &reading->value);
        reading->round = round;
    }
    return reading->present;
}

// One value on the left, and on the right one, or for `in` and `intersects` any.
static bool value_holds(const struct rule_set *set, const struct step *step, const struct event *event,
                        const struct value *left)
{
    const struct reading *right = step->right;
    if (!right)
        return comparison_holds(step->comparison, left);
    struct value value = right->value;
    bool holds = comparison_pair_holds(step->comparison, left, &value);
    for (size_t nth = 1; !holds && right->many && nth < VALUES_MAX; nth++) {
        if (!read_value(set, right, event, nth, &value))
            break;
        holds = comparison_pair_holds(step->comparison, left, &value);
    }
    return holds;
}

// Of a field with several values, one that compares as asked will do; only `!=` asks it of all, and so does
// `in` of a list. Kept out of the way of the usual case, which is one value on each side.
__attribute__((noinline)) static bool holds_for_more(const struct rule_set *set, const struct step *step,
                                                     const struct event *event, bool holds)
{
    const struct reading *reading = step->reading;
    enum comparator comparator = step->comparison->comparator;
    bool every = comparator == CMP_NE || (comparator == CMP_IN && reading->list);
    struct value value;
    for (size_t nth = 1; holds == every && nth < VALUES_MAX; nth++) {
        if (!read_value(set, reading, event, nth, &value))
            break;
        holds = value_holds(set, step, event, &value);
    }
    return holds;
}

static bool step_holds(const struct rule_set *set, const struct step *step, const struct event *event,
                       uint64_t round)
{
    struct reading *reading = step->reading;
    if (!read_first(set, reading, event, round))
        return false;
    if (!step->right && !reading->many)
        return comparison_holds(step->comparison, &reading->value);
    if (step->right && !read_first(set, step->right, event, round))
        return false;
    bool holds = value_holds(set, step, event, &reading->value);
    return reading->many ? holds_for_more(set, step, event, holds) : holds;
}

static bool judge_holds(const struct rule_set *set, const struct judge *judge, const struct event *event,
                        uint64_t round)
{
    uint32_t at = judge->entry;
    while (at < STEP_FAILS) {
        const struct step *step = &judge->steps[at];
        at = step_holds(set, step, event, round) ? step->on_true : step->on_false;
    }
    return at == STEP_HOLDS;
}

size_t rule_set_match(const struct rule_set *set, const struct event *event, enum rule_matching matching,
                      rule_match_fn on_match, void *context)
{
    const struct judges *judges = &set->types[event_type_index(event->type)];
    uint64_t round = ++*set->round;
    if (set->composed->total)
        arena_reset(set->composed);
    size_t count = 0;
    for (size_t i = 0; i < judges->count; i++) {
        if (!judge_holds(set, &judges->list[i], event, round))
            continue;
        on_match(judges->list[i].rule, event, context);
        count++;
        if (matching == RULE_MATCHING_FIRST)
            break;
    }
    return count;
}
