// Alerts on disk until they are delivered: append-only segments of checksummed records in one directory, a
// series of segments for each class of priority, so that what is least grave is what gives way when room is
// short. One process writes, one reads; docs/DELIVERY.md tells a user what survives what, and
// user/sink/spool_format.h how it lies on the disk.
#pragma once

#include "base/priority.h"
#include "base/uuid.h"
#include "config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum spool_kind {
    SPOOL_ALERT = 1, // data: the alert as sink_format_json() writes it, without the newline
    SPOOL_SPAN,      // data: an inference request as JSON (user/sink/span.c)
    SPOOL_METRICS,   // data: all metrics at one time, in OTLP's JSON
};

// P1 to P4 as in the severities of operations, and telemetry (spans, metrics), which gives way first.
enum spool_class {
    SPOOL_P1, // Emergency, Alert, Critical
    SPOOL_P2, // Error
    SPOOL_P3, // Warning, Notice
    SPOOL_P4, // Informational, Debug
    SPOOL_TELEMETRY,
    SPOOL_CLASSES,
};

enum { SPOOL_DATA_MAX = 4 << 20 };

struct spool_record {
    enum spool_kind kind;
    enum priority priority;    // SPOOL_ALERT
    uint64_t sequence;         // of this host: rises by one with each record, also across restarts
    uint64_t time_ns;          // since the Unix epoch
    char uuid[UUID_TEXT_SIZE]; // lower case; the same however often the record is delivered
    const char *data;          // not NUL-terminated
    size_t size;
};

enum spool_class spool_class_of(const struct spool_record *record);

// --- Writing: the agent ---

struct spool;

// Makes the directory (0700) where it is missing, cuts off a torn tail, counts and passes over what is
// damaged. The writer holds a lock. 0; -EBUSY: another agent has this spool; or a negative errno. At most one
// is open in a process, because its metrics are.
int spool_open(const struct config_spool *options, struct spool **ret_spool);
void spool_close(struct spool **spool);

// Says which outputs there are, before their readers open: one that is new gets what is appended from here
// on, and what others had not read is held back for them no longer. 0 or a negative errno.
int spool_set_readers(struct spool *spool, const char *const *names, size_t count);
// The same in two steps. Those that are new are added, all or, on an error, none; `ret_added` says which
// were.
int spool_add_readers(struct spool *spool, const char *const *names, size_t count, bool *ret_added);
// All others are given up.
void spool_keep_readers(struct spool *spool, const char *const *names, size_t count);
void spool_remove_reader(struct spool *spool, const char *name);

// The sequence that the next record gets.
uint64_t spool_next_sequence(const struct spool *spool);

// Appends the record; fills in sequence and uuid. By SYNC_ALWAYS it is on the disk on return. 0 or a negative
// errno: then it is not in the spool and counted as inferscope_spool_dropped_total{reason}.
int spool_append(struct spool *spool, struct spool_record *record);

// What all outputs have read or is too old goes. Called once a second.
void spool_tick(struct spool *spool);
// SYNC_INTERVAL: brings records to the disk where it is time. In how many milliseconds it is to be called
// again at the latest; -1: only after another record.
int spool_sync(struct spool *spool);

// --- Reading: the deliverer ---

// Where a reader is: a place in each class.
struct spool_place {
    uint64_t ordinal; // of the next record in its class, counted from 0 since the spool was made
};
struct spool_position {
    struct spool_place places[SPOOL_CLASSES];
};

struct spool_reader;

// Each output has a reader, whose position is kept in the file cursor.NAME of the spool's directory. Where
// there is none (nor spool_set_readers() has made one), it begins with the oldest record. 0 or a negative
// errno; -EBUSY: another one reads for this output; -EINVAL: no name for a file.
int spool_reader_open(const char *directory, const char *name, struct spool_reader **ret_reader);
void spool_reader_close(struct spool_reader **reader);

// The next record of all classes by sequence. 1; 0: there is none yet; or a negative errno. The record is
// borrowed until the next call. Records that were dropped before they were read, or are damaged, are passed
// over and counted in spool_reader_missed().
int spool_reader_next(struct spool_reader *reader, struct spool_record *ret_record);
// The position behind the record that spool_reader_next() gave last.
struct spool_position spool_reader_position(const struct spool_reader *reader);
// Everything before the position has been delivered or given up: it is written down. 0 or a negative errno.
int spool_reader_commit(struct spool_reader *reader, const struct spool_position *position);
// Goes back to what was committed last. 0 or a negative errno.
int spool_reader_rewind(struct spool_reader *reader);
uint64_t spool_reader_missed(const struct spool_reader *reader);
