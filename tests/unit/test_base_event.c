#include "event.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool get_number(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    return nth == 0 && value_set_uint(ret_value, event->num);
}

static const struct field context_fields[] = {
    {.name = "proc.pid", .type = FIELD_INT, .help = "h", .get = get_number},
    {.name = "proc.name", .type = FIELD_STRING, .help = "h", .get = get_number},
};
static const struct field open_fields[] = {
    {.name = "fd.name", .type = FIELD_STRING, .help = "h", .get = get_number},
    {.name = "evt.res", .type = FIELD_INT, .help = "h", .get = get_number},
};
static const struct field connect_fields[] = {
    {.name = "fd.name", .type = FIELD_STRING, .help = "h", .get = get_number},
    {.name = "fd.sport", .type = FIELD_UINT, .help = "h", .get = get_number},
};
static const struct event_type types[] = {
    {.name = "open", .help = "h", .fields = open_fields, .fields_count = 2},
    {.name = "connect", .help = "h", .fields = connect_fields, .fields_count = 2},
};

static void register_all(void)
{
    cr_assert_eq(field_register_context("Process", context_fields, 2), 0);
    cr_assert_eq(event_type_register("file", &types[0], 1), 0);
    cr_assert_eq(event_type_register("net", &types[1], 1), 0);
}

static const struct field *find(const struct event_type *type, const char *name)
{
    return field_find(type, name, strlen(name));
}

Test(event, types_are_found_by_name_and_index, .init = register_all)
{
    cr_assert_eq(event_type_count(), 2);
    cr_assert_eq(event_type_at(1), &types[1]);
    cr_assert_null(event_type_at(2));
    cr_assert_eq(event_type_find("open"), &types[0]);
    cr_assert_null(event_type_find("ope"));
    cr_assert_eq(event_type_index(&types[1]), 1);
    cr_assert_str_eq(event_type_source(&types[1]), "net");
    struct event_type stranger = {.name = "stranger"};
    cr_assert_null(event_type_source(&stranger));
    cr_assert_lt(event_type_index(&stranger), EVENT_TYPES_MAX);
}

Test(event, an_event_has_its_own_fields_and_the_context, .init = register_all)
{
    cr_assert_eq(find(&types[0], "fd.name"), &open_fields[0]);
    cr_assert_eq(find(&types[1], "fd.name"), &connect_fields[0]);
    cr_assert_eq(find(&types[0], "proc.pid"), &context_fields[0]);
    cr_assert_null(find(&types[0], "fd.sport"));
    cr_assert_null(find(&types[0], "fd.nam"));
    cr_assert_null(find(&types[0], "fd.names"));
    cr_assert_eq(field_find_any("fd.sport[1]", 8), &connect_fields[1]);
    cr_assert(field_is_context(&context_fields[1]));
    cr_assert_not(field_is_context(&open_fields[0]));
}

Test(event, what_contradicts_the_registry_is_refused, .init = register_all)
{
    cr_assert_eq(event_type_register("other", &types[0], 1), -EEXIST);

    static const struct field wrong[] = {
        {.name = "fd.name", .type = FIELD_INT, .help = "h", .get = get_number}};
    static const struct event_type clash = {.name = "clash", .help = "h", .fields = wrong, .fields_count = 1};
    cr_assert_eq(event_type_register("other", &clash, 1), -EINVAL);
    cr_assert_eq(field_register_context("Other", wrong, 1), -EINVAL);
    cr_assert_null(event_type_find("clash"));
}

Test(event, there_is_a_limit_of_types)
{
    static char names[EVENT_TYPES_MAX + 1][16];
    static struct event_type many[EVENT_TYPES_MAX + 1];
    for (int i = 0; i <= EVENT_TYPES_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "t%d", i);
        many[i] = (struct event_type){.name = names[i], .help = "h"};
    }
    cr_assert_eq(event_type_register("s", many, EVENT_TYPES_MAX), 0);
    cr_assert_eq(event_type_register("s", &many[EVENT_TYPES_MAX], 1), -ENOSPC);
    cr_assert_eq(event_type_count(), EVENT_TYPES_MAX);
}

Test(event, a_slip_is_suggested_and_another_word_is_not, .init = register_all)
{
    cr_assert_str_eq(field_suggest("proc.nmae", 9), "proc.name");
    cr_assert_str_eq(field_suggest("fd.nam", 6), "fd.name");
    cr_assert_null(field_suggest("container.image", 15));
    char long_name[200];
    memset(long_name, 'x', sizeof(long_name));
    cr_assert_null(field_suggest(long_name, sizeof(long_name)));
}

struct visits {
    size_t count;
    char groups[64];
};

static void note(const char *group, const struct event_type *type, const struct field *field, void *context)
{
    struct visits *visits = context;
    visits->count++;
    strcat(visits->groups, group);
    strcat(visits->groups, type ? "+ " : " ");
}

Test(event, a_visit_sees_every_field, .init = register_all)
{
    struct visits visits = {0};
    field_visit(note, &visits);
    cr_assert_eq(visits.count, 6);
    cr_assert_str_eq(visits.groups, "Process Process file+ file+ net+ net+ ");
}

Test(event, scratch_room_ends_and_is_never_overrun)
{
    static struct scratch scratch;
    struct event event = {.scratch = &scratch};
    cr_assert_str_eq(event_printf(&event, "%s-%d", "a", 1), "a-1");
    cr_assert_eq(scratch.used, 4);

    size_t left = sizeof(scratch.data) - scratch.used;
    cr_assert_null(event_alloc(&event, left + 1));
    cr_assert_null(event_alloc(&event, SIZE_MAX));
    cr_assert_null(event_printf(&event, "%*s", (int)left, ""));
    cr_assert_eq(scratch.used, 4);
    cr_assert_not_null(event_printf(&event, "%*s", (int)left - 1, ""));
    cr_assert_eq(scratch.used, sizeof(scratch.data));
    cr_assert_null(event_printf(&event, "%s", ""));
    cr_assert_null(event_alloc(&event, 1));
}

Test(event, values)
{
    struct value value = {.type = FIELD_BOOL, .b = true};
    cr_assert_not(value_set_string(&value, NULL));
    cr_assert_eq(value.type, FIELD_BOOL);
    cr_assert(value_set_string(&value, "abc"));
    cr_assert_eq(value.type, FIELD_STRING);
    cr_assert_eq(value.string.length, 3);
    cr_assert(value_set_int(&value, -5));
    cr_assert_eq(value.type, FIELD_INT);
    cr_assert_eq(value.i, -5);
    cr_assert_str_eq(field_type_name(FIELD_TIME), "time");
    cr_assert_str_eq(field_type_name((enum field_type)99), "unknown");
}
