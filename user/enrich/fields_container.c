// The fields container.* but for mounts, and k8s.*: who a container is.
#include "base/cleanup.h"
#include "base/text.h"
#include "enrich_private.h"
#include "fields.h"

#include <string.h>

// As many characters of an id as people are shown.
enum { SHORT_ID = 12 };

static bool short_id(const struct event *event, const char *whole, struct value *ret_value)
{
    size_t length = whole ? strnlen(whole, SHORT_ID) : 0;
    char *id = length ? event_alloc(event, length + 1) : NULL;
    if (!id)
        return false;
    memcpy(id, whole, length);
    id[length] = '\0';
    return value_set_bytes(ret_value, id, length);
}

GETTER(get_container_id)
{
    if (nth > 0)
        return false;
    return event->container ? short_id(event, event->container->id, ret_value)
                            : value_set_string(ret_value, "host");
}

GETTER(get_container_full_id)
{
    return nth == 0 && value_set_string(ret_value, event->container ? event->container->id : "host");
}

GETTER(get_container_name)
{
    return nth == 0 && value_set_string(ret_value, event->container ? event->container->name : "host");
}

GETTER(get_container_type)
{
    return nth == 0 && value_set_string(ret_value, event->container ? event->container->runtime : "host");
}

#define TEXT_GETTER(field)                                                                           \
    GETTER(get_##field)                                                                              \
    {                                                                                                \
        return nth == 0 && event->container && value_set_string(ret_value, event->container->field); \
    }
TEXT_GETTER(image)
TEXT_GETTER(image_repository)
TEXT_GETTER(image_tag)
TEXT_GETTER(image_id)
TEXT_GETTER(image_digest)
TEXT_GETTER(pod_name)
TEXT_GETTER(pod_namespace)
TEXT_GETTER(pod_uid)
TEXT_GETTER(pod_ip)
TEXT_GETTER(pod_sandbox_id)

GETTER(get_pod_short_sandbox_id)
{
    return nth == 0 && event->container && short_id(event, event->container->pod_sandbox_id, ret_value);
}

GETTER(get_privileged)
{
    return nth == 0 && event->container && event->container->privileged != CONTAINER_UNKNOWN &&
           value_set_bool(ret_value, event->container->privileged == CONTAINER_TRUE);
}

// The label that begins at an offset, which is moved behind it. False at the end, and where a recording's
// list does not hold together.
static bool label_next(const struct container_list *list, size_t *offset, const char **ret_label)
{
    size_t at = *offset;
    for (size_t i = 0; i < CONTAINER_LABEL_PARTS; i++) {
        size_t left = list->size - at;
        if (left == 0 || strnlen(list->bytes + at, left) == left)
            return false;
        ret_label[i] = list->bytes + at;
        at += strlen(ret_label[i]) + 1;
    }
    *offset = at;
    return true;
}

static bool label_get(const struct container_list *list, const struct field_arg *arg, size_t nth,
                      struct value *ret_value)
{
    const char *label[CONTAINER_LABEL_PARTS];
    for (size_t offset = 0; nth == 0 && label_next(list, &offset, label);)
        if (strcmp(label[CONTAINER_LABEL_NAME], arg->key) == 0)
            return value_set_string(ret_value, label[CONTAINER_LABEL_VALUE]);
    return false;
}

static bool labels_get(const struct event *event, const struct container_list *list, size_t nth,
                       struct value *ret_value)
{
    const char *label[CONTAINER_LABEL_PARTS];
    _cleanup_text_ struct text text = TEXT_INIT(2 * CONTAINER_LIST_MAX);
    for (size_t offset = 0; nth == 0 && label_next(list, &offset, label);)
        text_addf(&text, "%s%s:%s", text.length ? ", " : "", label[CONTAINER_LABEL_NAME],
                  label[CONTAINER_LABEL_VALUE]);
    return text.length > 0 && value_set_string(ret_value, event_printf(event, "%s", text_string(&text)));
}

GETTER(get_label)
{
    return event->container && label_get(&event->container->labels, arg, nth, ret_value);
}

GETTER(get_labels)
{
    return event->container && labels_get(event, &event->container->labels, nth, ret_value);
}

GETTER(get_pod_label)
{
    return event->container && label_get(&event->container->pod_labels, arg, nth, ret_value);
}

GETTER(get_pod_labels)
{
    return event->container && labels_get(event, &event->container->pod_labels, nth, ret_value);
}

static const struct field container_fields[] = {
    {.name = "container.id",
     .type = FIELD_STRING,
     .help = "First 12 characters of the container's id; `host` outside containers",
     .get = get_container_id},
    {.name = "container.full_id",
     .type = FIELD_STRING,
     .help = "The container's whole id; `host` outside containers",
     .get = get_container_full_id},
    {.name = "container.name",
     .type = FIELD_STRING,
     .help = "The container's name, in Kubernetes that in the pod's specification; `host` outside containers",
     .get = get_container_name},
    {.name = "container.image",
     .type = FIELD_STRING,
     .help = "The container's image as the runtime wrote it",
     .get = get_image},
    {.name = "container.image.repository",
     .type = FIELD_STRING,
     .help = "The image's registry and repository, without tag and digest",
     .get = get_image_repository},
    {.name = "container.image.tag", .type = FIELD_STRING, .help = "The image's tag", .get = get_image_tag},
    {.name = "container.image.id",
     .type = FIELD_STRING,
     .help = "The image's id, 64 hexadecimal digits; docker, podman, CRI-O",
     .get = get_image_id},
    {.name = "container.image.digest",
     .type = FIELD_STRING,
     .help = "The digest under which the registry has the image: `sha256:` and 64 hexadecimal digits",
     .get = get_image_digest},
    {.name = "container.privileged",
     .type = FIELD_BOOL,
     .help = "Whether the container was started as privileged; missing where its configuration does not tell",
     .get = get_privileged},
    {.name = "container.label",
     .type = FIELD_STRING,
     .arg = FIELD_ARG_KEY,
     .help = "One of the container's labels, such as container.label[team]",
     .get = get_label},
    {.name = "container.labels",
     .type = FIELD_STRING,
     .help = "All of them, as name:value, separated by commas",
     .get = get_labels},
    {.name = "container.type",
     .type = FIELD_STRING,
     .help = "The runtime: `docker`, `containerd`, `cri-o`, `podman`, `runc`; `host` outside containers",
     .get = get_container_type},
};

static const struct field k8s_fields[] = {
    {.name = "k8s.pod.name",
     .type = FIELD_STRING,
     .help = "Name of the pod that the container belongs to",
     .get = get_pod_name},
    {.name = "k8s.ns.name",
     .type = FIELD_STRING,
     .help = "Kubernetes namespace of that pod",
     .get = get_pod_namespace},
    {.name = "k8s.pod.uid",
     .type = FIELD_STRING,
     .help = "That pod's uid; of one from a file on the node what the kubelet calls it by",
     .get = get_pod_uid},
    {.name = "k8s.pod.id", .type = FIELD_STRING, .help = "The same, by its older name", .get = get_pod_uid},
    {.name = "k8s.pod.sandbox_id",
     .type = FIELD_STRING,
     .help = "First 12 characters of the id of the container that holds the pod's namespaces",
     .get = get_pod_short_sandbox_id},
    {.name = "k8s.pod.full_sandbox_id",
     .type = FIELD_STRING,
     .help = "The whole id of that container",
     .get = get_pod_sandbox_id},
    {.name = "k8s.pod.ip",
     .type = FIELD_STRING,
     .help = "The pod's address, where the kubelet is asked (`kubelet.url`)",
     .get = get_pod_ip},
    {.name = "k8s.pod.label",
     .type = FIELD_STRING,
     .arg = FIELD_ARG_KEY,
     .help = "One of the pod's labels, such as k8s.pod.label[app.kubernetes.io/name]",
     .get = get_pod_label},
    {.name = "k8s.pod.labels",
     .type = FIELD_STRING,
     .help = "All of them, as name:value, separated by commas",
     .get = get_pod_labels},
};

int enrich_register_container_fields(void)
{
    return field_register_context("container", container_fields, ARRAY_SIZE(container_fields));
}

int enrich_register_pod_fields(void)
{
    return field_register_context("k8s", k8s_fields, ARRAY_SIZE(k8s_fields));
}
