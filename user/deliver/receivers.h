// All types of receivers, each defined in a file of its own.
#pragma once

#include "receiver.h"

extern const struct receiver_type stdout_receiver, file_receiver, unix_receiver, syslog_receiver,
    http_receiver;
// Its address is NULL in an agent that was not linked with kafka*.c and librdkafka (make KAFKA=1).
extern const struct receiver_type kafka_receiver __attribute__((weak));
