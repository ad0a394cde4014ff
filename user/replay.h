// A recording judged by rules, as the agent at work would have done.
#pragma once

#include "rule.h"

#include <stdbool.h>

struct replay_options {
    const char *path;             // "-": standard input
    const struct rule_set *rules; // borrowed
    enum rule_matching matching;
    bool json;
    bool color;
};

// The exit code of the program: 0, or 1 after having said what is wrong with the recording; what comes before
// that place was judged.
int replay_run(const struct replay_options *options);
