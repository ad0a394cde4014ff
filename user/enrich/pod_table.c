#include "pod_table.h"

#include "base/text.h"
#include "containers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MISSES_MAX = 3 };

struct pod {
    const char *uid, *name, *namespace, *address; // in the list
    const char *labels, *containers;              // where they begin
    unsigned labels_count, containers_count;
};

static struct {
    char *list;
    struct pod *pods; // by uid
    size_t count;
    unsigned version; // 0: there was none yet
    bool missed;
} known;

struct reader {
    const char *at, *end;
    bool broken;
};

static const char *read_text(struct reader *reader)
{
    size_t left = (size_t)(reader->end - reader->at), length = left ? strnlen(reader->at, left) : 0;
    if (length == left) {
        reader->broken = true;
        return "";
    }
    const char *text = reader->at;
    reader->at += length + 1;
    return text;
}

// Passes over so many pairs of texts.
static unsigned read_pairs(struct reader *reader, const char **ret_first)
{
    unsigned long count = strtoul(read_text(reader), NULL, 10);
    *ret_first = reader->at;
    for (unsigned long i = 0; i < count && !reader->broken; i++) {
        read_text(reader);
        read_text(reader);
    }
    return (unsigned)count;
}

static int compare(const void *left, const void *right)
{
    return strcmp(((const struct pod *)left)->uid, ((const struct pod *)right)->uid);
}

int pods_take(char *list, size_t size)
{
    struct pod *pods = calloc(PODS_MAX, sizeof(*pods));
    size_t count = 0;
    struct reader reader = {.at = list, .end = list + size};
    while (pods && reader.at < reader.end && !reader.broken && count < PODS_MAX) {
        struct pod *pod = &pods[count++];
        pod->uid = read_text(&reader);
        pod->name = read_text(&reader);
        pod->namespace = read_text(&reader);
        pod->address = read_text(&reader);
        pod->labels_count = read_pairs(&reader, &pod->labels);
        pod->containers_count = read_pairs(&reader, &pod->containers);
    }
    if (!pods || reader.broken) {
        free(pods);
        free(list);
        return pods ? -EBADMSG : -ENOMEM;
    }
    struct pod *less = count ? realloc(pods, count * sizeof(*pods)) : NULL;
    pods = less ? less : pods;
    qsort(pods, count, sizeof(*pods), compare);
    free(known.list);
    free(known.pods);
    known.list = list;
    known.pods = pods;
    known.count = count;
    known.version++;
    return 0;
}

void pods_forget(void)
{
    free(known.list);
    free(known.pods);
    memset(&known, 0, sizeof(known));
}

size_t pods_count(void)
{
    return known.count;
}

bool pods_missed(void)
{
    bool missed = known.missed;
    known.missed = false;
    return missed;
}

static const char *digest_of(const struct pod *pod, const char *container_id)
{
    const char *at = pod->containers;
    for (unsigned i = 0; i < pod->containers_count; i++) {
        const char *id = at, *digest = id + strlen(id) + 1;
        if (strcmp(id, container_id) == 0)
            return digest;
        at = digest + strlen(digest) + 1;
    }
    return "";
}

ssize_t pods_describe(const char *uid, const char *container_id, struct pods_asked *asked, char *ret_data,
                      size_t capacity)
{
    const struct pod wanted = {.uid = uid};
    const struct pod *pod =
        known.count ? bsearch(&wanted, known.pods, known.count, sizeof(*known.pods), compare) : NULL;
    if (known.version && asked->version == known.version)
        return -EALREADY;
    asked->version = known.version;
    if (!pod) {
        // A new pod is worth another list; one that is in none after some is not the kubelet's.
        if (known.version && asked->misses++ < MISSES_MAX)
            known.missed = true;
        return -ENOENT;
    }
    const char *const texts[] = {pod->name, pod->namespace, pod->address, digest_of(pod, container_id)};
    struct container_list labels = {};
    const char *at = pod->labels;
    for (unsigned i = 0; i < pod->labels_count; i++) {
        const char *name = at, *value = name + strlen(name) + 1;
        container_add_label(&labels, name, value);
        at = value + strlen(value) + 1;
    }
    _cleanup_text_ struct text text = TEXT_INIT(capacity);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        text_add(&text, texts[i]);
        text_add_char(&text, '\0');
    }
    text_addf(&text, "%zu", labels.size);
    text_add_char(&text, '\0');
    if (labels.size)
        text_add_bytes(&text, labels.bytes, labels.size);
    free(labels.bytes);
    if (text.truncated)
        return -ENOBUFS;
    memcpy(ret_data, text.data, text.length);
    return (ssize_t)text.length;
}
