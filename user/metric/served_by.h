// Which server a request was to, as labels: its port, and its pod or container where there is one. No
// addresses and no process ids, of which there is no end.
#pragma once

#include "base/series.h"
#include "event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SERVED_BY_POD_LABELS = 4, SERVED_BY_LABELS = 4 + SERVED_BY_POD_LABELS, SERVED_BY_NAME = 64 };

// Zero-filled, so that it can be a key.
struct served_by {
    char port[8];
    char pod_namespace[SERVED_BY_NAME];
    char pod[SERVED_BY_NAME];
    char container[SERVED_BY_NAME];
    char pod_labels[SERVED_BY_POD_LABELS][SERVED_BY_NAME];
};

// Those that a server of the node's or a container's may have without its port, separated by blanks.
#define SERVED_BY_LABEL_NAMES "k8s_namespace_name k8s_pod_name k8s_container_name container_name"

// Which labels of pods become labels, at most SERVED_BY_POD_LABELS: "cost-centre" is
// k8s_pod_label_cost_centre. Before the first event. -EEXIST where two would be one, -ENOSPC, -EINVAL: too
// long.
int served_by_add_pod_label(const char *name);
void served_by_forget_pod_labels(void);

// Whether all is known of it that there may be; it can come a little later.
bool served_by_is_known(const struct container *container);
// `container`: NULL for the node itself. Port 0: none.
void served_by_container(const struct container *container, uint16_t port, struct served_by *ret_served_by);
void served_by_event(const struct event *event, uint16_t port, struct served_by *ret_served_by);
// Writes those labels that have a value; their number. They borrow from `served_by`.
size_t served_by_labels(const struct served_by *served_by, struct label *ret_labels);
// Appends a label unless its value is "". Prometheus takes an empty label for none anyway.
size_t label_append(struct label *labels, size_t count, const char *name, const char *value);
