// What the rule files define, before it is compiled.
#pragma once

#include "ast.h"
#include "table.h"

#include <stdbool.h>
#include <stddef.h>

// How far the resolving of an item has come; meeting one in progress again means that it contains itself.
enum progress { PROGRESS_NONE, PROGRESS_RUNNING, PROGRESS_DONE };

// Where an item stands. A redefined item keeps its first place in the order, but sees all that came before
// its latest definition.
struct definition {
    const char *name;
    const struct file *file;
    const struct node *node; // the name
    size_t index;
    size_t visibility;
    bool used;
    enum progress progress;
};

// One sequence of items; appending adds another.
struct list_part {
    const struct file *file;
    const struct node *items;
    struct list_part *next;
};

struct list {
    struct definition definition;
    struct list_part *first;
    struct list_part *last;
    struct literal *flat; // once resolved: the items of lists within are among them
    size_t flat_count;
    const struct set *sets[SET_KINDS];
};

// How large a condition is once its macros are put in their places.
struct measure {
    size_t nodes;
    size_t depth;
    bool specific;   // reads something that only some types of event have, or that tells of the event itself
    bool names_type; // reads evt.type
    bool sums;       // reads a sum
};

struct macro {
    struct definition definition;
    struct passage condition;
    struct expr *expr; // NULL: broken, which was reported
    struct measure measure;
};

// The values of an exception, as one item gives them.
struct exception_part {
    const struct file *file;
    const struct node *values; // a sequence
    struct exception_part *next;
};

// What a rule does not report: `and not ((field comparator value and …) or …)`.
struct exception {
    const char *name;
    const struct file *file;
    const struct node *node;   // where its name, or the exception itself, stands
    const struct node *fields; // a scalar or a sequence of them
    const struct node *comps;  // of the same shape; NULL: `in` for a scalar, `=` for each of a sequence
    struct exception_part *first;
    struct exception_part *last;
    struct exception *next;
};

struct rule_item {
    struct definition definition;
    struct passage condition;
    struct passage output;
    struct passage description;
    enum priority priority;
    const char **tags;
    size_t tags_count;
    bool enabled;
    struct exception *exceptions;
    bool quiet;    // no warning where it names no event type
    bool lenient;  // left out where it names an unknown field (skip-if-unknown-filter)
    bool left_out; // that is so
    struct expr *expr;
    struct measure measure;
};

struct items {
    struct table lists;
    struct table macros;
    struct table rules;
    size_t definitions; // so far
};

// Adds what a file holds, as yaml_read() gave it. False: memory is short; what is wrong is in the report.
bool items_collect(struct items *items, const struct file *file, const struct node *documents,
                   struct arena *arena, struct rule_report *report);
