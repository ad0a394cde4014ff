#include "event.h"

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { GROUPS_MAX = 16 };

static struct {
    const char *name;
    const struct field *fields;
    size_t count;
} groups[GROUPS_MAX];
static size_t groups_count;

static struct {
    const struct event_type *type;
    const char *source;
} types[EVENT_TYPES_MAX];
static size_t types_count;

char *event_alloc(const struct event *event, size_t size)
{
    struct scratch *scratch = event->scratch;
    if (size > sizeof(scratch->data) - scratch->used)
        return NULL;
    char *room = scratch->data + scratch->used;
    scratch->used += size;
    return room;
}

static event_user_name_fn user_names;

void event_set_user_names(event_user_name_fn user_name)
{
    user_names = user_name;
}

const char *event_user_name(const struct event *event, uint32_t uid)
{
    return user_names ? user_names(event, uid) : NULL;
}

char *event_printf(const struct event *event, const char *format, ...)
{
    struct scratch *scratch = event->scratch;
    char *room = scratch->data + scratch->used;
    size_t left = sizeof(scratch->data) - scratch->used;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(room, left, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= left)
        return NULL;
    scratch->used += (size_t)length + 1;
    return room;
}

bool value_set_bytes(struct value *ret_value, const char *data, size_t length)
{
    if (!data)
        return false;
    ret_value->type = FIELD_STRING;
    ret_value->string.data = data;
    ret_value->string.length = length;
    return true;
}

bool value_set_string(struct value *ret_value, const char *string)
{
    return string && value_set_bytes(ret_value, string, strlen(string));
}

bool value_set_int(struct value *ret_value, int64_t number)
{
    ret_value->type = FIELD_INT;
    ret_value->i = number;
    return true;
}

bool value_set_uint(struct value *ret_value, uint64_t number)
{
    ret_value->type = FIELD_UINT;
    ret_value->u = number;
    return true;
}

bool value_set_bool(struct value *ret_value, bool truth)
{
    ret_value->type = FIELD_BOOL;
    ret_value->b = truth;
    return true;
}

const char *field_type_name(enum field_type type)
{
    static const char *const names[] = {"string", "int", "uint", "bool", "ip", "duration", "time"};
    return (size_t)type < sizeof(names) / sizeof(names[0]) ? names[type] : "unknown";
}

static const struct field *fields_find(const struct field *fields, size_t count, const char *name,
                                       size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(fields[i].name, name, length) == 0 && fields[i].name[length] == '\0')
            return &fields[i];
    return NULL;
}

// A field may be declared by several event types, but it must mean one type everywhere.
static bool fields_agree(const struct field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct field *same = field_find_any(fields[i].name, strlen(fields[i].name));
        if (same && (same->type != fields[i].type || same->arg != fields[i].arg))
            return false;
    }
    return true;
}

int field_register_context(const char *group, const struct field *fields, size_t count)
{
    if (groups_count == GROUPS_MAX)
        return -ENOSPC;
    if (!fields_agree(fields, count))
        return -EINVAL;
    groups[groups_count].name = group;
    groups[groups_count].fields = fields;
    groups[groups_count].count = count;
    groups_count++;
    return 0;
}

int event_type_register(const char *source, const struct event_type *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (types_count == EVENT_TYPES_MAX)
            return -ENOSPC;
        if (event_type_find(list[i].name))
            return -EEXIST;
        if (!fields_agree(list[i].fields, list[i].fields_count))
            return -EINVAL;
        types[types_count].type = &list[i];
        types[types_count].source = source;
        types_count++;
    }
    return 0;
}

size_t event_type_count(void)
{
    return types_count;
}

const struct event_type *event_type_at(size_t index)
{
    return index < types_count ? types[index].type : NULL;
}

size_t event_type_index(const struct event_type *type)
{
    for (size_t i = 0; i < types_count; i++)
        if (types[i].type == type)
            return i;
    return EVENT_TYPES_MAX - 1;
}

const char *event_type_source(const struct event_type *type)
{
    for (size_t i = 0; i < types_count; i++)
        if (types[i].type == type)
            return types[i].source;
    return NULL;
}

const struct event_type *event_type_find(const char *name)
{
    for (size_t i = 0; i < types_count; i++)
        if (strcmp(types[i].type->name, name) == 0)
            return types[i].type;
    return NULL;
}

const struct field *field_find(const struct event_type *type, const char *name, size_t length)
{
    const struct field *field = fields_find(type->fields, type->fields_count, name, length);
    for (size_t i = 0; !field && i < groups_count; i++)
        field = fields_find(groups[i].fields, groups[i].count, name, length);
    return field;
}

const struct field *field_find_any(const char *name, size_t length)
{
    const struct field *field = NULL;
    for (size_t i = 0; !field && i < groups_count; i++)
        field = fields_find(groups[i].fields, groups[i].count, name, length);
    for (size_t i = 0; !field && i < types_count; i++)
        field = fields_find(types[i].type->fields, types[i].type->fields_count, name, length);
    return field;
}

bool field_is_context(const struct field *field)
{
    for (size_t i = 0; i < groups_count; i++)
        if (field >= groups[i].fields && field < groups[i].fields + groups[i].count)
            return true;
    return false;
}

void field_visit(field_visit_fn visit, void *context)
{
    for (size_t i = 0; i < groups_count; i++)
        for (size_t k = 0; k < groups[i].count; k++)
            visit(groups[i].name, NULL, &groups[i].fields[k], context);
    for (size_t i = 0; i < types_count; i++)
        for (size_t k = 0; k < types[i].type->fields_count; k++)
            visit(types[i].source, types[i].type, &types[i].type->fields[k], context);
}

struct nearest {
    const char *name;
    size_t length;
    const char *best;
    size_t distance;
    size_t common; // letters at the front that are the same: what decides between two that are as near
};

static void nearest_visit(const char *group, const struct event_type *type, const struct field *field,
                          void *context)
{
    (void)group;
    (void)type;
    struct nearest *nearest = context;
    size_t distance = text_distance(nearest->name, nearest->length, field->name, strlen(field->name));
    size_t common = 0;
    while (common < nearest->length && nearest->name[common] == field->name[common])
        common++;
    if (distance < nearest->distance || (distance == nearest->distance && common > nearest->common)) {
        nearest->distance = distance;
        nearest->common = common;
        nearest->best = field->name;
    }
}

const char *field_suggest(const char *name, size_t length)
{
    // More than a third of the letters wrong is another word, not a slip.
    struct nearest nearest = {.name = name, .length = length, .distance = length / 3 + 1, .common = SIZE_MAX};
    field_visit(nearest_visit, &nearest);
    return nearest.best;
}
