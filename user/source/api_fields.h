// The event types of the source `api`.
#pragma once

#include "api.h"

extern const struct event_type api_types[WIRE_API_TYPES];
