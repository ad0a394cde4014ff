// What the metrics of servers and those of clients have in common.
#pragma once

#include "histogram.h"
#include "wire/api.h"

#include <stddef.h>
#include <stdint.h>

// As OpenTelemetry's conventions for generative AI give them; more where vLLM has more.
enum { GEN_AI_DURATION_BOUNDS = 14, GEN_AI_FIRST_BOUNDS = 20, GEN_AI_TOKEN_BOUNDS = 14 };
extern const double gen_ai_duration_bounds[GEN_AI_DURATION_BOUNDS];
extern const double gen_ai_first_bounds[GEN_AI_FIRST_BOUNDS];
extern const double gen_ai_token_bounds[GEN_AI_TOKEN_BOUNDS];

// Where a number of tokens is from: by enum api_token_source, from API_TOKENS_USAGE on.
enum { GEN_AI_SOURCES = 2 };
extern const char *const gen_ai_source_names[GEN_AI_SOURCES];

// What requests that succeeded were answered with.
struct gen_ai_usage {
    struct histogram first; // seconds until it began
    struct histogram input, output[GEN_AI_SOURCES];
};

double gen_ai_seconds(uint64_t from_ns, uint64_t to_ns);
// One request whose answer began then; 0: that is not known.
void gen_ai_usage_add(struct gen_ai_usage *usage, const struct wire_api *record, uint64_t first_ns);
// The samples of one series; for the usage, `labels` has room for two more.
void gen_ai_first_write(const struct gen_ai_usage *usage, struct series_writer *writer,
                        const struct label *labels, size_t count);
void gen_ai_usage_write(const struct gen_ai_usage *usage, struct series_writer *writer, struct label *labels,
                        size_t count);

// After so long without a request a series may give its place to another; what was counted last has been
// scraped by then.
#define GEN_AI_IDLE_NS (UINT64_C(600) * 1000000000)

// Writes a model's name as it will be shown, so that no two series look the same: it ends at a NUL or before
// a character that was cut, and each other byte that is not UTF-8 becomes U+FFFD. `ret_name` is zero-filled
// and has room for WIRE_API_MODEL_MAX bytes and a NUL.
void gen_ai_name_fill(const char *bytes, size_t length, char *ret_name);
