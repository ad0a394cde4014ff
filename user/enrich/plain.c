#include "plain.h"

#include "base/outside.h"
#include "base/series.h"
#include "base/text.h"
#include "container_read.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CGROUPS "/sys/fs/cgroup"
static const char usual_root[] = "/run/runc";
enum { NOTE_MAX = 4096, NOTES_MAX = PLAIN_MAX * NOTE_MAX };

// --- runc's notes ---

// "bundle=DIR" is one of the labels that runc adds.
static const char *bundle_of(const json_t *state)
{
    size_t index;
    json_t *label;
    json_array_foreach(json_object_get(json_object_get(state, "config"), "labels"), index, label)
    {
        const char *text = json_string_value(label);
        if (text && strncmp(text, "bundle=", 7) == 0)
            return text + 7;
    }
    return "";
}

// One path stands for all hierarchies.
static const char *cgroup_of(const json_t *state)
{
    const json_t *paths = json_object_get(state, "cgroup_paths");
    const char *unified = container_text(paths, ""), *memory = container_text(paths, "memory");
    return unified[0] ? unified : memory;
}

// Adds cgroup and bundle, a NUL behind each. False where there is no note.
static bool note_read(const char *host_root, const char *root, const char *id, struct text *text)
{
    _cleanup_json_ json_t *state = container_json(host_root, "%s/%s/state.json", root, id);
    const char *cgroup = cgroup_of(state), *bundle = bundle_of(state);
    if (!cgroup[0] || strlen(cgroup) + strlen(bundle) + 2 > NOTE_MAX)
        return false;
    text_add_bytes(text, cgroup, strlen(cgroup) + 1);
    text_add_bytes(text, bundle, strlen(bundle) + 1);
    return true;
}

struct question {
    const char *host_root;
    const struct plain *plain;
};

static ssize_t answer(const struct text *text, void *ret_data, size_t capacity)
{
    if (text->truncated || text->length > capacity)
        return -ENOBUFS;
    if (text->length)
        memcpy(ret_data, text->data, text->length);
    return (ssize_t)text->length;
}

static ssize_t note_now(void *context, void *ret_data, size_t capacity)
{
    const struct question *question = context;
    _cleanup_text_ struct text text = TEXT_INIT(NOTE_MAX);
    if (!note_read(question->host_root, question->plain->root, question->plain->id, &text))
        return -ENOENT;
    return answer(&text, ret_data, capacity);
}

static void cleanup_closedir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

// Whether the cgroup's names tell by themselves, so that nothing is to be noted.
static bool tells_by_itself(const char *cgroup)
{
    char line[NOTE_MAX + 8];
    struct container_id id;
    int length = snprintf(line, sizeof(line), "0::%s", cgroup);
    return length > 0 && container_id_from_proc(line, (size_t)length, "", &id);
}

// Adds id, cgroup and bundle of each container below a root.
static void notes_read(const char *host_root, const char *root, struct text *text)
{
    char path[PATH_MAX];
    _cleanup_(cleanup_closedir) DIR *dir = container_path(path, host_root, "%s", root) ? opendir(path) : NULL;
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        _cleanup_text_ struct text note = TEXT_INIT(NOTE_MAX);
        const char *id = entry->d_name;
        if (container_id_valid(id, strlen(id)) && note_read(host_root, root, id, &note) &&
            !tells_by_itself(note.data) && note.length + strlen(id) + 1 <= text->max - text->length) {
            text_add_bytes(text, id, strlen(id) + 1);
            text_add_bytes(text, note.data, note.length);
        }
    }
}

static ssize_t notes_now(void *context, void *ret_data, size_t capacity)
{
    // containerd's shims and dockerd have a directory for each namespace of containerd's.
    static const char *const shims[] = {"/run/containerd/runc", "/run/docker/runtime-runc"};
    const char *host_root = context;
    _cleanup_text_ struct text text = TEXT_INIT(NOTES_MAX);
    notes_read(host_root, usual_root, &text);
    for (size_t i = 0; i < ARRAY_SIZE(shims); i++) {
        char path[PATH_MAX];
        _cleanup_(cleanup_closedir) DIR *dir =
            container_path(path, host_root, "%s", shims[i]) ? opendir(path) : NULL;
        const struct dirent *entry;
        while (dir && (entry = readdir(dir))) {
            char root[NAME_MAX + 32];
            snprintf(root, sizeof(root), "%s/%s", shims[i], entry->d_name);
            if (entry->d_name[0] != '.')
                notes_read(host_root, root, &text);
        }
    }
    return answer(&text, ret_data, capacity);
}

// --- What is known ---

static struct counter forgotten = {
    .name = "inferscope_plain_containers_forgotten_total",
    .help =
        "Containers of runc alone, whose cgroup does not tell of one, that were pushed out by later ones: "
        "what starts in them counts as the host's",
};

void plain_init(void)
{
    counter_register(&forgotten);
}

// The one that stands longest unused among those whose notes were read, or were not; NULL: there is none.
static struct plain *oldest(struct plains *plains, bool read)
{
    struct plain *found = NULL;
    for (size_t i = 0; i < PLAIN_MAX; i++) {
        struct plain *plain = &plains->at[i];
        if ((plain->cgroup[0] != '\0') == read && (!found || plain->used < found->used))
            found = plain;
    }
    return found;
}

static struct plain *make_room(struct plains *plains)
{
    // The notes of these may still be read.
    enum { LATEST = 8 };
    size_t unread = 0;
    for (size_t i = 0; i < PLAIN_MAX; i++) {
        if (!plains->at[i].id[0])
            return &plains->at[i];
        unread += !plains->at[i].cgroup[0];
    }
    if (unread > LATEST)
        return oldest(plains, false);
    forgotten.value++;
    return oldest(plains, true);
}

static struct plain *add(struct plains *plains, const char *id)
{
    struct plain *plain = NULL;
    for (size_t i = 0; !plain && i < PLAIN_MAX; i++)
        if (strcmp(plains->at[i].id, id) == 0)
            plain = &plains->at[i];
    if (!plain)
        plain = make_room(plains);
    *plain = (struct plain){.used = ++plains->uses};
    snprintf(plain->id, sizeof(plain->id), "%s", id);
    return plain;
}

void plain_add(struct plains *plains, const char *id, const char *root)
{
    root = root ? root : usual_root;
    if (!container_id_valid(id, strlen(id)) || strlen(root) >= sizeof(plains->at[0].root))
        return;
    strcpy(add(plains, id)->root, root);
}

static const char *next_text(const char **at, const char *end)
{
    size_t left = (size_t)(end - *at), length = strnlen(*at, left);
    if (length == left)
        return NULL;
    const char *text = *at;
    *at += length + 1;
    return text;
}

static void set_cgroup(struct plain *plain, const char *cgroup)
{
    if (strlen(cgroup) < sizeof(plain->cgroup))
        strcpy(plain->cgroup, cgroup);
}

void plain_learn(struct plains *plains, const char *host_root, struct containers *containers)
{
    _cleanup_free_ char *notes = malloc(NOTES_MAX);
    ssize_t size = notes ? outside_ask(OUTSIDE_LASTING, "runc's containers", notes_now, (void *)host_root,
                                       notes, NOTES_MAX)
                         : -ENOMEM;
    const char *at = notes, *end = size > 0 ? notes + size : notes;
    for (const char *id; at < end && (id = next_text(&at, end));) {
        const char *cgroup = next_text(&at, end), *bundle = cgroup ? next_text(&at, end) : NULL;
        if (!bundle || !container_id_valid(id, strlen(id)))
            return;
        set_cgroup(add(plains, id), cgroup);
        if (bundle[0] == '/')
            containers_expect(containers, id, bundle, 0);
    }
}

// How many levels down a noted cgroup is, whose path begins with the mount point, where it is this one or one
// above; else 0.
static unsigned depth_of(const char *noted, const char *cgroup)
{
    size_t mount = sizeof(CGROUPS) - 1;
    if (strncmp(noted, CGROUPS, mount) != 0)
        return 0;
    // Where there are several hierarchies, each has a directory of its own.
    for (const char *path = noted + mount; path && path[0] == '/' && path[1];
         path = path == noted + mount ? strchr(path + 1, '/') : NULL) {
        size_t length = strlen(path);
        if (strncmp(cgroup, path, length) != 0 || (cgroup[length] && cgroup[length] != '/'))
            continue;
        unsigned depth = 0;
        for (size_t i = 0; i < length; i++)
            depth += path[i] == '/';
        return depth;
    }
    return 0;
}

// Whether the cgroup or one above it is called as the container is.
static bool may_be(const struct plain *plain, const char *cgroup)
{
    char scope[sizeof(plain->id) + 16];
    int length = snprintf(scope, sizeof(scope), "runc-%s.scope", plain->id);
    size_t id = strlen(plain->id);
    for (const char *name = cgroup; name[0]; name += strcspn(name, "/")) {
        name += strspn(name, "/");
        size_t size = strcspn(name, "/");
        if ((size == id && memcmp(name, plain->id, id) == 0) ||
            (size == (size_t)length && memcmp(name, scope, size) == 0))
            return true;
    }
    return false;
}

static void note_ask(struct plain *plain, const char *host_root)
{
    char question[sizeof(plain->id) + sizeof(plain->root) + 32], note[NOTE_MAX];
    snprintf(question, sizeof(question), "runc's note of %s/%s", plain->root, plain->id);
    struct question context = {host_root, plain};
    ssize_t size = outside_ask(OUTSIDE_ONCE, question, note_now, &context, note, sizeof(note));
    const char *at = note, *cgroup = size > 0 ? next_text(&at, note + size) : NULL;
    if (cgroup)
        set_cgroup(plain, cgroup);
}

bool plain_find(struct plains *plains, const char *host_root, const char *cgroup, struct container_id *id)
{
    bool found = false;
    for (size_t i = 0; i < PLAIN_MAX && plains->at[i].id[0]; i++) {
        struct plain *plain = &plains->at[i];
        // One whose first program was seen has been asked for then: a name that tells by itself needs no
        // more.
        if (!plain->cgroup[0] && !id->depth && may_be(plain, cgroup))
            note_ask(plain, host_root);
        unsigned depth = depth_of(plain->cgroup, cgroup);
        if (depth)
            plain->used = ++plains->uses;
        if (!depth || (id->depth && depth >= id->depth))
            continue;
        *id = (struct container_id){.runtime = "runc", .depth = depth};
        memcpy(id->id, plain->id, sizeof(id->id));
        found = true;
    }
    return found;
}

bool plain_find_names(struct plains *plains, const char *host_root, const char *names, size_t size,
                      struct container_id *id)
{
    char path[PATH_MAX];
    size_t at = sizeof(path) - 1;
    path[at] = '\0';
    for (size_t length; plains->at[0].id[0] && size > 0; names += length + 1, size -= length + 1) {
        length = strnlen(names, size);
        if (length == size || length + 1 > at)
            return false;
        if (length == 0)
            continue;
        at -= length;
        memcpy(path + at, names, length);
        path[--at] = '/';
    }
    return path[at] && plain_find(plains, host_root, path + at, id);
}

bool plain_find_proc(struct plains *plains, const char *host_root, const char *text, size_t size,
                     struct container_id *id)
{
    const char *end = text + size;
    bool found = false;
    while (plains->at[0].id[0] && text < end) {
        char path[PATH_MAX];
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *line_end = newline ? newline : end;
        const char *first = memchr(text, ':', (size_t)(line_end - text));
        const char *second = first ? memchr(first + 1, ':', (size_t)(line_end - first - 1)) : NULL;
        size_t length = second ? (size_t)(line_end - second - 1) : 0;
        if (length > 1 && length < sizeof(path)) {
            memcpy(path, second + 1, length);
            path[length] = '\0';
            found |= plain_find(plains, host_root, path, id);
        }
        text = line_end + 1;
    }
    return found;
}
