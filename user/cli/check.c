#include "base/cleanup.h"
#include "cli.h"
#include "rule.h"

#include <errno.h>
#include <string.h>

int cli_check(int argc, char **argv)
{
    if (argc < 2 || argv[1][0] == '-') {
        fprintf(stderr, "Usage: agent check FILE|DIR…\n");
        return argc < 2 ? CLI_USAGE : strcmp(argv[1], "--help") == 0 ? 0 : CLI_USAGE;
    }
    size_t count = (size_t)argc - 1;
    _cleanup_free_ struct rule_input *inputs = calloc(count, sizeof(*inputs));
    if (!inputs)
        return 1;
    for (size_t i = 0; i < count; i++)
        inputs[i].path = argv[i + 1];

    struct rule_report report = {};
    struct rule_set *rules = NULL;
    int error = rule_set_load(inputs, count, &report, &rules);
    rule_report_print(&report, stdout, isatty(STDOUT_FILENO));
    if (error)
        printf("failed: %zu errors, %zu warnings\n", report.errors, report.warnings);
    else
        printf("ok: %zu rules, %zu warnings\n", rule_set_count(rules), report.warnings);
    rule_report_free(&report);
    rule_set_free(&rules);
    return error ? 1 : 0;
}
