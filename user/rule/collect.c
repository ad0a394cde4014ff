// From the YAML tree of a file to lists, macros and rules.
#include "collect.h"
#include "items.h"

#include <stdarg.h>
#include <string.h>

static void report_item(struct collector *collector, enum rule_severity severity, const char *code,
                        const struct node *node, const char *format, va_list args)
{
    char message[512];
    vsnprintf(message, sizeof(message), format, args);
    problem_at(collector->report, severity, code, place_of(collector->file, node), "%s", message);
}

bool item_fail(struct collector *collector, const struct node *node, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report_item(collector, RULE_ERROR, CODE_ITEM, node, format, args);
    va_end(args);
    return false;
}

bool item_refuse(struct collector *collector, const struct node *node, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report_item(collector, RULE_ERROR, CODE_VALIDATE, node, format, args);
    va_end(args);
    return false;
}

void item_warn(struct collector *collector, const char *code, const struct node *node, const char *format,
               ...)
{
    va_list args;
    va_start(args, format);
    report_item(collector, RULE_WARNING, code, node, format, args);
    va_end(args);
}

static void warn(struct collector *collector, const char *code, const struct node *node, const char *message)
{
    item_warn(collector, code, node, "\"%.80s\" %s", node->text, message);
}

static bool is_among(const struct node *key, const char *const *names)
{
    for (; *names; names++)
        if (node_is(key, *names))
            return true;
    return false;
}

// Keys that were misspelt must not be lost without a word.
static void check_keys(struct collector *collector, const struct node *item, const char *const *known,
                       const char *const *ignored)
{
    struct table seen = {0};
    for (const struct node *key = item->first; key; key = key->next) {
        if (table_find(&seen, key->text, key->length))
            warn(collector, "LOAD_DUPLICATE_KEY", key,
                 "is given twice here; the first one counts, remove one");
        table_add(&seen, collector->arena, key->text, key->length);
        if (is_among(key, ignored))
            warn(collector, "LOAD_UNKNOWN_ITEM", key, "is not supported and has no effect");
        else if (!is_among(key, known))
            warn(collector, "LOAD_UNKNOWN_KEY", key,
                 "is not a known key here and has no effect; is it misspelt?");
    }
}

const struct node *item_scalar(struct collector *collector, const struct node *item, const char *key)
{
    const struct node *value = node_get(item, key);
    if (value && value->kind == NODE_SCALAR)
        return value;
    if (value)
        item_fail(collector, value, "\"%s\" must be a text, not a list or a map", key);
    return NULL;
}

bool item_bool(struct collector *collector, const struct node *item, const char *key, bool *ret_truth)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "on", NULL};
    static const char *const no[] = {"false", "False", "FALSE", "no", "off", NULL};
    const struct node *value = node_get(item, key);
    if (!value)
        return true;
    if (!is_among(value, yes) && !is_among(value, no))
        return item_fail(collector, value, "\"%s\" must be true or false", key);
    *ret_truth = is_among(value, yes);
    return true;
}

bool item_change(struct collector *collector, const struct node *item, const char *key,
                 enum change *ret_change)
{
    bool append = false;
    if (!item_bool(collector, item, "append", &append))
        return false;
    const struct node *override = node_get(item, "override");
    *ret_change = append ? CHANGE_APPEND : CHANGE_NONE;
    if (!override)
        return true;
    if (override->kind != NODE_MAPPING)
        return item_fail(collector, override, "\"override\" must be a map such as {condition: append}");
    const struct node *how = node_get(override, key);
    if (!how) {
        if (!node_get(item, key))
            return true;
        return item_fail(collector, node_get(item, key),
                         "\"%s\" is given, but \"override\" does not say how: add %s: append or %s: replace",
                         key, key, key);
    }
    if (node_is(how, "append"))
        *ret_change = CHANGE_APPEND;
    else if (node_is(how, "replace"))
        *ret_change = CHANGE_REPLACE;
    else
        return item_fail(collector, how, "an override is either \"append\" or \"replace\"");
    if (!node_get(item, key))
        return item_fail(collector, how, "\"override\" names \"%s\", but the item has no such key: add it",
                         key);
    return true;
}

bool item_changes(const struct node *item)
{
    const struct node *append = node_get(item, "append");
    return node_get(item, "override") || (append && !node_is(append, "false"));
}

void definition_set(struct collector *collector, struct definition *definition, const struct node *name,
                    bool fresh)
{
    size_t order = collector->items->definitions++;
    definition->name = name->text;
    definition->file = collector->file;
    definition->node = name;
    definition->index = fresh ? order : definition->index;
    definition->visibility = order;
}

void *item_open(struct collector *collector, struct table *table, const struct node *name, size_t size,
                bool *ret_fresh)
{
    struct table_entry *entry = table_add(table, collector->arena, name->text, name->length);
    if (!entry)
        return NULL;
    *ret_fresh = !entry->item;
    if (!entry->item)
        entry->item = arena_alloc(collector->arena, size);
    return entry->item;
}

static bool is_identifier(const struct node *name)
{
    for (size_t i = 0; i < name->length; i++) {
        char letter = name->text[i];
        bool alpha = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
        if (!alpha && (i == 0 || !((letter >= '0' && letter <= '9') || letter == '_')))
            return false;
    }
    return name->length > 0;
}

static bool collect_list(struct collector *collector, const struct node *item, const struct node *name)
{
    static const char *const known[] = {"list", "items", "append", "override", NULL};
    static const char *const ignored[] = {NULL};
    check_keys(collector, item, known, ignored);
    const struct node *values = node_get(item, "items");
    enum change change;
    if (!values || values->kind != NODE_SEQUENCE)
        return item_fail(collector, values ? values : name,
                         "the list \"%.80s\" needs \"items\": write items: [a, b]", name->text);
    if (!item_change(collector, item, "items", &change))
        return false;
    for (const struct node *value = values->first; value; value = value->next)
        if (value->kind != NODE_SCALAR)
            return item_fail(collector, value,
                             "an item of a list must be a text or the name of another list");
    if (change == CHANGE_APPEND && !table_find(&collector->items->lists, name->text, name->length))
        return item_fail(collector, name, "there is no list \"%.80s\" to append to: define it before",
                         name->text);

    bool fresh;
    struct list *list = item_open(collector, &collector->items->lists, name, sizeof(*list), &fresh);
    struct list_part *part = list ? arena_alloc(collector->arena, sizeof(*part)) : NULL;
    if (!part)
        return false;
    definition_set(collector, &list->definition, name, fresh);
    part->file = collector->file;
    part->items = values;
    if (change != CHANGE_APPEND)
        list->first = list->last = NULL;
    if (list->last)
        list->last->next = part;
    else
        list->first = part;
    list->last = part;
    return true;
}

static bool collect_macro(struct collector *collector, const struct node *item, const struct node *name)
{
    static const char *const known[] = {"macro", "condition", "append", "override", NULL};
    static const char *const ignored[] = {NULL};
    check_keys(collector, item, known, ignored);
    if (!is_identifier(name))
        warn(collector, "LOAD_INVALID_MACRO_NAME", name,
             "cannot be used in a condition: name a macro with letters, digits and _");
    enum change change;
    if (!node_get(item, "condition"))
        return item_fail(collector, name, "the macro \"%.80s\" needs a \"condition\"", name->text);
    const struct node *condition = item_scalar(collector, item, "condition");
    if (!condition || !item_change(collector, item, "condition", &change))
        return false;
    if (change == CHANGE_APPEND && !table_find(&collector->items->macros, name->text, name->length))
        return item_fail(collector, name, "there is no macro \"%.80s\" to append to: define it before",
                         name->text);

    bool fresh;
    struct macro *macro = item_open(collector, &collector->items->macros, name, sizeof(*macro), &fresh);
    if (!macro)
        return false;
    definition_set(collector, &macro->definition, name, fresh);
    if (change != CHANGE_APPEND)
        macro->condition = (struct passage){0};
    return passage_add(&macro->condition, collector->arena, collector->file, condition);
}

static bool collect_rule(struct collector *collector, const struct node *item, const struct node *name)
{
    static const char *const known[] = {"rule",
                                        "desc",
                                        "condition",
                                        "output",
                                        "priority",
                                        "tags",
                                        "enabled",
                                        "source",
                                        "exceptions",
                                        "append",
                                        "override",
                                        "warn_evttypes",
                                        "skip-if-unknown-filter",
                                        NULL};
    static const char *const ignored[] = {"capture", "capture_duration", NULL};
    check_keys(collector, item, known, ignored);
    return rule_collect(collector, item, name);
}

static bool collect_item(struct collector *collector, const struct node *item)
{
    if (item->kind != NODE_MAPPING)
        return item_fail(collector, item, "expected an item such as \"- rule: NAME\"");
    static const struct {
        const char *key;
        bool (*collect)(struct collector *, const struct node *, const struct node *);
    } kinds[] = {{"rule", collect_rule}, {"macro", collect_macro}, {"list", collect_list}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct node *value = node_get(item, kinds[i].key);
        if (!value)
            continue;
        const struct node *name = item_scalar(collector, item, kinds[i].key);
        if (name && name->length == 0)
            return item_fail(collector, name, "the name of a %s must not be empty", kinds[i].key);
        return name && kinds[i].collect(collector, item, name);
    }
    const struct node *version = node_get(item, "required_engine_version");
    const struct node *plugins = node_get(item, "required_plugin_versions");
    if (version)
        return engine_version_check(collector, version);
    if (plugins)
        return plugin_versions_check(collector, plugins);
    return item_fail(
        collector, item->first ? item->first : item,
        "this is not a rule, macro or list: begin the item with \"rule:\", \"macro:\" or \"list:\"");
}

bool items_collect(struct items *items, const struct file *file, const struct node *documents,
                   struct arena *arena, struct rule_report *report)
{
    struct collector collector = {.items = items, .file = file, .arena = arena, .report = report};
    bool empty = true;
    for (const struct node *document = documents->first; document; document = document->next) {
        bool nothing = document->kind == NODE_SCALAR && document->style == STYLE_PLAIN &&
                       (document->length == 0 || node_is(document, "~") || node_is(document, "null"));
        if (nothing)
            continue;
        if (document->kind != NODE_SEQUENCE) {
            item_fail(&collector, document,
                      "a rule file is a sequence of items, each of which begins with \"- \"");
            return true;
        }
        empty = empty && !document->first;
        for (const struct node *item = document->first; item; item = item->next)
            if (!collect_item(&collector, item) && arena->failed)
                return false;
    }
    if (empty)
        problem_at(report, RULE_WARNING, "LOAD_NO_ITEMS", place_of(file, NULL),
                   "the file holds no rules, macros or lists");
    return true;
}
