// What the runtimes write about a container on the node: read directly, because asking a runtime's socket
// needs its permission, its protocol and its patience.
#include "base/log.h"
#include "base/series.h"
#include "container_read.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 4 * 1024 * 1024, TEXT_MAX_BYTES = 512 };

static struct counter rejected = {
    .name = "inferscope_container_files_rejected_total",
    .help = "Files of container runtimes that were too large or did not hold what they should",
};

static struct counter left_out = {
    .name = "inferscope_container_texts_left_out_total",
    .help =
        "Mounts and labels of containers that were not kept, because all of a kind together are longer than "
        "16 KB",
};

void container_files_init(void)
{
    counter_register(&left_out);
    counter_register(&rejected);
}

// --- Files ---

static json_t *json_read(const char *path, struct stat *ret_info)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
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
    *ret_info = info;
    return json;
}

// What RESOLVE_IN_ROOT makes of it. Where that may not be asked, the path stays.
static bool path_resolve(const char *host_root, char path[PATH_MAX])
{
    size_t length = strlen(host_root);
    if (length == 0)
        return true;
    _cleanup_close_ int root = open(host_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    _cleanup_close_ int fd =
        root < 0 ? -1 : (int)syscall(SYS_openat2, root, path + length, &how, sizeof(how));
    if (fd < 0)
        return root >= 0 && (errno == ENOSYS || errno == EPERM);
    char own[32];
    snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
    ssize_t size = readlink(own, path, PATH_MAX - 1);
    if (size < 0)
        return false;
    path[size] = '\0';
    return true;
}

static bool path_print(char ret_path[PATH_MAX], const char *host_root, const char *format, va_list args)
{
    size_t root = strlen(host_root);
    if (root >= PATH_MAX)
        return false;
    memcpy(ret_path, host_root, root + 1);
    int length = vsnprintf(ret_path + root, PATH_MAX - root, format, args);
    return length > 0 && (size_t)length < PATH_MAX - root && path_resolve(host_root, ret_path);
}

bool container_path(char ret_path[PATH_MAX], const char *host_root, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool found = path_print(ret_path, host_root, format, args);
    va_end(args);
    return found;
}

json_t *container_json(const char *host_root, const char *format, ...)
{
    char path[PATH_MAX];
    struct stat info;
    va_list args;
    va_start(args, format);
    bool found = path_print(path, host_root, format, args);
    va_end(args);
    return found ? json_read(path, &info) : NULL;
}

static void stamp_set(struct container_stamp *stamp, const struct stat *info)
{
    stamp->device = info->st_dev;
    stamp->inode = info->st_ino;
    stamp->size = info->st_size;
    stamp->changed = info->st_mtim;
}

json_t *container_json_stamped(struct container_reading *reading, const char *format, ...)
{
    char path[PATH_MAX];
    struct stat info;
    va_list args;
    va_start(args, format);
    bool found = path_print(path, reading->host_root, format, args);
    va_end(args);
    json_t *json = found ? json_read(path, &info) : NULL;
    reading->stamp = (struct container_stamp){};
    if (json && strlen(path) < sizeof(reading->stamp.path)) {
        strcpy(reading->stamp.path, path);
        stamp_set(&reading->stamp, &info);
    }
    return json;
}

bool container_files_changed(const struct container_stamp *stamp)
{
    struct container_stamp now = {};
    struct stat info;
    // One that is gone is no news: its container has gone, too, or goes.
    if (!stamp->path[0] || stat(stamp->path, &info))
        return false;
    stamp_set(&now, &info);
    return now.device != stamp->device || now.inode != stamp->inode || now.size != stamp->size ||
           now.changed.tv_sec != stamp->changed.tv_sec || now.changed.tv_nsec != stamp->changed.tv_nsec;
}

// --- What they hold ---

void container_take_bytes(char **field, const char *bytes, size_t size)
{
    if (size == 0 || size > TEXT_MAX_BYTES || memchr(bytes, '\0', size))
        return;
    char *copy = strndup(bytes, size);
    if (!copy)
        return;
    free(*field);
    *field = copy;
}

void container_take(char **field, const char *text)
{
    if (text)
        container_take_bytes(field, text, strlen(text));
}

void container_take_key(char **field, const json_t *object, const char *key)
{
    container_take(field, json_string_value(json_object_get(object, key)));
}

void container_take_image_id(char **field, const char *text)
{
    if (!text)
        return;
    text += strncmp(text, "sha256:", 7) == 0 ? 7 : 0;
    if (container_id_is_hash(text, strlen(text)))
        container_take(field, text);
}

void container_list_add(struct container_list *list, const char *const *parts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += strlen(parts[i]) + 1;
    char *more = list->size + size <= CONTAINER_LIST_MAX ? realloc(list->bytes, list->size + size) : NULL;
    if (!more) {
        left_out.value++;
        return;
    }
    list->bytes = more;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(parts[i]) + 1;
        memcpy(more + list->size, parts[i], length);
        list->size += length;
    }
}

void container_add_label(struct container_list *list, const char *name, const char *value)
{
    container_list_add(list, (const char *const[]){name, value}, CONTAINER_LABEL_PARTS);
}

void container_take_label(struct container_list *list, const char *name, size_t name_size, const char *value,
                          size_t value_size)
{
    char text[CONTAINER_LABEL_PARTS][4096];
    if (name_size >= sizeof(text[0]) || value_size >= sizeof(text[0]) || memchr(name, '\0', name_size) ||
        memchr(value, '\0', value_size)) {
        left_out.value++;
        return;
    }
    memcpy(text[0], name, name_size);
    text[0][name_size] = '\0';
    memcpy(text[1], value, value_size);
    text[1][value_size] = '\0';
    container_add_label(list, text[0], text[1]);
}

void container_take_labels(struct container_list *list, const json_t *object)
{
    const char *name;
    json_t *value;
    free(list->bytes);
    *list = (struct container_list){};
    json_object_foreach((json_t *)object, name, value)
    {
        const char *text = json_string_value(value);
        if (text)
            container_take_label(list, name, strlen(name), text, strlen(text));
    }
}

const char *container_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

// --- Which runtime's ---

static const struct {
    const char *runtime;
    bool (*read)(struct container_reading *reading);
} readers[] = {
    {"containerd", container_read_containerd},
    {"docker", container_read_docker},
    {"cri-o", container_read_crio},
    {"podman", container_read_podman},
};

const char *container_runtime(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
        if (strcmp(readers[i].runtime, name) == 0)
            return readers[i].runtime;
    return strcmp(name, "runc") == 0 ? "runc" : NULL;
}

// An id is in one runtime's files only, whatever the cgroup made it look like: the kubelet's cgroups do not
// say which runtime it is.
static bool read_any(struct container_reading *reading)
{
    struct container *container = reading->container;
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
        if (strcmp(readers[i].runtime, container->runtime) == 0 && readers[i].read(reading))
            return true;
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
        if (strcmp(readers[i].runtime, container->runtime) != 0 && readers[i].read(reading)) {
            container->runtime = readers[i].runtime;
            return true;
        }
    }
    return false;
}

bool container_files_read(const char *host_root, const struct container_places *places, const char *bundle,
                          struct container *container, struct container_stamp *ret_stamp)
{
    struct container_reading reading = {
        .host_root = host_root, .places = places, .bundle = bundle, .container = container};
    if (!container_id_valid(container->id, strlen(container->id)))
        return false;
    bool found = read_any(&reading);
    if (!found && bundle[0]) {
        // None of those that are known: what the bundle itself says, under the name that it was given.
        _cleanup_json_ json_t *config = container_json_stamped(&reading, "%s/config.json", bundle);
        found = config != NULL;
        if (found) {
            container_take(&container->name, container->id);
            unsigned authors =
                container_is_podmans(config) ? OCI_PODMAN : OCI_CONTAINERD | OCI_CRIO | OCI_PODMAN;
            container_take_oci(container, config, authors);
        }
    }
    if (found)
        *ret_stamp = reading.stamp;
    return found;
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
    if (!container->image_digest && strncmp(image + length, "@sha256:", 8) == 0)
        container->image_digest = strdup(image + length + 1);
}
