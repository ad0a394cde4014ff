// An event as a map of field to value.
#pragma once

#include "base/yaml.h"
#include "rule_set.h"

struct given_value {
    const struct field *field;
    struct field_arg arg;
    struct value *values;
    size_t count; // 0: missing
    struct given_value *next;
};

struct given {
    struct field_source source; // first, so that its getter finds the rest
    struct given_value *first;
    struct event event;
    struct wire_header wire;
    struct scratch scratch;
};

// NULL: what is wrong is in the report, or memory is short.
struct given *given_read(const struct file *file, const struct node *map, struct arena *arena,
                         struct rule_report *report);
