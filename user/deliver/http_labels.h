// Labels as receivers of the Prometheus family have them.
#pragma once

#include "receiver.h"

// Sets the labels of the configuration ("name=value"). 0 or -ENOMEM.
int http_labels_configured(const struct config_output *output, json_t *labels);
// Sets a label, unless the value is missing or "". Takes nothing. 0 or -ENOMEM.
int http_label(json_t *labels, const char *name, const char *value);
// The container and the pod, where the alert has them.
int http_labels_place(const struct item *item, json_t *labels);
