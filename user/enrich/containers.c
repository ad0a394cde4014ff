#define HASH_NONFATAL_OOM 1

#include "containers.h"

#include "base/log.h"
#include "base/outside.h"
#include "base/series.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

// A runtime writes its files shortly before or after the first process runs.
#define RETRY_AFTER_NS 1000000000ULL
enum { ATTEMPTS_MAX = 5, CONTAINERS_MIN = 1 };

struct container_entry {
    struct container container;
    struct containers *owner;
    size_t refs;
    unsigned attempts;
    bool described;
    uint64_t tried_ns;
    UT_hash_handle hh;
};

struct containers {
    const char *host_root;
    size_t max;
    struct container_entry *by_id;
    struct container_entry unknown; // never in by_id
};

static struct counter turned_away = {
    .name = "inferscope_container_table_full_total",
    .help = "Times a container was not remembered because the container table was full",
};

struct containers *containers_new(const char *host_root, size_t max)
{
    struct containers *containers = calloc(1, sizeof(*containers));
    if (!containers)
        return NULL;
    counter_register(&turned_away);
    container_files_init();
    containers->host_root = host_root;
    containers->max = max > CONTAINERS_MIN ? max : CONTAINERS_MIN;
    // Not NULL, which would mean the host: a rule about containers must still see these processes.
    containers->unknown.container = (struct container){.id = "unknown", .runtime = "unknown"};
    containers->unknown.owner = containers;
    containers->unknown.refs = 1;
    return containers;
}

void containers_free(struct containers *containers)
{
    free(containers);
}

size_t containers_count(const struct containers *containers)
{
    return HASH_COUNT(containers->by_id);
}

static struct container_entry *entry_of(const struct container *container)
{
    return (struct container_entry *)((char *)container - offsetof(struct container_entry, container));
}

const struct container *container_ref(const struct container *container)
{
    if (container)
        entry_of(container)->refs++;
    return container;
}

static void entry_free(struct container_entry *entry)
{
    free(entry->container.name);
    free(entry->container.image);
    free(entry->container.image_repository);
    free(entry->container.image_tag);
    free(entry->container.pod_name);
    free(entry->container.pod_namespace);
    free(entry->container.mounts);
    free(entry);
}

void container_unref(const struct container *container)
{
    struct container_entry *entry = container ? entry_of(container) : NULL;
    if (!entry || --entry->refs > 0)
        return;
    HASH_DEL(entry->owner->by_id, entry);
    entry_free(entry);
}

// What the runtimes' files tell, as texts with a NUL each; what they do not tell is empty. Behind them come
// the mounts. Of the files no more is kept or recorded: they hold the container's environment, too.
enum { DESCRIPTION_TEXTS = 5, DESCRIPTION_MAX = 4096 + CONTAINER_MOUNTS_MAX };

struct describe_context {
    const char *host_root;
    struct container *container;
};

static ssize_t describe_now(void *context, void *ret_data, size_t capacity)
{
    const struct describe_context *describe = context;
    struct container found = {.runtime = describe->container->runtime};
    memcpy(found.id, describe->container->id, sizeof(found.id));
    ssize_t result = -ENOENT;
    if (container_files_read(describe->host_root, &found)) {
        const char *texts[DESCRIPTION_TEXTS] = {found.runtime, found.name, found.image, found.pod_name,
                                                found.pod_namespace};
        char *to = ret_data;
        result = 0;
        for (size_t i = 0; i < DESCRIPTION_TEXTS && result >= 0; i++) {
            size_t size = strlen(texts[i] ? texts[i] : "") + 1;
            if (size > capacity - (size_t)result) {
                result = -ENOBUFS;
                break;
            }
            memcpy(to + result, texts[i] ? texts[i] : "", size);
            result += (ssize_t)size;
        }
        if (result >= 0 && found.mounts_size > 0 && found.mounts_size <= capacity - (size_t)result) {
            memcpy(to + result, found.mounts, found.mounts_size);
            result += (ssize_t)found.mounts_size;
        }
    }
    free(found.name);
    free(found.image);
    free(found.pod_name);
    free(found.pod_namespace);
    free(found.mounts);
    return result;
}

static bool container_describe(const char *host_root, struct container *container)
{
    char question[sizeof(container->id) + 16], texts[DESCRIPTION_MAX + 1];
    snprintf(question, sizeof(question), "container %s", container->id);
    struct describe_context context = {.host_root = host_root, .container = container};
    ssize_t size = outside_ask(OUTSIDE_ONCE, question, describe_now, &context, texts, DESCRIPTION_MAX);
    if (size < 0)
        return false;
    texts[size] = '\0';
    const char *parts[DESCRIPTION_TEXTS];
    size_t at = 0;
    for (size_t i = 0; i < DESCRIPTION_TEXTS; i++) {
        parts[i] = texts + at;
        at += at < (size_t)size ? strlen(parts[i]) + 1 : 0;
    }
    const char *runtime = container_runtime(parts[0]);
    container->runtime = runtime ? runtime : container->runtime;
    container->name = parts[1][0] ? strdup(parts[1]) : NULL;
    container->image = parts[2][0] ? strdup(parts[2]) : NULL;
    container->pod_name = parts[3][0] ? strdup(parts[3]) : NULL;
    container->pod_namespace = parts[4][0] ? strdup(parts[4]) : NULL;
    container->mounts = at < (size_t)size ? malloc((size_t)size - at) : NULL;
    if (container->mounts) {
        container->mounts_size = (size_t)size - at;
        memcpy(container->mounts, texts + at, container->mounts_size);
    }
    return true;
}

static void entry_describe(struct containers *containers, struct container_entry *entry, uint64_t now_ns)
{
    if (entry->described || entry->attempts >= ATTEMPTS_MAX)
        return;
    // A clock reading from before the last attempt (records of several CPUs) is no reason to try again.
    if (entry->attempts > 0 && (now_ns < entry->tried_ns || now_ns - entry->tried_ns < RETRY_AFTER_NS))
        return;
    entry->attempts++;
    entry->tried_ns = now_ns;
    entry->described = container_describe(containers->host_root, &entry->container);
    if (entry->described)
        container_split_image(&entry->container);
    else if (entry->attempts == ATTEMPTS_MAX)
        log_debug("container %s: no file of %s describes it", entry->container.id, entry->container.runtime);
}

static struct container_entry *entry_add(struct containers *containers, const struct container_id *id)
{
    if (HASH_COUNT(containers->by_id) >= containers->max) {
        turned_away.value++;
        return NULL;
    }
    struct container_entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    entry->owner = containers;
    memcpy(entry->container.id, id->id, sizeof(entry->container.id));
    entry->container.runtime = id->runtime;
    HASH_ADD_STR(containers->by_id, container.id, entry);
    if (!entry->hh.tbl) {
        entry_free(entry);
        return NULL;
    }
    return entry;
}

const struct container *containers_get(struct containers *containers, const struct container_id *id,
                                       uint64_t now_ns)
{
    struct container_entry *entry;
    HASH_FIND_STR(containers->by_id, id->id, entry);
    if (!entry)
        entry = entry_add(containers, id);
    if (!entry)
        return container_ref(&containers->unknown.container);
    entry_describe(containers, entry, now_ns);
    return container_ref(&entry->container);
}
