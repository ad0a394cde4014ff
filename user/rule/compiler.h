// From items to a rule set. Memory of `load` goes when loading is over, that of the set stays.
#pragma once

#include "items.h"
#include "rule_set.h"

struct compiler {
    struct items items;
    struct arena load;
    struct rule_report *report;
    struct rule_set *set;
    const struct rule_options *options;
    bool every_type;           // conditions about processes alone are judged on each event, too
    struct rule_item *lenient; // the rule at hand, where an unknown field only leaves it out; otherwise NULL
};

// Parses the conditions, looks up what they name and makes the comparisons. False: memory is short.
bool compiler_resolve(struct compiler *compiler);

// What a field of that name is; evt.source and evt.dir exist even where nobody declares them.
const struct field *compiler_field(const struct event_type *type, const char *name, size_t length);
// The field of any type of event; one that nobody declares is reported with that code.
const struct field *compiler_look_up(struct compiler *compiler, const struct word *name,
                                     const struct passage *passage, const char *code);
// For a field that is the same in all events of a type.
bool compiler_constant(const struct event_type *type, const struct field *field, struct value *ret_value);

// Reads a field's argument. NULL, or a sentence that says what is wrong.
const char *compiler_arg(const struct field *field, const struct word *arg, struct arena *arena,
                         struct field_arg *ret_arg);

// Adds a rule's exceptions to its condition. False: memory is short.
bool compiler_except(struct compiler *compiler, struct rule_item *rule);

// A value as a list in YAML gives it.
struct literal literal_of(const struct file *file, const struct node *node);

// The comparison that a test asks for. NULL: what is wrong is in the report, or memory is short.
const struct comparison *compiler_compare(struct compiler *compiler, const struct expr *test);

// The items of a list, lists within replaced by theirs. False: memory is short or the list is not sound.
bool compiler_flatten(struct compiler *compiler, struct list *list);
struct list *compiler_list(struct compiler *compiler, const char *name, size_t length);

// True for the name of a system call or of an event in Falco.
bool event_name_known(const char *name);

// Measures all conditions and refuses those that contain themselves or grow too large.
bool compiler_measure(struct compiler *compiler);

enum {
    EXPANDED_NODES_MAX = 100000,
    EXPANDED_DEPTH_MAX = 1000,
};

struct sum;

// What a rule adds up: NULL where it does not, or wrongly, which is then in the report. It is no part of what
// the condition is bound to. Everything is measured. False: memory is short.
bool compiler_find_sum(struct compiler *compiler, const struct rule_item *item, const struct sum **ret_sum);

// Fits the rules to the event types and finds out what they need of the sources. Everything is resolved.
bool compiler_bind(struct compiler *compiler);

// Compiles an output. NULL: what is wrong is in the report, or memory is short.
struct rule_output *output_new(struct compiler *compiler, const struct passage *passage);
// Adds the fields of that type that the output reads.
void output_demand(const struct rule_output *output, const struct event_type *type, struct demand *demand);
// Reports where it shows a sum that the rule does not make (sum NULL: it makes none).
void output_check_sum(const struct rule_output *output, const struct passage *passage, const struct sum *sum,
                      struct rule_report *report);
