#include "receivers.h"

#include <stddef.h>

const struct receiver_type *receiver_type_of(enum config_output_type type)
{
    static const struct receiver_type *const types[OUTPUT_TYPES] = {
        [OUTPUT_STDOUT] = &stdout_receiver,      [OUTPUT_FILE] = &file_receiver,
        [OUTPUT_UNIX] = &unix_receiver,          [OUTPUT_SYSLOG] = &syslog_receiver,
        [OUTPUT_WEBHOOK] = &http_receiver,       [OUTPUT_SPLUNK] = &http_receiver,
        [OUTPUT_ELASTICSEARCH] = &http_receiver, [OUTPUT_LOKI] = &http_receiver,
        [OUTPUT_ALERTMANAGER] = &http_receiver,  [OUTPUT_OTLP] = &http_receiver,
        [OUTPUT_KAFKA] = &kafka_receiver,
    };
    return type < OUTPUT_TYPES ? types[type] : NULL;
}
