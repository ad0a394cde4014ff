// All types of receivers, each defined in a file of its own.
#pragma once

#include "receiver.h"

extern const struct receiver_type http_receiver;
