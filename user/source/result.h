// What a system call returned: the same fields for every record that begins with a struct wire_call.
#pragma once

#include "event.h"
#include "wire/call.h"

bool result_get_rawres(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value);
bool result_get_failed(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value);
bool result_get_res(const struct event *event, const struct field_arg *arg, size_t nth,
                    struct value *ret_value);

// For the table of an event type; `of_rawres` says what the call returns.
#define RESULT_FIELDS(of_rawres)                                                                \
    {.name = "evt.rawres", .type = FIELD_INT, .help = of_rawres, .get = result_get_rawres},     \
        {.name = "evt.failed",                                                                  \
         .type = FIELD_BOOL,                                                                    \
         .help = "Whether the call failed",                                                     \
         .get = result_get_failed},                                                             \
    {                                                                                           \
        .name = "evt.res", .type = FIELD_STRING, .help = "SUCCESS or the error's name: ENOENT", \
        .get = result_get_res                                                                   \
    }
