#include "reload_outcome.h"

#include "base/clock.h"

static void note(struct reload_outcome *outcome, bool success)
{
    outcome->last_succeeded = success;
    if (success)
        outcome->success_seconds = (double)clock_ns(CLOCK_REALTIME) / 1e9;
}

void reload_outcome_start(struct reload_outcome *outcome)
{
    counter_register(&outcome->succeeded);
    counter_register(&outcome->failed);
    note(outcome, true);
}

void reload_outcome_count(struct reload_outcome *outcome, bool success)
{
    (success ? &outcome->succeeded : &outcome->failed)->value++;
    note(outcome, success);
}

void reload_outcome_write(const struct reload_outcome *outcome, bool current, struct series_writer *writer)
{
    if (outcome->success_seconds == 0)
        return;
    writer->family(writer, &outcome->time);
    writer->number(writer, NULL, 0, outcome->success_seconds);
    writer->family(writer, &outcome->last);
    writer->number(writer, NULL, 0, outcome->last_succeeded && current);
}
