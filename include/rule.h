// Rules in the Falco language: loading, matching, output. docs/RULES.md tells a user what is understood.
#pragma once

#include "base/priority.h"
#include "base/series.h"
#include "base/text.h"
#include "demand.h"
#include "event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct rule_output; // a compiled output format

// What the stages after this one may know of a rule. Owned by its rule set.
struct rule {
    const char *name;
    const char *description;
    enum priority priority;
    const char *const *tags; // NULL-terminated, sorted
    const char *source;      // "syscall"
    const struct rule_output *output;
    size_t index; // position in the set
    bool enabled;
};

struct rule_set;

enum rule_severity { RULE_WARNING, RULE_ERROR };

// A place in a rule file.
struct rule_position {
    unsigned line;   // from 1; 0 where there is none (an unreadable file)
    unsigned column; // from 1, in characters
    size_t offset;   // from 0, in bytes
};

// One thing that is wrong with a rule file.
struct rule_problem {
    enum rule_severity severity;
    const char *code; // Falco's name of the class: "LOAD_ERR_COMPILE_CONDITION"
    char *file;       // as the user named it
    unsigned line;    // that and the next: as in struct rule_position
    unsigned column;
    size_t offset;
    const char *item; // kind of the item it is in: "rule", "macro", "list", …; NULL: of none
    char *item_name;
    struct rule_position item_at;
    char *line_text; // the whole line, or NULL
    char *message;   // a sentence that says what is wrong and what to do
};

// At most RULE_PROBLEMS_MAX are kept; `problems_left_out` counts the rest.
enum { RULE_PROBLEMS_MAX = 100 };
struct rule_report {
    struct rule_problem *problems;
    size_t problems_count;
    size_t problems_left_out;
    size_t errors; // of all, left out ones included
    size_t warnings;
    char **files; // those that were read, or should have been, as the user named them
    size_t files_count;
};

void rule_report_free(struct rule_report *report);
// file:line:column, the line, a caret and the sentence, for each problem.
void rule_report_print(const struct rule_report *report, FILE *stream, bool color);

// As Falco's `falco_load_results`: a result for each file.
void rule_report_print_json(const struct rule_report *report, FILE *stream);

// `--enable` and `--disable`.
struct rule_switch {
    const char *what; // a part of the names of rules, or "tag:" and a tag
    bool enable;
    bool matched; // set by loading: there are such rules
};

struct rule_options {
    enum priority priority;       // rules that are less grave are off
    struct rule_switch *switches; // in order; the later one counts
    size_t switches_count;
    bool syntax_only; // parses conditions without knowing fields; the set stays empty
};
#define RULE_OPTIONS_INIT           \
    {                               \
        .priority = PRIORITY_DEBUG, \
    }

// Where rules come from, in order. A path may be a directory: its *.yaml and *.yml files, sorted.
struct rule_input {
    const char *path; // NULL: the built-in rules
};

// Whether a file of that name in such a directory is read.
bool rule_file_name(const char *name);

// Loads everything or nothing. 0, or -EINVAL when the report has an error, or -ENOMEM. The report is filled
// either way and the caller frees it.
int rule_set_load(const struct rule_input *inputs, size_t count, struct rule_report *ret_report,
                  struct rule_set **ret_set);
int rule_set_load_with(const struct rule_options *options, const struct rule_input *inputs, size_t count,
                       struct rule_report *ret_report, struct rule_set **ret_set);
void rule_set_free(struct rule_set **set);

// A set of one rule that has this condition and, unlike others, is judged on events of every type.
int rule_set_load_condition(const char *text, size_t length, struct rule_report *ret_report,
                            struct rule_set **ret_set);

// Parses one condition without knowing fields, macros and lists. -EINVAL fills the report.
int rule_condition_parse(const char *text, size_t length, struct rule_report *ret_report);

// The built-in rules' YAML text.
const char *rule_builtin(size_t *ret_length);

size_t rule_set_count(const struct rule_set *set);
const struct rule *rule_set_at(const struct rule_set *set, size_t index);

// Has a set go on with the sums of the one that it replaces, for rules whose name and condition are the same.
void rule_set_inherit(struct rule_set *set, struct rule_set *from);

// What the set needs of the sources. The demand must be zeroed; free it with demand_free().
void rule_set_demand(const struct rule_set *set, struct demand *ret_demand);

enum rule_matching { RULE_MATCHING_FIRST, RULE_MATCHING_ALL };

typedef void (*rule_match_fn)(const struct rule *rule, const struct event *event, void *context);

// Judges an event; calls on_match for the first rule in the set's order that holds, or for each. The number.
// Rules that add up do so whether or not an earlier one holds. Meanwhile event->sum is set.
size_t rule_set_match(const struct rule_set *set, struct event *event, enum rule_matching matching,
                      rule_match_fn on_match, void *context);

// The output line without time and priority; missing values as <NA>.
void rule_output_render(const struct rule_output *output, const struct event *event, struct text *text);

// Each field of the output once, in order of first use. `value` is NULL where the event has no value;
// `key` is the name as written in the output, argument included.
typedef void (*rule_output_field_fn)(const char *key, const struct value *value, void *context);
void rule_output_visit(const struct rule_output *output, const struct event *event,
                       rule_output_field_fn visit, void *context);
