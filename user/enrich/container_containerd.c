// containerd: a bundle for each container that runs, and a database that tells image and labels.
#include "bolt.h"
#include "container_read.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMESPACES_MAX = 64, ATTEMPTS_MAX = 3 };

#define TASKS "/io.containerd.runtime.v2.task"
#define DATABASE "/io.containerd.metadata.v1.bolt/meta.db"

// Where it keeps what runs, and where what lasts.
struct place {
    const char *state, *root;
};

static const struct place usual[] = {
    {"/run/containerd", "/var/lib/containerd"},
    {"/run/k3s/containerd", "/var/lib/rancher/k3s/agent/containerd"},
    {"/run/k3s/containerd", "/var/lib/rancher/rke2/agent/containerd"},
    {"/run/k0s/containerd", "/var/lib/k0s/containerd"},
    {"/var/snap/microk8s/common/run/containerd", "/var/snap/microk8s/common/var/lib/containerd"},
};

static void cleanup_closedir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

// --- The database ---

static bool on_text(void *context, const char *key, size_t key_size, const char *value, size_t value_size)
{
    container_take_bytes(context, value, value_size);
    return false;
}

static bool has_prefix(const char *text, size_t size, const char *prefix)
{
    return size >= strlen(prefix) && memcmp(text, prefix, strlen(prefix)) == 0;
}

static bool on_label(void *context, const char *key, size_t key_size, const char *value, size_t value_size)
{
    // Not what containerd notes for itself.
    if (!has_prefix(key, key_size, "io.cri-containerd.") && !has_prefix(key, key_size, "io.containerd."))
        container_take_label(context, key, key_size, value, value_size);
    return true;
}

// The kubelet's own beside those of the pod are told by fields of their own.
static bool on_pod_label(void *context, const char *key, size_t key_size, const char *value,
                         size_t value_size)
{
    return has_prefix(key, key_size, "io.kubernetes.") || on_label(context, key, key_size, value, value_size);
}

static void list_empty(struct container_list *list)
{
    free(list->bytes);
    *list = (struct container_list){};
}

static void read_text(const char *database, const char *const *keys, char **field)
{
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        char *text = NULL;
        int error = bolt_walk(database, keys, on_text, &text);
        if (!error)
            container_take(field, text);
        free(text);
        if (error != -EAGAIN)
            return;
    }
}

// True where the bucket of labels is there.
static bool read_labels(const char *database, const char *const *keys, bolt_visit_fn visit,
                        struct container_list *list)
{
    int error = -EAGAIN;
    for (int i = 0; i < ATTEMPTS_MAX && error == -EAGAIN; i++) {
        list_empty(list);
        error = bolt_walk(database, keys, visit, list);
    }
    if (error)
        list_empty(list);
    return !error;
}

// False where there is none.
static bool read_database(struct container_reading *reading, const char *root, const char *namespace)
{
    struct container *container = reading->container;
    char path[PATH_MAX];
    struct stat info;
    if (!container_path(path, reading->host_root, "%s" DATABASE, root) || stat(path, &info))
        return false;
    if (!container->image)
        read_text(path, (const char *const[]){"v1", namespace, "containers", container->id, "image", NULL},
                  &container->image);
    read_labels(path, (const char *const[]){"v1", namespace, "containers", container->id, "labels", NULL},
                on_label, &container->labels);
    if (container->image)
        read_text(
            path,
            (const char *const[]){"v1", namespace, "images", container->image, "target", "digest", NULL},
            &container->image_digest);
    const char *sandbox = container->pod_sandbox_id;
    if (sandbox &&
        !read_labels(path, (const char *const[]){"v1", namespace, "containers", sandbox, "labels", NULL},
                     on_pod_label, &container->pod_labels))
        read_labels(path, (const char *const[]){"v1", namespace, "sandboxes", sandbox, "labels", NULL},
                    on_pod_label, &container->pod_labels);
    return true;
}

// --- Places ---

static bool is_usual(const char *state)
{
    for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
        if (strcmp(usual[i].state, state) == 0)
            return true;
    return false;
}

void container_places_note(struct container_places *places, const char *bundle)
{
    char state[sizeof(places->state[0])];
    const char *tasks = strstr(bundle, TASKS "/");
    size_t length = tasks ? (size_t)(tasks - bundle) : 0;
    if (bundle[0] != '/' || length == 0 || length >= sizeof(state))
        return;
    memcpy(state, bundle, length);
    state[length] = '\0';
    bool known = is_usual(state);
    for (size_t i = 0; i < CONTAINER_PLACES_MAX && !known; i++)
        known = strcmp(places->state[i], state) == 0;
    if (!known)
        memcpy(places->state[places->next++ % CONTAINER_PLACES_MAX], state, length + 1);
}

// One after the other, the usual ones first; false behind the last.
static bool place_at(const struct container_reading *reading, size_t index, struct place *ret_place)
{
    if (index < ARRAY_SIZE(usual)) {
        *ret_place = usual[index];
        return true;
    }
    index -= ARRAY_SIZE(usual);
    if (!reading->places || index >= CONTAINER_PLACES_MAX || !reading->places->state[index][0])
        return false;
    *ret_place = (struct place){.state = reading->places->state[index]};
    return true;
}

json_t *container_containerd_config(const struct container_reading *reading, const char *namespace)
{
    struct place place;
    json_t *config = NULL;
    for (size_t i = 0; !config && place_at(reading, i, &place); i++)
        config = container_json(reading->host_root, "%s" TASKS "/%s/%s/config.json", place.state, namespace,
                                reading->container->id);
    return config;
}

// --- The bundle ---

// A bundle has a link to its directory among what lasts, so that it tells where that is.
static bool read_root(const struct container_reading *reading, const char *state, const char *namespace,
                      char ret_root[PATH_MAX])
{
    char bundle[PATH_MAX], path[PATH_MAX + 8], tail[PATH_MAX], target[PATH_MAX];
    if (!container_path(bundle, reading->host_root, "%s" TASKS "/%s/%s", state, namespace,
                        reading->container->id))
        return false;
    snprintf(path, sizeof(path), "%s/work", bundle);
    int tail_length = snprintf(tail, sizeof(tail), TASKS "/%s/%s", namespace, reading->container->id);
    if (tail_length < 0)
        return false;
    ssize_t size = readlink(path, target, sizeof(target));
    if (size <= tail_length || size == sizeof(target) || target[0] != '/' ||
        memcmp(target + size - tail_length, tail, (size_t)tail_length) != 0)
        return false;
    memcpy(ret_root, target, (size_t)(size - tail_length));
    ret_root[size - tail_length] = '\0';
    return true;
}

static bool read_namespace(struct container_reading *reading, struct place place, const char *namespace)
{
    struct container *container = reading->container;
    char root[PATH_MAX];
    _cleanup_json_ json_t *config = container_json_stamped(reading, "%s" TASKS "/%s/%s/config.json",
                                                           place.state, namespace, container->id);
    if (!config)
        return false;
    // Plain containerd has no name beside the id that its user chose.
    if (!container_id_is_hash(container->id, strlen(container->id)))
        container_take(&container->name, container->id);
    container_take_oci(container, config, OCI_CONTAINERD);
    bool told = read_root(reading, place.state, namespace, root) && read_database(reading, root, namespace);
    if (!told && place.root)
        read_database(reading, place.root, namespace);
    return true;
}

static bool read_place(struct container_reading *reading, struct place place)
{
    char tasks[PATH_MAX];
    if (!container_path(tasks, reading->host_root, "%s" TASKS, place.state))
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
        if (read_namespace(reading, place, entry->d_name))
            return true;
    }
    return false;
}

bool container_read_containerd(struct container_reading *reading)
{
    struct place place, other;
    for (size_t i = 0; place_at(reading, i, &place); i++) {
        // Two can have one state directory: where nothing else tells, the database does which it is.
        if (!read_place(reading, place))
            continue;
        for (size_t k = i + 1; place_at(reading, k, &other) && !reading->container->labels.bytes; k++)
            if (strcmp(other.state, place.state) == 0)
                read_place(reading, other);
        return true;
    }
    return false;
}
