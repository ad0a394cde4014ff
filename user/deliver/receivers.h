// All types of receivers, each defined in a file of its own.
#pragma once

#include "receiver.h"

extern const struct receiver_type stdout_receiver, file_receiver, unix_receiver, syslog_receiver,
    http_receiver;
