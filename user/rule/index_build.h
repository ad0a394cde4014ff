// Making the index of the rules of one type of event; index.h says what it is.
#pragma once

#include "bound.h"

// All rules are bound. `items` are where they come from, by rule.index. False: memory is short.
bool index_build(struct compiler *compiler, const struct event_type *type, struct table *readings,
                 const struct rule_item *const *items);
