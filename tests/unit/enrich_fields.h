// Reading fields of the latest event of a stage.
#pragma once

#include "enrich_events.h"

#include <criterion/criterion.h>

static struct stage stage;

// A field's value as text, or NULL where it is missing. `name` may end in [index].
static inline const char *text_of(const char *name, size_t nth)
{
    static char text[8192];
    size_t length = strcspn(name, "[");
    const struct field *field = field_find(stage.event.type, name, length);
    cr_assert_not_null(field, "%s", name);
    cr_assert(field_is_context(field));
    struct field_arg arg = {0};
    if (name[length] == '[') {
        static char key[64];
        snprintf(key, sizeof(key), "%.*s", (int)strcspn(name + length + 1, "]"), name + length + 1);
        cr_assert_neq(field->arg, FIELD_ARG_NONE);
        arg = (struct field_arg){.set = true, .index = (uint32_t)atoi(key), .key = key};
    }
    struct value value = {.type = (enum field_type)99};
    if (!field_get(field, &stage.event, &arg, nth, &value)) {
        cr_assert_eq(value.type, 99, "%s: left alone", name);
        return NULL;
    }
    cr_assert_eq(value.type, field->type, "%s", name);
    if (value.type == FIELD_STRING) {
        cr_assert_eq(value.string.data[value.string.length], '\0');
        cr_assert_eq(strlen(value.string.data), value.string.length);
        return value.string.data;
    }
    if (value.type == FIELD_BOOL)
        return value.b ? "true" : "false";
    if (value.type == FIELD_INT)
        snprintf(text, sizeof(text), "%lld", (long long)value.i);
    else
        snprintf(text, sizeof(text), "%llu", (unsigned long long)value.u);
    return text;
}

static inline void expect_nth(const char *name, size_t nth, const char *expected)
{
    const char *got = text_of(name, nth);
    if (!expected) {
        cr_assert_null(got, "%s: %s", name, got);
        return;
    }
    cr_assert_not_null(got, "%s", name);
    cr_assert_str_eq(got, expected, "%s: %s", name, got);
}

static inline void expect(const char *name, const char *expected)
{
    expect_nth(name, 0, expected);
    const struct field *field = field_find_any(name, strcspn(name, "["));
    if (!field->many || strchr(name, '['))
        expect_nth(name, 1, NULL);
}
