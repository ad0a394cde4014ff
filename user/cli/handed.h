// The configuration of those commands that the agent starts, with that of its own open, and that a person may
// start with `--config FILE`.
#pragma once

#include "config.h"

struct cli_handed {
    const char *path; // of the file; NULL: what the agent handed over
    struct config *config;
};

// Reads what the command line names, or else what is open as `fd`. False where there is nothing to go on
// with: the exit code is set then, and why has been said. The configuration is the caller's.
bool cli_handed_take(int argc, char **argv, const char *usage, int fd, struct cli_handed *ret_handed,
                     int *ret_code);
// Says what is wrong with what the agent handed over, and returns the exit code for that.
int cli_handed_refuse(int error);
