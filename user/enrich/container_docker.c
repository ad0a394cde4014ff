// dockerd: two files for each container, and one that knows the names and digests of images.
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
            // The mode's older name stayed in the file (struct MountPoint of Docker's volume/mounts).
            [CONTAINER_MOUNT_MODE] = container_text(mount, "Relabel"),
            [CONTAINER_MOUNT_RDWR] = json_is_true(json_object_get(mount, "RW")) ? "true" : "false",
            [CONTAINER_MOUNT_PROPAGATION] = container_text(mount, "Propagation")};
        // A tmpfs shows nothing of the node.
        if (parts[CONTAINER_MOUNT_SOURCE][0])
            container_list_add(&container->mounts, parts, CONTAINER_MOUNT_PARTS);
    }
}

// --- Images ---

// "nginx" may have been written as "docker.io/library/nginx", too; Docker's lists have the short form.
static const char *short_name(const char *image)
{
    image += strncmp(image, "docker.io/", 10) == 0 ? 10 : 0;
    return image + (strncmp(image, "library/", 8) == 0 ? 8 : 0);
}

// Whether an image is named by its id, or the beginning of it, as the kubelet names all.
static bool is_own_id(const char *image, const char *image_id)
{
    image += strncmp(image, "sha256:", 7) == 0 ? 7 : 0;
    size_t length = strlen(image);
    return length > 0 && length <= strlen(image_id) && strncmp(image, image_id, length) == 0;
}

// "repository:tag" and "repository@sha256:…" stand side by side, each with the image that it names. An image
// may have a digest in each of several registries, so that of the container's own repository counts.
static void take_references(struct container *container, const json_t *repositories)
{
    char wanted[80];
    snprintf(wanted, sizeof(wanted), "sha256:%s", container->image_id);
    bool unnamed = !container->image || is_own_id(container->image, container->image_id);
    const char *repository, *reference;
    json_t *references, *id;
    json_object_foreach((json_t *)repositories, repository, references)
    {
        const char *image = unnamed ? repository : short_name(container->image);
        size_t length = strlen(repository);
        if (strncmp(image, repository, length) != 0 || (image[length] && !strchr(":@", image[length])))
            continue;
        const char *tagged = NULL, *digest = NULL;
        json_object_foreach(references, reference, id)
        {
            const char *text = json_string_value(id);
            const char *at = strstr(reference, "@sha256:");
            if (!text || strcmp(text, wanted) != 0)
                continue;
            digest = at ? at + 1 : digest;
            tagged = at || tagged ? tagged : reference;
        }
        if (digest)
            container_take(&container->image_digest, digest);
        if (unnamed && (tagged || digest)) {
            container_take(&container->image, tagged ? tagged : repository);
            return;
        }
    }
}

static void read_references(struct container_reading *reading, const char *root, const char *driver)
{
    if (!reading->container->image_id || !container_id_valid(driver, strlen(driver)))
        return;
    _cleanup_json_ json_t *images =
        container_json(reading->host_root, "%s/image/%s/repositories.json", root, driver);
    take_references(reading->container, json_object_get(images, "Repositories"));
}

// --- The container ---

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
    _cleanup_json_ json_t *file =
        container_json_stamped(reading, "%s/containers/%s/config.v2.json", root, container->id);
    if (!file)
        return false;
    const json_t *config = json_object_get(file, "Config");
    const char *name = container_text(file, "Name");
    container_take(&container->name, name[0] == '/' ? name + 1 : name);
    container_take_key(&container->image, config, "Image");
    container_take_image_id(&container->image_id, container_text(file, "Image"));
    take_labels(container, json_object_get(config, "Labels"));
    take_mounts(container, file);
    read_references(reading, root, container_text(file, "Driver"));
    // Where containerd keeps Docker's images, an image's id is the digest of what was pulled (moby since 25).
    if (container->image_id && json_is_object(json_object_get(file, "ImageManifest")))
        container_take(&container->image_digest, container_text(file, "Image"));

    _cleanup_json_ json_t *host =
        container_json(reading->host_root, "%s/containers/%s/hostconfig.json", root, container->id);
    const json_t *privileged = json_object_get(host, "Privileged");
    if (json_is_boolean(privileged))
        container->privileged = json_is_true(privileged) ? CONTAINER_TRUE : CONTAINER_FALSE;

    // A pod's labels are those of the container that holds its namespaces.
    const char *sandbox = container->pod_sandbox_id;
    if (sandbox && container_id_valid(sandbox, strlen(sandbox))) {
        _cleanup_json_ json_t *holder =
            container_json(reading->host_root, "%s/containers/%s/config.v2.json", root, sandbox);
        container_take_labels(&container->pod_labels,
                              json_object_get(json_object_get(holder, "Config"), "Labels"));
    }
    return true;
}

// The directory that a container's /etc/hostname and the like lie in: ROOT/containers/ID, its own or that of
// the one that holds its pod's namespaces.
static bool take_root(const char *source, char ret_root[PATH_MAX])
{
    static const char above[] = "/containers/";
    const char *leaf = strrchr(source, '/');
    size_t tail = sizeof(above) - 1 + CONTAINER_ID_MAX;
    if (source[0] != '/' || (size_t)(leaf - source) <= tail || (size_t)(leaf - source) >= PATH_MAX)
        return false;
    const char *end = leaf - tail;
    if (memcmp(end, above, sizeof(above) - 1) != 0 ||
        !container_id_is_hash(leaf - CONTAINER_ID_MAX, CONTAINER_ID_MAX))
        return false;
    memcpy(ret_root, source, (size_t)(end - source));
    ret_root[end - source] = '\0';
    return true;
}

// What runc was told tells where dockerd's files are, however that was configured.
static bool read_elsewhere(struct container_reading *reading)
{
    static const char *const files[] = {"/etc/resolv.conf", "/etc/hostname", "/etc/hosts"};
    _cleanup_json_ json_t *config = container_containerd_config(reading, "moby");
    char root[PATH_MAX];
    size_t index;
    json_t *mount;
    json_array_foreach(json_object_get(config, "mounts"), index, mount)
    {
        const char *destination = container_text(mount, "destination");
        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
            if (strcmp(destination, files[i]) == 0 && take_root(container_text(mount, "source"), root) &&
                read_below(reading, root))
                return true;
    }
    return false;
}

bool container_read_docker(struct container_reading *reading)
{
    if (read_below(reading, "/var/lib/docker"))
        return true;
    _cleanup_json_ json_t *daemon = container_json(reading->host_root, "/etc/docker/daemon.json");
    const char *root = container_text(daemon, "data-root");
    return (root[0] == '/' && read_below(reading, root)) || read_elsewhere(reading);
}
