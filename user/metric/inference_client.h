// Calls of model APIs by processes of this node, as OpenTelemetry's gen_ai.client.* metrics.
#pragma once

#include "api.h"
#include "base/series.h"

void inference_client_start(void);
// Counts a record of type WIRE_API_CALL.
void inference_client_event(const struct event *event, const struct wire_api *record);
void inference_client_collect(struct series_writer *writer);
void inference_client_stop(void);
