// One condition, and events as lines of JSON, which YAML reads as well.
#include "rule_test.h"

#include "base/cleanup.h"
#include "given.h"
#include "problem.h"

#include <errno.h>
#include <string.h>

static void ignore(const struct rule *rule, const struct event *event, void *context)
{
    (void)rule;
    (void)event;
    (void)context;
}

static int judge_line(const struct rule_set *set, const char *line, size_t length, struct rule_report *report,
                      bool *ret_holds)
{
    _cleanup_arena_ struct arena arena = {0};
    struct file file = {.name = "event", .data = line, .length = length};
    if (!file_index(&file, &arena))
        return -ENOMEM;
    const struct node *documents = rule_yaml_read(&file, &arena, report);
    if (!documents)
        return report->errors ? -EINVAL : -ENOMEM;
    if (!documents->first || documents->first->next) {
        problem_in_file(report, RULE_ERROR, CODE_ITEM, &file, 0, "a line is one map of field to value");
        return -EINVAL;
    }
    struct given *given = given_read(&file, documents->first, &arena, report);
    if (!given)
        return report->errors ? -EINVAL : -ENOMEM;
    *ret_holds = rule_set_match(set, &given->event, RULE_MATCHING_FIRST, ignore, NULL) > 0;
    return 0;
}

static void set_free(struct rule_set **set)
{
    rule_set_free(set);
}

int rule_test_condition(const char *condition, FILE *events, FILE *stream)
{
    struct rule_report report _cleanup_(rule_report_free) = {0};
    struct rule_set *set _cleanup_(set_free) = NULL;
    int error = rule_set_load_condition(condition, strlen(condition), &report, &set);
    if (error == -EINVAL)
        rule_report_print(&report, stream, false);
    if (error)
        return error;
    _cleanup_free_ char *line = NULL;
    size_t size = 0;
    int result = 0;
    for (ssize_t length; (length = getline(&line, &size, events)) >= 0;) {
        struct rule_report wrong _cleanup_(rule_report_free) = {0};
        bool holds = false;
        error = judge_line(set, line, (size_t)length, &wrong, &holds);
        if (error == -ENOMEM)
            return error;
        if (error)
            fprintf(stream, "error: column %u: %s\n", wrong.problems[0].column, wrong.problems[0].message);
        else
            fprintf(stream, "%s\n", holds ? "true" : "false");
        fflush(stream);
        result = error ? error : result;
    }
    return result;
}
