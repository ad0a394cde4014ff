// The audit log: any change shows, and it goes on over restarts, torn ends, rotation and a full disk.
#include "audit.h"
#include "base/log.h"
#include "base/sha256.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64], path[128], moved[128];

static void setup(void)
{
    strcpy(directory, "/tmp/inferscope-audit-XXXXXX");
    cr_assert(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/audit.log", directory);
    snprintf(moved, sizeof(moved), "%s/audit.log.1", directory);
    log_set_level(LOG_LEVEL_ERROR);
}

static void teardown(void)
{
    unlink(path);
    unlink(moved);
    rmdir(directory);
}

TestSuite(sink_audit, .init = setup, .fini = teardown);

static struct audit *start(void)
{
    struct audit *audit = NULL;
    const struct audit_options options = {.path = path, .sync = SYNC_NEVER};
    int error = audit_open(&options, &audit);
    cr_assert_eq(error, 0, "%s", strerror(-error));
    return audit;
}

static size_t read_log(char *ret_text, size_t capacity)
{
    int fd = open(path, O_RDONLY);
    ssize_t size = read(fd, ret_text, capacity - 1);
    cr_assert_geq(size, 0);
    ret_text[size] = '\0';
    close(fd);
    return (size_t)size;
}

static void write_log(const char *text, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_eq(write(fd, text, size), (ssize_t)size);
    close(fd);
}

// What is wrong; "" where all fits.
static const char *verify(struct audit_state *state)
{
    static char words[512];
    struct audit_state own = {};
    memset(words, 0, sizeof(words));
    FILE *stream = fmemopen(words, sizeof(words) - 1, "w");
    int error = audit_verify(path, state ? state : &own, stream);
    fclose(stream);
    cr_expect_eq(error != 0, words[0] != '\0');
    return words;
}

Test(sink_audit, sha256_is_the_one_of_the_standard)
{
    char hash[SHA256_TEXT_SIZE];
    cr_assert_eq(sha256_text("abc", 3, hash), 0);
    cr_expect_str_eq(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    write_log("abc", 3);
    cr_assert_eq(sha256_file(path, hash), 0);
    cr_expect_str_eq(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    cr_expect_eq(sha256_file("/nowhere", hash), -ENOENT);
}

Test(sink_audit, a_chain_fits_and_goes_on_after_a_restart)
{
    struct audit *audit = start();
    audit_begin(audit, "alert");
    audit_add_text(audit, "rule", "a \"b\"\n");
    audit_add_number(audit, "sequence", 7);
    audit_add_truth(audit, "true", true);
    audit_add_json(audit, "list", "[1]");
    cr_expect_eq(audit_end(audit), 0);
    audit_close(&audit);
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0600);
    char text[4096];
    read_log(text, sizeof(text));
    cr_expect(strstr(text, "{\"number\":1,\"time\":\""), "%s", text);
    cr_expect(strstr(text, ",\"event\":\"begin\",\"continues\":false,\"previous\":\"0000000000"), "%s", text);
    cr_expect(strstr(text, ",\"event\":\"alert\",\"rule\":\"a \\\"b\\\"\\n\",\"sequence\":7,\"true\":true,"
                           "\"list\":[1],\"previous\":\""),
              "%s", text);
    audit = start();
    audit_say(audit, "stop", "why", "test");
    audit_close(&audit);
    struct audit_state state = {};
    cr_expect_str_eq(verify(&state), "");
    cr_expect_eq(state.number, 3);
}

Test(sink_audit, without_a_log_nothing_is_done)
{
    audit_begin(NULL, "a");
    audit_add_text(NULL, "a", "b");
    audit_add_number(NULL, "a", 1);
    audit_add_json(NULL, "a", "1");
    cr_expect_eq(audit_end(NULL), 0);
    cr_expect_eq(audit_sync(NULL), -1);
    audit_reopen(NULL);
}

static size_t make_three(char *ret_text, size_t capacity)
{
    struct audit *audit = start();
    audit_say(audit, "one", "a", "1");
    audit_say(audit, "two", "a", "2");
    audit_close(&audit);
    return read_log(ret_text, capacity);
}

Test(sink_audit, each_flipped_bit_shows_in_its_line)
{
    char text[4096];
    size_t size = make_three(text, sizeof(text));
    cr_expect_str_eq(verify(NULL), "");
    for (size_t bit = 0; bit < size * 8; bit++) {
        size_t line = 1;
        for (size_t i = 0; i < bit / 8; i++)
            line += text[i] == '\n';
        text[bit / 8] ^= (char)(1 << bit % 8);
        write_log(text, size);
        char expected[160];
        snprintf(expected, sizeof(expected), "%s:%zu: ", path, line);
        const char *words = verify(NULL);
        cr_assert_eq(strncmp(words, expected, strlen(expected)), 0, "bit %zu: %s", bit, words);
        text[bit / 8] ^= (char)(1 << bit % 8);
    }
}

Test(sink_audit, lines_taken_out_or_put_in_show)
{
    char text[4096];
    make_three(text, sizeof(text));
    char *second = strchr(text, '\n') + 1, *third = strchr(second, '\n') + 1;
    write_log(second, strlen(second));
    cr_expect_str_eq(verify(NULL), "", "the log may continue one that is not here");
    char changed[8192];
    snprintf(changed, sizeof(changed), "%.*s%s", (int)(second - text), text, third);
    write_log(changed, strlen(changed));
    cr_expect(strstr(verify(NULL), ":2: its number is 3 and not 2"), "%s", verify(NULL));
    snprintf(changed, sizeof(changed), "%s%s", text, third);
    write_log(changed, strlen(changed));
    cr_expect(strstr(verify(NULL), ":4: its number is 3 and not 4"), "%s", verify(NULL));
    write_log(text, strlen(text) - 1);
    cr_expect(strstr(verify(NULL), ":3: it is torn"), "%s", verify(NULL));
}

Test(sink_audit, a_torn_last_line_is_cut_and_noted)
{
    char text[4096];
    size_t size = make_three(text, sizeof(text));
    char *third = strchr(strchr(text, '\n') + 1, '\n') + 1;
    for (size_t length = (size_t)(third - text) + 1; length < size; length += 13) {
        write_log(text, length);
        struct audit *audit = start();
        audit_close(&audit);
        struct audit_state state = {};
        cr_assert_str_eq(verify(&state), "", "%zu", length);
        cr_assert_eq(state.number, 3);
        char now[4096];
        read_log(now, sizeof(now));
        cr_assert(strstr(now, "\"event\":\"torn_line\",\"bytes\":"), "%s", now);
    }
}

Test(sink_audit, a_last_line_that_does_not_fit_is_noted_and_stays)
{
    char text[4096];
    size_t size = make_three(text, sizeof(text));
    strstr(text, "\"two\"")[1] = 'T';
    write_log(text, size);
    struct audit *audit = start();
    audit_close(&audit);
    char now[4096];
    read_log(now, sizeof(now));
    cr_expect(strstr(now, "\"event\":\"last_line_does_not_fit\""), "%s", now);
    cr_expect(strstr(verify(NULL), ":3: it is not what its hash was made of"), "%s", verify(NULL));
}

Test(sink_audit, a_new_file_continues_the_one_that_was_moved_away)
{
    struct audit *audit = start();
    audit_say(audit, "one", "a", "1");
    audit_reopen(audit); // nothing has moved
    cr_assert_eq(rename(path, moved), 0);
    audit_reopen(audit);
    audit_say(audit, "two", "a", "2");
    audit_close(&audit);
    struct audit_state state = {};
    FILE *null = fopen("/dev/null", "w");
    cr_expect_eq(audit_verify(moved, &state, null), 0);
    cr_expect_eq(state.number, 2);
    cr_expect_str_eq(verify(&state), "");
    cr_expect_eq(state.number, 4);
    // In the wrong order they do not fit.
    cr_expect_eq(audit_verify(moved, &state, null), -EBADMSG);
    fclose(null);
}

Test(sink_audit, has_one_writer_and_leaves_other_files_alone)
{
    struct audit *audit = start(), *second = NULL;
    const struct audit_options options = {.path = path, .sync = SYNC_NEVER};
    cr_expect_eq(audit_open(&options, &second), -EBUSY);
    audit_close(&audit);
    write_log("root:x:0:0\n", 11);
    cr_expect_eq(audit_open(&options, &second), -EBADMSG);
    char text[64];
    cr_expect_eq(read_log(text, sizeof(text)), 11);
    unlink(path);
    cr_assert_eq(symlink(moved, path), 0);
    cr_expect_eq(audit_open(&options, &second), -ELOOP);
}

// A limit of the size of files is what a full disk looks like to a writer.
Test(sink_audit, what_finds_no_room_is_told_later)
{
    struct audit *audit = start();
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = (rlim_t)status.st_size + 100;
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (int i = 0; i < 3; i++) {
        audit_begin(audit, "alert");
        cr_expect_lt(audit_end(audit), 0);
    }
    cr_expect_str_eq(verify(NULL), "", "nothing half is left behind");
    limit.rlim_cur = RLIM_INFINITY;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    audit_say(audit, "stop", "why", "test");
    audit_close(&audit);
    struct audit_state state = {};
    cr_expect_str_eq(verify(&state), "");
    cr_expect_eq(state.number, 3);
    char text[4096];
    read_log(text, sizeof(text));
    cr_expect(strstr(text, "\"event\":\"entries_lost\",\"count\":3"), "%s", text);
}
