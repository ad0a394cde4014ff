// What the metrics of servers and those of clients have in common.
#pragma once

#include "wire/api.h"

#include <stddef.h>
#include <stdint.h>

// As OpenTelemetry's conventions for generative AI give them; more where vLLM has more.
enum { GEN_AI_DURATION_BOUNDS = 14, GEN_AI_FIRST_BOUNDS = 20, GEN_AI_TOKEN_BOUNDS = 14 };
extern const double gen_ai_duration_bounds[GEN_AI_DURATION_BOUNDS];
extern const double gen_ai_first_bounds[GEN_AI_FIRST_BOUNDS];
extern const double gen_ai_token_bounds[GEN_AI_TOKEN_BOUNDS];

// After so long without a request a series may give its place to another; what was counted last has been
// scraped by then.
#define GEN_AI_IDLE_NS (UINT64_C(600) * 1000000000)

// Writes a model's name as it will be shown, so that no two series look the same: it ends at a NUL or before
// a character that was cut, and each other byte that is not UTF-8 becomes U+FFFD. `ret_name` is zero-filled
// and has room for WIRE_API_MODEL_MAX bytes and a NUL.
void gen_ai_name_fill(const char *bytes, size_t length, char *ret_name);
