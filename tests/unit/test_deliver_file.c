// Alerts in files and on standard output.
#include "deliver_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

extern const struct receiver_type file_receiver, stdout_receiver;

// A directory of its own, which is removed with what is in it.
static char directory[64], path[96];

static void make_directory(void)
{
    snprintf(directory, sizeof(directory), "build/test-file-XXXXXX");
    cr_assert(mkdtemp(directory), "%s", strerror(errno));
    snprintf(path, sizeof(path), "%s/alerts", directory);
}

static void remove_directory(void)
{
    char name[512];
    DIR *entries = opendir(directory);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        snprintf(name, sizeof(name), "%s/%s", directory, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(name);
    }
    closedir(entries);
    rmdir(directory);
}

TestSuite(deliver_file, .init = make_directory, .fini = remove_directory);

// Reads a file whose every line must be an alert, and counts each by its sequence.
static size_t read_alerts(const char *name, unsigned *counts, size_t size)
{
    _cleanup_fclose_ FILE *file = fopen(name, "re");
    _cleanup_free_ char *line = NULL;
    size_t capacity = 0, lines = 0;
    for (ssize_t length; file && (length = getline(&line, &capacity, file)) > 0; lines++) {
        cr_assert_eq(line[length - 1], '\n', "%s: %s", name, line);
        json_t *json = json_loads(line, 0, NULL);
        cr_assert(json, "%s: %s", name, line);
        size_t sequence = (size_t)json_integer_value(json_object_get(json, "sequence"));
        cr_assert_lt(sequence, size);
        counts[sequence]++;
        json_decref(json);
    }
    return lines;
}

static void expect_once_each(const unsigned *counts, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        cr_assert_eq(counts[i], 1, "%zu is there %u times", i, counts[i]);
}

Test(deliver_file, appends)
{
    struct config_output output = {.name = "f", .path = path};
    struct rig rig;
    unsigned counts[20] = {0};
    rig_open(&rig, &file_receiver, &output);
    rig_send(&rig, 0, 10, 0);
    rig_expect(&rig, VERDICT_DELIVERED);
    rig_send(&rig, 10, 10, 0);
    rig_expect(&rig, VERDICT_DELIVERED);
    rig_close(&rig);
    cr_assert_eq(read_alerts(path, counts, 20), 20);
    expect_once_each(counts, 0, 20);
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    cr_assert_eq(status.st_mode & 07777, 0600);
}

Test(deliver_file, rotates_by_size_and_loses_nothing)
{
    struct config_output output = {.name = "f", .path = path, .rotate_size = 4000, .rotate_keep = 100};
    struct rig rig;
    unsigned counts[2000] = {0};
    rig_open(&rig, &file_receiver, &output);
    for (size_t first = 0; first < 400; first += 100) {
        rig_send(&rig, first, 100, first % 7);
        rig_expect(&rig, VERDICT_DELIVERED);
    }
    rig_close(&rig);
    size_t lines = read_alerts(path, counts, 2000), files = 1;
    for (unsigned number = 1; number <= 100; number++) {
        char old[128];
        struct stat status;
        snprintf(old, sizeof(old), "%s.%u", path, number);
        if (stat(old, &status))
            break;
        cr_assert_leq(status.st_size, 4000);
        cr_assert_gt(status.st_size, 3000);
        lines += read_alerts(old, counts, 2000);
        files++;
    }
    cr_assert_eq(lines, 400);
    cr_assert_gt(files, 10);
    expect_once_each(counts, 0, 400);
}

Test(deliver_file, keeps_so_many_old_files)
{
    struct config_output output = {.name = "f", .path = path, .rotate_size = 1000, .rotate_keep = 2};
    struct rig rig;
    rig_open(&rig, &file_receiver, &output);
    rig_send(&rig, 0, 100, 0);
    rig_expect(&rig, VERDICT_DELIVERED);
    rig_close(&rig);
    char old[128];
    for (unsigned number = 1; number <= 3; number++) {
        snprintf(old, sizeof(old), "%s.%u", path, number);
        cr_assert_eq(access(old, F_OK) == 0, number <= 2, "%s", old);
    }
}

Test(deliver_file, a_line_longer_than_the_limit_has_a_file_for_itself)
{
    struct config_output output = {.name = "f", .path = path, .rotate_size = 1000, .rotate_keep = 10};
    struct rig rig;
    unsigned counts[10] = {0};
    rig_open(&rig, &file_receiver, &output);
    rig_send(&rig, 0, 3, 2000);
    rig_expect(&rig, VERDICT_DELIVERED);
    rig_close(&rig);
    char old[128];
    snprintf(old, sizeof(old), "%s.2", path);
    cr_assert_eq(read_alerts(path, counts, 10), 1);
    cr_assert_eq(read_alerts(old, counts, 10), 1);
    cr_assert(counts[0] == 1 && counts[2] == 1);
}

Test(deliver_file, is_opened_anew_when_told)
{
    struct config_output output = {.name = "f", .path = path};
    struct rig rig;
    unsigned counts[10] = {0};
    char moved[128];
    snprintf(moved, sizeof(moved), "%s.moved", path);
    rig_open(&rig, &file_receiver, &output);
    rig_send(&rig, 0, 1, 0);
    cr_assert_eq(rename(path, moved), 0);
    rig_send(&rig, 1, 1, 0);
    file_receiver.reopen(rig.receiver);
    rig_send(&rig, 2, 1, 0);
    rig_expect(&rig, VERDICT_DELIVERED);
    rig_close(&rig);
    cr_assert_eq(read_alerts(moved, counts, 10), 2);
    cr_assert_eq(read_alerts(path, counts, 10), 1);
    expect_once_each(counts, 0, 3);
}

Test(deliver_file, one_that_was_removed_is_made_anew)
{
    struct config_output output = {.name = "f", .path = path};
    struct rig rig;
    unsigned counts[10] = {0};
    rig_open(&rig, &file_receiver, &output);
    rig_send(&rig, 0, 1, 0);
    cr_assert_eq(unlink(path), 0);
    rig_send(&rig, 1, 1, 0);
    rig_expect(&rig, VERDICT_DELIVERED);
    rig_close(&rig);
    cr_assert_eq(read_alerts(path, counts, 10), 1);
    cr_assert_eq(counts[1], 1);
}

Test(deliver_file, what_a_crash_left_of_a_line_does_not_spoil_the_next)
{
    struct config_output output = {.name = "f", .path = path};
    struct rig rig;
    char lines[512];
    _cleanup_fclose_ FILE *file = fopen(path, "we");
    fputs("{\"a\":", file);
    fflush(file);
    rig_open(&rig, &file_receiver, &output);
    rig_send(&rig, 0, 1, 0);
    rig_close(&rig);
    _cleanup_fclose_ FILE *reading = fopen(path, "re");
    cr_assert(fgets(lines, sizeof(lines), reading));
    cr_assert_str_eq(lines, "{\"a\":\n");
    cr_assert(fgets(lines, sizeof(lines), reading));
    json_t *json = json_loads(lines, 0, NULL);
    cr_assert(json);
    json_decref(json);
}

// The limit of a file's size stands for a disk that is full: a write comes half through, the next not at all.
Test(deliver_file, a_line_that_was_begun_is_ended_when_there_is_room_again)
{
    struct config_output output = {.name = "f", .path = path};
    struct rig rig;
    struct rlimit limit, small;
    unsigned counts[20] = {0};
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    rig_open(&rig, &file_receiver, &output);
    rig_make(&rig, 0, 10, 0);

    size_t delivered = 0;
    for (rlim_t size = 300; size < 3000; size += 77) {
        small = (struct rlimit){.rlim_cur = size, .rlim_max = limit.rlim_max};
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
        rig_begin(&rig);
        rig_wait(&rig);
        // What was delivered is not sent again.
        size_t kept = 0;
        for (size_t i = 0; i < rig.count; i++) {
            if (rig.verdicts[i] != VERDICT_DELIVERED) {
                cr_assert_eq(rig.verdicts[i], VERDICT_RETRY);
                rig.items[kept++] = rig.items[i];
            } else {
                json_decref(rig.items[i].json);
                delivered++;
            }
        }
        if (kept)
            cr_assert(strstr(rig.why, "File too large"), "%s", rig.why);
        rig.count = kept;
        if (kept == 0)
            break;
    }
    cr_assert_eq(delivered, 10);
    setrlimit(RLIMIT_FSIZE, &limit);
    rig_close(&rig);
    cr_assert_eq(read_alerts(path, counts, 20), 10);
    expect_once_each(counts, 0, 10);
}

Test(deliver_file, what_is_no_file_is_not_written_to)
{
    struct config_output output = {.name = "f", .path = directory};
    struct rig rig;
    rig_open(&rig, &file_receiver, &output);
    rig_send(&rig, 0, 2, 0);
    rig_expect(&rig, VERDICT_RETRY);
    cr_assert(strstr(rig.why, "Is a directory"), "%s", rig.why);
    rig_close(&rig);

    output.path = "/dev/null";
    rig_open(&rig, &file_receiver, &output);
    rig_send(&rig, 0, 2, 0);
    rig_expect(&rig, VERDICT_RETRY);
    cr_assert(strstr(rig.why, "no regular file"), "%s", rig.why);
    rig_close(&rig);
}

// --- Standard output ---

static int keep_stdout(int replacement)
{
    fflush(stdout);
    int kept = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
    cr_assert_geq(dup2(replacement, STDOUT_FILENO), 0);
    return kept;
}

static void restore_stdout(int kept)
{
    dup2(kept, STDOUT_FILENO);
    close(kept);
}

struct reader {
    struct rig *rig;
    int fd;
    size_t received, ticks;
    struct loop_timer timer;
};

static void tick(void *context)
{
    struct reader *reader = context;
    char bytes[1000];
    // It stands still at first; the loop goes on all the same.
    ssize_t length = reader->ticks++ < 20 ? 0 : read(reader->fd, bytes, sizeof(bytes));
    reader->received += length > 0 ? (size_t)length : 0;
    loop_timer_set(reader->rig->loop, &reader->timer, 0, tick, reader);
}

Test(deliver_file, standard_output_waits_for_its_reader_and_nobody_else_does)
{
    struct config_output output = {.name = "out", .format = FORMAT_TEXT};
    for (int kind = 0; kind < 2; kind++) {
        struct rig rig;
        int ends[2];
        cr_assert_eq(kind ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends), 0);
        int flags = fcntl(ends[1], F_GETFL), kept = keep_stdout(ends[1]);
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        struct reader reader = {.rig = &rig, .fd = ends[0]};
        rig_open(&rig, &stdout_receiver, &output);
        rig_make(&rig, 0, 500, 2000);
        rig_begin(&rig);
        loop_timer_set(rig.loop, &reader.timer, 0, tick, &reader);
        rig_wait(&rig);
        loop_timer_stop(rig.loop, &reader.timer);
        char bytes[4096];
        for (ssize_t length; (length = read(ends[0], bytes, sizeof(bytes))) > 0;)
            reader.received += (size_t)length;
        cr_expect_eq(fcntl(ends[1], F_GETFL), flags);
        restore_stdout(kept);
        rig_expect(&rig, VERDICT_DELIVERED);
        cr_expect_eq(reader.received, 500 * (strlen("alert ") + 2000 + 1));
        rig_close(&rig);
        close(ends[0]);
        close(ends[1]);
    }
}

Test(deliver_file, standard_output_whose_reader_has_gone_is_tried_again)
{
    struct config_output output = {.name = "out"};
    struct rig rig;
    int ends[2];
    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(pipe(ends), 0);
    close(ends[0]);
    int kept = keep_stdout(ends[1]);
    rig_open(&rig, &stdout_receiver, &output);
    rig_send(&rig, 0, 3, 0);
    restore_stdout(kept);
    rig_expect(&rig, VERDICT_RETRY);
    cr_assert(strstr(rig.why, "Broken pipe"), "%s", rig.why);
    rig_close(&rig);
    close(ends[1]);
}

Test(deliver_file, standard_output_may_be_a_file_or_nothing)
{
    struct config_output output = {.name = "out"};
    struct rig rig;
    unsigned counts[10] = {0};
    const char *const places[] = {path, "/dev/null"};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        _cleanup_close_ int fd = open(places[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        int kept = keep_stdout(fd);
        rig_open(&rig, &stdout_receiver, &output);
        rig_send(&rig, 0, 3, 0);
        restore_stdout(kept);
        rig_expect(&rig, VERDICT_DELIVERED);
        rig_close(&rig);
    }
    cr_assert_eq(read_alerts(path, counts, 10), 3);
}
