#include "base/cleanup.h"
#include "base/log.h"
#include "cli.h"
#include "rule_test.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

static const char usage[] = "Usage: agent test FILE…\n"
                            "       agent test --condition CONDITION --event FILE|-\n";

enum { OPT_CONDITION = 256, OPT_EVENT, OPT_HELP };

static const struct option long_options[] = {
    {"condition", required_argument, NULL, OPT_CONDITION},
    {"event", required_argument, NULL, OPT_EVENT},
    {"help", no_argument, NULL, OPT_HELP},
    {},
};

static int test_condition(const char *condition, const char *path)
{
    _cleanup_fclose_ FILE *events =
        strcmp(path, "-") == 0 ? fdopen(dup(STDIN_FILENO), "r") : fopen(path, "r");
    if (!events) {
        log_error("%s: %s", path, strerror(errno));
        return 1;
    }
    int error = rule_test_condition(condition, events, stdout);
    if (error == -ENOMEM)
        log_error("%s", strerror(-error));
    return error ? 1 : 0;
}

static int test_files(char **paths, int count)
{
    int code = 0;
    for (int i = 0; i < count; i++) {
        struct rule_test_result result = {0};
        int error = rule_test_run(paths[i], stdout, &result);
        if (error == -ENOMEM)
            log_error("%s: %s", paths[i], strerror(-error));
        code = error || result.failed ? 1 : code;
    }
    return code;
}

int cli_test(int argc, char **argv)
{
    const char *condition = NULL, *events = NULL;
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (option) {
        case OPT_CONDITION:
            condition = optarg;
            break;
        case OPT_EVENT:
            events = optarg;
            break;
        default:
            fputs(usage, option == OPT_HELP ? stdout : stderr);
            return option == OPT_HELP ? 0 : CLI_USAGE;
        }
    }
    bool with_files = optind < argc;
    if (!condition != !events || with_files == !!condition) {
        fputs(usage, stderr);
        return CLI_USAGE;
    }
    return condition ? test_condition(condition, events) : test_files(argv + optind, argc - optind);
}
