// A part of the disk that cannot be read costs the records in it; the agent starts, and all others are
// delivered.
#include "spool_fixture.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

TestSuite(sink_spool_unreadable, .init = spool_setup, .fini = spool_teardown);

// Segments of 4 KiB with four records each.
enum { HEAD = 48, FRAME = 64, DATA = 1000, RECORD = FRAME + DATA };

// --- The disk: reading this file from there on is an error, as the kernel tells it ---

static ino_t bad_file;
static off_t bad_from;

ssize_t pread(int fd, void *buffer, size_t size, off_t offset)
{
    struct stat status;
    if (bad_file && fstat(fd, &status) == 0 && status.st_ino == bad_file) {
        if (offset >= bad_from) {
            errno = EIO;
            return -1;
        }
        size = offset + (off_t)size > bad_from ? (size_t)(bad_from - offset) : size;
    }
    return syscall(SYS_pread64, fd, buffer, size, offset);
}

static void spoil(const char *name, off_t from)
{
    struct stat status;
    cr_assert_eq(stat(spool_file(name), &status), 0);
    bad_file = status.st_ino;
    bad_from = from;
}

// --- Twelve records in three segments, of which an output has read none ---

static const char *const readers[] = {"a"};

static void fill(void)
{
    struct spool *spool = spool_start(64 << 10);
    cr_assert_eq(spool_set_readers(spool, readers, 1), 0);
    struct spool_reader *reader = spool_read("a");
    for (unsigned i = 0; i < 12; i++)
        cr_assert_eq(spool_put(spool, PRIORITY_CRITICAL, i, DATA), 0);
    spool_commit_all(reader);
    spool_reader_close(&reader);
    spool_close(&spool);
}

// The agent starts, and what is put into the spool then gets out of it behind the records that are left.
static uint64_t start_and_read(const int *left, size_t count)
{
    struct spool *spool = spool_start(64 << 10);
    cr_expect_eq(spool_metric("inferscope_spool_damaged_total", "unreadable"), 1);
    cr_assert_eq(spool_set_readers(spool, readers, 1), 0);
    uint64_t first = spool_next_sequence(spool);
    struct spool_reader *reader = spool_read("a");
    for (unsigned i = 100; i < 103; i++)
        cr_assert_eq(spool_put(spool, PRIORITY_CRITICAL, i, DATA), 0);
    for (size_t i = 0; i < count; i++)
        cr_expect_eq(spool_take(reader), left[i]);
    for (int i = 100; i < 103; i++)
        cr_expect_eq(spool_take(reader), i);
    cr_expect_eq(spool_take(reader), -1);
    uint64_t missed = spool_reader_missed(reader);
    cr_expect_geq(missed, 12 - count);
    // No number is given away twice: the twelve had 1 to 12.
    cr_expect_gt(first, 12);
    spool_commit_all(reader);
    spool_reader_close(&reader);
    spool_close(&spool);
    return missed;
}

Test(sink_spool_unreadable, a_segment_in_the_middle)
{
    static const int left[] = {0, 1, 2, 3, 8, 9, 10, 11};
    fill();
    spoil("p1.00000000000000000004", 0);
    cr_expect_eq(start_and_read(left, 8), 4);
}

Test(sink_spool_unreadable, the_newest_segment)
{
    static const int left[] = {0, 1, 2, 3, 4, 5, 6, 7};
    fill();
    spoil("p1.00000000000000000008", 0);
    start_and_read(left, 8);
}

Test(sink_spool_unreadable, the_end_of_the_newest_segment)
{
    static const int left[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    fill();
    spoil("p1.00000000000000000008", HEAD + RECORD + FRAME + 10);
    start_and_read(left, 9);
}

Test(sink_spool_unreadable, what_can_be_read_again_is_not_mistaken_for_another)
{
    static const int left[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    fill();
    spoil("p1.00000000000000000008", 0);
    struct spool *spool = spool_start(64 << 10);
    cr_assert_eq(spool_put(spool, PRIORITY_CRITICAL, 50, DATA), 0);
    bad_file = 0;
    struct spool_reader *reader = spool_read("a");
    for (size_t i = 0; i < ARRAY_SIZE(left); i++)
        cr_expect_eq(spool_take(reader), left[i]);
    cr_expect_eq(spool_take(reader), 50);
    spool_reader_close(&reader);
    spool_close(&spool);
    // And the next start finds all in order.
    spool = spool_start(64 << 10);
    cr_expect_eq(spool_metric("inferscope_spool_damaged_total", "unreadable"), 0);
    spool_close(&spool);
}
