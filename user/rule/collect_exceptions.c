#include "collect.h"

#include <string.h>

static const struct node *get_sequence(const struct node *mapping, const char *key)
{
    const struct node *node = node_get(mapping, key);
    return node && node->kind == NODE_SEQUENCE ? node : NULL;
}

static size_t count_items(const struct node *sequence)
{
    size_t count = 0;
    for (const struct node *item = sequence->first; item; item = item->next)
        count++;
    return count;
}

static bool all_scalars(const struct node *node)
{
    for (const struct node *item = node->kind == NODE_SEQUENCE ? node->first : NULL; item; item = item->next)
        if (item->kind != NODE_SCALAR)
            return false;
    return node->kind != NODE_MAPPING;
}

static bool check_comparator(struct collector *collector, const struct node *comp)
{
    enum comparator comparator;
    enum quantifier quantifier;
    if (comparator_parse(comp->text, comp->length, &comparator, &quantifier))
        return true;
    return item_refuse(collector, comp, "\"%.40s\" is no comparison", comp->text);
}

// A field alone is compared with all of its values at once.
static bool check_single(struct collector *collector, const struct exception *exception)
{
    const struct node *comps = exception->comps;
    enum comparator comparator;
    enum quantifier quantifier;
    if (!comps)
        return true;
    if (comps->kind != NODE_SCALAR)
        return item_refuse(collector, comps,
                           "\"fields\" is a single field, so \"comps\" must be a single one");
    if (!check_comparator(collector, comps))
        return false;
    comparator_parse(comps->text, comps->length, &comparator, &quantifier);
    if (comparator_takes_list(comparator) || quantifier != QUANTIFIER_NONE)
        return true;
    return item_refuse(
        collector, comps,
        "for a single field \"comps\" is in, pmatch or intersects, or a comparison with oneof, "
        "anyof or allof behind it");
}

static bool check_several(struct collector *collector, const struct exception *exception)
{
    const struct node *comps = exception->comps;
    if (!comps)
        return true;
    if (comps->kind != NODE_SEQUENCE || count_items(comps) != count_items(exception->fields))
        return item_refuse(collector, comps, "\"comps\" must be a list that is as long as \"fields\"");
    for (const struct node *comp = comps->first; comp; comp = comp->next)
        if (!check_comparator(collector, comp))
            return false;
    return true;
}

static bool check_shape(struct collector *collector, const struct exception *exception)
{
    const struct node *fields = exception->fields;
    if (!fields)
        return item_refuse(collector, exception->node,
                           "the exception \"%.80s\" needs \"fields\": a field or a list of them",
                           exception->name);
    if (!all_scalars(fields) || (exception->comps && !all_scalars(exception->comps)) ||
        (fields->kind == NODE_SEQUENCE && !fields->first))
        return item_fail(collector, fields, "\"fields\" and \"comps\" are a text or a list of texts each");
    return fields->kind == NODE_SCALAR ? check_single(collector, exception)
                                       : check_several(collector, exception);
}

static bool check_value(struct collector *collector, const struct node *value)
{
    return all_scalars(value) || item_fail(collector, value, "a value is a text or a list of texts");
}

static bool check_values(struct collector *collector, const struct exception *exception,
                         const struct node *values)
{
    bool single = exception->fields->kind == NODE_SCALAR;
    for (const struct node *value = values->first; value; value = value->next) {
        if (single && value->kind != NODE_SCALAR)
            return item_refuse(collector, value, "the values of a single field are texts");
        if (single)
            continue;
        if (value->kind != NODE_SEQUENCE || count_items(value) != count_items(exception->fields))
            return item_refuse(collector, value,
                               "each of the values must be a list that is as long as \"fields\"");
        for (const struct node *item = value->first; item; item = item->next)
            if (!check_value(collector, item))
                return false;
    }
    return true;
}

static bool add_values(struct collector *collector, struct exception *exception, const struct node *values)
{
    if (!values)
        return true;
    if (!check_values(collector, exception, values))
        return false;
    struct exception_part *part = arena_alloc(collector->arena, sizeof(*part));
    if (!part)
        return false;
    part->file = collector->file;
    part->values = values;
    if (exception->last)
        exception->last->next = part;
    else
        exception->first = part;
    exception->last = part;
    return true;
}

// The rule as it was before may still be needed, so nothing of it is changed in place.
static struct exception *copy(struct arena *arena, const struct exception *from)
{
    struct exception *first = NULL, **tail = &first;
    for (; from; from = from->next, tail = &(*tail)->next) {
        *tail = arena_alloc(arena, sizeof(**tail));
        if (!*tail)
            return NULL;
        **tail = *from;
        (*tail)->first = (*tail)->last = NULL;
        struct exception_part **end = &(*tail)->first;
        for (const struct exception_part *part = from->first; part; part = part->next) {
            *end = arena_alloc(arena, sizeof(**end));
            if (!*end)
                return NULL;
            **end = *part;
            (*tail)->last = *end;
            end = &(*end)->next;
        }
    }
    return first;
}

static bool collect_one(struct collector *collector, const struct node *item, bool append,
                        struct exception **list)
{
    if (item->kind != NODE_MAPPING)
        return item_fail(collector, item, "an exception is a map with \"name\", \"fields\" and \"values\"");
    const struct node *name = item_scalar(collector, item, "name");
    if (!name)
        return node_get(item, "name") ? false : item_fail(collector, item, "the exception needs a \"name\"");
    const struct node *values = get_sequence(item, "values");
    const struct node *other = node_get(item, "values");
    bool nothing = !other || (other->kind == NODE_SCALAR && other->length == 0);
    if (!values && !nothing)
        return item_fail(collector, other, "\"values\" must be a list");

    struct exception **end = list, *known = NULL;
    for (; *end; end = &(*end)->next)
        known = strcmp((*end)->name, name->text) == 0 && !known ? *end : known;
    if (known && append) {
        const struct node *shape =
            node_get(item, "fields") ? node_get(item, "fields") : node_get(item, "comps");
        if (shape)
            return item_refuse(collector, shape,
                               "the exception \"%.80s\" exists: only values can be appended to it",
                               name->text);
        if (!values || !values->first)
            item_warn(collector, "LOAD_APPEND_NO_VALUES", name, "nothing is appended: there are no values");
        return add_values(collector, known, values);
    }
    if (known)
        item_warn(collector, "LOAD_EXCEPTION_NAME_NOT_UNIQUE", name,
                  "the rule has two exceptions of the name \"%.80s\": rename one", name->text);
    struct exception *exception = arena_alloc(collector->arena, sizeof(*exception));
    if (!exception)
        return false;
    *exception = (struct exception){.name = name->text,
                                    .file = collector->file,
                                    .node = name,
                                    .fields = node_get(item, "fields"),
                                    .comps = node_get(item, "comps")};
    if (!check_shape(collector, exception) || !add_values(collector, exception, values))
        return false;
    if (append && (!values || !values->first))
        return item_refuse(collector, name, "an exception that is appended needs \"values\"");
    *end = exception;
    return true;
}

bool exceptions_collect(struct collector *collector, const struct node *item, enum change change,
                        struct rule_item *rule)
{
    const struct node *exceptions = node_get(item, "exceptions");
    if (!exceptions || (exceptions->kind == NODE_SCALAR && exceptions->length == 0))
        return true;
    if (exceptions->kind != NODE_SEQUENCE)
        return item_fail(collector, exceptions, "\"exceptions\" must be a list of exceptions");
    bool append = change == CHANGE_APPEND;
    struct exception *list = append ? copy(collector->arena, rule->exceptions) : NULL;
    bool ok = true;
    for (const struct node *exception = exceptions->first; exception; exception = exception->next)
        ok = collect_one(collector, exception, append, &list) && ok;
    rule->exceptions = list;
    return ok;
}
