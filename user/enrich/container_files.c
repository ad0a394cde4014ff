// What the runtimes write about a container on the node: read directly, because asking a runtime's socket
// needs its permission, its protocol and its patience.
#include "base/cleanup.h"
#include "base/log.h"
#include "base/series.h"
#include "containers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX_BYTES = 4 * 1024 * 1024, TEXT_MAX_BYTES = 512, NAMESPACES_MAX = 64 };

static struct counter rejected = {
    .name = "inferscope_container_files_rejected_total",
    .help = "Files of container runtimes that were too large or did not hold what they should",
};

static struct counter mounts_left_out = {
    .name = "inferscope_container_mounts_left_out_total",
    .help = "Mounts of containers that were not kept, because all together are longer than 16 KB",
};

void container_files_init(void)
{
    counter_register(&mounts_left_out);
    counter_register(&rejected);
}

static void cleanup_json(json_t **json)
{
    json_decref(*json);
}

static void cleanup_closedir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

// The whole file as JSON, or NULL.
static json_t *json_read(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    struct stat info;
    if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode) || info.st_size > FILE_MAX_BYTES) {
        rejected.value++;
        log_debug("%s: not a file of at most %d bytes", path, FILE_MAX_BYTES);
        return NULL;
    }

    size_t size = (size_t)info.st_size, used = 0;
    _cleanup_free_ char *text = malloc(size + 1);
    while (text && used < size) {
        ssize_t got = read(fd, text + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    json_error_t error;
    json_t *json = text ? json_loadb(text, used, 0, &error) : NULL;
    if (!json) {
        rejected.value++;
        log_debug("%s: not JSON", path);
    }
    return json;
}

// A path that is too long is no path: the file is then simply not found.
__attribute__((format(printf, 1, 2))) static json_t *json_readf(const char *format, ...)
{
    char path[PATH_MAX];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    return length > 0 && (size_t)length < sizeof(path) ? json_read(path) : NULL;
}

// Replaces a string by the one under a key, if there is one of sensible length.
static void take_bytes(char **field, const char *text)
{
    if (!text || text[0] == '\0' || strlen(text) > TEXT_MAX_BYTES)
        return;
    char *copy = strdup(text);
    if (!copy)
        return;
    free(*field);
    *field = copy;
}

static void take(char **field, const json_t *object, const char *key)
{
    take_bytes(field, json_string_value(json_object_get(object, key)));
}

// Adds a mount to the list, all parts or none.
static void mount_add(struct container *container, const char *const parts[CONTAINER_MOUNT_PARTS])
{
    size_t size = 0;
    for (size_t i = 0; i < CONTAINER_MOUNT_PARTS; i++)
        size += strlen(parts[i]) + 1;
    char *more = container->mounts_size + size <= CONTAINER_MOUNTS_MAX
                     ? realloc(container->mounts, container->mounts_size + size)
                     : NULL;
    if (!more) {
        mounts_left_out.value++;
        return;
    }
    container->mounts = more;
    for (size_t i = 0; i < CONTAINER_MOUNT_PARTS; i++) {
        size_t length = strlen(parts[i]) + 1;
        memcpy(more + container->mounts_size, parts[i], length);
        container->mounts_size += length;
    }
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

// Those of the OCI runtime's configuration that show something of the node; the others (proc, tmpfs, …) every
// container has.
static void take_oci_mounts(struct container *container, const json_t *config)
{
    static const char *const propagations[] = {"rprivate", "private", "rshared", "shared", "rslave", "slave"};
    size_t index, at;
    json_t *mount, *option;
    json_array_foreach(json_object_get(config, "mounts"), index, mount)
    {
        bool bind = strcmp(text_of(mount, "type"), "bind") == 0, writes = true;
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
        if (bind)
            mount_add(container,
                      (const char *const[]){text_of(mount, "source"), text_of(mount, "destination"), "",
                                            writes ? "true" : "false", propagation});
    }
}

static void take_docker_mounts(struct container *container, json_t *config)
{
    const char *destination;
    json_t *mount;
    json_object_foreach(json_object_get(config, "MountPoints"), destination, mount)
    {
        mount_add(container,
                  (const char *const[]){text_of(mount, "Source"), destination, text_of(mount, "Mode"),
                                        json_is_true(json_object_get(mount, "RW")) ? "true" : "false",
                                        text_of(mount, "Propagation")});
    }
}

static bool containerd_read_config(struct container *container, const json_t *config)
{
    const json_t *annotations = json_object_get(config, "annotations");
    // Plain containerd has no name beside the id that its user chose.
    if (!container_id_is_hash(container->id, strlen(container->id)))
        take_bytes(&container->name, container->id);
    take(&container->name, annotations, "nerdctl/name");
    take(&container->name, annotations, "io.kubernetes.cri.container-name");
    take(&container->pod_name, annotations, "io.kubernetes.cri.sandbox-name");
    take(&container->pod_namespace, annotations, "io.kubernetes.cri.sandbox-namespace");
    take(&container->image, annotations, "io.kubernetes.cri.image-name");
    take_oci_mounts(container, config);
    return true;
}

static bool containerd_read_in(const char *host_root, const char *state, struct container *container)
{
    char tasks[PATH_MAX];
    int length = snprintf(tasks, sizeof(tasks), "%s%s/io.containerd.runtime.v2.task", host_root, state);
    if (length < 0 || (size_t)length >= sizeof(tasks))
        return false;
    _cleanup_(cleanup_closedir) DIR *dir = opendir(tasks);
    if (!dir)
        return false;

    const struct dirent *entry;
    for (int i = 0; i < NAMESPACES_MAX && (entry = readdir(dir));) {
        // "moby" is where dockerd keeps its own, about which its own files tell more.
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "moby") == 0)
            continue;
        i++;
        _cleanup_(cleanup_json) json_t *config =
            json_readf("%s/%s/%s/config.json", tasks, entry->d_name, container->id);
        if (config)
            return containerd_read_config(container, config);
    }
    return false;
}

static bool containerd_read(const char *host_root, struct container *container)
{
    static const char *const states[] = {"/run/containerd", "/run/k3s/containerd", "/run/k0s/containerd",
                                         "/var/snap/microk8s/common/run/containerd"};
    for (size_t i = 0; i < ARRAY_SIZE(states); i++)
        if (containerd_read_in(host_root, states[i], container))
            return true;
    return false;
}

static bool docker_read(const char *host_root, struct container *container)
{
    _cleanup_(cleanup_json) json_t *root =
        json_readf("%s/var/lib/docker/containers/%s/config.v2.json", host_root, container->id);
    if (!root)
        return false;
    const json_t *config = json_object_get(root, "Config");
    const json_t *labels = json_object_get(config, "Labels");
    const char *name = json_string_value(json_object_get(root, "Name"));
    take_bytes(&container->name, name && name[0] == '/' ? name + 1 : name);
    take(&container->image, config, "Image");
    take(&container->name, labels, "io.kubernetes.container.name");
    take(&container->pod_name, labels, "io.kubernetes.pod.name");
    take(&container->pod_namespace, labels, "io.kubernetes.pod.namespace");
    take_docker_mounts(container, root);
    return true;
}

static bool crio_read(const char *host_root, struct container *container)
{
    _cleanup_(cleanup_json) json_t *config = json_readf(
        "%s/run/containers/storage/overlay-containers/%s/userdata/config.json", host_root, container->id);
    if (!config)
        return false;
    const json_t *annotations = json_object_get(config, "annotations");
    take(&container->name, annotations, "io.kubernetes.container.name");
    take(&container->pod_name, annotations, "io.kubernetes.pod.name");
    take(&container->pod_namespace, annotations, "io.kubernetes.pod.namespace");
    take(&container->image, annotations, "io.kubernetes.cri-o.ImageName");
    take_oci_mounts(container, config);
    return true;
}

static bool podman_read_list(struct container *container, const json_t *list)
{
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item)
    {
        const char *id = json_string_value(json_object_get(item, "id"));
        if (!id || strcmp(id, container->id) != 0)
            continue;
        take_bytes(&container->name, json_string_value(json_array_get(json_object_get(item, "names"), 0)));
        const char *text = json_string_value(json_object_get(item, "metadata"));
        _cleanup_(cleanup_json) json_t *metadata = text ? json_loads(text, 0, NULL) : NULL;
        take(&container->image, metadata, "image-name");
        return true;
    }
    return false;
}

static bool podman_read(const char *host_root, struct container *container)
{
    static const char *const drivers[] = {"overlay", "vfs", "btrfs", "zfs"};
    for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
        _cleanup_(cleanup_json) json_t *list =
            json_readf("%s/var/lib/containers/storage/%s-containers/containers.json", host_root, drivers[i]);
        if (!list || !podman_read_list(container, list))
            continue;
        _cleanup_(cleanup_json) json_t *config =
            json_readf("%s/var/lib/containers/storage/%s-containers/%s/userdata/config.json", host_root,
                       drivers[i], container->id);
        take_oci_mounts(container, config);
        return true;
    }
    return false;
}

static const struct {
    const char *runtime;
    bool (*read)(const char *host_root, struct container *container);
} readers[] = {
    {"containerd", containerd_read},
    {"docker", docker_read},
    {"cri-o", crio_read},
    {"podman", podman_read},
};

const char *container_runtime(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
        if (strcmp(readers[i].runtime, name) == 0)
            return readers[i].runtime;
    return NULL;
}

bool container_files_read(const char *host_root, struct container *container)
{
    if (!container_id_valid(container->id, strlen(container->id)))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
        if (strcmp(readers[i].runtime, container->runtime) == 0 && readers[i].read(host_root, container))
            return true;
    // The kubelet's cgroups do not say which runtime it is; an id is in one runtime's files only.
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
        if (strcmp(readers[i].runtime, container->runtime) != 0 && readers[i].read(host_root, container)) {
            container->runtime = readers[i].runtime;
            return true;
        }
    }
    return false;
}

void container_split_image(struct container *container)
{
    const char *image = container->image;
    // A bare digest names no repository.
    if (!image || strncmp(image, "sha256:", 7) == 0)
        return;
    size_t length = strcspn(image, "@");
    // A colon after the last slash begins the tag; before it, a registry's port.
    const char *slash = memrchr(image, '/', length);
    const char *name = slash ? slash + 1 : image;
    const char *colon = memchr(name, ':', length - (size_t)(name - image));
    size_t repository = colon ? (size_t)(colon - image) : length;
    if (repository > 0)
        container->image_repository = strndup(image, repository);
    if (colon && colon + 1 < image + length)
        container->image_tag = strndup(colon + 1, (size_t)(image + length - colon - 1));
}
