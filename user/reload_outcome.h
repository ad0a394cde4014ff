// How reading something again went, as metrics: how often, when it last succeeded, and whether what is in use
// is what lies there now.
#pragma once

#include "base/series.h"

#include <stdbool.h>

// With static storage; the families and counters are set by whoever has it.
struct reload_outcome {
    struct counter succeeded, failed;
    struct series_family time; // when what is in use was read
    struct series_family last; // whether the last time succeeded
    double success_seconds;    // since the Unix epoch; 0: it was never read
    bool last_succeeded;
};

#define RELOAD_OUTCOME_COUNTERS(metric, text)                                            \
    .succeeded = {.name = metric, .help = text, .label = "result", .label_value = "ok"}, \
    .failed = {.name = metric, .help = text, .label = "result", .label_value = "failed"}

// It was read for the first time, which is not counted.
void reload_outcome_start(struct reload_outcome *outcome);
// It was read again.
void reload_outcome_count(struct reload_outcome *outcome, bool success);
// Nothing before the start. `current`: nothing else makes what is in use an older one.
void reload_outcome_write(const struct reload_outcome *outcome, bool current, struct series_writer *writer);
