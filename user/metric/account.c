#include "account.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const double delay_bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                      0.025,  0.05,    0.1,    0.25,  0.5,    1,     2.5};
enum { DELAY_BUCKETS = ARRAY_SIZE(delay_bounds) };

static struct account_view view;
static uint64_t events[EVENT_TYPES_MAX];
static uint64_t *alerts; // by rule index
static uint64_t delay_counts[DELAY_BUCKETS + 1];
static double delay_sum;

void account_event(const struct event *event)
{
    events[event_type_index(event->type)]++;
}

void account_alert(const struct rule *rule, uint64_t delay_ns)
{
    double seconds = (double)delay_ns / 1e9;
    size_t bucket = 0;
    while (bucket < DELAY_BUCKETS && seconds > delay_bounds[bucket])
        bucket++;
    delay_counts[bucket]++;
    delay_sum += seconds;
    if (alerts)
        alerts[rule->index]++;
}

static void collect_events(struct series_writer *writer)
{
    static const struct series_family family = {.name = "inferscope_events_total",
                                                .type = SERIES_COUNTER,
                                                .help = "Events that reached the agent, by type"};
    writer->family(writer, &family);
    for (size_t i = 0; i < event_type_count(); i++) {
        struct label labels[] = {{"source", event_type_source(event_type_at(i))},
                                 {"type", event_type_at(i)->name}};
        writer->number(writer, labels, ARRAY_SIZE(labels), (double)events[i]);
    }
}

static void collect_alerts(struct series_writer *writer)
{
    static const struct series_family family = {
        .name = "inferscope_alerts_total", .type = SERIES_COUNTER, .help = "Alerts raised, by rule"};
    static const struct series_family delay = {
        .name = "inferscope_alert_delay_seconds",
        .type = SERIES_HISTOGRAM,
        .unit = "seconds",
        .help = "Time from an event in the kernel until its alert was written"};
    static const struct series_family loaded = {
        .name = "inferscope_rules", .type = SERIES_GAUGE, .help = "Rules that are loaded and enabled"};
    size_t enabled = 0;
    writer->family(writer, &family);
    for (size_t i = 0; i < rule_set_count(view.rules); i++) {
        const struct rule *rule = rule_set_at(view.rules, i);
        if (!rule->enabled)
            continue;
        enabled++;
        struct label labels[] = {{"rule", rule->name}, {"priority", priority_name(rule->priority)}};
        writer->number(writer, labels, ARRAY_SIZE(labels), (double)alerts[rule->index]);
    }
    writer->family(writer, &loaded);
    writer->number(writer, NULL, 0, (double)enabled);
    writer->family(writer, &delay);
    struct series_histogram histogram = {
        .buckets = DELAY_BUCKETS, .bounds = delay_bounds, .counts = delay_counts, .sum = delay_sum};
    writer->histogram(writer, NULL, 0, &histogram);
}

static void collect_sources(struct series_writer *writer)
{
    static const struct series_family family = {
        .name = "inferscope_source_up",
        .type = SERIES_GAUGE,
        .help =
            "1: the source is attached, 0: it could not be. A source that nothing asks for is not listed"};
    writer->family(writer, &family);
    for (size_t i = 0; i < source_count(); i++) {
        struct label label = {"source", source_at(i)->name};
        if (view.reports[i].needed)
            writer->number(writer, &label, 1, view.reports[i].up);
    }
    for (size_t i = 0; i < source_count(); i++)
        if (source_at(i)->collect && view.reports[i].up)
            source_at(i)->collect(writer);
}

static void collect(struct series_writer *writer, void *context)
{
    if (!view.reports)
        return;
    collect_events(writer);
    if (view.rules)
        collect_alerts(writer);
    collect_sources(writer);
}

static const struct rule *rule_named(const struct rule_set *rules, const char *name, size_t near)
{
    // Most sets are loaded again with few changes, so the rule is near where it was.
    size_t count = rules ? rule_set_count(rules) : 0;
    for (size_t i = 0; i < count; i++) {
        const struct rule *rule = rule_set_at(rules, (near + i) % count);
        if (strcmp(rule->name, name) == 0)
            return rule;
    }
    return NULL;
}

int account_set_rules(const struct rule_set *rules)
{
    size_t count = rule_set_count(rules);
    uint64_t *fresh = calloc(count + 1, sizeof(*fresh));
    if (!fresh)
        return -ENOMEM;
    for (size_t i = 0; alerts && i < count; i++) {
        const struct rule *before = rule_named(view.rules, rule_set_at(rules, i)->name, i);
        fresh[i] = before ? alerts[before->index] : 0;
    }
    free(alerts);
    alerts = fresh;
    view.rules = rules;
    return 0;
}

int account_start(const struct account_view *wanted)
{
    static bool registered;
    view = *wanted;
    int error = view.rules ? account_set_rules(view.rules) : 0;
    if (!error && !registered)
        error = series_register(collect, NULL);
    registered = registered || !error;
    return error;
}

void account_stop(void)
{
    view = (struct account_view){};
    free(alerts);
    alerts = NULL;
}
