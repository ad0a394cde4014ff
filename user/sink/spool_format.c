#include "spool_format.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

static const char *const class_names[SPOOL_CLASSES] = {"p1", "p2", "p3", "p4", "telemetry"};

const char *spool_class_name(enum spool_class class)
{
    return class_names[class];
}

enum spool_class spool_class_of(const struct spool_record *record)
{
    if (record->kind != SPOOL_ALERT)
        return SPOOL_TELEMETRY;
    switch (record->priority) {
    case PRIORITY_EMERGENCY:
    case PRIORITY_ALERT:
    case PRIORITY_CRITICAL:
        return SPOOL_P1;
    case PRIORITY_ERROR:
        return SPOOL_P2;
    case PRIORITY_WARNING:
    case PRIORITY_NOTICE:
        return SPOOL_P3;
    default:
        return SPOOL_P4;
    }
}

void spool_segment_name(enum spool_class class, uint64_t first, char ret_name[SPOOL_FILE_NAME_SIZE])
{
    snprintf(ret_name, SPOOL_FILE_NAME_SIZE, "%s.%020" PRIu64, class_names[class], first);
}

static bool parse_segment_name(const char *name, enum spool_class *ret_class, uint64_t *ret_first)
{
    for (enum spool_class class = 0; class < SPOOL_CLASSES; class ++) {
        size_t length = strlen(class_names[class]);
        char *end;
        if (strncmp(name, class_names[class], length) != 0 || name[length] != '.' ||
            strspn(name + length + 1, "0123456789") != 20 || strlen(name) != length + 21)
            continue;
        errno = 0;
        *ret_first = strtoull(name + length + 1, &end, 10);
        *ret_class = class;
        return errno == 0 && *ret_first <= SPOOL_FIRST_MAX;
    }
    return false;
}

int spool_file_open(int directory_fd, const char *name, int flags)
{
    struct stat status;
    _cleanup_close_ int fd =
        openat(directory_fd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
    if (fd < 0 || fstat(fd, &status))
        return -errno;
    return S_ISREG(status.st_mode) ? TAKE_FD(fd) : -EINVAL;
}

static int compare_entries(const void *left, const void *right)
{
    const struct spool_entry *a = left, *b = right;
    if (a->class != b->class)
        return a->class < b->class ? -1 : 1;
    return (a->first > b->first) - (a->first < b->first);
}

static void close_directory(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}

int spool_list(int directory_fd, struct spool_entry **ret_entries, size_t *ret_count)
{
    _cleanup_free_ struct spool_entry *entries = NULL;
    size_t count = 0, capacity = 0;
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory _cleanup_(close_directory) = fd >= 0 ? fdopendir(fd) : NULL;
    if (!directory) {
        int error = -errno;
        cleanup_close(&fd);
        return error;
    }
    for (const struct dirent *file; (file = readdir(directory));) {
        struct spool_entry entry;
        if (!parse_segment_name(file->d_name, &entry.class, &entry.first))
            continue;
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            struct spool_entry *larger = realloc(entries, capacity * sizeof(*entries));
            if (!larger)
                return -ENOMEM;
            entries = larger;
        }
        entries[count++] = entry;
    }
    if (count)
        qsort(entries, count, sizeof(*entries), compare_entries);
    *ret_entries = TAKE_PTR(entries);
    *ret_count = count;
    return 0;
}

static uint32_t crc_of(const void *data, size_t size)
{
    return (uint32_t)crc32(0, data, (uInt)size);
}

// In builds for fuzzing all checksums fit, or no input would get past them.
static bool crc_fits(uint32_t crc, const void *data, size_t size)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return true;
#endif
    return crc == crc_of(data, size);
}

void spool_head_make(enum spool_class class, uint64_t first, uint64_t next_sequence,
                     struct spool_head *ret_head)
{
    *ret_head = (struct spool_head){.magic = SPOOL_HEAD_MAGIC,
                                    .version = SPOOL_VERSION,
                                    .class = class,
                                    .first_ordinal = first,
                                    .next_sequence = next_sequence,
                                    .time_ns = clock_ns(CLOCK_REALTIME)};
    ret_head->crc = crc_of(ret_head, offsetof(struct spool_head, crc));
}

bool spool_head_fits(const struct spool_head *head, enum spool_class class, uint64_t first)
{
    return memcmp(head->magic, SPOOL_HEAD_MAGIC, sizeof(head->magic)) == 0 &&
           head->version == SPOOL_VERSION && head->class == class && head->first_ordinal == first &&
           head->next_sequence <= SPOOL_FIRST_MAX &&
           crc_fits(head->crc, head, offsetof(struct spool_head, crc));
}

bool spool_head_is_foreign(const struct spool_head *head)
{
    return memcmp(head->magic, SPOOL_HEAD_MAGIC, sizeof(head->magic)) == 0 &&
           head->version != SPOOL_VERSION && head->crc == crc_of(head, offsetof(struct spool_head, crc));
}

bool spool_frame_fits(const struct spool_frame *frame)
{
    return memcmp(frame->magic, SPOOL_FRAME_MAGIC, sizeof(frame->magic)) == 0 &&
           frame->size <= SPOOL_DATA_MAX && frame->ordinal <= SPOOL_FIRST_MAX &&
           frame->sequence <= SPOOL_FIRST_MAX &&
           crc_fits(frame->crc, &frame->size, sizeof(*frame) - offsetof(struct spool_frame, size));
}

void spool_frame_make(const struct spool_record *record, const uint8_t *uuid, uint64_t ordinal,
                      struct spool_frame *ret_frame)
{
    *ret_frame = (struct spool_frame){.size = (uint32_t)record->size,
                                      .data_crc = crc_of(record->data, record->size),
                                      .kind = (uint8_t)record->kind,
                                      .priority = (uint8_t)record->priority,
                                      .ordinal = ordinal,
                                      .sequence = record->sequence,
                                      .time_ns = record->time_ns};
    memcpy(ret_frame->magic, SPOOL_FRAME_MAGIC, sizeof(ret_frame->magic));
    memcpy(ret_frame->uuid, uuid, sizeof(ret_frame->uuid));
    ret_frame->crc = crc_of(&ret_frame->size, sizeof(*ret_frame) - offsetof(struct spool_frame, size));
}

// --- Walking ---

enum { WINDOW = 128 * 1024 };

void spool_walk_open(struct spool_walk *walk, int fd, enum spool_class class, uint64_t first)
{
    spool_walk_close(walk);
    walk->fd = fd;
    walk->class = class;
    walk->offset = sizeof(struct spool_head);
    walk->ordinal = first;
    walk->filled = 0;
}

void spool_walk_close(struct spool_walk *walk)
{
    if (walk->fd >= 0)
        close(walk->fd);
    walk->fd = -1;
    free(walk->buffer);
    walk->buffer = NULL;
    walk->capacity = walk->filled = 0;
}

// Has `size` bytes of the file from `at` on in the buffer, or as many as there are: how many, or a negative
// errno.
static ssize_t look(struct spool_walk *walk, uint64_t at, size_t size, const char **ret_bytes)
{
    uint64_t end = walk->buffer_at + walk->filled;
    if (at < walk->buffer_at || at + size > end) {
        size_t wanted = size > WINDOW ? size : WINDOW;
        if (wanted > walk->capacity) {
            char *larger = realloc(walk->buffer, wanted);
            if (!larger)
                return -ENOMEM;
            walk->buffer = larger;
            walk->capacity = wanted;
        }
        walk->buffer_at = at;
        walk->filled = 0;
        while (walk->filled < wanted) {
            ssize_t count = pread(walk->fd, walk->buffer + walk->filled, wanted - walk->filled,
                                  (off_t)(at + walk->filled));
            if (count < 0 && errno == EINTR)
                continue;
            // What lies in front of a place that cannot be read is good.
            if (count < 0 && walk->filled < size)
                return -errno;
            if (count <= 0)
                break;
            walk->filled += (size_t)count;
        }
        end = at + walk->filled;
    }
    *ret_bytes = walk->buffer + (at - walk->buffer_at);
    return (ssize_t)(end - at < size ? end - at : size);
}

// Whether a good record begins at `at`: 1, 0 or a negative errno.
static int is_record(struct spool_walk *walk, uint64_t at, struct spool_frame *ret_frame,
                     const char **ret_data)
{
    const char *bytes;
    struct spool_frame frame;
    ssize_t count = look(walk, at, sizeof(frame), &bytes);
    if (count < (ssize_t)sizeof(frame))
        return count < 0 ? (int)count : 0;
    memcpy(&frame, bytes, sizeof(frame));
    const struct spool_record record = {.kind = frame.kind, .priority = frame.priority};
    if (!spool_frame_fits(&frame) || frame.kind < SPOOL_ALERT || frame.kind > SPOOL_METRICS ||
        frame.priority > PRIORITY_DEBUG || spool_class_of(&record) != walk->class ||
        frame.ordinal < walk->ordinal)
        return 0;
    count = look(walk, at, sizeof(frame) + frame.size, &bytes);
    if (count < (ssize_t)(sizeof(frame) + frame.size))
        return count < 0 ? (int)count : 0;
    if (!crc_fits(frame.data_crc, bytes + sizeof(frame), frame.size))
        return 0;
    *ret_frame = frame;
    *ret_data = bytes + sizeof(frame);
    return 1;
}

// The next good record from `at` on: 1, 0 or a negative errno.
static int search(struct spool_walk *walk, uint64_t at, uint64_t *ret_at)
{
    const size_t length = sizeof(SPOOL_FRAME_MAGIC) - 1;
    for (;;) {
        const char *bytes, *data;
        struct spool_frame frame;
        ssize_t count = look(walk, at, WINDOW, &bytes);
        if (count < (ssize_t)length)
            return count < 0 ? (int)count : 0;
        const char *found = memmem(bytes, (size_t)count, SPOOL_FRAME_MAGIC, length);
        if (!found) {
            at += (size_t)count - (length - 1);
            continue;
        }
        at += (uint64_t)(found - bytes);
        int good = is_record(walk, at, &frame, &data);
        *ret_at = at;
        if (good)
            return good;
        at++;
    }
}

int spool_walk_next(struct spool_walk *walk, bool closed, struct spool_frame *ret_frame,
                    const char **ret_data)
{
    int good = is_record(walk, walk->offset, ret_frame, ret_data);
    if (good == 0) {
        // The buffer may be older than what the writer has done since.
        walk->filled = 0;
        good = is_record(walk, walk->offset, ret_frame, ret_data);
    }
    uint64_t at = 0;
    int found = good == 0 ? search(walk, walk->offset + 1, &at) : 0;
    if (found < 0)
        return found;
    if (found == 1) {
        // The record before it was written first: if it is not whole by now, it never gets so.
        walk->filled = 0;
        good = is_record(walk, walk->offset, ret_frame, ret_data);
        if (good == 0) {
            walk->damaged++;
            walk->offset = at;
            good = is_record(walk, at, ret_frame, ret_data);
        }
    }
    if (good != 1)
        return good;
    walk->offset += sizeof(*ret_frame) + ret_frame->size;
    walk->ordinal = ret_frame->ordinal + 1;
    return 1;
}
