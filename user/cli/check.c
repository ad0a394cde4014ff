#include "base/cleanup.h"
#include "cli.h"
#include "rule_choice.h"

#include <errno.h>
#include <string.h>

static const char usage[] = "Usage: agent check [--json] [--syntax-only] [--priority LEVEL] "
                            "[--enable|--disable NAME|tag:TAG]… FILE|DIR…\n"
                            "       agent check --syntax-only --conditions FILE|-\n";

enum { OPT_JSON = 256, OPT_SYNTAX_ONLY, OPT_CONDITIONS, OPT_HELP };

static const struct option long_options[] = {
    {"json", no_argument, NULL, OPT_JSON},
    {"syntax-only", no_argument, NULL, OPT_SYNTAX_ONLY},
    {"conditions", required_argument, NULL, OPT_CONDITIONS},
    {"help", no_argument, NULL, OPT_HELP},
    RULE_CHOICE_OPTIONS,
    {},
};

// A condition a line: "ok", or the column and what is wrong.
static int check_conditions(const char *path)
{
    _cleanup_fclose_ FILE *file = strcmp(path, "-") == 0 ? fdopen(dup(STDIN_FILENO), "r") : fopen(path, "r");
    if (!file) {
        fprintf(stderr, "agent: %s: %s\n", path, strerror(errno));
        return 1;
    }
    _cleanup_free_ char *line = NULL;
    size_t size = 0;
    int code = 0;
    for (ssize_t length; (length = getline(&line, &size, file)) >= 0;) {
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            length--;
        struct rule_report report;
        int error = rule_condition_parse(line, (size_t)length, &report);
        if (!error)
            puts("ok");
        else if (report.problems_count)
            printf("error: column %u: %s\n", report.problems[0].column, report.problems[0].message);
        else
            puts("error: memory is short");
        fflush(stdout);
        code = error ? 1 : code;
        rule_report_free(&report);
    }
    return code;
}

static int check_files(char **paths, size_t count, const struct rule_options *options, bool json)
{
    _cleanup_free_ struct rule_input *inputs = calloc(count, sizeof(*inputs));
    if (!inputs)
        return 1;
    for (size_t i = 0; i < count; i++)
        inputs[i].path = paths[i];

    struct rule_report report = {};
    struct rule_set *rules = NULL;
    int error = rule_set_load_with(options, inputs, count, &report, &rules);
    if (json)
        rule_report_print_json(&report, stdout);
    else
        rule_report_print(&report, stdout, isatty(STDOUT_FILENO));
    if (!json && error)
        printf("failed: %zu errors, %zu warnings\n", report.errors, report.warnings);
    else if (!json && options->syntax_only)
        printf("ok: %zu warnings; fields were not checked\n", report.warnings);
    else if (!json)
        printf("ok: %zu rules, %zu warnings\n", rule_set_count(rules), report.warnings);
    if (!error && !options->syntax_only)
        rule_choice_check(options);
    rule_report_free(&report);
    rule_set_free(&rules);
    return error ? 1 : 0;
}

int cli_check(int argc, char **argv)
{
    struct rule_options options _cleanup_(rule_choice_free) = RULE_OPTIONS_INIT;
    const char *conditions = NULL;
    bool json = false;
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (option == OPT_HELP) {
            fputs(usage, stdout);
            return 0;
        }
        if (option == OPT_JSON)
            json = true;
        else if (option == OPT_SYNTAX_ONLY)
            options.syntax_only = true;
        else if (option == OPT_CONDITIONS)
            conditions = optarg;
        else if (rule_choice_option(option, optarg, &options)) {
            fputs(usage, stderr);
            return CLI_USAGE;
        }
    }
    // Lines alone do not say which macros and lists there are.
    if (conditions ? optind < argc || !options.syntax_only : optind == argc) {
        fputs(usage, stderr);
        return CLI_USAGE;
    }
    return conditions ? check_conditions(conditions)
                      : check_files(argv + optind, (size_t)(argc - optind), &options, json);
}
