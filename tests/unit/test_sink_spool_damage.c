// What is torn or damaged costs what was in that place and nothing else, and is counted.
#include "spool_fixture.h"

#include <unistd.h>

TestSuite(sink_spool_damage, .init = spool_setup, .fini = spool_teardown);

enum { HEAD = 48, FRAME = 64, DATA = 100, RECORD = FRAME + DATA };

static size_t make_file(unsigned count, char *ret_bytes, size_t capacity)
{
    struct spool *spool = spool_start(1 << 20);
    for (unsigned i = 0; i < count; i++)
        cr_assert_eq(spool_put(spool, PRIORITY_CRITICAL, i, DATA), 0);
    spool_close(&spool);
    int fd = open(spool_file(SPOOL_FIRST_P1), O_RDONLY);
    ssize_t size = read(fd, ret_bytes, capacity);
    cr_assert_eq(size, HEAD + count * RECORD);
    close(fd);
    return (size_t)size;
}

static void write_bytes(const char *name, const void *bytes, size_t size)
{
    int fd = open(spool_file(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_eq(write(fd, bytes, size), (ssize_t)size);
    close(fd);
}

static void clear(void)
{
    DIR *directory = opendir(spool_dir);
    cr_assert(directory);
    for (const struct dirent *file; (file = readdir(directory));)
        if (file->d_name[0] != '.')
            cr_assert_eq(unlinkat(dirfd(directory), file->d_name, 0), 0);
    closedir(directory);
}

Test(sink_spool_damage, a_tail_torn_at_any_byte_costs_one_record)
{
    enum { COUNT = 3 };
    char bytes[4096];
    size_t size = make_file(COUNT, bytes, sizeof(bytes));
    for (size_t length = 0; length <= size; length++) {
        clear();
        write_bytes(SPOOL_FIRST_P1, bytes, length);
        // A reader that is there before the writer waits for the rest.
        struct spool_reader *early = spool_read("early"), *late;
        int whole = length < HEAD ? 0 : (int)((length - HEAD) / RECORD);
        for (int i = 0; i < whole; i++)
            cr_assert_eq(spool_take(early), i, "length %zu", length);
        cr_assert_eq(spool_take(early), -1, "length %zu", length);

        struct spool *spool = spool_start(1 << 20);
        cr_assert_eq(spool_metric("inferscope_spool_damaged_total", "torn"),
                     length > HEAD && (length - HEAD) % RECORD, "length %zu", length);
        cr_assert_eq(spool_metric("inferscope_spool_damaged_total", "checksum"), length < HEAD);
        cr_assert_eq(spool_metric("inferscope_spool_records", "p1"), whole);
        cr_assert_eq(spool_next_sequence(spool), (uint64_t)whole + 1);
        cr_assert_eq(spool_put(spool, PRIORITY_CRITICAL, 77, DATA / 2), 0);
        cr_assert_eq(spool_take(early), 77, "length %zu", length);
        late = spool_read("late");
        for (int i = 0; i < whole; i++)
            cr_assert_eq(spool_take(late), i);
        cr_assert_eq(spool_take(late), 77);
        cr_assert_eq(spool_take(late), -1);
        cr_assert_eq(spool_reader_missed(early) + spool_reader_missed(late), 0);
        spool_reader_close(&early);
        spool_reader_close(&late);
        spool_close(&spool);
    }
}

// Each record is given unchanged or not at all, and then missed or counted; the others are all there.
Test(sink_spool_damage, each_flipped_bit_is_noticed)
{
    enum { COUNT = 3 };
    char bytes[4096];
    size_t size = make_file(COUNT, bytes, sizeof(bytes));
    for (size_t bit = 0; bit < size * 8; bit++) {
        clear();
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        write_bytes(SPOOL_FIRST_P1, bytes, size);
        size_t hurt = bit / 8 < HEAD ? COUNT : (bit / 8 - HEAD) / RECORD;
        struct spool_reader *reader = spool_read("a");
        struct spool *spool = NULL;
        struct config_spool options = spool_options(1 << 20);
        int error = spool_open(&options, &spool);
        cr_assert_eq(error, 0, "bit %zu", bit);
        double counted = spool_metric("inferscope_spool_damaged_total", NULL);
        cr_assert_eq(counted, 1, "bit %zu: %f", bit, counted);
        cr_assert_eq(spool_put(spool, PRIORITY_CRITICAL, COUNT, DATA), 0);
        for (size_t i = 0; i <= COUNT; i++) {
            struct spool_record record;
            // The number of the last one was not known any more.
            if (i == hurt && hurt < COUNT)
                continue;
            cr_assert_eq(spool_reader_next(reader, &record), 1, "bit %zu, record %zu", bit, i);
            cr_assert_eq(atoi(record.data), (int)i, "bit %zu", bit);
            cr_assert_eq(record.sequence, i + 1 - (hurt == COUNT - 1 && i == COUNT));
            cr_assert_eq(record.priority, PRIORITY_CRITICAL);
            for (size_t k = 8; k < DATA; k++)
                cr_assert_eq(record.data[k], 'x');
        }
        cr_assert_eq(spool_take(reader), -1);
        cr_assert_eq(spool_reader_missed(reader), hurt < COUNT - 1, "bit %zu", bit);
        spool_reader_close(&reader);
        spool_close(&spool);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
}

Test(sink_spool_damage, a_reader_at_work_passes_over_it_when_there_is_more)
{
    struct spool *spool = spool_start(1 << 20);
    struct spool_reader *reader = spool_read("a");
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(spool_put(spool, PRIORITY_CRITICAL, i, DATA), 0);
    cr_expect_eq(spool_take(reader), 0);
    int fd = open(spool_file(SPOOL_FIRST_P1), O_WRONLY);
    // The last two: nothing behind them proves that they will not be complete yet.
    for (int i = 2; i < 4; i++)
        cr_assert_eq(pwrite(fd, "?", 1, HEAD + i * RECORD + FRAME + 9), 1);
    close(fd);
    struct spool_reader *other = spool_read("b");
    cr_expect_eq(spool_take(other), 0);
    cr_expect_eq(spool_take(other), 1);
    cr_expect_eq(spool_take(other), -1);
    cr_expect_eq(spool_reader_missed(other), 0);
    cr_assert_eq(spool_put(spool, PRIORITY_CRITICAL, 4, DATA), 0);
    cr_expect_eq(spool_take(other), 4);
    cr_expect_eq(spool_reader_missed(other), 2);
    spool_reader_close(&reader);
    spool_reader_close(&other);
    spool_close(&spool);
}

Test(sink_spool_damage, a_whole_segment_of_rubbish_is_passed_over)
{
    struct spool *spool = spool_start(128 << 10);
    struct spool_reader *reader = spool_read("a");
    for (unsigned i = 0; i < 100; i++)
        cr_assert_eq(spool_put(spool, PRIORITY_CRITICAL, i, 1000), 0);
    size_t segments = spool_files("p1.", NULL);
    cr_assert_gt(segments, 4);
    static char rubbish[100000];
    memset(rubbish, 0xff, sizeof(rubbish));
    write_bytes(SPOOL_FIRST_P1, rubbish, sizeof(rubbish));
    struct spool_record record;
    cr_assert_eq(spool_reader_next(reader, &record), 1);
    uint64_t missed = spool_reader_missed(reader);
    cr_expect_gt(missed, 0);
    cr_expect_eq(record.sequence, missed + 1);
    for (uint64_t i = missed + 1; i < 100; i++)
        cr_expect_eq(spool_take(reader), (int)i);
    cr_assert_eq(spool_reader_rewind(reader), 0);
    cr_expect_eq(spool_take(reader), (int)missed);
    cr_expect_eq(spool_reader_missed(reader), missed, "counted once");
    spool_reader_close(&reader);
    spool_close(&spool);
}

Test(sink_spool_damage, a_cursor_that_is_damaged_repeats_and_loses_nothing)
{
    struct spool *spool = spool_start(1 << 20);
    struct spool_reader *reader = spool_read("a");
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(spool_put(spool, PRIORITY_CRITICAL, i, DATA), 0);
    cr_expect_eq(spool_take(reader), 0);
    spool_commit_all(reader);
    cr_expect_eq(spool_take(reader), 1);
    spool_commit_all(reader);
    spool_reader_close(&reader);
    // The slot that was written last is torn: the one before it counts.
    int fd = open(spool_file("cursor.a"), O_RDWR);
    char slot[32];
    cr_assert_eq(pread(fd, slot, sizeof(slot), 512), sizeof(slot));
    bool second_is_newer = slot[8] == 3;
    cr_assert_eq(pwrite(fd, "?", 1, second_is_newer ? 512 + 16 : 16), 1);
    reader = spool_read("a");
    cr_expect_eq(spool_take(reader), 1);
    spool_reader_close(&reader);
    cr_assert_eq(ftruncate(fd, 0), 0);
    close(fd);
    reader = spool_read("a");
    cr_expect_eq(spool_take(reader), 0);
    cr_expect_eq(spool_reader_missed(reader), 0);
    spool_reader_close(&reader);
    spool_close(&spool);
}

Test(sink_spool_damage, another_versions_spool_is_left_alone)
{
    char bytes[4096];
    size_t size = make_file(1, bytes, sizeof(bytes));
    bytes[8] = 2;
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < HEAD - 4; i++) {
        crc ^= (unsigned char)bytes[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    crc = ~crc;
    memcpy(bytes + HEAD - 4, &crc, 4);
    write_bytes(SPOOL_FIRST_P1, bytes, size);
    struct config_spool options = spool_options(1 << 20);
    struct spool *spool = NULL;
    cr_expect_eq(spool_open(&options, &spool), -EPROTONOSUPPORT);
}
