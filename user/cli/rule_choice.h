// Which rules are judged: --priority, --enable and --disable.
#pragma once

#include "rule.h"

#include <getopt.h>

enum { OPT_PRIORITY = 512, OPT_ENABLE, OPT_DISABLE };

// clang-format off
#define RULE_CHOICE_OPTIONS                             \
    {"priority", required_argument, NULL, OPT_PRIORITY}, \
    {"enable", required_argument, NULL, OPT_ENABLE},     \
    {"disable", required_argument, NULL, OPT_DISABLE}
// clang-format on

// 0, or -EINVAL after having said why, or -ENOENT where the option is none of these.
int rule_choice_option(int option, const char *value, struct rule_options *options);
// `--rule-matching`. The same returns.
int rule_choice_matching(const char *text, enum rule_matching *ret_matching);
// Says which switches no rule was meant by.
void rule_choice_check(const struct rule_options *options);
void rule_choice_free(struct rule_options *options);
