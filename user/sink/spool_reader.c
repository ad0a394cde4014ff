#include "base/cleanup.h"
#include "spool_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

// Where the reader is in one class.
struct lane {
    struct spool_walk walk;
    uint64_t segment;  // first ordinal of the one that is walked along
    uint64_t expected; // ordinal
    uint64_t counted;  // up to this ordinal what is missing was counted
    bool has;          // a record that was not given yet
    struct spool_frame frame;
    const char *data; // in the walk's buffer
};

struct spool_reader {
    int directory_fd, cursor_fd;
    uint64_t generation;
    struct spool_position committed, given;
    uint64_t last_sequence; // that was given
    uint64_t missed;
    struct lane lanes[SPOOL_CLASSES];
    struct spool_entry *entries; // the segments there were when last looked
    size_t entries_count;
    struct timespec changed; // the directory's time then
    time_t looked;
};

// --- Which segments there are ---

static int list(struct spool_reader *reader)
{
    struct stat status;
    struct spool_entry *entries = NULL;
    size_t count = 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (fstat(reader->directory_fd, &status))
        return -errno;
    int error = spool_list(reader->directory_fd, &entries, &count);
    if (error)
        return error;
    free(reader->entries);
    reader->entries = entries;
    reader->entries_count = count;
    reader->changed = status.st_mtim;
    reader->looked = now.tv_sec;
    return 0;
}

// Looks again where something may have changed: files' times are coarse, so a change just before the last
// look may not show. 1: looked; 0: nothing has changed; or a negative errno.
static int list_again(struct spool_reader *reader)
{
    enum { COARSE_S = 2 };
    struct stat status;
    if (fstat(reader->directory_fd, &status))
        return -errno;
    bool same =
        status.st_mtim.tv_sec == reader->changed.tv_sec && status.st_mtim.tv_nsec == reader->changed.tv_nsec;
    if (same && reader->looked > reader->changed.tv_sec + COARSE_S)
        return 0;
    int error = list(reader);
    return error ? error : 1;
}

// The first segment of the class behind that ordinal; NULL: none.
static const struct spool_entry *entry_behind(const struct spool_reader *reader, enum spool_class class,
                                              uint64_t ordinal)
{
    for (size_t i = 0; i < reader->entries_count; i++)
        if (reader->entries[i].class == class && reader->entries[i].first > ordinal)
            return &reader->entries[i];
    return NULL;
}

// The segment where a record of that ordinal is, or the first one behind; NULL: none.
static const struct spool_entry *entry_of(const struct spool_reader *reader, enum spool_class class,
                                          uint64_t ordinal)
{
    const struct spool_entry *found = NULL;
    for (size_t i = 0; i < reader->entries_count; i++)
        if (reader->entries[i].class == class && (!found || reader->entries[i].first <= ordinal))
            found = &reader->entries[i];
    return found;
}

static int open_segment(const struct spool_reader *reader, const struct spool_entry *entry)
{
    char name[SPOOL_FILE_NAME_SIZE];
    spool_segment_name(entry->class, entry->first, name);
    return spool_file_open(reader->directory_fd, name, O_RDONLY);
}

// --- Records ---

static void expect(struct spool_reader *reader, struct lane *lane, uint64_t ordinal)
{
    uint64_t known = lane->counted > lane->expected ? lane->counted : lane->expected;
    if (ordinal > known)
        reader->missed += ordinal - known;
    if (ordinal > lane->counted)
        lane->counted = ordinal;
    lane->expected = ordinal;
}

// Whether it is us who are short of something.
static bool is_want(int error)
{
    return error == -ENOMEM || error == -EMFILE || error == -ENFILE || error == -EINTR;
}

// Opens the segment that the expected record is in. 1; 0: there is none yet; or a negative errno.
static int enter(struct spool_reader *reader, enum spool_class class)
{
    enum { TRIES = 8 }; // segments may be deleted meanwhile
    struct lane *lane = &reader->lanes[class];
    for (int try = 0; try < TRIES; try++) {
        const struct spool_entry *entry = entry_of(reader, class, lane->expected);
        int fd = entry ? open_segment(reader, entry) : -ENOENT;
        if (fd >= 0) {
            spool_walk_open(&lane->walk, fd, class, entry->first);
            lane->segment = entry->first;
            if (entry->first > lane->expected)
                expect(reader, lane, entry->first);
            return 1;
        }
        // One that cannot be opened must not keep back those behind it.
        const struct spool_entry *next =
            fd != -ENOENT && !is_want(fd) ? entry_behind(reader, class, entry->first) : NULL;
        if (next) {
            expect(reader, lane, next->first);
            continue;
        }
        int listed = fd != -ENOENT ? fd : entry ? list(reader) : list_again(reader);
        if (listed < 0 || (!entry && listed == 0))
            return listed;
    }
    return 0;
}

// What to do at the end of what can be read of a segment. 1: try again; 0: wait; or a negative errno.
static int at_end(struct spool_reader *reader, enum spool_class class, bool closed)
{
    struct lane *lane = &reader->lanes[class];
    if (!closed) {
        int listed = list_again(reader);
        return listed < 0 ? listed : entry_behind(reader, class, lane->segment) != NULL;
    }
    uint64_t next = entry_behind(reader, class, lane->segment)->first;
    spool_walk_close(&lane->walk);
    if (next > lane->expected)
        expect(reader, lane, next);
    return 1;
}

// Has the lane's next record at hand. 1; 0: there is none yet; or a negative errno.
static int peek(struct spool_reader *reader, enum spool_class class)
{
    struct lane *lane = &reader->lanes[class];
    while (!lane->has) {
        int result = lane->walk.fd >= 0 ? 1 : enter(reader, class);
        if (result != 1)
            return result;
        // Known before the end is looked for: whatever was to be written there has been.
        bool closed = entry_behind(reader, class, lane->segment) != NULL;
        result = spool_walk_next(&lane->walk, closed, &lane->frame, &lane->data);
        if (result == 1) {
            if (lane->frame.ordinal < lane->expected)
                continue;
            expect(reader, lane, lane->frame.ordinal);
            lane->has = true;
            return 1;
        }
        // A segment that cannot be read must not keep back those behind it.
        if (result < 0 && (!closed || result == -ENOMEM))
            return result;
        result = at_end(reader, class, closed);
        if (result != 1)
            return result;
    }
    return 1;
}

// The lane whose next record comes first; -1: none has one. A record that follows the one that was given last
// is the first whatever the other lanes hold.
static int find_first(struct spool_reader *reader, int *ret_class)
{
    *ret_class = -1;
    for (enum spool_class class = 0; class < SPOOL_CLASSES; class ++) {
        int result = peek(reader, class);
        if (result < 0)
            return result;
        const struct lane *lane = &reader->lanes[class];
        if (result == 1 &&
            (*ret_class < 0 || lane->frame.sequence < reader->lanes[*ret_class].frame.sequence))
            *ret_class = (int)class;
        if (result == 1 && lane->frame.sequence == reader->last_sequence + 1)
            return 0;
    }
    return 0;
}

int spool_reader_next(struct spool_reader *reader, struct spool_record *ret_record)
{
    int class;
    int error = find_first(reader, &class);
    // A record that was written earlier, to a class that was looked at before it was there, is there now.
    if (!error && class >= 0 && reader->lanes[class].frame.sequence != reader->last_sequence + 1)
        error = find_first(reader, &class);
    if (error || class < 0)
        return error;
    struct lane *lane = &reader->lanes[class];
    const struct spool_frame *frame = &lane->frame;
    *ret_record = (struct spool_record){.kind = frame->kind,
                                        .priority = frame->priority,
                                        .sequence = frame->sequence,
                                        .time_ns = frame->time_ns,
                                        .data = lane->data,
                                        .size = frame->size};
    uuid_text(frame->uuid, ret_record->uuid);
    lane->has = false;
    lane->expected = frame->ordinal + 1;
    if (lane->expected > lane->counted)
        lane->counted = lane->expected;
    reader->last_sequence = frame->sequence;
    reader->given.places[class].ordinal = lane->expected;
    return 1;
}

struct spool_position spool_reader_position(const struct spool_reader *reader)
{
    return reader->given;
}

int spool_reader_commit(struct spool_reader *reader, const struct spool_position *position)
{
    const struct spool_cursor cursor = {.position = *position, .next_sequence = reader->last_sequence + 1};
    int error = spool_cursor_write(reader->cursor_fd, &reader->generation, &cursor);
    if (!error)
        reader->committed = *position;
    return error;
}

int spool_reader_rewind(struct spool_reader *reader)
{
    for (enum spool_class class = 0; class < SPOOL_CLASSES; class ++) {
        struct lane *lane = &reader->lanes[class];
        spool_walk_close(&lane->walk);
        lane->has = false;
        lane->expected = reader->committed.places[class].ordinal;
    }
    reader->given = reader->committed;
    reader->last_sequence = 0;
    return list(reader);
}

uint64_t spool_reader_missed(const struct spool_reader *reader)
{
    return reader->missed;
}

// --- Opening ---

int spool_reader_open(const char *directory, const char *name, struct spool_reader **ret_reader)
{
    struct spool_reader *reader _cleanup_(spool_reader_close) = calloc(1, sizeof(*reader));
    if (!reader)
        return -ENOMEM;
    reader->cursor_fd = -1;
    for (size_t i = 0; i < SPOOL_CLASSES; i++)
        reader->lanes[i].walk.fd = -1;
    reader->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (reader->directory_fd < 0)
        return -errno;
    struct spool_cursor cursor;
    int error =
        spool_cursor_open(reader->directory_fd, name, &reader->cursor_fd, &reader->generation, &cursor);
    if (error && error != -ENODATA)
        return error;
    // Two that read for one output would deliver everything twice, and one could take the other's cursor
    // back.
    if (flock(reader->cursor_fd, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    reader->committed = cursor.position;
    bool known = error == 0;
    error = spool_reader_rewind(reader);
    if (error)
        return error;
    for (enum spool_class class = 0; class < SPOOL_CLASSES; class ++) {
        struct lane *lane = &reader->lanes[class];
        const struct spool_entry *oldest = known ? NULL : entry_of(reader, class, 0);
        // To one that begins, nothing before the oldest record is missing.
        if (oldest)
            reader->committed.places[class].ordinal = lane->expected = oldest->first;
        lane->counted = lane->expected;
    }
    reader->given = reader->committed;
    // Written at once, so that the writer keeps what this one has yet to read, also while the disk is full.
    if (!known)
        error = spool_reader_commit(reader, &reader->committed);
    if (!error)
        *ret_reader = TAKE_PTR(reader);
    return error;
}

void spool_reader_close(struct spool_reader **reader)
{
    struct spool_reader *closed = *reader;
    if (!closed)
        return;
    for (size_t i = 0; i < SPOOL_CLASSES; i++)
        spool_walk_close(&closed->lanes[i].walk);
    free(closed->entries);
    cleanup_close(&closed->directory_fd);
    cleanup_close(&closed->cursor_fd);
    free(closed);
    *reader = NULL;
}
