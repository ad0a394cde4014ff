#include "rule_plan.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int rule_plan_set(struct rule_plan *plan, char **paths, size_t count)
{
    plan->inputs = calloc(count + 1, sizeof(*plan->inputs));
    if (!plan->inputs)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        plan->inputs[i].path = paths[i];
    plan->count = count ? count : 1;
    return 0;
}

int rule_plan_configure(struct rule_plan *plan, const struct config *config)
{
    const struct config_strings *switches = &config->rules_switches;
    *plan = (struct rule_plan){.options = RULE_OPTIONS_INIT};
    plan->options.priority = config->rules_priority;
    plan->options.switches = calloc(switches->count + 1, sizeof(*plan->options.switches));
    if (!plan->options.switches ||
        rule_plan_set(plan, config->rules_files.items, config->rules_files.count)) {
        rule_plan_free(plan);
        return -ENOMEM;
    }
    for (size_t i = 0; i < switches->count; i++)
        plan->options.switches[plan->options.switches_count++] = (struct rule_switch){
            .what = strchr(switches->items[i], ':') + 1, .enable = switches->items[i][0] == 'e'};
    return 0;
}

void rule_plan_free(struct rule_plan *plan)
{
    free(plan->inputs);
    free(plan->options.switches);
    *plan = (struct rule_plan){};
}

int rule_plan_load(const struct rule_plan *plan, const char *otherwise, struct rule_set **ret_rules)
{
    struct rule_report report = {};
    int error = rule_set_load_with(&plan->options, plan->inputs, plan->count, &report, ret_rules);
    rule_report_print(&report, stderr, isatty(STDERR_FILENO));
    if (error == -EINVAL)
        log_error("the rules have %zu errors; %s", report.errors, otherwise);
    else if (error)
        log_error("cannot load the rules: %s; %s", strerror(-error), otherwise);
    rule_report_free(&report);
    return error;
}

static int is_rule_file(const struct dirent *entry)
{
    return rule_file_name(entry->d_name);
}

void rule_plan_files(const struct rule_plan *plan, rule_plan_file_fn call, void *context)
{
    for (size_t i = 0; i < plan->count; i++) {
        const char *path = plan->inputs[i].path;
        struct dirent **entries = NULL;
        int count = path ? scandir(path, &entries, is_rule_file, alphasort) : -1;
        if (count < 0)
            call(path, context);
        for (int k = 0; k < count; k++) {
            char *name = NULL;
            if (asprintf(&name, "%s/%s", path, entries[k]->d_name) >= 0) {
                call(name, context);
                free(name);
            }
            free(entries[k]);
        }
        free(entries);
    }
}
