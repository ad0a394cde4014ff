// dockerd: two files for each container, and one that knows the digests of images.
#include "container_read.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static void take_mounts(struct container *container, const json_t *root)
{
    const char *destination;
    json_t *mount;
    json_object_foreach(json_object_get(root, "MountPoints"), destination, mount)
    {
        const char *parts[CONTAINER_MOUNT_PARTS] = {
            [CONTAINER_MOUNT_SOURCE] = container_text(mount, "Source"),
            [CONTAINER_MOUNT_DEST] = destination,
            [CONTAINER_MOUNT_MODE] = container_text(mount, "Mode"),
            [CONTAINER_MOUNT_RDWR] = json_is_true(json_object_get(mount, "RW")) ? "true" : "false",
            [CONTAINER_MOUNT_PROPAGATION] = container_text(mount, "Propagation")};
        container_list_add(&container->mounts, parts, CONTAINER_MOUNT_PARTS);
    }
}

// "repository@sha256:…" stands beside the repository's tags; the container's own repository counts, as an
// image may have a digest in each of several registries.
static void take_digest(struct container *container, const json_t *repositories)
{
    char wanted[80];
    snprintf(wanted, sizeof(wanted), "sha256:%s", container->image_id);
    const char *repository, *reference;
    json_t *references, *id;
    json_object_foreach((json_t *)repositories, repository, references)
    {
        if (container->image && strncmp(container->image, repository, strlen(repository)) != 0)
            continue;
        json_object_foreach(references, reference, id)
        {
            const char *digest = strstr(reference, "@sha256:");
            const char *text = json_string_value(id);
            if (digest && text && strcmp(text, wanted) == 0)
                container_take(&container->image_digest, digest + 1);
        }
    }
}

static void read_digest(struct container_reading *reading, const char *root)
{
    static const char *const drivers[] = {"overlay2", "vfs", "btrfs", "zfs", "fuse-overlayfs"};
    for (size_t i = 0; reading->container->image_id && i < ARRAY_SIZE(drivers); i++) {
        _cleanup_json_ json_t *images =
            container_json("%s%s/image/%s/repositories.json", reading->host_root, root, drivers[i]);
        take_digest(reading->container, json_object_get(images, "Repositories"));
    }
}

// An image brings labels of its own, so those about the pod are the kubelet's word only where the name, which
// no image chooses, is of its making.
static void take_labels(struct container *container, const json_t *labels)
{
    container_take_labels(&container->labels, labels);
    if (!container->name || strncmp(container->name, "k8s_", 4) != 0)
        return;
    container_take_key(&container->name, labels, "io.kubernetes.container.name");
    container_take_key(&container->pod_name, labels, "io.kubernetes.pod.name");
    container_take_key(&container->pod_namespace, labels, "io.kubernetes.pod.namespace");
    container_take_key(&container->pod_uid, labels, "io.kubernetes.pod.uid");
    container_take_key(&container->pod_sandbox_id, labels, "io.kubernetes.sandbox.id");
}

static bool read_below(struct container_reading *reading, const char *root)
{
    struct container *container = reading->container;
    _cleanup_json_ json_t *file = container_json_stamped(reading, "%s%s/containers/%s/config.v2.json",
                                                         reading->host_root, root, container->id);
    if (!file)
        return false;
    const json_t *config = json_object_get(file, "Config");
    const char *name = container_text(file, "Name");
    container_take(&container->name, name[0] == '/' ? name + 1 : name);
    container_take_key(&container->image, config, "Image");
    container_take_image_id(&container->image_id, container_text(file, "Image"));
    take_labels(container, json_object_get(config, "Labels"));
    take_mounts(container, file);
    read_digest(reading, root);

    _cleanup_json_ json_t *host =
        container_json("%s%s/containers/%s/hostconfig.json", reading->host_root, root, container->id);
    const json_t *privileged = json_object_get(host, "Privileged");
    if (json_is_boolean(privileged))
        container->privileged = json_is_true(privileged) ? CONTAINER_TRUE : CONTAINER_FALSE;

    // A pod's labels are those of the container that holds its namespaces.
    const char *sandbox = container->pod_sandbox_id;
    if (sandbox && container_id_valid(sandbox, strlen(sandbox))) {
        _cleanup_json_ json_t *holder =
            container_json("%s%s/containers/%s/config.v2.json", reading->host_root, root, sandbox);
        container_take_labels(&container->pod_labels,
                              json_object_get(json_object_get(holder, "Config"), "Labels"));
    }
    return true;
}

bool container_read_docker(struct container_reading *reading)
{
    if (read_below(reading, "/var/lib/docker"))
        return true;
    // Only where it is configured in the usual file is it known where else to look.
    _cleanup_json_ json_t *daemon = container_json("%s/etc/docker/daemon.json", reading->host_root);
    const char *root = container_text(daemon, "data-root");
    return root[0] == '/' && read_below(reading, root);
}
