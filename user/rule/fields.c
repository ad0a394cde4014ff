// Fields as conditions and outputs name them.
#include "base/cleanup.h"
#include "compiler.h"
#include "operand.h"

#include <errno.h>
#include <string.h>

static bool get_source(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    return value_set_string(ret_value, "syscall");
}

// Events are seen when the call returns.
static bool get_dir(const struct event *event, const struct field_arg *arg, size_t nth,
                    struct value *ret_value)
{
    return value_set_string(ret_value, "<");
}

static const struct field constants[] = {
    {.name = "evt.source", .type = FIELD_STRING, .get = get_source},
    {.name = "evt.dir", .type = FIELD_STRING, .get = get_dir},
};

static const struct field *constant_find(const char *name, size_t length)
{
    for (size_t i = 0; i < ARRAY_SIZE(constants); i++)
        if (strlen(constants[i].name) == length && memcmp(constants[i].name, name, length) == 0)
            return &constants[i];
    return NULL;
}

const struct field *compiler_field(const struct event_type *type, const char *name, size_t length)
{
    const struct field *field = type ? field_find(type, name, length) : field_find_any(name, length);
    return field ? field : constant_find(name, length);
}

const struct field *compiler_look_up(struct compiler *compiler, const struct word *name,
                                     const struct passage *passage, const char *code)
{
    const struct field *field = compiler_field(NULL, name->text, name->length);
    if (field)
        return field;
    const char *near = field_suggest(name->text, name->length);
    if (compiler->lenient) {
        compiler->lenient->left_out = true;
        problem_at(compiler->report, RULE_WARNING, "LOAD_UNKNOWN_FILTER", place_in(passage, name->offset),
                   "unknown field \"%.*s\": the rule is left out", (int)name->length, name->text);
        return NULL;
    }
    problem_at(compiler->report, RULE_ERROR, code, place_in(passage, name->offset),
               "unknown field \"%.*s\"; %s%s%s", (int)name->length, name->text,
               near ? "did you mean \"" : "see `list events` for the fields that there are", near ? near : "",
               near ? "\"?" : "");
    return NULL;
}

bool compiler_constant(const struct event_type *type, const struct field *field, struct value *ret_value)
{
    if (strcmp(field->name, "evt.type") == 0)
        return value_set_string(ret_value, type->name);
    const struct field *constant = constant_find(field->name, strlen(field->name));
    return constant && constant->get(NULL, NULL, 0, ret_value);
}

// "10m", "60s", "1h": whole minutes, at most an hour.
static int read_window(const char *text, uint32_t *ret_seconds)
{
    char number[8];
    uint64_t count, unit;
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length >= sizeof(number) || strlen(text) != length + 1)
        return -EINVAL;
    memcpy(number, text, length);
    number[length] = '\0';
    unit = text[length] == 's' ? 1 : text[length] == 'm' ? 60 : text[length] == 'h' ? 3600 : 0;
    if (operand_uint(number, &count) || unit * count < 60 || unit * count > 3600 || unit * count % 60 != 0)
        return -EINVAL;
    *ret_seconds = (uint32_t)(unit * count);
    return 0;
}

const char *compiler_arg(const struct field *field, const struct word *arg, struct arena *arena,
                         struct field_arg *ret_arg)
{
    if (field->arg == FIELD_ARG_NONE && arg)
        return "this field takes no argument: remove the brackets";
    if (field->arg == FIELD_ARG_KEY && !arg)
        return "this field needs an argument: write it in brackets behind the name, as [name]";
    *ret_arg = (struct field_arg){.set = arg};
    if (!arg)
        return NULL;
    char *text = arena_copy(arena, arg->text, arg->length);
    uint64_t index = 0;
    if (!text)
        return "memory is short";
    if (field->arg == FIELD_ARG_INDEX && (operand_uint(text, &index) || index > UINT32_MAX))
        return "the argument of this field is a number: write it as [1]";
    uint32_t window = 0;
    if (field->arg == FIELD_ARG_WINDOW && read_window(text, &window))
        return "the argument of this field is a time in whole minutes, from [1m] to [60m]; [60s] and [1h] "
               "are "
               "understood, too";
    index = field->arg == FIELD_ARG_WINDOW ? window : index;
    ret_arg->index = (uint32_t)index;
    ret_arg->key = text;
    return NULL;
}
