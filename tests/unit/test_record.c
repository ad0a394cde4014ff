#include "record_file.h"

#include "../../user/record/format.h"

#include <zlib.h>

static struct recording recording;
static char words[512];

// tick, passwd, scan, its answer, three times (exit, two answers), lost
enum { ENTRIES = 4 + 3 * 3 + 1 };

Test(record, round_trip)
{
    record_make(&recording, true);
    FILE *stream = fmemopen(recording.data, recording.size, "r");
    struct record_reader *reader = NULL;
    struct record_entry entry;
    cr_assert_eq(record_reader_new(stream, &reader), 0);

    cr_assert_eq(record_reader_next(reader, &entry), 1);
    cr_assert_eq(entry.kind, RECORD_TICK);
    cr_expect_eq(entry.tick.boot_to_epoch_ns, 12345);
    cr_expect_eq(entry.tick.utc_offset_s, -3600);
    cr_assert_eq(record_reader_next(reader, &entry), 1);
    cr_assert_eq(entry.kind, RECORD_ANSWER);
    cr_expect_str_eq(entry.answer.question, "passwd");
    cr_expect(entry.answer.lasting);
    cr_expect_eq(entry.answer.size, strlen("passwd!"));
    cr_expect_eq(memcmp(entry.answer.data, "passwd!", entry.answer.size), 0);
    cr_assert_eq(record_reader_next(reader, &entry), 1);
    cr_assert_eq(entry.kind, RECORD_SCAN);
    cr_assert_eq(record_reader_next(reader, &entry), 1);
    cr_expect_not(entry.answer.lasting);
    for (uint32_t pid = 1; pid <= 3; pid++) {
        struct wire_process_procexit exit = record_exit_of(pid);
        cr_assert_eq(record_reader_next(reader, &entry), 1);
        cr_assert_eq(entry.kind, RECORD_EVENT);
        cr_assert_eq(entry.size, sizeof(exit));
        cr_expect_eq(memcmp(entry.event, &exit, sizeof(exit)), 0);
        cr_assert_eq(record_reader_next(reader, &entry), 1);
        cr_assert_eq(record_reader_next(reader, &entry), 1);
        cr_expect_str_eq(entry.answer.question, "nothing");
        cr_expect_eq(entry.answer.error, -ENOENT);
        // passwd has not changed and is not written again.
    }
    cr_assert_eq(record_reader_next(reader, &entry), 1);
    cr_assert_eq(entry.kind, RECORD_LOST);
    cr_expect_str_eq(entry.lost.source, "process");
    cr_expect_str_eq(entry.lost.reason, "ring_full");
    cr_expect_eq(entry.lost.total, 7);
    cr_expect_eq(record_reader_next(reader, &entry), 0);
    cr_expect_str_eq(record_reader_error(reader), "");
    record_reader_free(&reader);
    fclose(stream);
}

Test(record, cut_anywhere_it_is_noticed_and_the_rest_is_read)
{
    size_t entries, before = 0;
    record_make(&recording, true);
    for (size_t size = 0; size < recording.size; size++) {
        cr_expect_eq(record_read(recording.data, size, &entries, words), -EPROTO, "%zu bytes", size);
        cr_expect(strstr(words, "offset "), "%s", words);
        cr_expect_geq(entries, before, "%zu bytes", size);
        before = entries;
    }
    cr_expect_eq(before, 4 + 2 * 3, "all blocks before the last one");
    cr_expect_eq(record_read(recording.data, recording.size, &entries, words), 0);
    cr_expect_eq(entries, ENTRIES);
}

Test(record, without_its_end_mark_it_says_so)
{
    size_t entries;
    record_make(&recording, false);
    cr_expect_eq(record_read(recording.data, recording.size, &entries, words), -EPROTO);
    cr_expect_eq(entries, ENTRIES);
    cr_expect(strstr(words, "no end mark"), "%s", words);
}

Test(record, something_behind_the_end_is_noticed)
{
    size_t entries;
    record_make(&recording, true);
    recording.data[recording.size] = 'x';
    cr_expect_eq(record_read(recording.data, recording.size + 1, &entries, words), -EPROTO);
    cr_expect_eq(entries, ENTRIES);
    cr_expect(strstr(words, "follows the recording's end"), "%s", words);
}

Test(record, every_flipped_bit_is_noticed)
{
    size_t entries;
    record_make(&recording, true);
    for (size_t bit = 0; bit < recording.size * 8; bit++) {
        recording.data[bit / 8] ^= (char)(1 << bit % 8);
        cr_expect_eq(record_read(recording.data, recording.size, &entries, words), -EPROTO, "bit %zu", bit);
        recording.data[bit / 8] ^= (char)(1 << bit % 8);
    }
}

// Where the first block begins.
static size_t first_block(void)
{
    struct record_head head;
    memcpy(&head, recording.data, sizeof(head));
    return sizeof(head) + head.table_size;
}

static void expect_words(const char *expected)
{
    size_t entries;
    cr_expect_eq(record_read(recording.data, recording.size, &entries, words), -EPROTO);
    cr_expect(strstr(words, expected), "\"%s\" is not in: %s", expected, words);
}

static void seal_head(struct record_head *head)
{
    uLong crc = crc32(0, (const Bytef *)head, offsetof(struct record_head, crc));
    head->crc = (uint32_t)crc32(crc, (const Bytef *)recording.data + sizeof(*head), head->table_size);
    memcpy(recording.data, head, sizeof(*head));
}

Test(record, other_files_and_other_builds)
{
    struct record_head head;
    record_make(&recording, true);
    memcpy(&head, recording.data, sizeof(head));

    struct record_head changed = head;
    changed.version = 99;
    seal_head(&changed);
    expect_words("of format 99");
    changed = head;
    changed.byte_order = 0x04030201;
    seal_head(&changed);
    expect_words("another byte order");
    memcpy(recording.data, &head, sizeof(head));

    char *known = memmem(recording.data, recording.size, "process procexit 96", 19);
    cr_assert(known);
    memcpy(known, "process procexit 88", 19);
    seal_head(&head);
    expect_words("another form of it");
    memcpy(known, "process procexot 96", 19);
    seal_head(&head);
    expect_words("\"process procexot\" of 96 bytes: this agent does not know it");
    memcpy(known, "process procex\33c 96", 19);
    seal_head(&head);
    expect_words("the head is damaged: its table of records cannot be read");
    memcpy(known, "pro\33ess procexit 96", 19);
    seal_head(&head);
    expect_words("the head is damaged: its table of records cannot be read");
    memcpy(recording.data, "- rule: ", 8);
    expect_words("not a recording");
}

Test(record, lengths_that_cannot_be)
{
    static const struct record_frame frames[] = {
        {.stored = UINT32_MAX, .raw = 100},
        {.stored = 100, .raw = UINT32_MAX},
        {.stored = 0, .raw = RECORD_RAW_MAX},
        {.stored = RECORD_STORED_MAX, .raw = RECORD_RAW_MAX},
        {.stored = 16, .raw = 0},
    };
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        size_t entries;
        record_make(&recording, true);
        memcpy(recording.data + first_block(), &frames[i], sizeof(frames[i]));
        cr_expect_eq(record_read(recording.data, recording.size, &entries, words), -EPROTO, "frame %zu", i);
        cr_expect_eq(entries, 0);
    }
    record_make(&recording, true);
    struct record_head head;
    memcpy(&head, recording.data, sizeof(head));
    head.table_size = UINT32_MAX;
    memcpy(recording.data, &head, sizeof(head));
    expect_words("the head is damaged");
}

// A block with these entries, its checksum right: what a file that was made to do harm looks like.
static void put_block(const void *raw, size_t size)
{
    z_stream stream = {};
    size_t at = first_block();
    struct record_frame frame = {.raw = (uint32_t)size};
    cr_assert_eq(deflateInit2(&stream, 1, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (Bytef *)raw;
    stream.avail_in = (uInt)size;
    stream.next_out = (Bytef *)recording.data + at + sizeof(frame);
    stream.avail_out = 65536;
    cr_assert_eq(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
    frame.stored = 65536 - stream.avail_out;
    deflateEnd(&stream);
    uLong crc = crc32(0, (const Bytef *)&frame, offsetof(struct record_frame, crc));
    frame.crc = (uint32_t)crc32(crc, (const Bytef *)recording.data + at + sizeof(frame), frame.stored);
    memcpy(recording.data + at, &frame, sizeof(frame));
    recording.size = at + sizeof(frame) + frame.stored;
}

Test(record, entries_that_do_not_hold_together)
{
    static const struct {
        struct record_entry_head head;
        char body[24];
        size_t size;
        const char *words;
    } cases[] = {
        {{100, RECORD_EVENT}, "", 24, "longer than its block"},
        {{UINT32_MAX, RECORD_EVENT}, "", 24, "longer than its block"},
        {{24, RECORD_EVENT}, "", 24, "a record is too short"},
        {{8, RECORD_TICK}, "", 8, "wrong size"},
        {{4, RECORD_ANSWER}, "", 4, "an answer is too short"},
        {{8, RECORD_ANSWER}, "\xff\xff", 8, "an answer does not hold together"},
        {{9, RECORD_ANSWER}, "\x01\x00\x00\x00\x01\x00\x00\x00q", 9, "an answer does not hold together"},
        {{9, RECORD_LOST}, "", 9, "too short"},
        {{11, RECORD_LOST}, "12345678abc", 11, "too short"},
        {{11, RECORD_LOST}, "12345678ab\0", 11, "does not hold together"},
        {{13, RECORD_LOST}, "12345678\33c\0a\0", 13, "does not hold together"},
        {{13, RECORD_LOST}, "12345678ab\0\7\0", 13, "does not hold together"},
        {{0, 77}, "", 0, "unknown kind"},
        {{4, RECORD_TYPES}, "open", 4, "list of types is cut off"},
        {{6, RECORD_TYPES}, "open\0\0", 6, "that is no name"},
        {{4, RECORD_TYPES}, "\33[m\0", 4, "that is no name"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char raw[64];
        record_make(&recording, true);
        memcpy(raw, &cases[i].head, sizeof(cases[i].head));
        memcpy(raw + sizeof(cases[i].head), cases[i].body, cases[i].size);
        put_block(raw, sizeof(cases[i].head) + cases[i].size);
        expect_words(cases[i].words);
    }
    record_make(&recording, true);
    put_block("abc", 3);
    expect_words("an entry is cut off");
}

Test(record, an_error_of_the_file_is_kept)
{
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct record_writer *writer = NULL;
    cr_expect_eq(record_writer_new(fd, &writer), -ENOSPC);
    cr_expect_null(writer);
    close(fd);
}

static int create_in(const char *directory, const char *name, char *ret_path)
{
    int fd = -1;
    sprintf(ret_path, "%s/%s", directory, name);
    int error = record_create(ret_path, &fd);
    if (fd >= 0)
        close(fd);
    return error;
}

static void put_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
}

Test(record, only_a_recording_is_replaced)
{
    char directory[] = "/tmp/record-XXXXXX", path[128], other[128], link[128];
    struct stat status;
    cr_assert(mkdtemp(directory));
    cr_expect_eq(create_in(directory, "new", path), 0);
    cr_assert_eq(stat(path, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0600);

    put_file(path, RECORD_MAGIC "rest");
    chmod(path, 0644);
    cr_expect_eq(create_in(directory, "new", path), 0);
    cr_assert_eq(stat(path, &status), 0);
    cr_expect_eq(status.st_size, 0);
    cr_expect_eq(status.st_mode & 0777, 0600);

    int writing = -1;
    cr_assert_eq(record_create(path, &writing), 0);
    cr_expect_eq(create_in(directory, "new", path), -EBUSY, "another recorder writes it");
    close(writing);
    cr_expect_eq(create_in(directory, "new", path), 0);

    sprintf(other, "%s/shadow", directory);
    put_file(other, "root:x:0:0");
    cr_expect_eq(create_in(directory, "shadow", path), -EEXIST);
    cr_assert_eq(stat(other, &status), 0);
    cr_expect_eq(status.st_size, 10);

    sprintf(link, "%s/link", directory);
    cr_assert_eq(symlink(other, link), 0);
    cr_expect_eq(create_in(directory, "link", path), -ELOOP, "nobody leads the recorder elsewhere");
    cr_assert_eq(stat(other, &status), 0);
    cr_expect_eq(status.st_size, 10);
    unlink(link);
    unlink(other);
    sprintf(path, "%s/new", directory);
    unlink(path);
    rmdir(directory);
}

// Records that are no events are recorded and known again like all others.
Test(record, what_sources_learn_from)
{
    uint16_t id = 0;
    while (source_at(id) && !source_at(id)->learn)
        id++;
    cr_assert(source_at(id), "no source learns");
    uint32_t size = (uint32_t)source_at(id)->record_size(0);
    struct wire_header *learnt = calloc(1, size);
    *learnt = (struct wire_header){.size = size, .source = id, .time_ns = 5};
    int fd = memfd_create("recording", MFD_CLOEXEC);
    struct record_writer *writer = NULL;
    cr_assert_eq(record_writer_new(fd, &writer), 0);
    record_writer_event(writer, learnt, size);
    cr_assert_eq(record_writer_end(writer), 0);
    record_writer_free(&writer);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);

    FILE *stream = fdopen(fd, "r");
    struct record_reader *reader = NULL;
    struct record_entry entry;
    cr_assert_eq(record_reader_new(stream, &reader), 0);
    cr_assert_eq(record_reader_next(reader, &entry), 1, "%s", record_reader_error(reader));
    cr_expect_eq(entry.kind, RECORD_EVENT);
    cr_expect_eq(entry.event->source, id);
    cr_expect_eq(entry.event->type, 0);
    cr_expect_eq(entry.size, size);
    cr_expect_eq(record_reader_next(reader, &entry), 0, "%s", record_reader_error(reader));
    record_reader_free(&reader);
    fclose(stream);
    free(learnt);
}
