#include "rule_watch.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

enum {
    PLACES_MAX = 4096, // names that are looked up on the way to the files
    WRITTEN_MAX = 64,  // files that are being written
    LINKS_MAX = 40,    // as the kernel follows
};

// A name in a directory that lies on the way to a rule file.
struct place {
    int wd; // of the directory
    char name[NAME_MAX + 1];
    bool last; // a rule file itself, or a directory of them
};

struct rule_watch {
    const struct rule_input *inputs;
    size_t count;
    int fd;
    struct place *places;
    size_t places_count;
    uint64_t loaded;  // fingerprint of the files that are loaded
    uint64_t current; // the latest
    uint64_t at_tick; // at the last tick
    bool missing;     // a file is not there at present
    bool pending;     // something happened that was not answered yet
    struct {
        int wd;
        char name[NAME_MAX + 1];
    } written[WRITTEN_MAX]; // open for writing, as far as seen
    size_t written_count;
    bool overfull; // said that there are too many places
};

// --- What the files are: a fingerprint, and the places to watch ---

static void mix(struct rule_watch *watch, const void *data, size_t size)
{
    const uint8_t *bytes = data; // FNV-1a
    for (size_t i = 0; i < size; i++)
        watch->current = (watch->current ^ bytes[i]) * UINT64_C(0x100000001b3);
}

static void mix_file(struct rule_watch *watch, const char *path, bool named)
{
    struct stat status = {};
    bool there = stat(path, &status) == 0;
    const int64_t words[] = {
        (int64_t)status.st_dev, (int64_t)status.st_ino, status.st_size,         status.st_mtim.tv_sec,
        status.st_mtim.tv_nsec, status.st_ctim.tv_sec,  status.st_ctim.tv_nsec,
    };
    watch->missing = watch->missing || (named && !there);
    mix(watch, path, strlen(path) + 1);
    mix(watch, words, sizeof(words));
}

// Watches a directory for what happens to one of its names; NULL: any name of a rule file.
static void add_place(struct rule_watch *watch, const char *directory, const char *name, bool last)
{
    const uint32_t mask = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE |
                          IN_ATTRIB | IN_ONLYDIR | IN_EXCL_UNLINK;
    int wd = watch->places_count < PLACES_MAX ? inotify_add_watch(watch->fd, directory, mask) : -1;
    if (wd < 0) {
        if (!watch->overfull && watch->places_count == PLACES_MAX)
            log_warning("too many rule files to watch them all; SIGHUP loads them again");
        else if (!watch->overfull && errno == ENOSPC)
            log_warning(
                "cannot watch %s for changes: raise fs.inotify.max_user_watches; SIGHUP loads the rules "
                "again",
                directory);
        watch->overfull = watch->overfull || watch->places_count == PLACES_MAX || errno == ENOSPC;
        return;
    }
    struct place *place = &watch->places[watch->places_count++];
    place->wd = wd;
    place->last = last;
    snprintf(place->name, sizeof(place->name), "%s", name ? name : "");
}

// Goes the way to a file as the kernel does, link by link, and watches each name on it.
static void add_way(struct rule_watch *watch, const char *path)
{
    char here[PATH_MAX] = "/", rest[PATH_MAX], target[PATH_MAX], next[PATH_MAX];
    if (path[0] != '/' && !getcwd(here, sizeof(here)))
        return;
    if (snprintf(rest, sizeof(rest), "%s", path) >= (int)sizeof(rest))
        return;
    for (int links = 0; rest[0];) {
        size_t length = strcspn(rest, "/");
        char name[NAME_MAX + 1];
        if (length > NAME_MAX)
            return;
        memcpy(name, rest, length);
        name[length] = '\0';
        size_t skip = length + strspn(rest + length, "/");
        memmove(rest, rest + skip, strlen(rest + skip) + 1);
        if (length == 0 || strcmp(name, ".") == 0)
            continue;
        if (strcmp(name, "..") == 0) {
            char *slash = strrchr(here, '/');
            slash[slash == here] = '\0';
            continue;
        }
        add_place(watch, here, name, !rest[0]);
        if (snprintf(next, sizeof(next), "%s/%s", here[1] ? here : "", name) >= (int)sizeof(next))
            return;
        ssize_t size = readlink(next, target, sizeof(target) - 1);
        if (size < 0) {
            memcpy(here, next, sizeof(here));
            continue;
        }
        target[size] = '\0';
        if (++links > LINKS_MAX || snprintf(next, sizeof(next), "%s/%s", target, rest) >= (int)sizeof(next))
            return;
        memcpy(rest, next, sizeof(rest));
        if (target[0] == '/')
            strcpy(here, "/");
    }
}

static int is_rule_file(const struct dirent *entry)
{
    return rule_file_name(entry->d_name);
}

static void look_at_directory(struct rule_watch *watch, const char *path)
{
    add_place(watch, path, NULL, true);
    struct dirent **entries;
    int count = scandir(path, &entries, is_rule_file, alphasort);
    for (int i = 0; i < count; i++) {
        char file[PATH_MAX];
        if (snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name) < (int)sizeof(file)) {
            add_way(watch, file);
            mix_file(watch, file, false);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static void look(struct rule_watch *watch)
{
    struct place *before = watch->places;
    size_t before_count = watch->places_count;
    watch->places = calloc(PLACES_MAX, sizeof(*watch->places));
    if (!watch->places) {
        watch->places = before;
        return;
    }
    watch->places_count = 0;
    watch->missing = false;
    watch->current = UINT64_C(0xcbf29ce484222325);
    // Watched before it is looked at, so that nothing happens unseen between the two.
    for (size_t i = 0; i < watch->count; i++) {
        const char *path = watch->inputs[i].path;
        struct stat status;
        if (!path)
            continue;
        add_way(watch, path);
        if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
            look_at_directory(watch, path);
        else
            mix_file(watch, path, true);
    }
    for (size_t i = 0; i < before_count; i++) {
        bool again = false;
        for (size_t k = 0; k < watch->places_count && !again; k++)
            again = watch->places[k].wd == before[i].wd;
        if (!again)
            inotify_rm_watch(watch->fd, before[i].wd);
    }
    free(before);
}

void rule_watch_arm(struct rule_watch *watch)
{
    look(watch);
    watch->loaded = watch->current;
    watch->pending = false;
}

int rule_watch_new(const struct rule_input *inputs, size_t count, struct rule_watch **ret_watch)
{
    struct rule_watch *watch _cleanup_(rule_watch_free) = calloc(1, sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    watch->inputs = inputs;
    watch->count = count;
    watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch->fd < 0)
        return -errno;
    rule_watch_arm(watch);
    *ret_watch = TAKE_PTR(watch);
    return 0;
}

void rule_watch_free(struct rule_watch **watch)
{
    struct rule_watch *gone = TAKE_PTR(*watch);
    if (!gone)
        return;
    if (gone->fd >= 0)
        close(gone->fd);
    free(gone->places);
    free(gone);
}

int rule_watch_fd(const struct rule_watch *watch)
{
    return watch->fd;
}

bool rule_watch_missing(const struct rule_watch *watch)
{
    return watch->missing;
}

// --- What happens to them ---

static void written_remove(struct rule_watch *watch, int wd, const char *name)
{
    for (size_t i = 0; i < watch->written_count; i++)
        if (watch->written[i].wd == wd && strcmp(watch->written[i].name, name) == 0)
            watch->written[i--] = watch->written[--watch->written_count];
}

static void written_add(struct rule_watch *watch, int wd, const char *name)
{
    written_remove(watch, wd, name);
    if (watch->written_count == WRITTEN_MAX)
        return;
    watch->written[watch->written_count].wd = wd;
    snprintf(watch->written[watch->written_count++].name, sizeof(watch->written[0].name), "%s", name);
}

static const struct place *place_of(const struct rule_watch *watch, const struct inotify_event *event)
{
    for (size_t i = 0; i < watch->places_count; i++) {
        const struct place *place = &watch->places[i];
        if (place->wd == event->wd &&
            (place->name[0] ? strcmp(place->name, event->name) == 0 : rule_file_name(event->name)))
            return place;
    }
    return NULL;
}

static void on_event(struct rule_watch *watch, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW) {
        watch->pending = true;
        watch->written_count = 0;
        return;
    }
    const struct place *place = event->len ? place_of(watch, event) : NULL;
    if (!place)
        return;
    watch->pending = true;
    // A new file is empty until its writer closes it; one without a writer (a link) is told by nothing, and
    // the next tick finds it unchanged.
    if (event->mask & (IN_MODIFY | IN_CREATE) && !(event->mask & IN_ISDIR) && place->last)
        written_add(watch, event->wd, event->name);
    else if (event->mask & (IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO))
        written_remove(watch, event->wd, event->name);
}

bool rule_watch_changed(struct rule_watch *watch, bool tick)
{
    char buffer[65536] __attribute__((aligned(__alignof__(struct inotify_event))));
    for (ssize_t size; (size = read(watch->fd, buffer, sizeof(buffer))) > 0;) {
        for (ssize_t at = 0; at < size;) {
            const struct inotify_event *event = (const struct inotify_event *)(buffer + at);
            on_event(watch, event);
            at += (ssize_t)(sizeof(*event) + event->len);
        }
    }
    if (!watch->pending)
        return false;
    bool was_missing = watch->missing;
    look(watch);
    if (watch->missing && !was_missing)
        log_info("a rule file is not there at present; the rules stay as they are until it is");
    if (tick) {
        if (watch->current == watch->at_tick)
            watch->written_count = 0;
        watch->at_tick = watch->current;
    }
    if (watch->missing || watch->written_count)
        return false;
    watch->pending = false;
    return watch->current != watch->loaded;
}
