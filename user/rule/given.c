#include "given.h"

#include "compiler.h"
#include "operand.h"

#include <string.h>

struct reader {
    const struct file *file;
    struct arena *arena;
    struct rule_report *report;
    struct given *given;
};

__attribute__((format(printf, 3, 4))) static bool fail(const struct reader *reader, const struct node *node,
                                                       const char *format, ...)
{
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    problem_at(reader->report, RULE_ERROR, CODE_ITEM, place_of(reader->file, node), "%s", message);
    return false;
}

static const struct given_value *find(const struct given *given, const struct field *field,
                                      const struct field_arg *arg)
{
    for (const struct given_value *value = given->first; value; value = value->next) {
        if (value->field != field || value->arg.set != arg->set)
            continue;
        if (!arg->set || (field->arg == FIELD_ARG_INDEX ? value->arg.index == arg->index
                                                        : strcmp(value->arg.key, arg->key) == 0))
            return value;
    }
    return NULL;
}

// What follows from the type of the event alone need not be written down.
static bool is_constant(const struct field *field)
{
    return strcmp(field->name, "evt.type") == 0 || strcmp(field->name, "evt.dir") == 0 ||
           strcmp(field->name, "evt.source") == 0;
}

static bool get_given(const struct field_source *source, const struct event *event, const struct field *field,
                      const struct field_arg *arg, size_t nth, struct value *ret_value)
{
    const struct given *given = (const struct given *)source;
    static const struct field_arg none = {0};
    // The sum of a single event.
    if (field->arg == FIELD_ARG_WINDOW) {
        field = field_find(event->type, field->summed, strlen(field->summed));
        arg = &none;
    }
    const struct given_value *value = find(given, field, arg);
    if (!value && nth == 0 && is_constant(field))
        return compiler_constant(event->type, field, ret_value);
    // Of a field with several values, [2] is the third of those that are written down.
    if (!value && arg->set && field->arg == FIELD_ARG_INDEX && nth == 0) {
        value = find(given, field, &none);
        nth = arg->index;
    }
    if (!value || nth >= value->count)
        return false;
    *ret_value = value->values[nth];
    return true;
}

static const char *needed(enum field_type type)
{
    static const char *const names[] = {
        [FIELD_STRING] = "a text",
        [FIELD_INT] = "a whole number",
        [FIELD_UINT] = "a whole number from 0",
        [FIELD_BOOL] = "true or false",
        [FIELD_IP] = "an IP address",
        [FIELD_DURATION] = "a number of nanoseconds",
        [FIELD_TIME] = "a number of nanoseconds since 1970",
    };
    return names[type];
}

static bool read_scalar(const struct reader *reader, const struct field *field, const struct node *node,
                        struct value *ret_value)
{
    uint8_t bits;
    int error = 0;
    ret_value->type = field->type;
    if (node->kind != NODE_SCALAR)
        return fail(reader, node, "%s is %s", field->name, needed(field->type));
    switch (field->type) {
    case FIELD_STRING:
        return value_set_bytes(ret_value, node->text, node->length);
    case FIELD_INT:
        error = operand_int(node->text, &ret_value->i);
        break;
    case FIELD_BOOL:
        error = operand_bool(node->text, &ret_value->b);
        break;
    case FIELD_IP:
        error = strchr(node->text, '/') ? -1 : operand_ip(node->text, &ret_value->ip, &bits);
        break;
    default:
        error = operand_uint(node->text, &ret_value->u);
        break;
    }
    return !error || fail(reader, node, "\"%.80s\" is no value of %s: write %s", node->text, field->name,
                          needed(field->type));
}

static bool is_null(const struct node *node)
{
    return node->kind == NODE_SCALAR && node->style == STYLE_PLAIN &&
           (node->length == 0 || node_is(node, "null") || node_is(node, "~"));
}

static bool read_values(const struct reader *reader, const struct node *node, struct given_value *value)
{
    size_t count = 0;
    bool list = node->kind == NODE_SEQUENCE;
    if (is_null(node))
        return true;
    if (list && (!value->field->many || value->arg.set))
        return fail(reader, node, "%s has one value: write no list", value->field->name);
    for (const struct node *item = list ? node->first : NULL; item; item = item->next)
        count++;
    value->values = arena_alloc(reader->arena, (count + 1) * sizeof(*value->values));
    if (!value->values)
        return false;
    if (!list)
        return read_scalar(reader, value->field, node, &value->values[value->count++]);
    for (const struct node *item = node->first; item; item = item->next)
        if (!read_scalar(reader, value->field, item, &value->values[value->count++]))
            return false;
    return true;
}

static bool read_pair(const struct reader *reader, const struct node *key)
{
    const struct event_type *type = reader->given->event.type;
    const char *bracket = strchrnul(key->text, '[');
    size_t length = (size_t)(bracket - key->text);
    struct word arg = {.text = bracket + 1};
    if (*bracket) {
        arg.length = key->length - length - 1;
        if (arg.length < 2 || arg.text[arg.length - 1] != ']')
            return fail(reader, key, "the argument of the field cannot be read: write it as [name] or [2]");
        arg.length--;
    }
    const struct field *field = compiler_field(type, key->text, length);
    if (!field && compiler_field(NULL, key->text, length))
        return fail(reader, key, "events of type %s have no field \"%.*s\"", type->name, (int)length,
                    key->text);
    const char *near = field ? NULL : field_suggest(key->text, length);
    if (!field)
        return fail(reader, key, "unknown field \"%.*s\"%s%s%s", (int)length, key->text,
                    near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    if (field->arg == FIELD_ARG_WINDOW)
        return fail(reader, key, "a sum is added up and not given: give %s, and the sum is that",
                    field->summed);
    struct given_value *value = arena_alloc(reader->arena, sizeof(*value));
    if (!value)
        return false;
    value->field = field;
    // Values of proc.env are keyed by name, those of proc.aname may be given as a list.
    const char *wrong = compiler_arg(field, *bracket ? &arg : NULL, reader->arena, &value->arg);
    if (wrong)
        return fail(reader, key, "%s", wrong);
    if (find(reader->given, field, &value->arg))
        return fail(reader, key, "\"%.80s\" is given twice", key->text);
    if (!read_values(reader, key->value, value))
        return false;
    value->next = reader->given->first;
    reader->given->first = value;
    return true;
}

struct given *given_read(const struct file *file, const struct node *map, struct arena *arena,
                         struct rule_report *report)
{
    struct reader reader = {.file = file, .arena = arena, .report = report};
    if (map->kind != NODE_MAPPING) {
        fail(&reader, map, "an event is a map of field to value");
        return NULL;
    }
    const struct node *name = node_get(map, "evt.type");
    if (!name || name->kind != NODE_SCALAR) {
        fail(&reader, name ? name : map, "the event needs evt.type, such as execve");
        return NULL;
    }
    struct given *given = reader.given = arena_alloc(arena, sizeof(*given));
    if (!given)
        return NULL;
    given->source.get = get_given;
    given->event = (struct event){.type = event_type_find(name->text),
                                  .wire = &given->wire,
                                  .num = 1,
                                  .scratch = &given->scratch,
                                  .given = &given->source};
    if (!given->event.type) {
        fail(&reader, name, "\"%.80s\" is no type of event: see `list events` for those that there are",
             name->text);
        return NULL;
    }
    bool ok = true;
    for (const struct node *key = map->first; key; key = key->next)
        if (strcmp(key->text, "evt.type") != 0)
            ok = read_pair(&reader, key) && ok;
    return ok ? given : NULL;
}
