// What has to go from the spool, and when.
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "spool_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CURSOR_FILE_SIZE = 256 };

// The places that all outputs have passed. Without outputs nothing is passed.
struct passed {
    bool any;
    uint64_t ordinals[SPOOL_CLASSES];
};

static void note_cursor(const char *name, const struct spool_cursor *cursor, void *context)
{
    struct passed *passed = context;
    for (size_t i = 0; cursor && i < SPOOL_CLASSES; i++)
        if (!passed->any || cursor->position.places[i].ordinal < passed->ordinals[i])
            passed->ordinals[i] = cursor->position.places[i].ordinal;
    passed->any = passed->any || cursor;
}

static struct passed find_passed(const struct spool *spool)
{
    struct passed passed = {};
    // An output whose cursor cannot be read begins anew, so it has passed nothing.
    if (spool_cursor_each(spool->directory_fd, note_cursor, &passed) != 0)
        passed = (struct passed){};
    return passed;
}

static void remove_oldest(struct spool *spool, enum spool_class class)
{
    struct shelf *shelf = &spool->shelves[class];
    char name[SPOOL_FILE_NAME_SIZE];
    spool_segment_name(class, shelf->segments[0].first, name);
    // A reader that has it open would keep its room on the disk, perhaps for as long as a receiver is down.
    _cleanup_close_ int fd = spool_file_open(spool->directory_fd, name, O_WRONLY);
    if (unlinkat(spool->directory_fd, name, 0) && errno != ENOENT)
        log_warning("cannot delete %s of the spool: %s", name, strerror(errno));
    else if (fd >= 0 && ftruncate(fd, 0))
        log_warning("cannot empty %s of the spool: %s", name, strerror(errno));
    spool->bytes -= shelf->segments[0].size;
    shelf->count--;
    memmove(shelf->segments, shelf->segments + 1, shelf->count * sizeof(*shelf->segments));
}

static void release(struct spool *spool, const struct passed *passed)
{
    for (enum spool_class class = 0; class < SPOOL_CLASSES && passed->any; class ++) {
        const struct shelf *shelf = &spool->shelves[class];
        while (shelf->count > 1 && shelf->segments[0].end <= passed->ordinals[class])
            remove_oldest(spool, class);
    }
}

void spool_release(struct spool *spool)
{
    struct passed passed = find_passed(spool);
    release(spool, &passed);
}

// Deletes the oldest segment of a class; an empty one takes the place of the newest. 0 or a negative errno.
static int give_up(struct spool *spool, enum spool_class class, enum spool_dropped reason,
                   const struct passed *passed)
{
    const struct shelf *shelf = &spool->shelves[class];
    if (shelf->count == 1) {
        spool_make_spare(spool);
        int error = spool_rotate(spool, class, true);
        if (error)
            return error;
    }
    const struct segment *oldest = &shelf->segments[0];
    uint64_t unread = oldest->first;
    if (passed->any && passed->ordinals[class] > unread)
        unread = passed->ordinals[class];
    uint64_t lost = oldest->end > unread ? oldest->end - unread : 0;
    remove_oldest(spool, class);
    spool_make_spare(spool);
    spool_drop(spool, reason, class, lost);
    return 0;
}

static bool holds_records(const struct shelf *shelf)
{
    return shelf->count > 1 || (shelf->count == 1 && shelf->segments[0].end > shelf->segments[0].first);
}

// The least grave class that holds records, if it is no graver than `class`; -1: none.
static int find_victim(const struct spool *spool, enum spool_class class)
{
    for (int victim = SPOOL_CLASSES - 1; victim >= (int)class; victim--)
        if (holds_records(&spool->shelves[victim]))
            return victim;
    return -1;
}

int spool_make_room(struct spool *spool, enum spool_class class, size_t size)
{
    // A new segment may be needed for it, and one to take the place of what gives way.
    size += 2 * sizeof(struct spool_head);
    if (spool->bytes + size <= spool->options.size)
        return 0;
    struct passed passed = find_passed(spool);
    release(spool, &passed);
    while (spool->bytes + size > spool->options.size) {
        int victim = find_victim(spool, class);
        if (victim < 0 || give_up(spool, (enum spool_class)victim, DROPPED_SIZE, &passed))
            return -ENOSPC;
    }
    return 0;
}

int spool_give_way(struct spool *spool, enum spool_class class)
{
    struct passed passed = find_passed(spool);
    uint64_t bytes = spool->bytes;
    release(spool, &passed);
    if (spool->bytes < bytes)
        return 0;
    if (class + 1 == SPOOL_CLASSES)
        return -ENOSPC;
    int victim = find_victim(spool, class + 1);
    return victim < 0 || give_up(spool, (enum spool_class)victim, DROPPED_DISK_FULL, &passed) ? -ENOSPC : 0;
}

void spool_expire(struct spool *spool)
{
    uint64_t age_ns = (uint64_t)spool->options.age_s * 1000000000;
    uint64_t now_ns = clock_ns(CLOCK_REALTIME);
    struct passed passed;
    bool looked = false;
    for (enum spool_class class = 0; class < SPOOL_CLASSES && age_ns; class ++) {
        const struct shelf *shelf = &spool->shelves[class];
        while (holds_records(shelf) && shelf->segments[0].newest_ns + age_ns < now_ns) {
            if (!looked)
                passed = find_passed(spool);
            looked = true;
            if (give_up(spool, class, DROPPED_AGE, &passed))
                break;
        }
    }
}

// --- Which outputs there are ---

static bool cursor_file(const char *name, char ret_file[CURSOR_FILE_SIZE])
{
    return snprintf(ret_file, CURSOR_FILE_SIZE, "%s%s", SPOOL_CURSOR_PREFIX, name) < CURSOR_FILE_SIZE;
}

void spool_remove_reader(struct spool *spool, const char *name)
{
    char file[CURSOR_FILE_SIZE];
    if (cursor_file(name, file) && unlinkat(spool->directory_fd, file, 0) && errno != ENOENT)
        log_warning("cannot delete %s of the spool: %s", file, strerror(errno));
}

struct wanted {
    struct spool *spool;
    const char *const *names;
    size_t count;
};

static void remove_unwanted(const char *name, const struct spool_cursor *cursor, void *context)
{
    const struct wanted *wanted = context;
    for (size_t i = 0; i < wanted->count; i++)
        if (strcmp(wanted->names[i], name) == 0)
            return;
    uint64_t waiting = 0;
    for (size_t i = 0; cursor && i < SPOOL_CLASSES; i++)
        waiting += wanted->spool->shelves[i].next_ordinal - cursor->position.places[i].ordinal;
    // One that is damaged would hold everything back for an output that never comes.
    spool_remove_reader(wanted->spool, name);
    if (waiting)
        log_warning("there is no output %s any more; %" PRIu64 " records that it had not delivered are not "
                    "held back for it",
                    name, waiting);
}

void spool_keep_readers(struct spool *spool, const char *const *names, size_t count)
{
    struct wanted wanted = {.spool = spool, .names = names, .count = count};
    int error = spool_cursor_each(spool->directory_fd, remove_unwanted, &wanted);
    if (error < 0)
        log_warning("cannot look for outputs that are no more: %s", strerror(-error));
}

// 1: it was made; 0: it is there, though perhaps damaged: then its reader begins with the oldest record; or a
// negative errno and it is not there.
static int add_reader(struct spool *spool, const char *name)
{
    struct spool_cursor cursor = {.next_sequence = spool->next_sequence}, none;
    char file[CURSOR_FILE_SIZE];
    _cleanup_close_ int fd = -1;
    uint64_t generation = 0;
    if (!cursor_file(name, file))
        return -EINVAL;
    if (faccessat(spool->directory_fd, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    for (size_t i = 0; i < SPOOL_CLASSES; i++)
        cursor.position.places[i].ordinal = spool->shelves[i].next_ordinal;
    int error = spool_cursor_open(spool->directory_fd, name, &fd, &generation, &none);
    if (error != -ENODATA)
        return error;
    error = spool_cursor_write(fd, &generation, &cursor);
    if (error)
        spool_remove_reader(spool, name);
    return error ? error : 1;
}

int spool_add_readers(struct spool *spool, const char *const *names, size_t count, bool *ret_added)
{
    int error = 0;
    size_t done = 0;
    for (; done < count && error >= 0; done++) {
        error = add_reader(spool, names[done]);
        ret_added[done] = error == 1;
    }
    while (error < 0 && done-- > 0)
        if (ret_added[done])
            spool_remove_reader(spool, names[done]);
    return error < 0 ? error : 0;
}

int spool_set_readers(struct spool *spool, const char *const *names, size_t count)
{
    bool added[CONFIG_OUTPUTS_MAX];
    if (count > CONFIG_OUTPUTS_MAX)
        return -E2BIG;
    spool_keep_readers(spool, names, count);
    return spool_add_readers(spool, names, count, added);
}
