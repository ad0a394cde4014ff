// What the pipeline has seen and done, as metrics: events by type, alerts by rule, their delay, sources.
#pragma once

#include "event.h"
#include "rule.h"
#include "source.h"

#include <stddef.h>
#include <stdint.h>

// The pointers are borrowed and must stay until account_stop().
struct account_view {
    const struct rule_set *rules;
    const struct source_report *reports; // source_count() of them
};

// 0 or a negative errno.
int account_start(const struct account_view *view);
void account_stop(void);
// Takes other rules, borrowed in the same way; those that stay, by their names, go on counting. 0, or -ENOMEM
// and nothing has changed.
int account_set_rules(const struct rule_set *rules);

void account_event(const struct event *event);
// `delay_ns`: from the event in the kernel until the alert was written.
void account_alert(const struct rule *rule, uint64_t delay_ns);
