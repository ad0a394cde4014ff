// What a rule's match becomes on its way to the sinks. Borrowed pointers: valid while the event is handled.
#pragma once

#include "event.h"
#include "rule.h"

struct alert {
    const struct rule *rule;
    const struct event *event;
    const char *hostname;
};
