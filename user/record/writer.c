#define HASH_NONFATAL_OOM 1

#include "base/cleanup.h"
#include "base/log.h"
#include "base/outside.h"
#include "base/series.h"
#include "base/text.h"
#include "format.h"
#include "ring.h"
#include "source.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <uthash.h>
#include <zlib.h>

// A frame that has so much is closed before the next event, so that a cut never parts an event from its
// answers, and one that has very much before any entry: a scan of /proc has no end.
enum { FRAME_ENOUGH = 256 * 1024, FRAME_LARGEST = RECORD_RAW_MAX / 2 };
// Lasting answers whose last value is remembered, so that only changes are written; larger ones change
// rarely.
enum { REMEMBERED_MAX = 8192, REMEMBERED_SIZE_MAX = 1024 };

struct remembered {
    char *question;
    ssize_t result;
    char *data;
    UT_hash_handle hh;
};

struct record_writer {
    int fd;
    int error; // the first one; nothing is written after it
    z_stream deflate;
    uint32_t frames;
    char *raw; // entries gathered for the next frame
    size_t raw_size, raw_capacity;
    char *stored;
    size_t stored_capacity;
    struct remembered *remembered;
    uint64_t lost[WIRE_SOURCES_MAX][WIRE_LOST_COUNT];
    struct outside_tap tap;
};

static struct counter left_out = {
    .name = "inferscope_recording_entries_left_out_total",
    .help = "What was too large for the recording: a replay may differ there",
};

static void leave_out(void)
{
    left_out.value++;
    log_warning("something is too large for the recording and left out; a replay may differ there");
}

static void write_all(struct record_writer *writer, const void *data, size_t size)
{
    const char *from = data;
    while (!writer->error && size > 0) {
        ssize_t count = write(writer->fd, from, size);
        if (count < 0 && errno != EINTR)
            writer->error = -errno;
        if (count > 0) {
            from += count;
            size -= (size_t)count;
        }
    }
}

static void write_head(struct record_writer *writer)
{
    _cleanup_text_ struct text table = TEXT_INIT(RECORD_TABLE_MAX);
    for (size_t i = 0; i < source_count(); i++) {
        const struct source *source = source_at(i);
        for (size_t type = 0; type < source_record_types(source); type++)
            text_addf(&table, "%zu %zu %s %s %zu\n", i, type, source->name, source_record_name(source, type),
                      source->record_size((uint16_t)type));
    }
    struct record_head head = {
        .byte_order = RECORD_BYTE_ORDER, .version = RECORD_VERSION, .table_size = (uint32_t)table.length};
    memcpy(head.magic, RECORD_MAGIC, sizeof(head.magic));
    uLong crc = crc32(0, (const Bytef *)&head, offsetof(struct record_head, crc));
    head.crc = (uint32_t)crc32(crc, (const Bytef *)text_string(&table), (uInt)table.length);
    if (table.truncated)
        writer->error = -ENOBUFS;
    write_all(writer, &head, sizeof(head));
    write_all(writer, text_string(&table), table.length);
}

int record_writer_flush(struct record_writer *writer)
{
    if (writer->error || writer->raw_size == 0)
        return writer->error;
    size_t bound = deflateBound(&writer->deflate, (uLong)writer->raw_size) + 64;
    if (bound > writer->stored_capacity) {
        char *larger = realloc(writer->stored, bound);
        if (!larger)
            return writer->error = -ENOMEM;
        writer->stored = larger;
        writer->stored_capacity = bound;
    }
    writer->deflate.next_in = (Bytef *)writer->raw;
    writer->deflate.avail_in = (uInt)writer->raw_size;
    writer->deflate.next_out = (Bytef *)writer->stored;
    writer->deflate.avail_out = (uInt)writer->stored_capacity;
    if (deflate(&writer->deflate, Z_SYNC_FLUSH) != Z_OK || writer->deflate.avail_out == 0)
        return writer->error = -EIO;

    struct record_frame frame = {
        .stored = (uint32_t)(writer->stored_capacity - writer->deflate.avail_out),
        .raw = (uint32_t)writer->raw_size,
        .number = writer->frames++,
    };
    uLong crc = crc32(0, (const Bytef *)&frame, offsetof(struct record_frame, crc));
    frame.crc = (uint32_t)crc32(crc, (const Bytef *)writer->stored, frame.stored);
    write_all(writer, &frame, sizeof(frame));
    write_all(writer, writer->stored, frame.stored);
    writer->raw_size = 0;
    return writer->error;
}

// Room for an entry of that many bytes, or NULL.
static char *entry_add(struct record_writer *writer, enum record_kind kind, size_t size)
{
    struct record_entry_head head = {.size = (uint32_t)size, .kind = kind};
    if (size > RECORD_ENTRY_MAX) {
        leave_out();
        return NULL;
    }
    if (writer->raw_size + size > (kind == RECORD_ANSWER ? FRAME_LARGEST : FRAME_ENOUGH))
        record_writer_flush(writer);
    size_t wanted = writer->raw_size + sizeof(head) + size;
    if (wanted > writer->raw_capacity) {
        size_t capacity = wanted > FRAME_ENOUGH ? 2 * wanted : 2 * FRAME_ENOUGH;
        char *larger = realloc(writer->raw, capacity);
        if (!larger) {
            writer->error = writer->error ? writer->error : -ENOMEM;
            return NULL;
        }
        writer->raw = larger;
        writer->raw_capacity = capacity;
    }
    memcpy(writer->raw + writer->raw_size, &head, sizeof(head));
    char *body = writer->raw + writer->raw_size + sizeof(head);
    writer->raw_size = wanted;
    return body;
}

void record_writer_event(struct record_writer *writer, const struct wire_header *record, size_t size)
{
    char *body = entry_add(writer, RECORD_EVENT, size);
    if (body)
        memcpy(body, record, size);
}

void record_writer_tick(struct record_writer *writer, const struct record_tick *tick)
{
    struct record_tick_body body = {.boot_to_epoch_ns = tick->boot_to_epoch_ns,
                                    .utc_offset_s = tick->utc_offset_s};
    char *to = entry_add(writer, RECORD_TICK, sizeof(body));
    if (to)
        memcpy(to, &body, sizeof(body));
}

void record_writer_types(struct record_writer *writer, const bool *recorded)
{
    _cleanup_text_ struct text names = TEXT_INIT(RECORD_TABLE_MAX);
    for (size_t i = 0; i < event_type_count(); i++)
        if (recorded[i])
            text_add_bytes(&names, event_type_at(i)->name, strlen(event_type_at(i)->name) + 1);
    char *to = entry_add(writer, RECORD_TYPES, names.length);
    if (to && names.length)
        memcpy(to, names.data, names.length);
}

void record_writer_scan(struct record_writer *writer)
{
    entry_add(writer, RECORD_SCAN, 0);
}

void record_writer_lost(struct record_writer *writer, size_t source, enum wire_lost reason, uint64_t total)
{
    if (source >= source_count() || reason >= WIRE_LOST_COUNT || writer->lost[source][reason] == total)
        return;
    writer->lost[source][reason] = total;
    const char *name = source_at(source)->name, *why = ring_lost_reason(reason);
    struct record_lost_body body = {.total = total};
    char *to = entry_add(writer, RECORD_LOST, sizeof(body) + strlen(name) + strlen(why) + 2);
    if (!to)
        return;
    memcpy(to, &body, sizeof(body));
    memcpy(to + sizeof(body), name, strlen(name) + 1);
    memcpy(to + sizeof(body) + strlen(name) + 1, why, strlen(why) + 1);
}

static void forget(struct record_writer *writer, struct remembered *known)
{
    HASH_DEL(writer->remembered, known);
    free(known->question);
    free(known->data);
    free(known);
}

// Whether that is what was answered last time; remembers it where it is not.
static bool is_known(struct record_writer *writer, const char *question, const void *data, ssize_t result)
{
    size_t size = result > 0 ? (size_t)result : 0;
    struct remembered *known;
    HASH_FIND_STR(writer->remembered, question, known);
    if (known && known->result == result && (size == 0 || memcmp(known->data, data, size) == 0))
        return true;
    if (known)
        forget(writer, known);
    if (size > REMEMBERED_SIZE_MAX || HASH_COUNT(writer->remembered) >= REMEMBERED_MAX)
        return false;
    known = calloc(1, sizeof(*known));
    if (!known)
        return false;
    known->question = strdup(question);
    known->data = malloc(size + 1);
    known->result = result;
    if (known->question && known->data) {
        if (size)
            memcpy(known->data, data, size);
        HASH_ADD_KEYPTR(hh, writer->remembered, known->question, strlen(known->question), known);
        if (known->hh.tbl)
            return false;
    }
    free(known->question);
    free(known->data);
    free(known);
    return false;
}

static void on_answered(void *context, enum outside_life life, const char *question, const void *data,
                        ssize_t result)
{
    struct record_writer *writer = context;
    size_t question_size = strlen(question);
    if (question_size > OUTSIDE_QUESTION_MAX) {
        leave_out();
        return;
    }
    if (life == OUTSIDE_LASTING && is_known(writer, question, data, result))
        return;
    struct record_answer_body body = {.question_size = (uint16_t)question_size,
                                      .lasting = life == OUTSIDE_LASTING,
                                      .error = result < 0 ? (int32_t)result : 0};
    size_t size = result > 0 ? (size_t)result : 0;
    char *to = entry_add(writer, RECORD_ANSWER, sizeof(body) + question_size + size);
    if (!to)
        return;
    memcpy(to, &body, sizeof(body));
    memcpy(to + sizeof(body), question, question_size);
    if (size)
        memcpy(to + sizeof(body) + question_size, data, size);
}

int record_writer_new(int fd, struct record_writer **ret_writer)
{
    struct record_writer *writer _cleanup_(record_writer_free) = calloc(1, sizeof(*writer));
    // Fast before small: what a burst costs here is time in which the ring fills up.
    if (!writer || deflateInit2(&writer->deflate, Z_BEST_SPEED, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL,
                                Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    counter_register(&left_out);
    writer->fd = fd;
    writer->tap = (struct outside_tap){.context = writer, .answered = on_answered};
    write_head(writer);
    if (writer->error)
        return writer->error;
    outside_set_tap(&writer->tap);
    *ret_writer = TAKE_PTR(writer);
    return 0;
}

void record_writer_free(struct record_writer **writer)
{
    struct record_writer *gone = TAKE_PTR(*writer);
    if (!gone)
        return;
    if (gone->tap.context)
        outside_set_tap(NULL);
    struct remembered *known, *next;
    HASH_ITER (hh, gone->remembered, known, next)
        forget(gone, known);
    deflateEnd(&gone->deflate);
    free(gone->raw);
    free(gone->stored);
    free(gone);
}

int record_writer_end(struct record_writer *writer)
{
    entry_add(writer, RECORD_END, 0);
    return record_writer_flush(writer);
}
