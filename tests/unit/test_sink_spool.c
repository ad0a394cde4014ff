// What goes into the spool comes out of it, once, in order, also after a restart.
#include "spool_fixture.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(sink_spool, .init = spool_setup, .fini = spool_teardown);

Test(sink_spool, gives_what_was_put_in_with_its_name_and_number)
{
    struct spool *spool = spool_start(1 << 20);
    struct spool_reader *reader = spool_read("a");
    cr_expect_eq(spool_take(reader), -1);
    struct spool_record record = {.kind = SPOOL_ALERT,
                                  .priority = PRIORITY_WARNING,
                                  .time_ns = 1700000000123456789,
                                  .data = "{\"rule\":\"a\"}",
                                  .size = 12};
    cr_assert_eq(spool_append(spool, &record), 0);
    cr_expect_eq(record.sequence, 1);
    // RFC 9562: version 7, variant 10, and the milliseconds 0x018bcfe5687b in front.
    cr_expect_eq(strncmp(record.uuid, "018bcfe5-687b-7", 15), 0, "%s", record.uuid);
    cr_expect(strchr("89ab", record.uuid[19]), "%s", record.uuid);
    cr_expect_eq(strlen(record.uuid), 36);

    struct spool_record read;
    cr_assert_eq(spool_reader_next(reader, &read), 1);
    cr_expect_eq(read.kind, SPOOL_ALERT);
    cr_expect_eq(read.priority, PRIORITY_WARNING);
    cr_expect_eq(read.sequence, 1);
    cr_expect_eq(read.time_ns, record.time_ns);
    cr_expect_str_eq(read.uuid, record.uuid);
    cr_expect_eq(read.size, 12);
    cr_expect_eq(memcmp(read.data, record.data, 12), 0);
    cr_expect_eq(spool_reader_next(reader, &read), 0);
    spool_reader_close(&reader);
    spool_close(&spool);
}

Test(sink_spool, classes_come_in_order_of_sequence)
{
    struct spool *spool = spool_start(1 << 20);
    for (unsigned i = 0; i < 800; i++)
        cr_assert_eq(spool_put(spool, (enum priority)(i * 7 % 8), i, 8 + i % 300), 0);
    struct spool_reader *reader = spool_read("a");
    cr_expect_eq(spool_waiting("a"), 800);
    for (int i = 0; i < 800; i++)
        cr_assert_eq(spool_take(reader), i);
    cr_expect_eq(spool_take(reader), -1);
    cr_expect_eq(spool_reader_missed(reader), 0);
    cr_expect_eq(spool_waiting("a"), 800);
    spool_commit_all(reader);
    cr_expect_eq(spool_waiting("a"), 0);
    spool_reader_close(&reader);
    spool_close(&spool);
}

Test(sink_spool, a_reader_goes_on_where_it_committed)
{
    struct spool *spool = spool_start(1 << 20);
    struct spool_reader *reader = spool_read("a");
    struct spool_position at_10;
    for (unsigned i = 0; i < 40; i++)
        cr_assert_eq(spool_put(spool, i % 2 ? PRIORITY_CRITICAL : PRIORITY_DEBUG, i, 2000), 0);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(spool_take(reader), i);
        if (i == 9)
            at_10 = spool_reader_position(reader);
    }
    cr_assert_eq(spool_reader_commit(reader, &at_10), 0);
    cr_expect_eq(spool_waiting("a"), 30);
    cr_assert_eq(spool_reader_rewind(reader), 0);
    cr_expect_eq(spool_take(reader), 10);
    spool_reader_close(&reader);
    reader = spool_read("a");
    for (int i = 10; i < 40; i++)
        cr_assert_eq(spool_take(reader), i);
    cr_expect_eq(spool_reader_missed(reader), 0);
    struct spool_reader *other = spool_read("b");
    cr_expect_eq(spool_take(other), 0, "another output has a place of its own");
    spool_reader_close(&other);
    spool_reader_close(&reader);
    spool_close(&spool);
}

Test(sink_spool, an_output_that_is_new_begins_with_what_is_new)
{
    struct spool *spool = spool_start(1 << 20);
    cr_assert_eq(spool_set_readers(spool, (const char *[]){"a", "b"}, 2), 0);
    cr_assert_eq(spool_put(spool, PRIORITY_ERROR, 0, 100), 0);
    cr_assert_eq(spool_set_readers(spool, (const char *[]){"a", "c"}, 2), 0);
    cr_assert_eq(spool_put(spool, PRIORITY_ERROR, 1, 100), 0);
    struct spool_reader *a = spool_read("a"), *c = spool_read("c");
    cr_expect_eq(spool_take(a), 0);
    cr_expect_eq(spool_take(c), 1);
    cr_expect_eq(spool_reader_missed(c), 0);
    cr_expect_eq(spool_files("cursor.b", NULL), 0);
    spool_reader_close(&a);
    spool_reader_close(&c);
    spool_close(&spool);
}

Test(sink_spool, numbers_go_on_after_a_restart_also_where_all_was_read)
{
    struct spool *spool = spool_start(64 << 10);
    struct spool_reader *reader = spool_read("a");
    for (unsigned i = 0; i < 100; i++)
        cr_assert_eq(spool_put(spool, PRIORITY_ERROR, i, 500), 0);
    while (spool_take(reader) >= 0)
        ;
    spool_commit_all(reader);
    spool_tick(spool);
    cr_expect_eq(spool_files("p2.", NULL), 1, "only the newest segment stays");
    spool_close(&spool);
    spool = spool_start(64 << 10);
    cr_expect_eq(spool_next_sequence(spool), 101);
    cr_assert_eq(spool_put(spool, PRIORITY_ERROR, 100, 500), 0);
    cr_expect_eq(spool_take(reader), 100);
    cr_expect_eq(spool_reader_missed(reader), 0);
    spool_reader_close(&reader);
    spool_close(&spool);
}

// After a power loss: the cursor is on the disk, what it has passed is not.
Test(sink_spool, numbers_that_an_output_knows_are_not_given_away_again)
{
    struct spool *spool = spool_start(1 << 20);
    struct spool_reader *reader = spool_read("a"), *behind = spool_read("behind");
    for (unsigned i = 0; i < 10; i++)
        cr_assert_eq(spool_put(spool, PRIORITY_CRITICAL, i, 100), 0);
    while (spool_take(reader) >= 0)
        ;
    spool_commit_all(reader);
    spool_reader_close(&reader);
    spool_close(&spool);
    cr_assert_eq(truncate(spool_file(SPOOL_FIRST_P1), 48 + 4 * 164), 0);

    spool = spool_start(1 << 20);
    cr_expect_eq(spool_next_sequence(spool), 11);
    cr_assert_eq(spool_put(spool, PRIORITY_CRITICAL, 10, 100), 0);
    reader = spool_read("a");
    cr_expect_eq(spool_take(reader), 10);
    cr_expect_eq(spool_reader_missed(reader), 0);
    for (int i = 0; i < 4; i++)
        cr_expect_eq(spool_take(behind), i);
    cr_expect_eq(spool_take(behind), 10);
    cr_expect_eq(spool_reader_missed(behind), 6);
    spool_reader_close(&behind);
    spool_reader_close(&reader);
    spool_close(&spool);
}

Test(sink_spool, says_when_it_is_to_be_brought_to_the_disk)
{
    struct config_spool options = spool_options(1 << 20);
    options.sync = SYNC_INTERVAL;
    options.sync_interval = 3600000;
    struct spool *spool = spool_start_with(&options);
    cr_expect_eq(spool_sync(spool), -1);
    cr_assert_eq(spool_put(spool, PRIORITY_ERROR, 0, 100), 0);
    int due = spool_sync(spool);
    cr_expect(due > 0 && due <= 3600000);
    spool_close(&spool);
    options.sync_interval = 0;
    spool = spool_start_with(&options);
    cr_assert_eq(spool_put(spool, PRIORITY_ERROR, 1, 100), 0);
    cr_expect_eq(spool_sync(spool), -1, "it was due at once");
    spool_close(&spool);
    options.sync = SYNC_ALWAYS;
    spool = spool_start_with(&options);
    cr_assert_eq(spool_put(spool, PRIORITY_ERROR, 2, 100), 0);
    cr_expect_eq(spool_sync(spool), -1);
    spool_close(&spool);
}

Test(sink_spool, has_one_writer)
{
    struct spool *spool = spool_start(1 << 20), *second = NULL;
    struct config_spool options = spool_options(1 << 20);
    cr_expect_eq(spool_open(&options, &second), -EBUSY);
    cr_expect_null(second);
    spool_close(&spool);
    spool = spool_start(1 << 20);
    spool_close(&spool);
}

Test(sink_spool, has_one_reader_for_each_output)
{
    struct spool *spool = spool_start(1 << 20);
    struct spool_reader *first = spool_read("a"), *other = spool_read("b"), *second = NULL;
    cr_expect_eq(spool_reader_open(spool_dir, "a", &second), -EBUSY);
    spool_reader_close(&first);
    first = spool_read("a");
    spool_reader_close(&first);
    spool_reader_close(&other);
    spool_close(&spool);
}

Test(sink_spool, makes_its_directory_and_keeps_others_out)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/some/where", spool_dir);
    struct config_spool options = spool_options(1 << 20);
    options.directory = path;
    struct spool *spool = spool_start_with(&options);
    cr_assert_eq(spool_put(spool, PRIORITY_ERROR, 0, 100), 0);
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0700);
    strcat(path, "/p2.00000000000000000000");
    cr_assert_eq(stat(path, &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0600);
    spool_close(&spool);
}

Test(sink_spool, does_not_open_where_there_can_be_none)
{
    struct spool *spool = NULL;
    struct config_spool options = spool_options(1 << 20);
    char path[128];
    snprintf(path, sizeof(path), "%s/file/spool", spool_dir);
    options.directory = path;
    close(open(spool_file("file"), O_CREAT | O_WRONLY, 0600));
    cr_expect_eq(spool_open(&options, &spool), -ENOTDIR);
    struct spool_reader *reader = NULL;
    cr_expect_eq(spool_reader_open(path, "a", &reader), -ENOTDIR);
    cr_expect_eq(spool_reader_open(spool_dir, "../a", &reader), -EINVAL);
    cr_expect_eq(spool_reader_open(spool_dir, "", &reader), -EINVAL);
}

// --- One writes, another reads ---

enum { STORM = 20000 };

static void *write_storm(void *context)
{
    for (unsigned i = 0; i < STORM; i++)
        if (spool_put(context, (enum priority)(i * 5 % 8), i, 8 + i * 37 % 9000))
            return (void *)1;
    return NULL;
}

Test(sink_spool, a_reader_keeps_up_with_a_writer)
{
    struct spool *spool = spool_start(UINT64_C(1) << 30);
    struct spool_reader *reader = spool_read("a");
    pthread_t writer;
    cr_assert_eq(pthread_create(&writer, NULL, write_storm, spool), 0);
    for (int next = 0; next < STORM;) {
        int number = spool_take(reader);
        if (number < 0)
            continue;
        cr_assert_eq(number, next);
        next++;
    }
    void *failed;
    pthread_join(writer, &failed);
    cr_expect_null(failed);
    cr_expect_eq(spool_take(reader), -1);
    cr_expect_eq(spool_reader_missed(reader), 0);
    spool_reader_close(&reader);
    spool_close(&spool);
}
