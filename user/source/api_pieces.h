// The source `api` before Linux 5.17: the kernel hands over pieces of messages, and the parser runs here.
#pragma once

#include "api.h"
#include "source.h"

// As start() of a source. `wake`: a rule wants the events.
int api_pieces_start(const struct source_env *env, bool wake, struct source_report *ret_report);
void api_pieces_stop(void);

// As refine() of a source.
void api_pieces_refine(const struct wire_header *raw, size_t size, source_emit_fn emit, void *context);

// Visits the connections that are under way here.
void api_pieces_visit(api_progress_fn visit, void *context);
// Connections that were not followed, by reason. False where this is not how requests are followed.
bool api_pieces_unfollowed(uint64_t ret_counts[WIRE_API_UNFOLLOWED]);
