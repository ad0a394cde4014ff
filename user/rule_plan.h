// Which rules are to be loaded, as the command line said: kept, so that they can be loaded again.
#pragma once

#include "config.h"
#include "rule.h"

struct rule_plan {
    struct rule_input *inputs; // owned; at least one
    size_t count;
    struct rule_options options;
};

// `paths` are borrowed; none of them means the built-in rules. 0 or -ENOMEM.
int rule_plan_set(struct rule_plan *plan, char **paths, size_t count);
// The rules that the configuration names, whose strings are borrowed. 0 or -ENOMEM; then the plan is empty.
int rule_plan_configure(struct rule_plan *plan, const struct config *config);
void rule_plan_free(struct rule_plan *plan);

// Loads the rules and writes what is wrong with them to standard error; where that is an error, `otherwise`
// says what is done now. 0 or a negative errno.
int rule_plan_load(const struct rule_plan *plan, const char *otherwise, struct rule_set **ret_rules);

// Calls for each file that loading reads, as it is named there; NULL: the built-in rules.
typedef void (*rule_plan_file_fn)(const char *path, void *context);
void rule_plan_files(const struct rule_plan *plan, rule_plan_file_fn call, void *context);
