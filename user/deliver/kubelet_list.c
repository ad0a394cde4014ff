#include "kubelet.h"

#include "base/cleanup.h"

#include <jansson.h>
#include <string.h>

enum { NAME_MAX_BYTES = 512, CONTAINERS_MAX = 256 };

static void cleanup_json(json_t **json)
{
    json_decref(*json);
}

static void add(struct text *text, const char *string)
{
    text_add(text, string);
    text_add_char(text, '\0');
}

static void add_number(struct text *text, size_t number)
{
    text_addf(text, "%zu", number);
    text_add_char(text, '\0');
}

// "" where there is none, or one of a length that no name has.
static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && strlen(text) <= NAME_MAX_BYTES ? text : "";
}

static void add_labels(struct text *text, const json_t *labels)
{
    _cleanup_text_ struct text pairs = TEXT_INIT(PODS_FRAME_MAX);
    size_t count = 0;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)labels, name, value)
    {
        const char *string = json_string_value(value);
        if (!string || strlen(name) > NAME_MAX_BYTES || strlen(string) > NAME_MAX_BYTES ||
            count >= POD_LABELS_MAX)
            continue;
        add(&pairs, name);
        add(&pairs, string);
        count++;
    }
    add_number(text, count);
    if (pairs.length)
        text_add_bytes(text, pairs.data, pairs.length);
}

// "containerd://ID" and "registry/repository@sha256:…".
static size_t add_containers(struct text *text, const json_t *statuses, size_t count)
{
    size_t index;
    json_t *status;
    json_array_foreach(statuses, index, status)
    {
        const char *id = strstr(text_of(status, "containerID"), "://");
        const char *digest = strstr(text_of(status, "imageID"), "@sha256:");
        if (!id || !digest || count >= CONTAINERS_MAX)
            continue;
        add(text, id + 3);
        add(text, digest + 1);
        count++;
    }
    return count;
}

static void add_pod(struct text *text, const json_t *pod)
{
    static const char *const kinds[] = {"containerStatuses", "initContainerStatuses",
                                        "ephemeralContainerStatuses"};
    const json_t *metadata = json_object_get(pod, "metadata"), *status = json_object_get(pod, "status");
    add(text, text_of(metadata, "uid"));
    add(text, text_of(metadata, "name"));
    add(text, text_of(metadata, "namespace"));
    add(text, text_of(status, "podIP"));
    add_labels(text, json_object_get(metadata, "labels"));
    _cleanup_text_ struct text containers = TEXT_INIT(PODS_FRAME_MAX);
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        count = add_containers(&containers, json_object_get(status, kinds[i]), count);
    add_number(text, count);
    if (containers.length)
        text_add_bytes(text, containers.data, containers.length);
}

bool kubelet_list_read(const char *json, size_t size, struct text *ret_list, unsigned *ret_left_out)
{
    _cleanup_(cleanup_json) json_t *root = json_loadb(json, size, 0, NULL);
    const json_t *items = json_object_get(root, "items");
    size_t index, pods = 0;
    json_t *pod;
    if (strcmp(text_of(root, "kind"), "PodList") != 0 ||
        (items && !json_is_array(items) && !json_is_null(items)))
        return false;
    *ret_left_out = 0;
    json_array_foreach(items, index, pod)
    {
        const char *uid = text_of(json_object_get(pod, "metadata"), "uid");
        _cleanup_text_ struct text one = TEXT_INIT(PODS_FRAME_MAX);
        if (uid[0])
            add_pod(&one, pod);
        // A pod is in the list as a whole or not at all.
        if (!uid[0] || one.truncated || pods >= PODS_MAX || one.length > ret_list->max - ret_list->length) {
            (*ret_left_out)++;
            continue;
        }
        text_add_bytes(ret_list, one.data, one.length);
        pods++;
    }
    return !ret_list->truncated;
}
