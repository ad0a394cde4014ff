#include "result.h"

#include <string.h>

static int64_t result_of(const struct event *event)
{
    return ((const struct wire_call *)event->wire)->result;
}

// SUCCESS or the error's name.
static const char *name_of(int64_t result)
{
    if (result >= 0)
        return "SUCCESS";
    const char *name = result >= -4095 ? strerrorname_np((int)-result) : NULL;
    return name ? name : "EUNKNOWN"; // an errno that the C library does not know
}

bool result_get_rawres(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    return value_set_int(ret_value, result_of(event));
}

bool result_get_failed(const struct event *event, const struct field_arg *arg, size_t nth,
                       struct value *ret_value)
{
    return value_set_bool(ret_value, result_of(event) < 0);
}

bool result_get_res(const struct event *event, const struct field_arg *arg, size_t nth,
                    struct value *ret_value)
{
    return value_set_string(ret_value, name_of(result_of(event)));
}
