// Files that have several names: links at paths that rules name, and inodes that go from file to file.
#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OPENED "evt.type in (open, openat, openat2, creat, open_by_handle_at)"
#define EXACT_RULE                                   \
    "- rule: exact\n"                                \
    "  desc: d\n"                                    \
    "  condition: " OPENED " and fd.name = \"%s\"\n" \
    "  output: \"%%fd.name %%fd.nameraw\"\n"         \
    "  priority: WARNING\n"

static const char *secret;

static void setup(void)
{
    test_setup();
    mkdir(test_path("watched"), 0755);
    secret = test_path("watched/the-secret-file");
    write_file(secret, "secret\n");
}

TestSuite(file_names, .init = setup, .fini = test_teardown);

static void close_opened(int fd)
{
    cr_assert_geq(fd, 0);
    close(fd);
}

static void link_paths(const char *from, const char *to)
{
    unlink(to);
    cr_assert_eq(link(from, to), 0);
}

// Whoever can make a link at a path that one rule names must not thereby hide the file from another rule.
Test(file_names, all_names_that_rules_know_a_file_by_count)
{
    const char *noise = test_path("noise-%d", getpid()), *other = test_path("other");
    link_paths(secret, noise);
    link_paths(secret, other);
    _cleanup_agent_ struct agent *agent =
        agent_start(format_text("- rule: noisy\n"
                                "  desc: d\n"
                                "  condition: " OPENED " and fd.name = %s and proc.name = nobody\n"
                                "  output: \"%%fd.name\"\n"
                                "  priority: DEBUG\n"
                                "- rule: below\n"
                                "  desc: d\n"
                                "  condition: " OPENED " and fd.name startswith %s/watched/\n"
                                "  output: \"%%fd.name\"\n"
                                "  priority: CRITICAL\n"
                                "- rule: exact\n"
                                "  desc: d\n"
                                "  condition: " OPENED " and fd.name = %s\n"
                                "  output: \"%%fd.name %%fd.nameraw\"\n"
                                "  priority: CRITICAL\n"
                                "- rule: noise\n"
                                "  desc: d\n"
                                "  condition: " OPENED " and fd.name = %s\n"
                                "  output: \"%%fd.name\"\n"
                                "  priority: DEBUG\n",
                                noise, test_dir(), secret, noise),
                    "--rule-matching", "all", NULL);
    close_opened(open(noise, O_RDONLY));
    agent_wait_alert(agent, "exact", "fd.name", secret, "fd.nameraw", noise, NULL);
    close_opened(open(other, O_RDONLY));
    agent_wait_alert(agent, "exact", "fd.name", secret, "fd.nameraw", other, NULL);
    close_opened(open(secret, O_RDONLY));
    agent_wait_alert(agent, "exact", "fd.name", secret, "fd.nameraw", secret, NULL);
    agent_wait_count(agent, "below", 3);
    agent_wait_count(agent, "noise", 3);
    cr_expect_eq(agent_count_alerts(agent, "exact", NULL), 3);
}

// Until a file that is made now has another time of birth than this one has: the clock of files stands still
// for some milliseconds at a time, and nothing but that time tells two files with one inode apart.
static void wait_for_another_birth(const char *path)
{
    struct statx status;
    struct timespec now;
    cr_assert_eq(statx(AT_FDCWD, path, 0, STATX_BTIME, &status), 0);
    do
        clock_gettime(CLOCK_REALTIME_COARSE, &now);
    while (now.tv_sec < status.stx_btime.tv_sec ||
           (now.tv_sec == status.stx_btime.tv_sec && now.tv_nsec <= (long)status.stx_btime.tv_nsec));
}

// The file system gives the inode of a removed file to the next one, which nobody must be accused for.
Test(file_names, inode_of_a_replaced_file_accuses_no_other)
{
    _cleanup_agent_ struct agent *agent = agent_start(format_text(EXACT_RULE, secret), NULL);
    for (int round = 0; round < 50; round++) {
        const char *fresh = test_path("watched/fresh"), *innocent = test_path("watched/innocent-%d", round);
        write_file(fresh, "secret, but new");
        cr_assert_eq(rename(fresh, secret), 0);
        wait_for_another_birth(secret);
        write_file(innocent, "public");
        close_opened(open(innocent, O_RDONLY));
    }
    close_opened(open(secret, O_RDONLY | O_NOFOLLOW));
    agent_wait_alert(agent, "exact", "fd.name", secret, "fd.nameraw", secret, NULL);
    for (int round = 0; round < 50; round++)
        cr_expect_eq(
            agent_count_alerts(agent, "exact", "fd.nameraw", test_path("watched/innocent-%d", round), NULL),
            0);
}
