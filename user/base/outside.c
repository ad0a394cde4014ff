#include "base/outside.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const struct outside_tap *tap;

void outside_set_tap(const struct outside_tap *wanted)
{
    tap = wanted;
}

bool outside_is_recorded(void)
{
    return tap && tap->answered;
}

ssize_t outside_ask(enum outside_life life, const char *question, outside_fn now, void *context,
                    void *ret_data, size_t capacity)
{
    if (capacity > OUTSIDE_ANSWER_MAX)
        capacity = OUTSIDE_ANSWER_MAX;
    if (tap && tap->answer)
        return tap->answer(tap->context, life, question, ret_data, capacity);
    ssize_t result = now(context, ret_data, capacity);
    if (tap && tap->answered)
        tap->answered(tap->context, life, question, ret_data, result);
    return result;
}

static ssize_t host_name_now(void *context, void *ret_data, size_t capacity)
{
    return gethostname(ret_data, capacity) ? -errno : (ssize_t)strnlen(ret_data, capacity);
}

void outside_host_name(char *ret_name, size_t capacity)
{
    ssize_t length = outside_ask(OUTSIDE_LASTING, "host name", host_name_now, NULL, ret_name, capacity - 1);
    ret_name[length > 0 ? length : 0] = '\0';
}
