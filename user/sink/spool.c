#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "spool_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum {
    SEGMENT_SIZE_MIN = 4096,
    SEGMENTS = 32, // in the whole spool, so that little is given up at a time
    TELL_AFTER_MS = 60000,
};

// --- Opening ---

// All that is missing of a path. 0 or a negative errno.
static int make_directories(const char *path)
{
    _cleanup_free_ char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    for (char *slash = copy + 1; *copy && (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (mkdir(copy, 0700) && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return mkdir(copy, 0700) && errno != EEXIST ? -errno : 0;
}

static int open_directory(struct spool *spool)
{
    int error = make_directories(spool->options.directory);
    if (error)
        return error;
    spool->directory_fd = open(spool->options.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (spool->directory_fd < 0)
        return -errno;
    struct stat status;
    if (fstat(spool->directory_fd, &status) == 0 &&
        ((status.st_uid != geteuid() && status.st_uid != 0) || status.st_mode & (S_IWGRP | S_IWOTH)))
        log_warning("others may write to %s, and so change or delete alerts before they are delivered",
                    spool->options.directory);
    spool->lock_fd = openat(spool->directory_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (spool->lock_fd < 0)
        return -errno;
    if (flock(spool->lock_fd, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    return 0;
}

int spool_open(const struct config_spool *options, struct spool **ret_spool)
{
    struct spool *spool _cleanup_(spool_close) = calloc(1, sizeof(*spool));
    if (!spool)
        return -ENOMEM;
    spool->directory_fd = spool->lock_fd = spool->spare_fd = -1;
    for (size_t i = 0; i < SPOOL_CLASSES; i++)
        spool->shelves[i].fd = -1;
    spool->options = *options;
    spool->options.directory = strdup(options->directory);
    if (!spool->options.directory)
        return -ENOMEM;
    spool->segment_size = options->size / SEGMENTS;
    if (spool->segment_size > SPOOL_SEGMENT_SIZE_MAX)
        spool->segment_size = SPOOL_SEGMENT_SIZE_MAX;
    if (spool->segment_size < SEGMENT_SIZE_MIN)
        spool->segment_size = SEGMENT_SIZE_MIN;
    int error = open_directory(spool);
    if (!error)
        error = spool_load(spool);
    // Without it the spool is still good to read from, and to write to once there is room.
    if (!error)
        spool_make_spare(spool);
    if (!error)
        error = spool_metrics_start(spool);
    if (!error)
        *ret_spool = TAKE_PTR(spool);
    return error;
}

// --- Syncing ---

static void sync_fd(struct spool *spool, int fd)
{
    if (fdatasync(fd) == 0)
        return;
    if (spool->sync_errors++ == 0)
        log_error(
            "cannot bring the spool to the disk: %s; what is in it survives the agent's end, but perhaps "
            "not the machine's",
            strerror(errno));
}

static void sync_shelves(struct spool *spool)
{
    for (enum spool_class class = 0; class < SPOOL_CLASSES; class ++) {
        struct shelf *shelf = &spool->shelves[class];
        if (shelf->fd >= 0 && shelf->unsynced)
            sync_fd(spool, shelf->fd);
        shelf->unsynced = false;
    }
    spool->unsynced_ms = 0;
}

void spool_close(struct spool **spool)
{
    struct spool *closed = *spool;
    if (!closed)
        return;
    spool_metrics_stop(closed);
    if (closed->options.sync != SYNC_NEVER)
        sync_shelves(closed);
    for (size_t i = 0; i < SPOOL_CLASSES; i++) {
        cleanup_close(&closed->shelves[i].fd);
        free(closed->shelves[i].segments);
    }
    cleanup_close(&closed->spare_fd);
    cleanup_close(&closed->directory_fd);
    cleanup_close(&closed->lock_fd);
    free(closed->options.directory);
    free(closed);
    *spool = NULL;
}

// --- Appending ---

uint64_t spool_next_sequence(const struct spool *spool)
{
    return spool->next_sequence;
}

struct segment *spool_newest(struct spool *spool, enum spool_class class)
{
    struct shelf *shelf = &spool->shelves[class];
    return shelf->count ? &shelf->segments[shelf->count - 1] : NULL;
}

static int make_file(const struct spool *spool, const char *name, const struct spool_head *head)
{
    _cleanup_close_ int fd = spool_file_open(spool->directory_fd, name, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0)
        return fd;
    ssize_t count = write(fd, head, sizeof(*head));
    if (count != sizeof(*head))
        return count < 0 ? -errno : -ENOSPC;
    return TAKE_FD(fd);
}

void spool_make_spare(struct spool *spool)
{
    const struct spool_head room = {};
    if (spool->spare_fd < 0)
        spool->spare_fd = make_file(spool, "spare", &room);
}

// A file with this head, complete before it has its name, because readers take the next segment for proof
// that the one before it is. The descriptor, or a negative errno.
static int make_segment(struct spool *spool, const struct spool_head *head, const char *name, bool spare)
{
    _cleanup_close_ int fd = spare ? TAKE_FD(spool->spare_fd) : make_file(spool, "new", head);
    if (fd < 0)
        return spare ? -ENOSPC : fd;
    if (spare && pwrite(fd, head, sizeof(*head), 0) != sizeof(*head))
        return errno ? -errno : -ENOSPC;
    if (renameat(spool->directory_fd, spare ? "spare" : "new", spool->directory_fd, name))
        return -errno;
    return TAKE_FD(fd);
}

int spool_rotate(struct spool *spool, enum spool_class class, bool spare)
{
    struct shelf *shelf = &spool->shelves[class];
    struct spool_head head;
    char name[SPOOL_FILE_NAME_SIZE];
    spool_head_make(class, shelf->next_ordinal, spool->next_sequence, &head);
    spool_segment_name(class, shelf->next_ordinal, name);
    const struct segment segment = {
        .first = shelf->next_ordinal, .end = shelf->next_ordinal, .size = sizeof(head)};
    int error = spool_shelve(shelf, &segment);
    if (error)
        return error;
    int fd = make_segment(spool, &head, name, spare);
    if (fd < 0) {
        shelf->count--;
        return fd;
    }
    if (shelf->fd >= 0 && shelf->unsynced && spool->options.sync != SYNC_NEVER)
        sync_fd(spool, shelf->fd);
    cleanup_close(&shelf->fd);
    shelf->fd = fd;
    shelf->unsynced = true;
    spool->bytes += sizeof(head);
    if (spool->options.sync != SYNC_NEVER)
        sync_fd(spool, spool->directory_fd);
    return 0;
}

// A write that came only half through is cut off again; where even that fails, the next record is written
// over it.
static int write_record(struct shelf *shelf, uint64_t offset, const struct spool_frame *frame,
                        const struct spool_record *record)
{
    struct iovec parts[] = {{(void *)frame, sizeof(*frame)}, {(void *)record->data, record->size}};
    size_t size = sizeof(*frame) + record->size;
    ssize_t count;
    do
        count = pwritev(shelf->fd, parts, 2, (off_t)offset);
    while (count < 0 && errno == EINTR);
    if (count == (ssize_t)size)
        return 0;
    int error = count < 0 ? -errno : -ENOSPC;
    if (ftruncate(shelf->fd, (off_t)offset))
        log_debug("cannot cut off what was written of a record: %s", strerror(errno));
    return error;
}

static int append_once(struct spool *spool, enum spool_class class, const uint8_t *uuid,
                       const struct spool_record *record)
{
    struct shelf *shelf = &spool->shelves[class];
    struct segment *newest = spool_newest(spool, class);
    bool full = newest && newest->size >= spool->segment_size && newest->end > newest->first;
    if (!newest || full) {
        int error = spool_rotate(spool, class, false);
        // Where there is no room for a new one, the old one grows.
        if (error && !newest)
            return error;
        newest = spool_newest(spool, class);
    }
    struct spool_frame frame;
    spool_frame_make(record, uuid, shelf->next_ordinal, &frame);
    int error = write_record(shelf, newest->size, &frame, record);
    if (error)
        return error;
    if (newest->end == newest->first)
        newest->oldest_ns = record->time_ns;
    if (record->time_ns > newest->newest_ns)
        newest->newest_ns = record->time_ns;
    newest->size += sizeof(frame) + record->size;
    spool->bytes += sizeof(frame) + record->size;
    newest->end = ++shelf->next_ordinal;
    shelf->unsynced = true;
    return 0;
}

void spool_drop(struct spool *spool, enum spool_dropped reason, enum spool_class class, uint64_t count)
{
    static const char *const words[DROPPED_REASONS] = {
        [DROPPED_SIZE] = "to make room for others",
        [DROPPED_REFUSED] = "because graver ones fill the spool",
        [DROPPED_AGE] = "because they were too old",
        [DROPPED_DISK_FULL] = "because the disk is full",
        [DROPPED_ERROR] = "because the spool cannot be written",
        [DROPPED_TOO_LARGE] = "because they were too large",
    };
    spool->dropped[reason][class] += count;
    uint64_t now = clock_ms(CLOCK_MONOTONIC);
    if (count == 0 || (spool->told_ms && now - spool->told_ms < TELL_AFTER_MS))
        return;
    spool->told_ms = now;
    log_error("%" PRIu64 " records of class %s were dropped %s; inferscope_spool_dropped_total counts more",
              count, spool_class_name(class), words[reason]);
}

static enum spool_dropped reason_of(int error)
{
    switch (error) {
    case -ENOSPC:
    case -EDQUOT:
    case -EFBIG:
        return DROPPED_DISK_FULL;
    case -EMSGSIZE:
        return DROPPED_TOO_LARGE;
    default:
        return DROPPED_ERROR;
    }
}

static int append(struct spool *spool, enum spool_class class, const uint8_t *uuid,
                  const struct spool_record *record)
{
    int error;
    while ((error = append_once(spool, class, uuid, record)) && reason_of(error) == DROPPED_DISK_FULL)
        if (spool_give_way(spool, class))
            break;
    return error;
}

int spool_append(struct spool *spool, struct spool_record *record)
{
    enum spool_class class = spool_class_of(record);
    size_t size = sizeof(struct spool_frame) + record->size;
    uint8_t uuid[UUID_BYTES];
    int error = record->size > SPOOL_DATA_MAX || size + 2 * sizeof(struct spool_head) > spool->options.size
                    ? -EMSGSIZE
                    : uuid_make(record->time_ns, uuid);
    if (!error) {
        uuid_text(uuid, record->uuid);
        record->sequence = spool->next_sequence;
        if (spool_make_room(spool, class, size)) {
            spool_drop(spool, DROPPED_REFUSED, class, 1);
            return -ENOBUFS;
        }
        error = append(spool, class, uuid, record);
    }
    if (error) {
        spool_drop(spool, reason_of(error), class, 1);
        return error;
    }
    spool->next_sequence++;
    if (spool->options.sync == SYNC_ALWAYS) {
        sync_fd(spool, spool->shelves[class].fd);
        spool->shelves[class].unsynced = false;
    }
    if (spool->options.sync == SYNC_INTERVAL && spool->unsynced_ms == 0)
        spool->unsynced_ms = clock_ms(CLOCK_MONOTONIC);
    return 0;
}

int spool_sync(struct spool *spool)
{
    if (spool->unsynced_ms == 0)
        return -1;
    uint64_t age = clock_ms(CLOCK_MONOTONIC) - spool->unsynced_ms;
    if (age < spool->options.sync_interval)
        return (int)(spool->options.sync_interval - age);
    sync_shelves(spool);
    return -1;
}

void spool_tick(struct spool *spool)
{
    spool_release(spool);
    spool_expire(spool);
}
