// Inference requests as spans of OpenTelemetry: https://opentelemetry.io/docs/specs/semconv/gen-ai/.
#pragma once

#include "base/text.h"
#include "event.h"

// Writes a whole request of OTLP's JSON with one span, the server's (or, for a call that was seen at the
// client's end, the client's). It is a child of the request's traceparent; without one it is a trace of its
// own. All ids that are not the caller's are made from the record, so that they are the same each time.
// `provider` is a value for gen_ai.provider.name, NULL where it is not known.
// 1; 0: the event is no inference request, or its caller says that nobody records its trace; -EMSGSIZE.
int span_format(const struct event *event, const char *provider, struct text *text);
