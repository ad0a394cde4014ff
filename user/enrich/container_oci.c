// What an OCI runtime is told about a container: config.json of its bundle.
#include "container_read.h"

#include <string.h>

// Those that show something of the node; the others (proc, tmpfs, …) every container has.
static void take_mounts(struct container *container, const json_t *config)
{
    static const char *const propagations[] = {"rprivate", "private", "rshared", "shared", "rslave", "slave"};
    size_t index, at;
    json_t *mount, *option;
    json_array_foreach(json_object_get(config, "mounts"), index, mount)
    {
        bool bind = strcmp(container_text(mount, "type"), "bind") == 0, writes = true;
        const char *propagation = "";
        json_array_foreach(json_object_get(mount, "options"), at, option)
        {
            const char *word = json_string_value(option);
            if (!word)
                continue;
            bind = bind || strcmp(word, "bind") == 0 || strcmp(word, "rbind") == 0;
            writes = writes && strcmp(word, "ro") != 0;
            for (size_t i = 0; i < ARRAY_SIZE(propagations); i++)
                propagation = strcmp(word, propagations[i]) == 0 ? propagations[i] : propagation;
        }
        if (!bind)
            continue;
        const char *parts[CONTAINER_MOUNT_PARTS] = {
            [CONTAINER_MOUNT_SOURCE] = container_text(mount, "source"),
            [CONTAINER_MOUNT_DEST] = container_text(mount, "destination"),
            [CONTAINER_MOUNT_MODE] = "",
            [CONTAINER_MOUNT_RDWR] = writes ? "true" : "false",
            [CONTAINER_MOUNT_PROPAGATION] = propagation};
        container_list_add(&container->mounts, parts, CONTAINER_MOUNT_PARTS);
    }
}

static bool has_word(const json_t *array, const char *word)
{
    size_t index;
    json_t *item;
    json_array_foreach(array, index, item)
    {
        const char *text = json_string_value(item);
        if (text && strcmp(text, word) == 0)
            return true;
    }
    return false;
}

// Whether all devices are allowed: a rule for any of them, which no later one takes back.
static bool all_devices(const json_t *devices)
{
    bool all = false;
    size_t index;
    json_t *rule;
    json_array_foreach(devices, index, rule)
    {
        const char *type = container_text(rule, "type");
        const char *access = container_text(rule, "access");
        bool any = (type[0] == '\0' || strcmp(type, "a") == 0) && !json_object_get(rule, "major");
        if (any && (access[0] == '\0' || strcmp(access, "rwm") == 0))
            all = json_is_true(json_object_get(rule, "allow"));
    }
    return all;
}

// What --privileged comes to, for runtimes that do not write the word down. Of what it gives, capabilities
// and devices must both be there; where something else is held back all the same, somebody has mixed his own.
static enum container_truth derive_privileged(const json_t *config)
{
    // None of these is in any runtime's usual set.
    static const char *const grave[] = {"CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_BOOT",
                                        "CAP_MAC_ADMIN"};
    const json_t *platform = json_object_get(config, "linux");
    const json_t *capabilities = json_object_get(json_object_get(config, "process"), "capabilities");
    const json_t *bounding = json_object_get(capabilities, "bounding");
    const json_t *devices = json_object_get(json_object_get(platform, "resources"), "devices");
    if (!json_is_array(bounding) || !json_is_array(devices))
        return CONTAINER_UNKNOWN;
    for (size_t i = 0; i < ARRAY_SIZE(grave); i++)
        if (!has_word(bounding, grave[i]))
            return CONTAINER_FALSE;
    if (!all_devices(devices))
        return CONTAINER_FALSE;
    bool masked = json_array_size(json_object_get(platform, "maskedPaths")) > 0 ||
                  json_array_size(json_object_get(platform, "readonlyPaths")) > 0;
    return masked || json_object_get(platform, "seccomp") ? CONTAINER_UNKNOWN : CONTAINER_TRUE;
}

static enum container_truth find_privileged(const json_t *config, const json_t *annotations, unsigned authors)
{
    const char *podman =
        authors & OCI_PODMAN ? container_text(annotations, "io.podman.annotations.privileged") : "";
    if (strcmp(podman, "TRUE") == 0)
        return CONTAINER_TRUE;
    return strcmp(podman, "FALSE") == 0 ? CONTAINER_FALSE : derive_privileged(config);
}

// Which annotations are whose word. podman hands on those of the image, so they are whatever its author
// likes, and CRI-O those of a pod's author.
static const struct {
    const char *name;
    size_t field; // of struct container
    unsigned authors;
} words[] = {
    {"nerdctl/name", offsetof(struct container, name), OCI_CONTAINERD},
    {"io.kubernetes.container.name", offsetof(struct container, name), OCI_CRIO},
    {"io.kubernetes.cri.container-name", offsetof(struct container, name), OCI_CONTAINERD},
    {"io.kubernetes.cri-o.ImageName", offsetof(struct container, image), OCI_CRIO},
    {"io.kubernetes.cri.image-name", offsetof(struct container, image), OCI_CONTAINERD},
    {"io.kubernetes.pod.name", offsetof(struct container, pod_name), OCI_CRIO},
    {"io.kubernetes.cri.sandbox-name", offsetof(struct container, pod_name), OCI_CONTAINERD},
    {"io.kubernetes.pod.namespace", offsetof(struct container, pod_namespace), OCI_CRIO},
    {"io.kubernetes.cri.sandbox-namespace", offsetof(struct container, pod_namespace), OCI_CONTAINERD},
    {"io.kubernetes.pod.uid", offsetof(struct container, pod_uid), OCI_CRIO},
    {"io.kubernetes.cri.sandbox-uid", offsetof(struct container, pod_uid), OCI_CONTAINERD},
    {"io.kubernetes.cri-o.SandboxID", offsetof(struct container, pod_sandbox_id), OCI_CRIO},
    {"io.kubernetes.cri.sandbox-id", offsetof(struct container, pod_sandbox_id), OCI_CONTAINERD},
};

static void take_annotations(struct container *container, const json_t *annotations, unsigned authors)
{
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (words[i].authors & authors)
            container_take_key((char **)((char *)container + words[i].field), annotations, words[i].name);
    if (authors & OCI_CRIO)
        container_take_image_id(&container->image_id,
                                container_text(annotations, "io.kubernetes.cri-o.ImageRef"));
}

void container_take_oci(struct container *container, const json_t *config, unsigned authors)
{
    const json_t *annotations = json_object_get(config, "annotations");
    take_annotations(container, annotations, authors);
    take_mounts(container, config);
    container->privileged = find_privileged(config, annotations, authors);
}
