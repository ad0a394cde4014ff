// The event types of the source `socket` and their fields.
#pragma once

#include "event.h"
#include "wire/socket.h"

extern const struct event_type socket_types[WIRE_SOCKET_TYPES];

// Whether the field shows what was sent or received, which costs extra to copy.
bool socket_field_is_data(const struct field *field);
