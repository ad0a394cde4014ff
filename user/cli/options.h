// The options of an agent at work: those of the configuration's table, and a few of the command line alone.
#pragma once

#include "config.h"
#include "rule_plan.h"

#include <stdbool.h>
#include <stddef.h>

enum { CLI_GIVEN_MAX = 512 };

struct cli_options {
    bool recording;   // `agent record`, set by the caller
    const char *path; // --config; NULL: defaults, with rules only where --rules says so
    bool everything;
    struct config_given given[CLI_GIVEN_MAX];
    size_t given_count;
    char *const *words; // what is left of the command line
    size_t words_count;
    char *const *files; // rule files among them, set by the caller
    size_t files_count;
};

// 0, or an exit code after having said what is wrong.
int cli_options_parse(int argc, char **argv, struct cli_options *options);

// Reads the file, where there is one, and has the options override it. `ret_text` is what the file says,
// owned by the caller; NULL without a file. 0, -EINVAL or -ENOMEM after having said what is wrong.
int cli_options_config(const struct cli_options *options, char **ret_text, size_t *ret_length,
                       struct config **ret_config);

// The lines of help.
void cli_options_help(FILE *stream);
