// The commands of the program. Each returns its exit code: 0, 1 for a failure that was explained, 2 for a
// command line that makes no sense.
#pragma once

#include "metric.h"

#include <stdbool.h>

int cli_run(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_test(int argc, char **argv);
int cli_list(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_record(int argc, char **argv);
int cli_replay(int argc, char **argv);
int cli_config(int argc, char **argv);
int cli_audit(int argc, char **argv);
int cli_deliver(int argc, char **argv);
int cli_kubelet(int argc, char **argv);

// Fills the tables of events and fields; every command but help needs them. 0 or 1 after having said why.
int cli_register_tables(void);

// Starts all that makes metrics and describes them. An exit code.
int cli_describe_metrics(metric_describe_fn describe, void *context);

// `--color`: auto, always or never. 0, or -EINVAL after having said why.
int cli_parse_color(const char *when, bool *ret_color);

enum { CLI_USAGE = 2 };
