// Which records an output takes.
#pragma once

#include "receiver.h"

#include <stdbool.h>

// Whether records of that kind are for the output at all: alerts are for all but an OTLP output without logs,
// spans and metrics only for an OTLP output that asks for them.
bool filter_takes_kind(const struct config_output *output, enum spool_kind kind);

// Whether the output wants that alert: by its priority, its rule and its tags.
bool filter_takes(const struct config_output *output, const struct item *item);

// Whether the text fits a pattern, in which each * stands for any characters.
bool filter_fits(const char *pattern, const char *text);
