// Reading what rules compare: each field once an event, however many rules ask.
#pragma once

#include "rule_set.h"

enum { VALUES_MAX = 4096 }; // of one field of one event

static inline bool reading_nth(const struct rule_set *set, const struct reading *reading,
                               const struct event *event, size_t nth, struct value *ret_value)
{
    return __builtin_expect(reading->term != NULL, 0)
               ? term_get(reading->term, event, nth, set->composed, ret_value)
               : field_get(reading->field, event, &reading->arg, nth, ret_value);
}

static inline bool reading_first(const struct rule_set *set, struct reading *reading,
                                 const struct event *event, uint64_t round)
{
    if (reading->round != round) {
        reading->present = reading_nth(set, reading, event, 0, &reading->value);
        reading->round = round;
    }
    return reading->present;
}
