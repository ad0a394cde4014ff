#include "served_by.h"

#include "container.h"

#include <stdio.h>
#include <string.h>

static void copy_name(char *ret_name, const char *name)
{
    if (name)
        snprintf(ret_name, SERVED_BY_NAME, "%s", name);
}

void served_by_event(const struct event *event, uint16_t port, struct served_by *ret_served_by)
{
    const struct container *container = event->container;
    memset(ret_served_by, 0, sizeof(*ret_served_by));
    if (port)
        snprintf(ret_served_by->port, sizeof(ret_served_by->port), "%u", port);
    if (!container)
        return;
    copy_name(ret_served_by->pod_namespace, container->pod_namespace);
    copy_name(ret_served_by->pod, container->pod_name);
    copy_name(ret_served_by->container, container->name);
}

size_t label_append(struct label *labels, size_t count, const char *name, const char *value)
{
    if (!value[0])
        return count;
    labels[count] = (struct label){name, value};
    return count + 1;
}

size_t served_by_labels(const struct served_by *served_by, struct label *ret_labels)
{
    size_t count = label_append(ret_labels, 0, "server_port", served_by->port);
    count = label_append(ret_labels, count, "k8s_namespace_name", served_by->pod_namespace);
    count = label_append(ret_labels, count, "k8s_pod_name", served_by->pod);
    return label_append(ret_labels, count, served_by->pod[0] ? "k8s_container_name" : "container_name",
                        served_by->container);
}
