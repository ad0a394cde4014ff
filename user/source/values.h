// Values that getters of several sources compose in the same way.
#pragma once

#include "event.h"

// A number that has a name: one of a list, or bits of a set.
struct named_number {
    uint64_t number;
    const char *name;
};

// The name, or the number itself where it has none: a newer kernel knows more of them.
bool value_set_name(struct value *ret_value, const struct event *event, const struct named_number *names,
                    size_t count, int64_t number);
// "O_CLOEXEC|O_NONBLOCK"; bits without a name as one number in hexadecimal; "0" where none is set.
bool value_set_flags(struct value *ret_value, const struct event *event, const struct named_number *names,
                     size_t count, uint64_t flags);

// All but the last part of a path, and the last part. A path that is NULL or has no slash is a missing value.
bool value_set_directory(struct value *ret_value, const struct event *event, const char *path);
bool value_set_filename(struct value *ret_value, const char *path);
