// Reading what rules compare: each field once an event, however many rules ask.
#pragma once

#include "rule_set.h"

enum {
    VALUES_MAX = 4096, // of one field of one event
    KEPT_MAX = 4096,   // bytes of a value that transformers made and other rules may ask for, too
};

// What transformers make lives until the next comparison, so that no rule takes another's room.
bool reading_compose(const struct rule_set *set, struct reading *reading, const struct event *event,
                     uint64_t round);

static inline bool reading_first(const struct rule_set *set, struct reading *reading,
                                 const struct event *event, uint64_t round)
{
    if (reading->round == round)
        return reading->present;
    if (__builtin_expect(reading->term != NULL, 0))
        return reading_compose(set, reading, event, round);
    reading->present = field_get(reading->field, event, &reading->arg, 0, &reading->value);
    reading->round = round;
    return reading->present;
}

static inline bool reading_nth(const struct rule_set *set, const struct reading *reading,
                               const struct event *event, size_t nth, struct value *ret_value)
{
    return __builtin_expect(reading->term != NULL, 0)
               ? term_get(reading->term, event, nth, set->composed, ret_value)
               : field_get(reading->field, event, &reading->arg, nth, ret_value);
}
