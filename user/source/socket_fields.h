// The event types of the source `socket` and their fields.
#pragma once

#include "event.h"
#include "wire/socket.h"

extern const struct event_type socket_types[WIRE_SOCKET_TYPES];
