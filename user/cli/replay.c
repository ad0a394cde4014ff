#include "replay.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "cli.h"
#include "rule_choice.h"
#include "rule_plan.h"

#include <stdio.h>

static const char usage[] =
    "Usage: agent replay FILE|- --rules [RULES…] [--json] [--rule-matching first|all]\n"
    "       [--priority LEVEL] [--enable|--disable NAME|tag:TAG]… [--color auto|always|never]\n";

enum { OPT_RULES = 256, OPT_JSON, OPT_MATCHING, OPT_COLOR, OPT_DEBUG, OPT_HELP };

static const struct option long_options[] = {
    {"rules", no_argument, NULL, OPT_RULES},
    {"json", no_argument, NULL, OPT_JSON},
    {"rule-matching", required_argument, NULL, OPT_MATCHING},
    {"color", required_argument, NULL, OPT_COLOR},
    {"debug", no_argument, NULL, OPT_DEBUG},
    {"help", no_argument, NULL, OPT_HELP},
    RULE_CHOICE_OPTIONS,
    {},
};

static int parse_option(int option, struct replay_options *replay, struct rule_options *rules)
{
    switch (option) {
    case OPT_RULES: // always so; there for those who know it from the agent at work
        return 0;
    case OPT_JSON:
        replay->json = true;
        return 0;
    case OPT_MATCHING:
        return rule_choice_matching(optarg, &replay->matching);
    case OPT_COLOR:
        return cli_parse_color(optarg, &replay->color);
    case OPT_DEBUG:
        log_set_level(LOG_LEVEL_DEBUG);
        return 0;
    default:
        return rule_choice_option(option, optarg, rules);
    }
}

int cli_replay(int argc, char **argv)
{
    struct rule_plan plan _cleanup_(rule_plan_free) = {.options = RULE_OPTIONS_INIT};
    struct replay_options options = {};
    cli_parse_color("auto", &options.color);
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (option == OPT_HELP) {
            fputs(usage, stdout);
            return 0;
        }
        if (parse_option(option, &options, &plan.options)) {
            fputs(usage, stderr);
            return CLI_USAGE;
        }
    }
    if (optind == argc) {
        fputs(usage, stderr);
        return CLI_USAGE;
    }
    options.path = argv[optind];
    struct rule_set *rules _cleanup_(rule_set_free) = NULL;
    if (rule_plan_set(&plan, argv + optind + 1, (size_t)(argc - optind - 1)) ||
        rule_plan_load(&plan, "nothing was replayed", &rules))
        return 1;
    rule_choice_check(&plan.options);
    options.rules = rules;
    return replay_run(&options);
}
