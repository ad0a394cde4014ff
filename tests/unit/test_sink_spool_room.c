// What gives way when there is no room: what was read, then the least grave, then the oldest.
#include "spool_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

TestSuite(sink_spool_room, .init = spool_setup, .fini = spool_teardown);

enum { SIZE = 256 << 10, DATA = 1000 };

static void fill(struct spool *spool, enum priority priority, unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++)
        cr_assert_eq(spool_put(spool, priority, i, DATA), 0, "%u", i);
}

static uint64_t bytes_now(void)
{
    uint64_t bytes;
    spool_files("", &bytes);
    return bytes;
}

Test(sink_spool_room, the_oldest_go_first)
{
    struct spool *spool = spool_start(SIZE);
    struct spool_reader *reader = spool_read("a");
    fill(spool, PRIORITY_ERROR, 0, 1000);
    cr_expect_leq(bytes_now(), SIZE + 1024, "with the cursor");
    int first = spool_take(reader);
    cr_expect_gt(first, 700);
    cr_expect_lt(first, 850);
    cr_expect_eq(spool_reader_missed(reader), (uint64_t)first);
    for (int i = first + 1; i < 1000; i++)
        cr_assert_eq(spool_take(reader), i);
    spool_reader_close(&reader);
    spool_close(&spool);
}

Test(sink_spool_room, the_least_grave_go_first_and_are_refused_at_last)
{
    struct spool *spool = spool_start(SIZE);
    fill(spool, PRIORITY_DEBUG, 0, 100);
    fill(spool, PRIORITY_NOTICE, 100, 100);
    uint64_t debugs, notices;
    fill(spool, PRIORITY_CRITICAL, 200, 100);
    spool_files("p4.", &debugs);
    spool_files("p3.", &notices);
    cr_expect_lt(debugs, 60 * DATA);
    cr_expect_gt(notices, 100 * DATA);
    fill(spool, PRIORITY_CRITICAL, 300, 130);
    spool_files("p4.", &debugs);
    spool_files("p3.", &notices);
    cr_expect_lt(debugs, DATA);
    cr_expect_lt(notices, 20 * DATA);
    cr_expect_eq(spool_put(spool, PRIORITY_NOTICE, 999, 100 * DATA), -ENOBUFS);
    struct spool_reader *reader = spool_read("a");
    int taken;
    while ((taken = spool_take(reader)) >= 0 && taken < 200)
        ;
    for (int i = taken; i < 430; i++, taken = spool_take(reader))
        cr_assert_eq(taken, i, "the gravest are all there");
    spool_reader_close(&reader);
    spool_close(&spool);
}

Test(sink_spool_room, what_all_have_read_goes_before_anything_else)
{
    struct spool *spool = spool_start(SIZE);
    struct spool_reader *fast = spool_read("fast"), *slow = spool_read("slow");
    fill(spool, PRIORITY_DEBUG, 0, 30);
    fill(spool, PRIORITY_ERROR, 30, 150);
    for (int i = 0; i < 180; i++)
        cr_assert_eq(spool_take(fast), i);
    spool_commit_all(fast);
    size_t segments = spool_files("p2.", NULL);
    spool_tick(spool);
    cr_expect_eq(spool_files("p2.", NULL), segments, "one of two has read them");
    for (int i = 0; i < 120; i++)
        cr_assert_eq(spool_take(slow), i);
    spool_commit_all(slow);
    fill(spool, PRIORITY_ERROR, 180, 100);
    for (int i = 120; i < 280; i++)
        cr_assert_eq(spool_take(slow), i);
    cr_expect_eq(spool_reader_missed(slow), 0);
    spool_commit_all(slow);
    for (int i = 180; i < 280; i++)
        cr_assert_eq(spool_take(fast), i);
    spool_commit_all(fast);
    spool_tick(spool);
    cr_expect_eq(spool_files("p2.", NULL), 1);
    spool_reader_close(&fast);
    spool_reader_close(&slow);
    spool_close(&spool);
}

static int put_at(struct spool *spool, enum priority priority, uint64_t time_ns)
{
    struct spool_record record = {
        .kind = SPOOL_ALERT, .priority = priority, .time_ns = time_ns, .data = "0000001 ", .size = 8};
    return spool_append(spool, &record);
}

Test(sink_spool_room, the_old_go)
{
    struct config_spool options = spool_options(SIZE);
    options.age_s = 3600;
    struct spool *spool = spool_start_with(&options);
    const uint64_t hour = UINT64_C(3600000000000), now = spool_now_ns();
    cr_assert_eq(put_at(spool, PRIORITY_ERROR, now - 2 * hour), 0);
    cr_assert_eq(put_at(spool, PRIORITY_DEBUG, now - 2 * hour), 0);
    cr_assert_eq(put_at(spool, PRIORITY_DEBUG, now - hour / 2), 0);
    spool_tick(spool);
    struct spool_reader *reader = spool_read("a");
    struct spool_record record;
    cr_assert_eq(spool_reader_next(reader, &record), 1, "in one segment with one that is not old");
    cr_expect_eq(record.sequence, 2);
    cr_expect_eq(spool_take(reader), 1);
    cr_expect_eq(spool_take(reader), -1);
    cr_assert_eq(put_at(spool, PRIORITY_ERROR, now), 0);
    cr_assert_eq(spool_reader_next(reader, &record), 1);
    cr_expect_eq(record.sequence, 4);
    spool_reader_close(&reader);
    spool_close(&spool);
}

Test(sink_spool_room, what_is_too_large_is_refused)
{
    struct spool *spool = spool_start(SIZE);
    cr_expect_eq(spool_put(spool, PRIORITY_CRITICAL, 0, SIZE), -EMSGSIZE);
    cr_expect_eq(spool_put(spool, PRIORITY_CRITICAL, 1, SIZE / 2), 0);
    cr_expect_eq(spool_put(spool, PRIORITY_CRITICAL, 2, SIZE / 2 + 1000), 0);
    struct spool_reader *reader = spool_read("a");
    cr_expect_eq(spool_take(reader), 2);
    spool_reader_close(&reader);
    spool_close(&spool);
    spool = spool_start(64 << 20);
    cr_expect_eq(spool_put(spool, PRIORITY_CRITICAL, 3, SPOOL_DATA_MAX), 0);
    cr_expect_eq(spool_put(spool, PRIORITY_CRITICAL, 4, SPOOL_DATA_MAX + 1), -EMSGSIZE);
    reader = spool_read("b");
    cr_expect_eq(spool_take(reader), 2);
    cr_expect_eq(spool_take(reader), 3);
    cr_expect_eq(spool_take(reader), -1);
    spool_reader_close(&reader);
    spool_close(&spool);
}

// A limit of the size of files is what a full disk looks like to a writer: the write comes part of the way,
// and the next one fails.
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_IGN);
}

Test(sink_spool_room, a_write_that_comes_half_through_leaves_nothing_behind)
{
    struct spool *spool = spool_start(SIZE);
    struct spool_reader *reader = spool_read("a");
    fill(spool, PRIORITY_CRITICAL, 0, 2);
    uint64_t whole = bytes_now();
    limit_files(3000);
    cr_expect_eq(spool_put(spool, PRIORITY_CRITICAL, 2, DATA), -ENOSPC, "part of it");
    cr_expect_eq(bytes_now(), whole);
    cr_expect_eq(spool_put(spool, PRIORITY_CRITICAL, 3, 500), 0, "a shorter one fits");
    cr_expect_lt(spool_put(spool, PRIORITY_CRITICAL, 4, DATA), 0);
    cr_expect_eq(spool_next_sequence(spool), 4);
    limit_files(RLIM_INFINITY);
    fill(spool, PRIORITY_CRITICAL, 5, 1);
    static const int expected[] = {0, 1, 3, 5};
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        cr_expect_eq(spool_take(reader), expected[i]);
    cr_expect_eq(spool_take(reader), -1);
    cr_expect_eq(spool_reader_missed(reader), 0);
    spool_commit_all(reader);
    spool_reader_close(&reader);
    spool_close(&spool);
}

Test(sink_spool_room, on_a_full_disk_the_less_grave_give_way)
{
    struct spool *spool = spool_start(SIZE);
    struct spool_reader *reader = spool_read("a");
    fill(spool, PRIORITY_DEBUG, 0, 40);
    size_t segments = spool_files("p4.", NULL);
    cr_assert_gt(segments, 3);
    limit_files(0);
    // Nothing can be written at all: whatever gives way, it does not help, and the spool still holds.
    cr_expect_lt(spool_put(spool, PRIORITY_DEBUG, 100, DATA), 0);
    cr_expect_eq(spool_files("p4.", NULL), segments, "the same class does not give way");
    cr_expect_lt(spool_put(spool, PRIORITY_CRITICAL, 101, DATA), 0);
    cr_expect_eq(spool_files("p4.", NULL), 1);
    spool_tick(spool);
    limit_files(RLIM_INFINITY);
    cr_expect_eq(spool_put(spool, PRIORITY_CRITICAL, 102, DATA), 0);
    int taken, last = -1;
    while ((taken = spool_take(reader)) >= 0)
        last = taken;
    cr_expect_eq(last, 102);
    spool_reader_close(&reader);
    spool_close(&spool);
}

// It goes on reading what it has open, and counts the rest.
Test(sink_spool_room, a_reader_survives_deletion_under_it)
{
    struct spool *spool = spool_start(SIZE);
    struct spool_reader *reader = spool_read("a");
    fill(spool, PRIORITY_ERROR, 0, 100);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(spool_take(reader), i);
    fill(spool, PRIORITY_ERROR, 100, 400);
    int last = 3, count = 4, taken;
    while ((taken = spool_take(reader)) >= 0) {
        cr_assert_gt(taken, last);
        last = taken;
        count++;
    }
    cr_expect_eq(last, 499);
    cr_expect_lt(count, 300);
    cr_expect_eq(spool_reader_missed(reader), 500 - (uint64_t)count);
    spool_commit_all(reader);
    cr_expect_eq(spool_waiting("a"), 0);
    spool_reader_close(&reader);
    spool_close(&spool);
}
