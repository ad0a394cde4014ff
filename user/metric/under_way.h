// Inference requests that have no whole answer yet, by server.
#pragma once

#include "base/series.h"
#include "served_by.h"
#include "wire/api.h"

// Remembers which server a process is, from a request that it has answered.
void under_way_learn(const struct wire_api *record, const struct served_by *served_by);
void under_way_collect(struct series_writer *writer);
void under_way_stop(void);
