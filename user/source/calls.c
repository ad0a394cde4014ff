#include "calls.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

struct named_call {
    const char *name;
    unsigned number;
};

static const struct named_call numbers[] = {
#include "syscall_numbers.inc"
};

// Empty where the architecture has no such callers, or we cannot see them (arm64).
static const struct named_call numbers_compat[] = {
#include "syscall_numbers_compat.inc"
    {},
};

// Calls that are newer than the headers may be, by the number that they have everywhere.
static const struct named_call numbers_newer[] = {
    {"fchmodat2", 452},
};

static int number_in(const struct named_call *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0 && list[i].number < WIRE_CALL_NUMBERS_MAX)
            return (int)list[i].number;
    return -ENOENT;
}

int call_number(const char *name, bool compat)
{
    size_t compat_count = ARRAY_SIZE(numbers_compat) - 1;
    if (compat && compat_count == 0)
        return -ENOENT;
    int number = compat ? number_in(numbers_compat, compat_count, name)
                        : number_in(numbers, ARRAY_SIZE(numbers), name);
    return number >= 0 ? number : number_in(numbers_newer, ARRAY_SIZE(numbers_newer), name);
}

void calls_hooks(const struct call_watch *calls, size_t count, const struct event_type *types,
                 const struct source_env *env, struct call_hooks *ret_hooks)
{
    size_t compat_count = 0;
    ret_hooks->count = 0;
    for (size_t i = 0; i < count; i++) {
        bool wanted = env->everything || env->demand->wanted[event_type_index(&types[calls[i].type])];
        int compat = call_number(calls[i].name, true);
        if (wanted && compat >= 0 && compat_count < SOURCE_COMPAT_MAX)
            ret_hooks->compat[compat_count++] = (uint16_t)compat;
        if (!calls[i].attach_point || call_number(calls[i].name, false) < 0 ||
            ret_hooks->count == SOURCE_HOOKS_MAX - 1)
            continue;
        ret_hooks->hooks[ret_hooks->count++] = (struct hook){.name = calls[i].name,
                                                             .program = "call_tp",
                                                             .attach_point = calls[i].attach_point,
                                                             .attach = hook_attach_tracepoint,
                                                             .optional = !calls[i].mandatory,
                                                             .wanted = wanted};
    }
    ret_hooks->hooks[ret_hooks->count++] = (struct hook){.name = "32-bit callers",
                                                         .program = "call_compat",
                                                         .attach_point = "source compat",
                                                         .optional = true,
                                                         .unfit = ARRAY_SIZE(numbers_compat) == 1,
                                                         .wanted = compat_count > 0,
                                                         .compat = ret_hooks->compat,
                                                         .compat_count = compat_count};
}

void calls_number(const struct call_watch *calls, size_t count, uint8_t *types, uint8_t *types_compat)
{
    for (size_t i = 0; i < count; i++) {
        int number = calls[i].attach_point ? call_number(calls[i].name, false) : -ENOENT;
        int compat = call_number(calls[i].name, true);
        if (number >= 0)
            types[number] = (uint8_t)(calls[i].type + 1);
        if (compat >= 0)
            types_compat[compat] = (uint8_t)(calls[i].type + 1);
    }
}

bool calls_wanted(const struct call_hooks *hooks)
{
    for (size_t i = 0; i < hooks->count; i++)
        if (hooks->hooks[i].wanted)
            return true;
    return false;
}
