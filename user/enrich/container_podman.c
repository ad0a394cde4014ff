// podman and CRI-O, which keep images and containers in the same kind of storage (containers/storage).
#include "bolt.h"
#include "container_read.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char *const drivers[] = {"overlay", "vfs", "btrfs", "zfs"};

static const char usual_run[] = "/run/containers/storage";

enum { ATTEMPTS_MAX = 3, ITEMS_MAX = 65536 };

// Where a storage lies.
struct storage {
    char graph[PATH_MAX]; // what lasts, below host_root
    char run[PATH_MAX];   // what a boot ends; "": not known
    const char *driver;
};

// --- The storage's lists ---

// The one with that id, borrowed, or NULL.
static const json_t *item_find(const json_t *list, const char *id)
{
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item)
    {
        if (index >= ITEMS_MAX)
            return NULL;
        if (strcmp(container_text(item, "id"), id) == 0)
            return item;
    }
    return NULL;
}

static bool take_item(struct container *container, const json_t *list)
{
    const json_t *item = item_find(list, container->id);
    if (!item)
        return false;
    container_take(&container->name, json_string_value(json_array_get(json_object_get(item, "names"), 0)));
    container_take_image_id(&container->image_id, container_text(item, "image"));
    const char *text = json_string_value(json_object_get(item, "metadata"));
    _cleanup_json_ json_t *metadata = text ? json_loads(text, 0, NULL) : NULL;
    container_take_key(&container->image, metadata, "image-name");
    return true;
}

// Those that need not survive a crash, as with --rm, are in a list of their own.
static bool read_lists(struct container_reading *reading, const struct storage *storage)
{
    _cleanup_json_ json_t *lasting =
        container_json_stamped(reading, "%s/%s-containers/containers.json", storage->graph, storage->driver);
    if (take_item(reading->container, lasting))
        return true;
    if (!storage->run[0])
        return false;
    _cleanup_json_ json_t *passing = container_json_stamped(
        reading, "%s/%s-containers/volatile-containers.json", storage->run, storage->driver);
    return take_item(reading->container, passing);
}

static void read_digest(struct container_reading *reading, const struct storage *storage)
{
    if (!reading->container->image_id)
        return;
    _cleanup_json_ json_t *list =
        container_json(reading->host_root, "%s/%s-images/images.json", storage->graph, storage->driver);
    container_take_key(&reading->container->image_digest, item_find(list, reading->container->image_id),
                       "digest");
}

// --- podman ---

static bool on_config(void *context, const char *key, size_t key_size, const char *value, size_t value_size)
{
    json_t **ret_config = context;
    *ret_config = json_loadb(value, value_size, 0, NULL);
    return false;
}

// Before podman 5 its database tells the labels.
static void read_labels(struct container_reading *reading, const struct storage *storage)
{
    char path[PATH_MAX];
    const char *const keys[] = {"ctr", reading->container->id, "config", NULL};
    if (!container_path(path, reading->host_root, "%s/libpod/bolt_state.db", storage->graph))
        return;
    int error = -EAGAIN;
    for (int i = 0; i < ATTEMPTS_MAX && error == -EAGAIN; i++) {
        _cleanup_json_ json_t *config = NULL;
        error = bolt_walk(path, keys, on_config, &config);
        if (!error)
            container_take_labels(&reading->container->labels, json_object_get(config, "labels"));
    }
}

static bool read_podman(struct container_reading *reading, const struct storage *storage)
{
    if (!read_lists(reading, storage))
        return false;
    _cleanup_json_ json_t *config =
        container_json(reading->host_root, "%s/%s-containers/%s/userdata/config.json", storage->graph,
                       storage->driver, reading->container->id);
    container_take_oci(reading->container, config, OCI_PODMAN);
    read_digest(reading, storage);
    read_labels(reading, storage);
    return true;
}

// Another storage than the usual one: GRAPH/DRIVER-containers/ID/userdata is what the runtime was told. Files
// that podman has made for the container are in RUN/DRIVER-containers/ID/userdata.
static void take_run(const struct container_reading *reading, const char *below, struct storage *storage)
{
    _cleanup_json_ json_t *config = container_json(reading->host_root, "%s/config.json", reading->bundle);
    size_t index;
    json_t *mount;
    json_array_foreach(json_object_get(config, "mounts"), index, mount)
    {
        const char *source = container_text(mount, "source");
        const char *at = strstr(source, below);
        if (strcmp(container_text(mount, "destination"), "/etc/hostname") != 0 || !at || source[0] != '/')
            continue;
        snprintf(storage->run, sizeof(storage->run), "%.*s", (int)(at - source), source);
    }
}

static bool storage_of_bundle(const struct container_reading *reading, struct storage *ret_storage)
{
    for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
        char tail[160];
        size_t length = (size_t)snprintf(tail, sizeof(tail), "/%s-containers/%s/userdata", drivers[i],
                                         reading->container->id);
        size_t whole = strlen(reading->bundle);
        if (whole <= length || whole >= PATH_MAX || strcmp(reading->bundle + whole - length, tail) != 0)
            continue;
        snprintf(ret_storage->graph, sizeof(ret_storage->graph), "%.*s", (int)(whole - length),
                 reading->bundle);
        ret_storage->run[0] = '\0';
        ret_storage->driver = drivers[i];
        take_run(reading, tail, ret_storage);
        return true;
    }
    return false;
}

bool container_read_podman(struct container_reading *reading)
{
    struct storage storage = {.graph = "/var/lib/containers/storage"};
    strcpy(storage.run, usual_run);
    for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
        storage.driver = drivers[i];
        if (read_podman(reading, &storage))
            return true;
    }
    return storage_of_bundle(reading, &storage) && read_podman(reading, &storage);
}

// --- CRI-O ---

// What is a pod's is in the annotations of the container that holds its namespaces.
static json_t *read_config(struct container_reading *reading, const char *run, const char *id)
{
    return container_json(reading->host_root, "%s/overlay-containers/%s/userdata/config.json", run, id);
}

static void take_labels_text(struct container_list *list, const json_t *config)
{
    const char *text = container_text(json_object_get(config, "annotations"), "io.kubernetes.cri-o.Labels");
    _cleanup_json_ json_t *labels = text[0] ? json_loads(text, 0, NULL) : NULL;
    container_take_labels(list, labels);
}

bool container_is_podmans(const json_t *config)
{
    const json_t *annotations = json_object_get(config, "annotations");
    return strcmp(container_text(annotations, "io.container.manager"), "libpod") == 0;
}

// podman has such a directory, too; where none is known to be CRI-O's, it must say so.
static bool is_crio(const json_t *config, bool usual)
{
    const json_t *annotations = json_object_get(config, "annotations");
    return config && !container_is_podmans(config) &&
           (usual || container_text(annotations, "io.kubernetes.cri-o.SandboxID")[0]);
}

static bool read_crio(struct container_reading *reading, const char *run)
{
    struct container *container = reading->container;
    _cleanup_json_ json_t *config =
        container_json_stamped(reading, "%s/overlay-containers/%s/userdata/config.json", run, container->id);
    if (!is_crio(config, run == usual_run))
        return false;
    container_take_oci(container, config, OCI_CRIO);
    take_labels_text(&container->labels, config);
    const struct storage storage = {.graph = "/var/lib/containers/storage", .driver = "overlay"};
    read_digest(reading, &storage);
    const char *sandbox = container->pod_sandbox_id;
    if (sandbox && container_id_valid(sandbox, strlen(sandbox))) {
        _cleanup_json_ json_t *holder = read_config(reading, run, sandbox);
        take_labels_text(&container->pod_labels, holder);
    }
    return true;
}

bool container_read_crio(struct container_reading *reading)
{
    struct storage storage;
    if (read_crio(reading, usual_run))
        return true;
    return storage_of_bundle(reading, &storage) && strcmp(storage.driver, "overlay") == 0 &&
           read_crio(reading, storage.graph);
}
