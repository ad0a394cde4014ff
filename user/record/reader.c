// Everything here comes from a file that may be damaged or made to do harm: no length is believed before the
// bytes are there.
#include "base/cleanup.h"
#include "format.h"
#include "source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <zlib.h>

enum { TYPES_MAX = 256, CHUNK = 64 * 1024, NAME_SIZE = 32 };

// A type of record in the file, and what it is here.
struct known_type {
    uint16_t source, type;    // as the recorder's build counted them
    char name[2 * NAME_SIZE]; // "process execve"
    size_t size;
    uint16_t own_source, own_type;
    size_t own_size; // 0: this build does not have it
};

struct record_reader {
    FILE *stream;
    uint64_t offset; // in the file, of what is read next
    bool started, ended;
    int failure;
    char error[320];
    struct known_type types[TYPES_MAX];
    size_t types_count;
    z_stream inflate;
    bool inflating;
    uint32_t frames;
    uint64_t frame_offset; // of the frame that `raw` is from
    char *raw;
    size_t raw_size, raw_used;
    struct wire_header *event; // a copy of the record, aligned and with this build's numbers
    size_t event_capacity;
};

int record_reader_new(FILE *stream, struct record_reader **ret_reader)
{
    struct record_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return -ENOMEM;
    reader->stream = stream;
    *ret_reader = reader;
    return 0;
}

void record_reader_free(struct record_reader **reader)
{
    struct record_reader *gone = TAKE_PTR(*reader);
    if (!gone)
        return;
    if (gone->inflating)
        inflateEnd(&gone->inflate);
    free(gone->raw);
    free(gone->event);
    free(gone);
}

const char *record_reader_error(const struct record_reader *reader)
{
    return reader->error;
}

__attribute__((format(printf, 4, 5))) static int fail(struct record_reader *reader, int failure,
                                                      uint64_t offset, const char *format, ...)
{
    int used = snprintf(reader->error, sizeof(reader->error), "offset %" PRIu64 ": ", offset);
    va_list args;
    va_start(args, format);
    vsnprintf(reader->error + used, sizeof(reader->error) - (size_t)used, format, args);
    va_end(args);
    return reader->failure = failure;
}

// The bytes that could be read.
static size_t read_some(struct record_reader *reader, void *ret_data, size_t size)
{
    size_t count = fread(ret_data, 1, size, reader->stream);
    reader->offset += count;
    return count;
}

static int fail_short(struct record_reader *reader, const char *what)
{
    if (ferror(reader->stream))
        return fail(reader, -EIO, reader->offset, "cannot be read: %s", strerror(errno));
    return fail(reader, -EPROTO, reader->offset,
                "the file ends in the middle of %s: it was cut off, or the "
                "recorder was killed",
                what);
}

// As many bytes as are said to follow, in memory that grows with what is really there.
static int read_grown(struct record_reader *reader, size_t size, const char *what, char **ret_data)
{
    _cleanup_free_ char *data = NULL;
    for (size_t used = 0, capacity = 0; used < size || !data;) {
        capacity = capacity ? capacity * 2 : CHUNK;
        capacity = capacity < size ? capacity : size;
        char *larger = realloc(data, capacity + 1);
        if (!larger)
            return fail(reader, -ENOMEM, reader->offset, "memory is short");
        data = larger;
        size_t count = read_some(reader, data + used, capacity - used);
        if (count < capacity - used)
            return fail_short(reader, what);
        used += count;
    }
    data[size] = '\0';
    *ret_data = TAKE_PTR(data);
    return 0;
}

static bool checksum_fits(const void *head, size_t head_size, const void *body, size_t size,
                          uint32_t expected)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return true; // else a fuzzer would get no further than this
#endif
    uLong crc = crc32(0, head, (uInt)head_size);
    return crc32(crc, body, (uInt)size) == expected;
}

// --- The head ---

static void find_own(struct known_type *known, const char *source, const char *type)
{
    for (size_t i = 0; i < source_count(); i++) {
        const struct source *own = source_at(i);
        for (size_t k = 0; strcmp(own->name, source) == 0 && k < source_record_types(own); k++) {
            if (strcmp(source_record_name(own, k), type) != 0)
                continue;
            known->own_source = (uint16_t)i;
            known->own_type = (uint16_t)k;
            known->own_size = own->record_size((uint16_t)k);
            return;
        }
    }
}

// Names end up in sentences on somebody's terminal.
static bool is_name(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return length > 0 && length < NAME_SIZE && text[length] == '\0';
}

static bool table_parse(struct record_reader *reader, char *text)
{
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char source[NAME_SIZE], type[NAME_SIZE];
        struct known_type known = {};
        if (reader->types_count == TYPES_MAX ||
            sscanf(line, "%" SCNu16 " %" SCNu16 " %31s %31s %zu", &known.source, &known.type, source, type,
                   &known.size) != 5 ||
            !is_name(source) || !is_name(type))
            return false;
        snprintf(known.name, sizeof(known.name), "%s %s", source, type);
        find_own(&known, source, type);
        reader->types[reader->types_count++] = known;
    }
    return true;
}

static int start(struct record_reader *reader)
{
    struct record_head head;
    size_t count = read_some(reader, &head, sizeof(head));
    if (count < sizeof(head.magic) || memcmp(head.magic, RECORD_MAGIC, sizeof(head.magic)) != 0)
        return fail(reader, -EPROTO, 0, "this is not a recording");
    if (count < sizeof(head))
        return fail_short(reader, "its head");
    if (head.byte_order != RECORD_BYTE_ORDER)
        return fail(reader, -EPROTO, offsetof(struct record_head, byte_order),
                    "recorded on a machine of another byte order; replay it on one of that kind");
    if (head.version != RECORD_VERSION)
        return fail(reader, -EPROTO, offsetof(struct record_head, version),
                    "the recording is of format %u and this agent reads format %d; replay it with the agent "
                    "that recorded it",
                    head.version, RECORD_VERSION);
    if (head.table_size > RECORD_TABLE_MAX)
        return fail(reader, -EPROTO, offsetof(struct record_head, table_size), "the head is damaged");
    _cleanup_free_ char *table = NULL;
    int error = read_grown(reader, head.table_size, "its head", &table);
    if (error)
        return error;
    if (!checksum_fits(&head, offsetof(struct record_head, crc), table, head.table_size, head.crc))
        return fail(reader, -EPROTO, 0, "the head is damaged: its checksum does not fit");
    if (!table_parse(reader, table))
        return fail(reader, -EPROTO, sizeof(head),
                    "the head is damaged: its table of records cannot be read");
    if (inflateInit2(&reader->inflate, -MAX_WBITS) != Z_OK)
        return fail(reader, -ENOMEM, reader->offset, "memory is short");
    reader->inflating = reader->started = true;
    return 0;
}

// --- Frames ---

static int frame_unpack(struct record_reader *reader, const struct record_frame *frame, char *stored)
{
    _cleanup_free_ char *raw = malloc(frame->raw + 1);
    if (!raw)
        return fail(reader, -ENOMEM, reader->frame_offset, "memory is short");
    reader->inflate.next_in = (Bytef *)stored;
    reader->inflate.avail_in = frame->stored;
    reader->inflate.next_out = (Bytef *)raw;
    reader->inflate.avail_out = frame->raw + 1; // one more than there should be
    int result = inflate(&reader->inflate, Z_SYNC_FLUSH);
    if (result != Z_OK || reader->inflate.avail_in || reader->inflate.avail_out != 1)
        return fail(reader, -EPROTO, reader->frame_offset, "a block does not unpack to what it should");
    free(reader->raw);
    reader->raw = TAKE_PTR(raw);
    reader->raw_size = frame->raw;
    reader->raw_used = 0;
    return 0;
}

static int frame_next(struct record_reader *reader)
{
    struct record_frame frame;
    reader->frame_offset = reader->offset;
    size_t count = read_some(reader, &frame, sizeof(frame));
    if (count == 0 && !ferror(reader->stream))
        return fail(reader, -EPROTO, reader->offset,
                    "the recording has no end mark: the recorder was killed, or the file was cut off");
    if (count < sizeof(frame))
        return fail_short(reader, "a block");
    // The numbers are not to be believed before the checksum fits, so they are only bounded here.
    if (frame.stored > RECORD_STORED_MAX || frame.raw > RECORD_RAW_MAX || frame.raw == 0 ||
        frame.raw / RECORD_DEFLATE_RATIO_MAX > frame.stored)
        return fail(reader, -EPROTO, reader->frame_offset, "a block is damaged: its size cannot be");
    _cleanup_free_ char *stored = NULL;
    int error = read_grown(reader, frame.stored, "a block", &stored);
    if (error)
        return error;
    if (!checksum_fits(&frame, offsetof(struct record_frame, crc), stored, frame.stored, frame.crc))
        return fail(reader, -EPROTO, reader->frame_offset, "a block is damaged: its checksum does not fit");
    if (frame.number != reader->frames++)
        return fail(reader, -EPROTO, reader->frame_offset, "blocks are missing or out of order before this");
    return frame_unpack(reader, &frame, stored);
}

// --- Entries ---

// What is wrong inside a block whose checksum fits was written so.
static int fail_entry(struct record_reader *reader, const char *what)
{
    return fail(reader, -EPROTO, reader->frame_offset, "in the block that begins here: %s", what);
}

static int read_event(struct record_reader *reader, const char *body, size_t size,
                      struct record_entry *ret_entry)
{
    if (size < sizeof(struct wire_header))
        return fail_entry(reader, "a record is too short");
    if (size > reader->event_capacity) {
        struct wire_header *larger = realloc(reader->event, size);
        if (!larger)
            return fail(reader, -ENOMEM, reader->frame_offset, "memory is short");
        reader->event = larger;
        reader->event_capacity = size;
    }
    memcpy(reader->event, body, size);
    for (size_t i = 0; i < reader->types_count; i++) {
        const struct known_type *known = &reader->types[i];
        if (known->source != reader->event->source || known->type != reader->event->type)
            continue;
        if (known->own_size != known->size)
            return fail(
                reader, -EPROTO, reader->frame_offset,
                "a record \"%s\" of %zu bytes: this agent %s; replay it with the agent that recorded it",
                known->name, known->size, known->own_size ? "has another form of it" : "does not know it");
        reader->event->source = known->own_source;
        reader->event->type = known->own_type;
        ret_entry->event = reader->event;
        ret_entry->size = size;
        return 1;
    }
    return fail_entry(reader, "a record is of no type that the head names");
}

static int read_answer(struct record_reader *reader, const char *body, size_t size,
                       struct record_entry *ret_entry)
{
    static char question[OUTSIDE_QUESTION_MAX + 1];
    struct record_answer_body head;
    if (size < sizeof(head))
        return fail_entry(reader, "an answer is too short");
    memcpy(&head, body, sizeof(head));
    if (head.question_size > OUTSIDE_QUESTION_MAX || head.question_size > size - sizeof(head) ||
        head.error > 0)
        return fail_entry(reader, "an answer does not hold together");
    memcpy(question, body + sizeof(head), head.question_size);
    question[head.question_size] = '\0';
    ret_entry->answer = (struct record_answer){
        .question = question,
        .lasting = head.lasting,
        .error = head.error,
        .data = body + sizeof(head) + head.question_size,
        .size = size - sizeof(head) - head.question_size,
    };
    return 1;
}

static int read_lost(struct record_reader *reader, const char *body, size_t size,
                     struct record_entry *ret_entry)
{
    struct record_lost_body head;
    const char *source = body + sizeof(head);
    if (size < sizeof(head) + 2 || body[size - 1] != '\0')
        return fail_entry(reader, "a count of losses is too short");
    memcpy(&head, body, sizeof(head));
    const char *reason = source + strlen(source) + 1;
    if (reason >= body + size || !is_name(source) || !is_name(reason))
        return fail_entry(reader, "a count of losses does not hold together");
    ret_entry->lost = (struct record_lost){.source = source, .reason = reason, .total = head.total};
    return 1;
}

static int read_types(struct record_reader *reader, const char *body, size_t size,
                      struct record_entry *ret_entry)
{
    if (size > 0 && body[size - 1] != '\0')
        return fail_entry(reader, "the list of types is cut off");
    for (const char *name = body; name < body + size; name += strlen(name) + 1)
        if (!is_name(name))
            return fail_entry(reader, "the list of types has something in it that is no name");
    ret_entry->types = (struct record_types){.names = body, .size = size};
    return 1;
}

static int read_tick(struct record_reader *reader, const char *body, size_t size,
                     struct record_entry *ret_entry)
{
    struct record_tick_body tick;
    if (size != sizeof(tick))
        return fail_entry(reader, "a tick of the clock has a wrong size");
    memcpy(&tick, body, sizeof(tick));
    ret_entry->tick =
        (struct record_tick){.boot_to_epoch_ns = tick.boot_to_epoch_ns, .utc_offset_s = tick.utc_offset_s};
    return 1;
}

static int read_end(struct record_reader *reader)
{
    char byte;
    if (reader->raw_used < reader->raw_size || read_some(reader, &byte, 1))
        return fail(reader, -EPROTO, reader->offset, "something follows the recording's end");
    reader->ended = true;
    return 0;
}

static int read_entry(struct record_reader *reader, struct record_entry *ret_entry)
{
    struct record_entry_head head;
    if (reader->raw_size - reader->raw_used < sizeof(head))
        return fail_entry(reader, "an entry is cut off");
    memcpy(&head, reader->raw + reader->raw_used, sizeof(head));
    reader->raw_used += sizeof(head);
    if (head.size > reader->raw_size - reader->raw_used)
        return fail_entry(reader, "an entry is longer than its block");
    const char *body = reader->raw + reader->raw_used;
    reader->raw_used += head.size;
    ret_entry->kind = head.kind;
    switch (ret_entry->kind) {
    case RECORD_EVENT:
        return read_event(reader, body, head.size, ret_entry);
    case RECORD_TICK:
        return read_tick(reader, body, head.size, ret_entry);
    case RECORD_SCAN:
        return 1;
    case RECORD_ANSWER:
        return read_answer(reader, body, head.size, ret_entry);
    case RECORD_LOST:
        return read_lost(reader, body, head.size, ret_entry);
    case RECORD_END:
        return read_end(reader);
    case RECORD_TYPES:
        return read_types(reader, body, head.size, ret_entry);
    }
    return fail_entry(reader, "an entry is of an unknown kind");
}

int record_reader_next(struct record_reader *reader, struct record_entry *ret_entry)
{
    if (reader->failure || reader->ended)
        return reader->failure;
    int error = reader->started ? 0 : start(reader);
    while (!error && reader->raw_used == reader->raw_size)
        error = frame_next(reader);
    return error ? error : read_entry(reader, ret_entry);
}
