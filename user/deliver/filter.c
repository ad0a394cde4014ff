#include "filter.h"

#include <string.h>

bool filter_takes_kind(const struct config_output *output, enum spool_kind kind)
{
    bool otlp = output->type == OUTPUT_OTLP;
    switch (kind) {
    case SPOOL_ALERT:
        return !otlp || output->signals & SIGNAL_LOGS;
    case SPOOL_SPAN:
        return otlp && output->signals & SIGNAL_TRACES;
    case SPOOL_METRICS:
        return otlp && output->signals & SIGNAL_METRICS;
    }
    return false;
}

bool filter_fits(const char *pattern, const char *text)
{
    // After a mismatch only the latest * takes one more character: an earlier one cannot do better.
    const char *star = NULL, *retry = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static bool takes_rule(const struct config_strings *rules, const char *name)
{
    for (size_t i = 0; i < rules->count; i++)
        if (filter_fits(rules->items[i], name))
            return true;
    return rules->count == 0;
}

static bool takes_tags(const struct config_strings *wanted, const json_t *tags)
{
    for (size_t i = 0; i < wanted->count; i++) {
        for (size_t j = 0; j < json_array_size(tags); j++) {
            const char *tag = json_string_value(json_array_get(tags, j));
            if (tag && strcmp(tag, wanted->items[i]) == 0)
                return true;
        }
    }
    return wanted->count == 0;
}

bool filter_takes(const struct config_output *output, const struct item *item)
{
    if (!filter_takes_kind(output, item->record.kind))
        return false;
    if (item->record.kind != SPOOL_ALERT)
        return true;
    const char *rule = json_string_value(json_object_get(item->json, "rule"));
    return item->record.priority <= output->minimum_priority &&
           takes_rule(&output->rules, rule ? rule : "") &&
           takes_tags(&output->tags, json_object_get(item->json, "tags"));
}
