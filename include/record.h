// Recordings: the kernel's records and what the node answered meanwhile (base/outside.h), in a file from
// which the same alerts can be made again. docs/RECORD.md tells a user, user/record/format.h how the bytes
// lie.
#pragma once

#include "wire/header.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// What a file of ours begins with.
#define RECORD_MAGIC "\211INFSREC"
enum { RECORD_MAGIC_SIZE = 8 };

enum record_kind {
    RECORD_EVENT = 1, // a record of the kernel
    RECORD_TICK,      // once a second: the clocks
    RECORD_SCAN,      // the processes that exist are learnt now
    RECORD_ANSWER,    // what the node answered to what the entry before asked
    RECORD_LOST,      // how many records of a kind the kernel had to drop until now
    RECORD_END,       // the recorder was told to stop
    RECORD_TYPES,     // which types of events are recorded
};

struct record_tick {
    int64_t boot_to_epoch_ns; // from CLOCK_BOOTTIME to the wall clock
    int32_t utc_offset_s;     // of the recorder's local time
};

struct record_lost {
    const char *source;
    const char *reason;
    uint64_t total;
};

struct record_types {
    const char *names; // a NUL after each
    size_t size;
};

struct record_answer {
    const char *question;
    bool lasting;
    const void *data;
    size_t size;
    int error; // negative errno instead of data, or 0
};

// One entry; borrowed from the reader until the next one is read.
struct record_entry {
    enum record_kind kind;
    union {
        const struct wire_header *event; // checked to be of a source and type that this build has;
                                         // event->size may still be wrong, as in the ring
        struct record_tick tick;
        struct record_lost lost;
        struct record_answer answer;
        struct record_types types;
    };
    size_t size; // RECORD_EVENT: bytes
};

// --- Writing ---

// Opens a file that only its owner may read, or standard output ("-"). An earlier recording is replaced,
// which is said; any other file is left alone. 0 or a negative errno, after having said why.
int record_create(const char *path, int *ret_fd);

struct record_writer;

// Writes the beginning to `fd`, which is borrowed, and from then on listens to what the node is asked. 0 or a
// negative errno.
int record_writer_new(int fd, struct record_writer **ret_writer);
// Without an end mark, unless record_writer_end() was called.
void record_writer_free(struct record_writer **writer);

// Entries are gathered until record_writer_flush(); the first error is kept and returned there. An event is
// written before it is handled: what is asked meanwhile belongs to it.
void record_writer_event(struct record_writer *writer, const struct wire_header *record, size_t size);
void record_writer_tick(struct record_writer *writer, const struct record_tick *tick);
// Which types of events will come where they happen, by event_type_index().
void record_writer_types(struct record_writer *writer, const bool *recorded);
void record_writer_scan(struct record_writer *writer);
// Does nothing where the total is what it was.
void record_writer_lost(struct record_writer *writer, size_t source, enum wire_lost reason, uint64_t total);
// Hands what was gathered to the kernel, so that it survives the agent's death. 0 or a negative errno.
int record_writer_flush(struct record_writer *writer);
// The same, with an end mark.
int record_writer_end(struct record_writer *writer);

// --- Reading ---

struct record_reader;

// `stream` is borrowed. -ENOMEM.
int record_reader_new(FILE *stream, struct record_reader **ret_reader);
void record_reader_free(struct record_reader **reader);
// 1 and the next entry; 0 at the end mark; -EPROTO where the file is damaged, cut off, or not for this build,
// or another negative errno, again and again: record_reader_error() says what is wrong and where.
int record_reader_next(struct record_reader *reader, struct record_entry *ret_entry);
// A sentence with the offset, or "".
const char *record_reader_error(const struct record_reader *reader);

// --- Replaying ---

// Reads a recording and answers in the node's place what is asked after each entry.
struct record_player;

// One at a time. -ENOMEM.
int record_player_new(FILE *stream, struct record_player **ret_player);
void record_player_free(struct record_player **player);
// As record_reader_next(), answers left out; a record of the kernel is valid until the next call.
int record_player_next(struct record_player *player, struct record_entry *ret_entry);
const char *record_player_error(const struct record_player *player);
// How many questions had no answer in the recording: other rules, or another build, ask for more.
size_t record_player_unanswered(const struct record_player *player);
