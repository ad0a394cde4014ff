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
    for (size_t i = 0; i < EVENT_TYPES_MAX; i++)
        ret_demand->wanted[i] = ret_demand->wanted[i] || set->demand.wanted[i];
    ret_demand->failed_opens = ret_demand->failed_opens || set->demand.failed_opens;
    for (size_t i = 0; i < set->demand.paths_count; i++) {
        const struct demand_path *path = &set->demand.paths[i];
        demand_add_path(ret_demand, path->text, strlen(path->text), path->prefix);
    }
    ret_demand->any_path = ret_demand->any_path || set->demand.any_path;
}

// Of a field with several values, one that compares as asked will do; only `!=` asks it of all.
static bool holds_for_more(const struct step *step, const struct event *event, bool holds)
{
    const struct reading *reading = step->reading;
    bool every = step->comparison->comparator == CMP_NE;
    struct value value;
    for (size_t nth = 1; holds == every && nth < VALUES_MAX; nth++) {
        if (!field_get(reading->field, event, &reading->arg, nth, &value))
            break;
        holds = comparison_holds(step->comparison, &value);
    }
    return holds;
}

static bool step_holds(const struct step *step, const struct event *event, uint64_t round)
{
    struct reading *reading = step->reading;
    if (reading->round != round) {
        reading->present = field_get(reading->field, event, &reading->arg, 0, &reading->value);
        reading->round = round;
    }
    if (!reading->present)
        return false;
    bool holds = comparison_holds(step->comparison, &reading->value);
    return reading->field->many ? holds_for_more(step, event, holds) : holds;
}

static bool judge_holds(const struct judge *judge, const struct event *event, uint64_t round)
{
    uint32_t at = judge->entry;
    while (at < STEP_FAILS) {
        const struct step *step = &judge->steps[at];
        at = step_holds(step, event, round) ? step->on_true : step->on_false;
    }
    return at == STEP_HOLDS;
}

size_t rule_set_match(const struct rule_set *set, const struct event *event, enum rule_matching matching,
                      rule_match_fn on_match, void *context)
{
    const struct judges *judges = &set->types[event_type_index(event->type)];
    uint64_t round = ++*set->round;
    size_t count = 0;
    for (size_t i = 0; i < judges->count; i++) {
        if (!judge_holds(&judges->list[i], event, round))
            continue;
        on_match(judges->list[i].rule, event, context);
        count++;
        if (matching == RULE_MATCHING_FIRST)
            break;
    }
    return count;
}
