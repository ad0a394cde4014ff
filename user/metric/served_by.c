#include "served_by.h"

#include "container.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

// Names of Kubernetes' labels have at most 253 + 1 + 63 characters.
static struct {
    char name[320];
    char label[336];
} pod_labels[SERVED_BY_POD_LABELS];
static size_t pod_labels_count;

int served_by_add_pod_label(const char *name)
{
    char label[sizeof(pod_labels[0].label)];
    if (pod_labels_count == SERVED_BY_POD_LABELS)
        return -ENOSPC;
    if (strlen(name) >= sizeof(pod_labels[0].name))
        return -EINVAL;
    snprintf(label, sizeof(label), "k8s_pod_label_%s", name);
    for (char *at = label; *at; at++)
        *at = isalnum((unsigned char)*at) ? *at : '_';
    for (size_t i = 0; i < pod_labels_count; i++)
        if (strcmp(pod_labels[i].label, label) == 0)
            return -EEXIST;
    strcpy(pod_labels[pod_labels_count].name, name);
    strcpy(pod_labels[pod_labels_count].label, label);
    pod_labels_count++;
    return 0;
}

void served_by_forget_pod_labels(void)
{
    pod_labels_count = 0;
}

// The value of one of a pod's labels, or NULL.
static const char *pod_label(const struct container_list *list, const char *name)
{
    const char *at = list->bytes, *end = list->bytes + list->size;
    while (at && at < end) {
        const char *key = at;
        size_t key_size = strnlen(key, (size_t)(end - key)) + 1;
        if (key_size > (size_t)(end - key))
            return NULL;
        const char *value = key + key_size;
        size_t value_size = strnlen(value, (size_t)(end - value)) + 1;
        if (value_size > (size_t)(end - value))
            return NULL;
        if (strcmp(key, name) == 0)
            return value;
        at = value + value_size;
    }
    return NULL;
}

static void copy_name(char *ret_name, const char *name)
{
    if (name)
        snprintf(ret_name, SERVED_BY_NAME, "%s", name);
}

bool served_by_is_known(const struct container *container)
{
    bool labels = pod_labels_count == 0 || !container || !container->pod_name || container->pod_labels.size;
    return !container || (container->name && labels);
}

void served_by_container(const struct container *container, uint16_t port, struct served_by *ret_served_by)
{
    memset(ret_served_by, 0, sizeof(*ret_served_by));
    if (port)
        snprintf(ret_served_by->port, sizeof(ret_served_by->port), "%u", port);
    if (!container)
        return;
    copy_name(ret_served_by->pod_namespace, container->pod_namespace);
    copy_name(ret_served_by->pod, container->pod_name);
    copy_name(ret_served_by->container, container->name);
    for (size_t i = 0; i < pod_labels_count; i++)
        copy_name(ret_served_by->pod_labels[i], pod_label(&container->pod_labels, pod_labels[i].name));
}

void served_by_event(const struct event *event, uint16_t port, struct served_by *ret_served_by)
{
    served_by_container(event->container, port, ret_served_by);
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
    count = label_append(ret_labels, count, served_by->pod[0] ? "k8s_container_name" : "container_name",
                         served_by->container);
    for (size_t i = 0; i < pod_labels_count; i++)
        count = label_append(ret_labels, count, pod_labels[i].label, served_by->pod_labels[i]);
    return count;
}
