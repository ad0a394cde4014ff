// Inference requests as metrics: time to first token, time per token, tokens, errors, by model, server and
// pod; and the other HTTP requests to the same servers.
#pragma once

#include "event.h"

// Registers the metrics. Once, at start: 0 or a negative errno.
int inference_start(void);
void inference_stop(void);

// Counts an enriched event; one of another source is none of its business.
void inference_event(const struct event *event);

// Who serves the model of an inference request: a value for gen_ai.provider.name. NULL: it is none.
const char *inference_provider(const struct event *event);
