#include "http_labels.h"

#include "base/cleanup.h"
#include "format_map.h"

#include <errno.h>
#include <string.h>

int http_label(json_t *labels, const char *name, const char *value)
{
    if (!value || !value[0])
        return 0;
    return json_object_set_new(labels, name, json_string(value)) ? -ENOMEM : 0;
}

int http_labels_configured(const struct config_output *output, json_t *labels)
{
    int error = 0;
    for (size_t i = 0; !error && i < output->labels.count; i++) {
        const char *label = output->labels.items[i];
        const char *equals = strchr(label, '=');
        if (!equals)
            continue;
        json_t *value = json_string(equals + 1);
        error = json_object_setn_new(labels, label, (size_t)(equals - label), value) ? -ENOMEM : 0;
    }
    return error;
}

int http_labels_place(const struct item *item, json_t *labels)
{
    static const struct {
        const char *field, *label;
    } places[] = {
        {"container.name", "container"},
        {"k8s.ns.name", "namespace"},
        {"k8s.pod.name", "pod"},
    };
    int error = 0;
    for (size_t i = 0; !error && i < ARRAY_SIZE(places); i++)
        error = http_label(labels, places[i].label, format_string(format_fields(item), places[i].field));
    return error;
}
