#include "base/cleanup.h"
#include "collect.h"

#include <string.h>

static bool read_priority(struct collector *collector, const struct node *item, struct rule_item *rule)
{
    const struct node *priority = item_scalar(collector, item, "priority");
    if (!priority)
        return !node_get(item, "priority");
    if (priority_parse(priority->text, &rule->priority))
        return item_fail(
            collector, priority,
            "unknown priority \"%.40s\": use Emergency, Alert, Critical, Error, Warning, Notice, "
            "Informational or Debug",
            priority->text);
    return true;
}

static bool read_tags(struct collector *collector, const struct node *item, bool append,
                      struct rule_item *rule)
{
    const struct node *tags = node_get(item, "tags");
    if (!tags)
        return true;
    if (tags->kind != NODE_SEQUENCE)
        return item_fail(collector, tags, "\"tags\" must be a list: write tags: [a, b]");
    size_t count = append ? rule->tags_count : 0, old = count;
    for (const struct node *tag = tags->first; tag; tag = tag->next, count++)
        if (tag->kind != NODE_SCALAR)
            return item_fail(collector, tag, "a tag must be a text");
    const char **list = arena_alloc(collector->arena, (count + 1) * sizeof(*list));
    if (!list)
        return false;
    if (old)
        memcpy(list, rule->tags, old * sizeof(*list));
    for (const struct node *tag = tags->first; tag; tag = tag->next)
        list[old++] = tag->text;
    rule->tags = list;
    rule->tags_count = count;
    return true;
}

// The passages of a rule, and how the item changes each.
static bool change_passage(struct collector *collector, const struct node *item, const char *key,
                           struct passage *passage)
{
    enum change change;
    if (!item_change(collector, item, key, &change))
        return false;
    const struct node *text = item_scalar(collector, item, key);
    if (!text)
        return !node_get(item, key);
    if (change != CHANGE_APPEND)
        *passage = (struct passage){0};
    return passage_add(passage, collector->arena, collector->file, text);
}

static bool change_rule(struct collector *collector, const struct node *item, struct rule_item *rule)
{
    static const char *const replaced_only[] = {"priority", "enabled", "warn_evttypes",
                                                "skip-if-unknown-filter"};
    enum change change;
    for (size_t i = 0; node_get(item, "override") && i < ARRAY_SIZE(replaced_only); i++) {
        if (!item_change(collector, item, replaced_only[i], &change))
            return false;
        if (change == CHANGE_APPEND)
            return item_fail(collector, node_get(item, replaced_only[i]),
                             "\"%s\" cannot be appended to: write %s: replace", replaced_only[i],
                             replaced_only[i]);
    }
    enum change exceptions;
    if (!item_change(collector, item, "tags", &change) ||
        !item_change(collector, item, "exceptions", &exceptions))
        return false;
    bool warned = !rule->quiet;
    bool ok = change_passage(collector, item, "condition", &rule->condition) &&
              change_passage(collector, item, "output", &rule->output) &&
              change_passage(collector, item, "desc", &rule->description) &&
              read_priority(collector, item, rule) &&
              read_tags(collector, item, change == CHANGE_APPEND, rule) &&
              exceptions_collect(collector, item, exceptions, rule) &&
              item_bool(collector, item, "enabled", &rule->enabled) &&
              item_bool(collector, item, "skip-if-unknown-filter", &rule->lenient) &&
              item_bool(collector, item, "warn_evttypes", &warned);
    rule->quiet = !warned;
    return ok;
}

// A rule is whole or it is an error; the first key that is missing is named.
static bool check_required(struct collector *collector, const struct node *item, const struct node *name)
{
    static const char *const required[] = {"desc", "condition", "output", "priority"};
    for (size_t i = 0; i < ARRAY_SIZE(required); i++)
        if (!node_get(item, required[i]))
            return item_fail(collector, name, "the rule \"%.80s\" has no \"%s\": add it", name->text,
                             required[i]);
    return true;
}

bool rule_collect(struct collector *collector, const struct node *item, const struct node *name)
{
    const struct node *source = item_scalar(collector, item, "source");
    if (source && !node_is(source, "syscall")) {
        problem_at(collector->report, RULE_WARNING, "LOAD_UNKNOWN_SOURCE", place_of(collector->file, source),
                   "the source \"%.40s\" is not supported: the rule is left out", source->text);
        return true;
    }

    // `enabled` alone switches an earlier rule on or off, with or without an override.
    bool only_enabled = node_get(item, "enabled") && !node_get(item, "condition") &&
                        !node_get(item, "output") && !node_get(item, "desc") && !node_get(item, "priority");
    bool changes = item_changes(item) || only_enabled;
    if (!changes && !check_required(collector, item, name))
        return false;
    struct table *rules = &collector->items->rules;
    if (changes && !table_find(rules, name->text, name->length))
        return item_fail(collector, name, "there is no rule \"%.80s\" to change: define it before",
                         name->text);

    bool fresh;
    struct rule_item *rule = item_open(collector, rules, name, sizeof(*rule), &fresh);
    if (!rule)
        return false;
    struct rule_item changed = *rule;
    if (!changes)
        changed = (struct rule_item){.enabled = true, .definition.index = rule->definition.index};
    definition_set(collector, &changed.definition, name, fresh);
    // A broken item must not be compiled: it would be reported twice.
    bool ok = change_rule(collector, item, &changed);
    if (ok || fresh)
        *rule = changed;
    return ok;
}
