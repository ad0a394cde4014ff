// Requests to other routes of inference servers.
#pragma once

#include "api.h"
#include "base/series.h"

void http_requests_event(const struct event *event, const struct wire_api *record);
void http_requests_collect(struct series_writer *writer);
void http_requests_stop(void);
