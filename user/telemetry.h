// Spans of inference requests and all metrics, for those outputs that ask for them: they go through the spool
// like alerts, and give way first when it is full.
#pragma once

#include "base/text.h"
#include "config.h"
#include "event.h"

struct spool;

// All zero: nobody asks for anything.
struct telemetry {
    unsigned signals; // enum config_signal: what some output asks for
    unsigned metrics_interval_s;
    uint64_t metrics_due_ms; // CLOCK_MONOTONIC
    struct text text;
};

void telemetry_configure(struct telemetry *telemetry, const struct config *config);
void telemetry_free(struct telemetry *telemetry);

// An enriched event. True where a span of it is in the spool.
bool telemetry_event(struct telemetry *telemetry, struct spool *spool, const struct event *event);
// About once a second. True where metrics are in the spool. `last`: they are put there whether it is time or
// not.
bool telemetry_tick(struct telemetry *telemetry, struct spool *spool, bool last);
