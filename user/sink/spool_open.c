// What there is in a spool's directory when the agent starts.
#include "base/cleanup.h"
#include "base/log.h"
#include "spool_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

int spool_shelve(struct shelf *shelf, const struct segment *segment)
{
    if (shelf->count == shelf->capacity) {
        size_t capacity = shelf->capacity ? 2 * shelf->capacity : 16;
        struct segment *larger = realloc(shelf->segments, capacity * sizeof(*larger));
        if (!larger)
            return -ENOMEM;
        shelf->segments = larger;
        shelf->capacity = capacity;
    }
    shelf->segments[shelf->count++] = *segment;
    return 0;
}

// Behind those that were added before.
static int add_segment(struct spool *spool, const struct spool_entry *entry, uint64_t size, uint64_t time_ns)
{
    struct shelf *shelf = &spool->shelves[entry->class];
    struct segment *before = spool_newest(spool, entry->class);
    if (before) {
        before->end = entry->first;
        before->newest_ns = time_ns;
    }
    const struct segment segment = {
        .first = entry->first, .end = entry->first, .size = size, .oldest_ns = time_ns, .newest_ns = time_ns};
    spool->bytes += segment.size;
    shelf->next_ordinal = entry->first;
    return spool_shelve(shelf, &segment);
}

static int load_segment(struct spool *spool, const struct spool_entry *entry, int fd)
{
    struct stat status;
    struct spool_head head = {};
    if (fstat(fd, &status))
        return -errno;
    ssize_t count = pread(fd, &head, sizeof(head), 0);
    if (count < 0)
        return -errno;
    bool whole = count == sizeof(head) && spool_head_fits(&head, entry->class, entry->first);
    if (!whole && spool_head_is_foreign(&head))
        return -EPROTONOSUPPORT;
    if (!whole) {
        spool->damaged[entry->class]++;
        log_warning("the head of a segment of the spool (class %s, %" PRIu64 ") is damaged; its records are "
                    "looked for",
                    spool_class_name(entry->class), entry->first);
        spool_head_make(entry->class, entry->first, 0, &head);
        if (pwrite(fd, &head, sizeof(head), 0) != sizeof(head))
            return errno ? -errno : -ENOSPC;
    }
    // Where the head cannot be trusted, the file's times can, more or less.
    if (status.st_size < (off_t)sizeof(head))
        status.st_size = sizeof(head);
    uint64_t time_ns = whole ? head.time_ns : (uint64_t)status.st_mtim.tv_sec * 1000000000;
    if (whole && head.next_sequence > spool->next_sequence)
        spool->next_sequence = head.next_sequence;
    return add_segment(spool, entry, (uint64_t)status.st_size, time_ns);
}

// Only the newest segment of a class is written to, so only its end may be torn, and only there ordinals and
// sequence are not known from a head.
static int load_newest(struct spool *spool, enum spool_class class, int *fd)
{
    struct shelf *shelf = &spool->shelves[class];
    struct segment *segment = spool_newest(spool, class);
    struct spool_walk walk _cleanup_(spool_walk_close) = {.fd = -1};
    int copy = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return -errno;
    spool_walk_open(&walk, copy, class, segment->first);
    struct spool_frame frame;
    const char *data;
    int result;
    while ((result = spool_walk_next(&walk, true, &frame, &data)) == 1) {
        if (shelf->next_ordinal == segment->first)
            segment->oldest_ns = segment->newest_ns = frame.time_ns;
        if (frame.time_ns > segment->newest_ns)
            segment->newest_ns = frame.time_ns;
        shelf->next_ordinal = frame.ordinal + 1;
        if (frame.sequence >= spool->next_sequence)
            spool->next_sequence = frame.sequence + 1;
    }
    if (result < 0)
        return result;
    segment->end = shelf->next_ordinal;
    spool->damaged[class] += walk.damaged;
    if (walk.offset < segment->size) {
        spool->torn[class]++;
        log_warning("the last %" PRIu64
                    " bytes of the spool's class %s are no complete record and are cut off",
                    segment->size - walk.offset, spool_class_name(class));
        if (ftruncate(*fd, (off_t)walk.offset))
            return -errno;
    }
    spool->bytes -= segment->size;
    segment->size = walk.offset;
    spool->bytes += segment->size;
    shelf->fd = TAKE_FD(*fd);
    return 0;
}

// The disk's fault, or its file system's (EUCLEAN and EBADMSG).
static bool is_unreadable(int error)
{
    return error == -EIO || error == -EUCLEAN || error == -EBADMSG;
}

// The readers come to the end of what they can read of it, and to the segment behind it. Behind the newest
// there is none: it begins where no record of this one can be, which may be read one day.
static int pass_over(struct spool *spool, const struct spool_entry *entry, bool newest, int why)
{
    struct shelf *shelf = &spool->shelves[entry->class];
    const struct segment *last = spool_newest(spool, entry->class);
    char name[SPOOL_FILE_NAME_SIZE];
    struct stat status;
    spool->unreadable[entry->class]++;
    spool_segment_name(entry->class, entry->first, name);
    log_error("cannot read the segment %s of the spool: %s; what is in it may be lost", name, strerror(-why));
    if (fstatat(spool->directory_fd, name, &status, AT_SYMLINK_NOFOLLOW))
        status = (struct stat){.st_size = SPOOL_SEGMENT_SIZE_MAX, .st_mtim.tv_sec = time(NULL)};
    if (!last || last->first != entry->first) {
        int error =
            add_segment(spool, entry, (uint64_t)status.st_size, (uint64_t)status.st_mtim.tv_sec * 1000000000);
        if (error)
            return error;
    }
    if (newest) {
        uint64_t room = (uint64_t)status.st_size / sizeof(struct spool_frame) + 1;
        shelf->next_ordinal += room;
        spool->next_sequence += room;
    }
    return 0;
}

static int load_entry(struct spool *spool, const struct spool_entry *entry, bool newest)
{
    char name[SPOOL_FILE_NAME_SIZE];
    spool_segment_name(entry->class, entry->first, name);
    _cleanup_close_ int fd = spool_file_open(spool->directory_fd, name, O_RDWR);
    int error = fd < 0 ? fd : load_segment(spool, entry, fd);
    if (!error && newest)
        error = load_newest(spool, entry->class, &fd);
    return is_unreadable(error) ? pass_over(spool, entry, newest, error) : error;
}

// After a power loss an output may know records that did not get to the disk: their numbers are not given
// away a second time.
static void go_beyond(const char *name, const struct spool_cursor *cursor, void *context)
{
    struct spool *spool = context;
    if (!cursor)
        return;
    if (cursor->next_sequence > spool->next_sequence)
        spool->next_sequence = cursor->next_sequence;
    for (size_t i = 0; i < SPOOL_CLASSES; i++)
        if (cursor->position.places[i].ordinal > spool->shelves[i].next_ordinal)
            spool->shelves[i].next_ordinal = cursor->position.places[i].ordinal;
}

int spool_load(struct spool *spool)
{
    _cleanup_free_ struct spool_entry *entries = NULL;
    size_t count = 0;
    int error = spool_list(spool->directory_fd, &entries, &count);
    for (size_t i = 0; i < count && !error; i++)
        error = load_entry(spool, &entries[i], i + 1 == count || entries[i + 1].class != entries[i].class);
    if (error)
        return error;
    // Sequences begin with 1, so that 0 is none.
    if (spool->next_sequence == 0)
        spool->next_sequence = 1;
    error = spool_cursor_each(spool->directory_fd, go_beyond, spool);
    if (error > 0)
        log_warning("%d cursors of the spool are damaged; these outputs begin with the oldest record", error);
    for (enum spool_class class = 0; class < SPOOL_CLASSES && error >= 0; class ++) {
        struct segment *newest = spool_newest(spool, class);
        const struct shelf *shelf = &spool->shelves[class];
        // No reader takes the jump for records that are missing from a segment that is still written to.
        if (!newest || shelf->next_ordinal <= newest->end)
            continue;
        if (shelf->fd < 0)
            newest->end = shelf->next_ordinal;
        error = spool_rotate(spool, class, false);
    }
    return error < 0 ? error : 0;
}
