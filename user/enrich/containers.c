#define HASH_NONFATAL_OOM 1

#include "containers.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/outside.h"
#include "base/series.h"
#include "base/text.h"
#include "pod_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

// A runtime writes its files shortly before or after the first process runs, and some change later.
#define LOOK_AGAIN_NS 1000000000ULL
enum { ATTEMPTS_MAX = 5, CONTAINERS_MIN = 1, IDLE_MAX = 128 };

struct container_entry {
    struct container container;
    struct containers *owner;
    size_t refs;
    char key[CONTAINER_ID_MAX + 2]; // the id, and whether a user has chosen it
    unsigned attempts;              // that found nothing
    bool described, looked;
    bool users; // nothing but the id is believed
    uint64_t looked_ns;
    char *bundle;     // NULL: not known
    char pod_uid[37]; // as the cgroup has it
    struct pods_asked pods_asked;
    struct container_stamp stamp;
    struct container_entry *prev, *next; // of those without references, the oldest first
    UT_hash_handle hh;
};

struct containers {
    const char *host_root;
    size_t max;
    struct container_places places;
    struct container_entry *by_id;
    struct container_entry *idle;
    size_t idle_count;
    bool (*relieve)(void *context); // NULL: nobody can
    void *relieve_context;
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

void containers_set_relief(struct containers *containers, bool (*relieve)(void *context), void *context)
{
    containers->relieve = relieve;
    containers->relieve_context = context;
}

size_t containers_count(const struct containers *containers)
{
    return HASH_COUNT(containers->by_id) - containers->idle_count;
}

static struct container_entry *entry_of(const struct container *container)
{
    return (struct container_entry *)((char *)container - offsetof(struct container_entry, container));
}

void container_clear(struct container *container)
{
    char *const texts[] = {container->name,
                           container->image,
                           container->image_repository,
                           container->image_tag,
                           container->image_id,
                           container->image_digest,
                           container->pod_name,
                           container->pod_namespace,
                           container->pod_uid,
                           container->mounts.bytes,
                           container->pod_sandbox_id,
                           container->labels.bytes,
                           container->pod_labels.bytes,
                           container->pod_ip};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        free(texts[i]);
}

static void entry_free(struct container_entry *entry)
{
    container_clear(&entry->container);
    free(entry->bundle);
    free(entry);
}

static void idle_take(struct containers *containers, struct container_entry *entry)
{
    DL_DELETE(containers->idle, entry);
    containers->idle_count--;
}

static void idle_add(struct containers *containers, struct container_entry *entry)
{
    DL_APPEND(containers->idle, entry);
    containers->idle_count++;
    if (containers->idle_count <= IDLE_MAX)
        return;
    struct container_entry *oldest = containers->idle;
    idle_take(containers, oldest);
    HASH_DEL(containers->by_id, oldest);
    entry_free(oldest);
}

void containers_free(struct containers *containers)
{
    struct container_entry *entry, *next;
    HASH_ITER (hh, containers->by_id, entry, next) {
        HASH_DEL(containers->by_id, entry);
        entry_free(entry);
    }
    free(containers);
}

const struct container *container_ref(const struct container *container)
{
    struct container_entry *entry = container ? entry_of(container) : NULL;
    if (entry && entry->refs++ == 0)
        idle_take(entry->owner, entry);
    return container;
}

void container_unref(const struct container *container)
{
    struct container_entry *entry = container ? entry_of(container) : NULL;
    if (entry && --entry->refs == 0)
        idle_add(entry->owner, entry);
}

// --- What the runtimes' files tell, as an answer of the node: texts with a NUL each, empty where nothing is
// told, then the lists, before each its size. Of the files no more is kept or recorded: they hold the
// container's environment, too. ---

enum { TEXTS = 10, LISTS = 3, DESCRIPTION_MAX = 64 * 1024 };

static const char *truth_text(enum container_truth truth)
{
    return truth == CONTAINER_TRUE ? "true" : truth == CONTAINER_FALSE ? "false" : "";
}

static enum container_truth truth_of(const char *text)
{
    return strcmp(text, "true") == 0    ? CONTAINER_TRUE
           : strcmp(text, "false") == 0 ? CONTAINER_FALSE
                                        : CONTAINER_UNKNOWN;
}

static ssize_t description_write(const struct container *found, char *ret_data, size_t capacity)
{
    const char *texts[TEXTS] = {found->runtime,        found->name,
                                found->image,          found->image_id,
                                found->image_digest,   found->pod_name,
                                found->pod_namespace,  found->pod_uid,
                                found->pod_sandbox_id, truth_text(found->privileged)};
    const struct container_list *lists[LISTS] = {&found->mounts, &found->labels, &found->pod_labels};
    _cleanup_text_ struct text text = TEXT_INIT(capacity);
    for (size_t i = 0; i < TEXTS; i++) {
        text_add(&text, texts[i] ? texts[i] : "");
        text_add_char(&text, '\0');
    }
    for (size_t i = 0; i < LISTS; i++) {
        text_addf(&text, "%zu", lists[i]->size);
        text_add_char(&text, '\0');
        if (lists[i]->size)
            text_add_bytes(&text, lists[i]->bytes, lists[i]->size);
    }
    if (text.truncated)
        return -ENOBUFS;
    memcpy(ret_data, text.data, text.length);
    return (ssize_t)text.length;
}

struct reader {
    const char *data;
    size_t left;
};

// The next text, borrowed; "" at the end.
static const char *read_text(struct reader *reader)
{
    size_t length = strnlen(reader->data, reader->left);
    if (length == reader->left)
        return "";
    const char *text = reader->data;
    reader->data += length + 1;
    reader->left -= length + 1;
    return text;
}

static char *read_copy(struct reader *reader)
{
    const char *text = read_text(reader);
    return text[0] ? strdup(text) : NULL;
}

static struct container_list read_list(struct reader *reader)
{
    struct container_list list = {};
    size_t size = strtoul(read_text(reader), NULL, 10);
    if (size == 0 || size > reader->left || size > CONTAINER_LIST_MAX)
        return list;
    list.bytes = malloc(size);
    if (list.bytes) {
        memcpy(list.bytes, reader->data, size);
        list.size = size;
    }
    reader->data += size;
    reader->left -= size;
    return list;
}

static void description_read(struct reader reader, struct container *container)
{
    const char *runtime = container_runtime(read_text(&reader));
    container->runtime = runtime ? runtime : container->runtime;
    char **const texts[] = {&container->name,         &container->image,         &container->image_id,
                            &container->image_digest, &container->pod_name,      &container->pod_namespace,
                            &container->pod_uid,      &container->pod_sandbox_id};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        *texts[i] = read_copy(&reader);
    container->privileged = truth_of(read_text(&reader));
    container->mounts = read_list(&reader);
    container->labels = read_list(&reader);
    container->pod_labels = read_list(&reader);
    container_split_image(container);
}

// -EALREADY: nothing has changed since it was described.
static ssize_t describe_now(void *context, void *ret_data, size_t capacity)
{
    struct container_entry *entry = context;
    if (entry->described && !container_files_changed(&entry->stamp))
        return -EALREADY;
    struct container found = {.runtime = entry->container.runtime};
    memcpy(found.id, entry->container.id, sizeof(found.id));
    struct container_stamp stamp = {};
    ssize_t result = -ENOENT;
    if (container_files_read(entry->owner->host_root, &entry->owner->places,
                             entry->bundle ? entry->bundle : "", &found, &stamp)) {
        entry->stamp = stamp;
        result = description_write(&found, ret_data, capacity);
    }
    container_clear(&found);
    return result;
}

// Where the files do not tell.
static void take_pod_uid(struct container_entry *entry)
{
    if (!entry->container.pod_uid && entry->pod_uid[0])
        entry->container.pod_uid = strdup(entry->pod_uid);
}

static void entry_describe(struct container_entry *entry)
{
    struct container *container = &entry->container;
    char question[sizeof(container->id) + 24];
    snprintf(question, sizeof(question), "container identity %s", container->id);
    _cleanup_free_ char *description = malloc(DESCRIPTION_MAX);
    ssize_t size =
        description ? outside_ask(OUTSIDE_ONCE, question, describe_now, entry, description, DESCRIPTION_MAX)
                    : -ENOMEM;
    if (size < 0)
        return;
    struct container described = {.runtime = container->runtime};
    memcpy(described.id, container->id, sizeof(described.id));
    description_read((struct reader){description, (size_t)size}, &described);
    container_clear(container);
    *container = described;
    entry->pods_asked.version = 0;
    take_pod_uid(entry);
    entry->described = true;
}

// --- What the kubelet says of its pod, which is more than its files may ---

static ssize_t describe_pod_now(void *context, void *ret_data, size_t capacity)
{
    struct container_entry *entry = context;
    return pods_describe(entry->container.pod_uid, entry->container.id, &entry->pods_asked, ret_data,
                         capacity);
}

static void take_over(char **field, char *text, bool better)
{
    if (!text || (*field && !better)) {
        free(text);
        return;
    }
    free(*field);
    *field = text;
}

static void entry_describe_pod(struct container_entry *entry)
{
    struct container *container = &entry->container;
    if (!container->pod_uid)
        return;
    char question[600];
    snprintf(question, sizeof(question), "pod of %s: %.500s", container->id, container->pod_uid);
    _cleanup_free_ char *answer = malloc(DESCRIPTION_MAX);
    ssize_t size = answer
                       ? outside_ask(OUTSIDE_ONCE, question, describe_pod_now, entry, answer, DESCRIPTION_MAX)
                       : -ENOMEM;
    if (size < 0)
        return;
    struct reader reader = {answer, (size_t)size};
    take_over(&container->pod_name, read_copy(&reader), false);
    take_over(&container->pod_namespace, read_copy(&reader), false);
    take_over(&container->pod_ip, read_copy(&reader), true);
    take_over(&container->image_digest, read_copy(&reader), false);
    free(container->pod_labels.bytes);
    container->pod_labels = read_list(&reader);
}

static void entry_look(struct container_entry *entry, uint64_t now_ns)
{
    if (entry->users)
        return;
    bool read = entry->described || entry->attempts < ATTEMPTS_MAX;
    if (!read && !entry->container.pod_uid)
        return;
    // A clock reading from before the last look (records of several CPUs) is no reason to look again.
    if (entry->looked && (now_ns < entry->looked_ns || now_ns - entry->looked_ns < LOOK_AGAIN_NS))
        return;
    entry->looked = true;
    entry->looked_ns = now_ns;
    if (read)
        entry_describe(entry);
    if (!entry->described && entry->attempts < ATTEMPTS_MAX && ++entry->attempts == ATTEMPTS_MAX)
        log_debug("container %s: no file of %s describes it", entry->container.id, entry->container.runtime);
    entry_describe_pod(entry);
}

// --- The table ---

// A user's container of the same id is another one.
static void key_set(char *ret_key, size_t size, const char *id, bool users)
{
    snprintf(ret_key, size, "%s%s", users ? "~" : "", id);
}

static struct container_entry *entry_find(struct containers *containers, const char *id, bool users)
{
    char key[sizeof(((struct container_entry *)0)->key)];
    key_set(key, sizeof(key), id, users);
    struct container_entry *entry;
    HASH_FIND_STR(containers->by_id, key, entry);
    return entry;
}

// Without references yet.
static struct container_entry *entry_add(struct containers *containers, const char *id, bool users,
                                         const char *runtime)
{
    bool full = HASH_COUNT(containers->by_id) >= containers->max;
    while (full && !containers->idle && containers->relieve &&
           containers->relieve(containers->relieve_context))
        ;
    if (full) {
        struct container_entry *oldest = containers->idle;
        if (!oldest) {
            turned_away.value++;
            return NULL;
        }
        idle_take(containers, oldest);
        HASH_DEL(containers->by_id, oldest);
        entry_free(oldest);
    }
    struct container_entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    entry->owner = containers;
    snprintf(entry->container.id, sizeof(entry->container.id), "%s", id);
    entry->container.runtime = runtime;
    entry->users = users;
    key_set(entry->key, sizeof(entry->key), id, users);
    HASH_ADD_STR(containers->by_id, key, entry);
    if (!entry->hh.tbl) {
        entry_free(entry);
        return NULL;
    }
    idle_add(containers, entry);
    return entry;
}

const struct container *containers_get_unknown(struct containers *containers)
{
    return container_ref(&containers->unknown.container);
}

const struct container *containers_get(struct containers *containers, const struct container_id *id,
                                       uint64_t now_ns)
{
    struct container_entry *entry = entry_find(containers, id->id, id->users);
    if (!entry)
        entry = entry_add(containers, id->id, id->users, id->runtime);
    if (!entry)
        return containers_get_unknown(containers);
    // What a bundle alone told of a runtime is less than what the cgroup tells.
    if (strcmp(entry->container.runtime, "runc") == 0)
        entry->container.runtime = id->runtime;
    if (!id->users)
        memcpy(entry->pod_uid, id->pod_uid, sizeof(entry->pod_uid));
    take_pod_uid(entry);
    // One that comes back may have changed, or be another of the same name.
    if (entry->refs == 0) {
        entry->attempts = 0;
        entry->looked = false;
    }
    container_ref(&entry->container);
    entry_look(entry, now_ns);
    return &entry->container;
}

void containers_expect(struct containers *containers, const char *id, const char *bundle, uint64_t now_ns)
{
    if (!container_id_valid(id, strlen(id)))
        return;
    container_places_note(&containers->places, bundle);
    struct container_entry *entry = entry_find(containers, id, false);
    if (!entry)
        entry = entry_add(containers, id, false, "runc");
    char *copy = entry ? strdup(bundle) : NULL;
    if (!copy)
        return;
    free(entry->bundle);
    entry->bundle = copy;
    entry->attempts = 0;
    entry->looked = false;
    entry_look(entry, now_ns);
}

void container_refresh(const struct container *container, uint64_t now_ns)
{
    struct container_entry *entry = container ? entry_of(container) : NULL;
    if (entry && entry != &entry->owner->unknown)
        entry_look(entry, now_ns);
}
