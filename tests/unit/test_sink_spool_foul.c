// What somebody else has put into the spool's directory costs no more than what it took the place of.
#include "spool_fixture.h"

#include "sink/spool_format.h"

#include <sys/stat.h>
#include <unistd.h>

TestSuite(sink_spool_foul, .init = spool_setup, .fini = spool_teardown, .timeout = 30);

static void make_empty(const char *name)
{
    int fd = open(spool_file(name), O_WRONLY | O_CREAT, 0600);
    cr_assert_geq(fd, 0);
    close(fd);
}

static void expect_that_it_works(struct spool *spool)
{
    cr_assert_eq(spool_set_readers(spool, (const char *[]){"new"}, 1), 0);
    struct spool_reader *reader = spool_read("new");
    for (int i = 0; i < 3; i++)
        cr_assert_eq(spool_put(spool, PRIORITY_CRITICAL, (unsigned)i, 100), 0);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(spool_take(reader), i);
    spool_reader_close(&reader);
}

Test(sink_spool_foul, a_segment_of_the_last_number_leaves_numbers_for_others)
{
    make_empty("p1.18446744073709551615");
    struct spool *spool = spool_start(1 << 20);
    expect_that_it_works(spool);
    spool_close(&spool);
}

Test(sink_spool_foul, a_forged_cursor_leaves_numbers_for_others)
{
    struct spool_cursor forged = {.next_sequence = UINT64_MAX}, none;
    int directory = open(spool_dir, O_RDONLY | O_DIRECTORY), fd;
    uint64_t generation;
    for (size_t i = 0; i < SPOOL_CLASSES; i++)
        forged.position.places[i].ordinal = UINT64_MAX;
    cr_assert_eq(spool_cursor_open(directory, "forged", &fd, &generation, &none), -ENODATA);
    cr_assert_eq(spool_cursor_write(fd, &generation, &forged), 0);
    close(fd);
    close(directory);
    for (int i = 0; i < 2; i++) {
        struct spool *spool = spool_start(1 << 20);
        cr_expect_lt(spool_next_sequence(spool), 10);
        expect_that_it_works(spool);
        spool_close(&spool);
    }
}

// Segments of 4 KiB with four records each, the first of them a named pipe.
static struct spool *start_with_a_pipe(void)
{
    struct spool *spool = spool_start(64 << 10);
    cr_assert_eq(spool_set_readers(spool, (const char *[]){"a"}, 1), 0);
    for (unsigned i = 0; i < 12; i++)
        cr_assert_eq(spool_put(spool, PRIORITY_CRITICAL, i, 1000), 0);
    cr_assert_eq(unlink(spool_file(SPOOL_FIRST_P1)), 0);
    cr_assert_eq(mkfifo(spool_file(SPOOL_FIRST_P1), 0600), 0);
    return spool;
}

Test(sink_spool_foul, the_writer_does_not_wait_for_a_named_pipe)
{
    struct spool *spool = start_with_a_pipe();
    for (unsigned i = 0; i < 100; i++)
        cr_assert_eq(spool_put(spool, PRIORITY_CRITICAL, i, 1000), 0);
    cr_expect_neq(access(spool_file(SPOOL_FIRST_P1), F_OK), 0);
    spool_close(&spool);
}

Test(sink_spool_foul, a_reader_passes_over_a_named_pipe)
{
    struct spool *spool = start_with_a_pipe();
    struct spool_reader *reader = spool_read("a");
    cr_expect_eq(spool_take(reader), 4);
    cr_expect_eq(spool_reader_missed(reader), 4);
    spool_reader_close(&reader);
    spool_close(&spool);
}

Test(sink_spool_foul, a_damaged_cursor_of_an_output_that_is_no_more_holds_nothing_back)
{
    make_empty("cursor.gone");
    struct spool *spool = spool_start(64 << 10);
    cr_assert_eq(spool_set_readers(spool, (const char *[]){"a"}, 1), 0);
    struct spool_reader *reader = spool_read("a");
    for (unsigned i = 0; i < 12; i++)
        cr_assert_eq(spool_put(spool, PRIORITY_CRITICAL, i, 1000), 0);
    while (spool_take(reader) >= 0)
        ;
    spool_commit_all(reader);
    spool_tick(spool);
    cr_expect_eq(spool_files("p1.", NULL), 1, "only the newest segment stays");
    cr_expect_eq(spool_files("cursor.gone", NULL), 0);
    spool_reader_close(&reader);
    spool_close(&spool);
}

Test(sink_spool_foul, outputs_are_added_all_or_none)
{
    struct spool *spool = spool_start(1 << 20);
    bool added[3];
    cr_assert_eq(spool_set_readers(spool, (const char *[]){"old"}, 1), 0);
    cr_expect_eq(spool_add_readers(spool, (const char *[]){"old", "new", "no/name"}, 3, added), -EINVAL);
    cr_expect_eq(spool_files("cursor.old", NULL), 1);
    cr_expect_eq(spool_files("cursor.new", NULL), 0);
    cr_expect_eq(spool_add_readers(spool, (const char *[]){"old", "new"}, 2, added), 0);
    cr_expect(!added[0] && added[1]);
    spool_close(&spool);
}
