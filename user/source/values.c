#include "values.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool value_set_name(struct value *ret_value, const struct event *event, const struct named_number *names,
                    size_t count, int64_t number)
{
    for (size_t i = 0; i < count; i++)
        if ((int64_t)names[i].number == number)
            return value_set_string(ret_value, names[i].name);
    return value_set_string(ret_value, event_printf(event, "%" PRId64, number));
}

bool value_set_flags(struct value *ret_value, const struct event *event, const struct named_number *names,
                     size_t count, uint64_t flags)
{
    char text[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (!names[i].number || (flags & names[i].number) != names[i].number)
            continue;
        if (used < sizeof(text))
            used +=
                (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used ? "|" : "", names[i].name);
        flags &= ~names[i].number;
    }
    if (flags && used < sizeof(text))
        snprintf(text + used, sizeof(text) - used, "%s0x%" PRIx64, used ? "|" : "", flags);
    return value_set_string(ret_value, event_printf(event, "%s", text[0] ? text : "0"));
}

bool value_set_directory(struct value *ret_value, const struct event *event, const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    if (!slash)
        return false;
    if (slash == path)
        return value_set_string(ret_value, "/");
    return value_set_string(ret_value, event_printf(event, "%.*s", (int)(slash - path), path));
}

bool value_set_filename(struct value *ret_value, const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash && value_set_string(ret_value, slash + 1);
}
