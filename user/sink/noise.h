// Folds alerts that say again what was just said, and those of a rule that come faster than they may, into
// summaries: alerts of the same rule that say how many they stand for.
//
// Equal are alerts of one rule whose output fields are equal, but for those that name a moment, a process or
// a thread by number, or a descriptor (noise_ignores()). Of one kind are alerts of one rule about the same
// user, program, container and pod, as far as the output names them.
#pragma once

#include "alert.h"
#include "config.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    // Distinct alerts that are remembered; beyond that the oldest summary comes early.
    NOISE_WINDOWS_MAX = 4096,
    NOISE_BYTES_MAX = 8 << 20, // of what is kept of them
    NOISE_RULES_MAX = 4096,
    NOISE_KINDS_MAX = 8192,   // kinds remembered; when all are recent, a new one is not known to be the first
    NOISE_KIND_S = 600,       // for so long
    NOISE_RATE_WINDOW_S = 60, // how long a rule's excess is gathered where the configuration has no window
};

struct noise;

// One alert for several that were not told.
struct noise_summary {
    const char *rule;
    enum priority priority;
    uint64_t time_ns;             // of the last of them
    uint64_t folded;              // how many
    const struct noise_alert *of; // the first, for the functions below
};

// Falco's JSON and text, as sink_format_json() and sink_format_text() write them, newline included, with the
// fields `folded` (how many), `folded_seconds` and `folded_reason`.
void noise_summary_json(const struct noise_summary *summary, struct text *text);
void noise_summary_text(const struct noise_summary *summary, struct text *text);

typedef void (*noise_tell_fn)(const struct noise_summary *summary, void *context);

// Summaries are told from within the functions below. 0; -EINVAL: nothing would ever be folded; or -ENOMEM.
int noise_new(const struct config_noise *options, noise_tell_fn tell, void *context,
              struct noise **ret_noise);
// Tells what there is to tell.
void noise_free(struct noise **noise, uint64_t now_ms);

// Whether the alert is folded; else it is to be told. `now_ms` is any clock that only rises.
bool noise_folds(struct noise *noise, const struct alert *alert, uint64_t now_ms);
// About once a second: tells of windows that are over.
void noise_tick(struct noise *noise, uint64_t now_ms);

// Fields that do not count when alerts are compared.
bool noise_ignores(const char *field);
