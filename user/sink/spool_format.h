// How the spool lies on the disk. Its directory holds
//   lock               that the writer has locked
//   p1.NUMBER, …       segments: a class of records each, NUMBER the ordinal that its first record has or
//                      will have. The newest of a class is written to and is never deleted, so that
//                      ordinals and sequence go on after it, even where it is empty
//   new, spare         segments that have no name yet
//   cursor.NAME        how far the output NAME has come
// A segment is a head and records, a record a frame and its data. Numbers are in the machine's byte order.
#pragma once

#include "base/uuid.h"
#include "spool.h"

#include <stdbool.h>

enum { SPOOL_VERSION = 1, SPOOL_FILE_NAME_SIZE = 40 };

// No numbers get so high by counting. What says so is damaged or forged, and believing it would leave no
// numbers for what comes after it. A segment may begin a little behind the highest number that a cursor may
// have.
#define SPOOL_NUMBER_MAX (UINT64_C(1) << 62)
#define SPOOL_FIRST_MAX (SPOOL_NUMBER_MAX + (UINT64_C(1) << 61))

#define SPOOL_HEAD_MAGIC "\xff\xfbspool"
// No UTF-8 text has these bytes, so nothing that an alert says can look like the beginning of a record.
#define SPOOL_FRAME_MAGIC "\xff\xfb\xfer"

struct spool_head {
    char magic[8];
    uint32_t version;
    uint32_t class;
    uint64_t first_ordinal;
    uint64_t next_sequence; // of the whole spool when the segment was made
    uint64_t time_ns;       // when that was
    uint32_t reserved;
    uint32_t crc; // CRC-32 of what comes before
};

struct spool_frame {
    char magic[4];
    uint32_t crc; // of the frame behind it
    uint32_t size;
    uint32_t data_crc;
    uint8_t kind;
    uint8_t priority;
    uint16_t reserved;
    uint32_t reserved2;
    uint64_t ordinal, sequence, time_ns;
    uint8_t uuid[UUID_BYTES];
};

_Static_assert(sizeof(struct spool_head) == 48 && sizeof(struct spool_frame) == 64,
               "without holes, whose bytes no checksum would know");

// "p1", … for file names and metrics.
const char *spool_class_name(enum spool_class class);

void spool_segment_name(enum spool_class class, uint64_t first, char ret_name[SPOOL_FILE_NAME_SIZE]);

struct spool_entry {
    enum spool_class class;
    uint64_t first;
};
// Opens what is in the directory under that name, if it is a regular file: anything else there could have us
// wait. `flags` as of open(). The descriptor, or a negative errno; -EINVAL: it is no regular file.
int spool_file_open(int directory_fd, const char *name, int flags);

// The segments of a directory by class and ordinal; owned by the caller. 0 or a negative errno.
int spool_list(int directory_fd, struct spool_entry **ret_entries, size_t *ret_count);

void spool_head_make(enum spool_class class, uint64_t first, uint64_t next_sequence,
                     struct spool_head *ret_head);
// Whether it is whole and that of a segment of this class and place.
bool spool_head_fits(const struct spool_head *head, enum spool_class class, uint64_t first);

// A whole head of a version that this agent does not know.
bool spool_head_is_foreign(const struct spool_head *head);

// Whether the frame is whole; its data may not be.
bool spool_frame_fits(const struct spool_frame *frame);
void spool_frame_make(const struct spool_record *record, const uint8_t *uuid, uint64_t ordinal,
                      struct spool_frame *ret_frame);

// --- Walking along a segment ---

// Gives one good record after the other. What is damaged is passed over once there is proof: a good record
// behind it, or nothing that could still be written there (`closed`).
struct spool_walk {
    int fd; // owned; -1: none
    enum spool_class class;
    uint64_t offset;  // of the next record, behind the last good one
    uint64_t ordinal; // that the next record has at least
    uint64_t damaged; // places that were passed over
    char *buffer;     // bytes of the file from buffer_at on
    size_t capacity, filled;
    uint64_t buffer_at;
};

void spool_walk_open(struct spool_walk *walk, int fd, enum spool_class class, uint64_t first);
void spool_walk_close(struct spool_walk *walk);
// 1 and the record, borrowed until the next call; 0: no more, or none that is complete; or a negative errno.
int spool_walk_next(struct spool_walk *walk, bool closed, struct spool_frame *ret_frame,
                    const char **ret_data);

// --- Cursors ---

struct spool_cursor {
    struct spool_position position;
    uint64_t next_sequence; // behind all that the output has been given
};

#define SPOOL_CURSOR_PREFIX "cursor."

// Opens the file or makes it. 0; -ENODATA where it was made or holds nothing that is whole; or another
// negative errno. Only on -ENODATA and 0 there is a descriptor.
int spool_cursor_open(int directory_fd, const char *name, int *ret_fd, uint64_t *ret_generation,
                      struct spool_cursor *ret_cursor);
int spool_cursor_write(int fd, uint64_t *generation, const struct spool_cursor *cursor);

// `cursor` is NULL where it is not whole.
typedef void (*spool_cursor_fn)(const char *name, const struct spool_cursor *cursor, void *context);
// Calls for each cursor of the directory. How many cursors there are that are not whole, or a negative errno.
int spool_cursor_each(int directory_fd, spool_cursor_fn call, void *context);
