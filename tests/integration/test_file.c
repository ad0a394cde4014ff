// Source `file`: every way to open a watched file is seen, by its real name.
#include "compat.h"
#include "harness.h"
#include "uring.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define OPENED "evt.type in (open, openat, openat2, creat, open_by_handle_at)"
#define OPEN_OUTPUT                                                                                   \
    "%evt.type %evt.failed %evt.res %evt.rawres %evt.arg.flags %evt.is_open_read %evt.is_open_write " \
    "%evt.is_io_uring %fd.name %fd.nameraw %fd.num %fd.ino %fd.directory %fd.filename %fd.type "      \
    "%proc.name %proc.pid"

static const char *secret; // named by the rule "exact"
static const char *kept;   // below it everything is the rule "prefix"'s
static struct agent *agent;

static void setup(void)
{
    test_setup();
    mkdir(test_path("watched"), 0755);
    secret = test_path("watched/the-secret-file");
    write_file(secret, "secret\n");
    kept = test_path("kept");
    mkdir(kept, 0755);
    agent = agent_start(format_text("- rule: exact\n"
                                    "  desc: d\n"
                                    "  condition: " OPENED " and fd.name = \"%s\"\n"
                                    "  output: \"%s\"\n"
                                    "  priority: WARNING\n"
                                    "- rule: prefix\n"
                                    "  desc: d\n"
                                    "  condition: " OPENED " and fd.name startswith \"%s/\"\n"
                                    "  output: \"%s\"\n"
                                    "  priority: WARNING\n",
                                    secret, OPEN_OUTPUT, kept, OPEN_OUTPUT),
                        NULL);
}

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    test_teardown();
}

TestSuite(file, .init = setup, .fini = teardown);

static void close_opened(long fd)
{
    cr_assert_geq(fd, 0, "%s", strerror(errno));
    close((int)fd);
}

// --- The calls ---

#ifdef SYS_open
Test(file, by_open)
{
    close_opened(syscall(SYS_open, secret, O_RDONLY));
    agent_wait_alert(agent, "exact", "evt.type", "open", "fd.name", secret, "evt.is_open_read", "true",
                     "evt.is_open_write", "false", "evt.failed", "false", NULL);
}

Test(file, by_creat)
{
    close_opened(syscall(SYS_creat, secret, 0600));
    agent_wait_alert(agent, "exact", "evt.type", "creat", "fd.name", secret, "evt.arg.flags",
                     "O_WRONLY|O_CREAT|O_TRUNC", "evt.is_open_read", "false", "evt.is_open_write", "true",
                     NULL);
}
#endif

Test(file, by_openat)
{
    struct stat status;
    cr_assert_eq(stat(secret, &status), 0);
    long fd = syscall(SYS_openat, AT_FDCWD, secret, O_RDWR | O_CLOEXEC);
    close_opened(fd);
    agent_wait_alert(agent, "exact", "evt.type", "openat", "fd.name", secret, "fd.nameraw", secret,
                     "fd.directory", test_path("watched"), "fd.filename", "the-secret-file", "fd.type",
                     "file", "fd.num", format_text("%ld", fd), "evt.rawres", format_text("%ld", fd), "fd.ino",
                     format_text("%lu", status.st_ino), "evt.arg.flags", "O_RDWR|O_CLOEXEC",
                     "evt.is_open_read", "true", "evt.is_open_write", "true", "evt.is_io_uring", "false",
                     "proc.pid", format_text("%d", getpid()), NULL);
}

Test(file, by_openat2)
{
    struct open_how how = {.flags = O_RDONLY};
    close_opened(syscall(SYS_openat2, AT_FDCWD, secret, &how, sizeof(how)));
    agent_wait_alert(agent, "exact", "evt.type", "openat2", "fd.name", secret, "evt.is_open_read", "true",
                     NULL);
}

Test(file, by_handle)
{
    union {
        struct file_handle handle;
        char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } name = {.handle.handle_bytes = MAX_HANDLE_SZ};
    int mount_id;
    if (name_to_handle_at(AT_FDCWD, secret, &name.handle, &mount_id, 0))
        cr_skip_test("the file system of /tmp has no file handles");
    _cleanup_close_ int mount = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close_opened(open_by_handle_at(mount, &name.handle, O_RDONLY));
    agent_wait_alert(agent, "exact", "evt.type", "open_by_handle_at", "fd.name", secret, NULL);
}

Test(file, by_io_uring)
{
    if (!kernel_at_least(5, 19))
        cr_skip_test("before Linux 5.19 io_uring's tracepoint does not tell which request was done");
    struct io_uring_sqe request = {
        .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (uintptr_t)secret, .open_flags = O_RDONLY};
    int fd = uring_do(&request);
    if (fd == INT_MIN)
        cr_skip_test("this kernel has or allows no io_uring");
    close_opened(fd);
    agent_wait_alert(agent, "exact", "evt.type", "openat", "fd.name", secret, "evt.is_io_uring", "true",
                     NULL);
}

Test(file, new_file_shows_how_it_was_made)
{
    const char *path = test_path("kept/new");
    close_opened(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_EXCL, 0600));
    agent_wait_alert(agent, "prefix", "fd.name", path, "evt.arg.flags", "O_WRONLY|O_CREAT|O_EXCL|O_TRUNC",
                     "evt.is_open_write", "true", NULL);
}

Test(file, path_descriptor_is_no_access)
{
    close_opened(open(secret, O_PATH));
    agent_wait_alert(agent, "exact", "fd.name", secret, "evt.is_open_read", "false", "evt.is_open_write",
                     "false", NULL);
}

Test(file, directory)
{
    const char *path = test_path("kept/directory");
    mkdir(path, 0755);
    close_opened(open(path, O_RDONLY | O_DIRECTORY));
    agent_wait_alert(agent, "prefix", "fd.name", path, "fd.type", "directory", NULL);
}

// --- The names: whatever the caller writes, the real one is shown ---

static void expect_secret_by(const char *name)
{
    close_opened(open(name, O_RDONLY));
    agent_wait_alert(agent, "exact", "fd.name", secret, "fd.nameraw", secret, "evt.failed", "false", NULL);
}

Test(file, symbolic_link)
{
    const char *link = test_path("link");
    cr_assert_eq(symlink(secret, link), 0);
    expect_secret_by(link);
}

Test(file, link_to_the_directory)
{
    cr_assert_eq(symlink(test_path("watched"), test_path("elsewhere")), 0);
    expect_secret_by(test_path("elsewhere/the-secret-file"));
}

Test(file, dots_and_slashes)
{
    expect_secret_by(test_path("kept/..//./watched///the-secret-file"));
}

Test(file, root_of_the_process)
{
    expect_secret_by(format_text("/proc/self/root%s", secret));
}

Test(file, working_directory)
{
    cr_assert_eq(chdir(test_path("watched")), 0);
    expect_secret_by("the-secret-file");
}

Test(file, directory_descriptor)
{
    _cleanup_close_ int directory = open(test_path("watched"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close_opened(openat(directory, "the-secret-file", O_RDONLY));
    agent_wait_alert(agent, "exact", "fd.name", secret, NULL);
}

static int open_in_chroot(const void *root)
{
    return chroot(root) || chdir("/") || open("/watched/the-secret-file", O_RDONLY) < 0;
}

Test(file, chroot_does_not_shorten)
{
    in_child(open_in_chroot, test_dir());
    agent_wait_alert(agent, "exact", "fd.name", secret, NULL);
}

Test(file, hard_link_goes_by_the_watched_name)
{
    const char *other = test_path("other-name");
    cr_assert_eq(link(secret, other), 0);
    close_opened(open(other, O_RDONLY));
    agent_wait_alert(agent, "exact", "fd.name", secret, "fd.nameraw", other, NULL);
}

static int open_bound(const void *other)
{
    return unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
           mount(secret, other, NULL, MS_BIND, NULL) || open(other, O_RDONLY) < 0;
}

Test(file, bind_mount_goes_by_the_watched_name)
{
    const char *other = test_path("mounted-here");
    write_file(other, "");
    in_child(open_bound, other);
    agent_wait_alert(agent, "exact", "fd.name", secret, "fd.nameraw", other, NULL);
}

// Names that pass the filter by themselves must not hide whose inode it is.
Test(file, links_with_names_that_rules_use)
{
    mkdir(test_path("elsewhere"), 0755);
    const char *same_name = test_path("elsewhere/the-secret-file");
    cr_assert_eq(link(secret, same_name), 0);
    close_opened(open(same_name, O_RDONLY));
    agent_wait_alert(agent, "exact", "fd.name", secret, "fd.nameraw", same_name, NULL);

    mkdir(test_path("elsewhere/kept"), 0755);
    const char *known_directory = test_path("elsewhere/kept/x");
    cr_assert_eq(link(secret, known_directory), 0);
    close_opened(open(known_directory, O_RDONLY));
    agent_wait_alert(agent, "exact", "fd.name", secret, "fd.nameraw", known_directory, NULL);
}

// A file with two names that rules use: with the first rule switched off, the other still has it.
Test(file, link_below_a_watched_prefix_has_both_names)
{
    struct agent *other =
        agent_start(format_text("- rule: exact\n"
                                "  desc: d\n"
                                "  condition: " OPENED " and fd.name = %s and proc.name = nobody\n"
                                "  output: x\n"
                                "  priority: WARNING\n"
                                "- rule: prefix\n"
                                "  desc: d\n"
                                "  condition: " OPENED " and fd.name startswith %s/\n"
                                "  output: \"%%fd.nameraw\"\n"
                                "  priority: WARNING\n",
                                secret, kept),
                    NULL);
    const char *below = test_path("kept/link");
    cr_assert_eq(link(secret, below), 0);
    close_opened(open(below, O_RDONLY));
    agent_wait_alert(other, "prefix", "fd.nameraw", below, NULL);
    agent_stop(other);
}

// The names lead to nothing, but to what a rule names once the dots are gone.
Test(file, failed_opens_with_slashes_and_dots_behind)
{
    static const char *const behind[] = {"/", "/.", "//"};
    for (size_t i = 0; i < ARRAY_SIZE(behind); i++) {
        const char *name = format_text("%s%s", secret, behind[i]);
        cr_assert_lt(open(name, O_RDONLY), 0);
        agent_wait_alert(agent, "exact", "fd.name", secret, "fd.nameraw", name, "evt.failed", "true", NULL);
    }
}

// Goes down as many directories of that name and opens a file at the end.
static int open_deep(const char *name, size_t depth)
{
    if (chdir(kept))
        return 1;
    for (size_t i = 0; i < depth; i++)
        if (mkdir(name, 0755) || chdir(name))
            return 1;
    return open("deep-file", O_RDWR | O_CREAT, 0644) < 0;
}

static int open_fifty_deep(const void *unused)
{
    return open_deep("x", 50);
}

static int open_seventy_deep(const void *unused)
{
    return open_deep("y", 70);
}

static int open_longer_than_path_max(const void *unused)
{
    char name[251];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    return open_deep(name, 20);
}

// Deeper than the kernel side looks: no rule can name it, but it is counted.
Test(file, path_that_is_too_deep_is_counted)
{
    in_child(open_seventy_deep, NULL);
    close_opened(open(secret, O_RDONLY));
    agent_wait_alert(agent, "exact", "fd.name", secret, NULL);
    cr_expect_eq(agent_count_alerts(agent, "prefix", "fd.filename", "deep-file", NULL), 0);
    cr_expect_eq(agent_metric(agent, "inferscope_paths_unknown_total", NULL), 1);
}

Test(file, paths_deeper_and_longer_than_usual)
{
    in_child(open_fifty_deep, NULL);
    agent_wait_alert(agent, "prefix", "fd.filename", "deep-file", NULL);
    in_child(open_longer_than_path_max, NULL);
    agent_wait_count(agent, "prefix", 2);
}

// The file behind a path may change; the agent looks once a second which one it is.
Test(file, hard_link_to_a_file_that_was_replaced)
{
    const char *fresh = test_path("fresh"), *other = test_path("other-name");
    write_file(fresh, "new\n");
    cr_assert_eq(rename(fresh, secret), 0);
    cr_assert_eq(link(secret, other), 0);
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        close_opened(open(other, O_RDONLY));
        agent_open_events(agent); // paces the loop: an answer from the agent between two tries
        clock_gettime(CLOCK_MONOTONIC, &now);
        cr_assert_lt(now.tv_sec, begin.tv_sec + DEADLINE_S, "the new file is not watched");
    } while (agent_count_alerts(agent, "exact", "fd.name", secret, "fd.nameraw", other, NULL) == 0);
}

// --- Failures ---

static int open_as_nobody(const void *path)
{
    return setuid(65534) || open(path, O_RDONLY) >= 0 || errno != EACCES;
}

Test(file, refused_open)
{
    cr_assert_eq(chmod(secret, 0600), 0);
    in_child(open_as_nobody, secret);
    agent_wait_alert(agent, "exact", "evt.failed", "true", "evt.rawres", format_text("%d", -EACCES),
                     "fd.name", secret, "fd.nameraw", secret, "fd.num", "-", "evt.is_open_read", "false",
                     NULL);
}

Test(file, missing_file_relative_to_the_working_directory)
{
    cr_assert_eq(chdir(kept), 0);
    cr_assert_lt(open("sub/../missing", O_RDONLY), 0);
    agent_wait_alert(agent, "prefix", "evt.failed", "true", "evt.rawres", format_text("%d", -ENOENT),
                     "fd.name", test_path("kept/missing"), "fd.nameraw", "sub/../missing", NULL);
}

static int miss_in_chroot(const void *root)
{
    return chroot(root) || chdir("/") || open("/kept/missing", O_RDONLY) >= 0 ||
           open("/../kept/above", O_RDONLY) >= 0;
}

Test(file, missing_file_in_a_chroot)
{
    in_child(miss_in_chroot, test_dir());
    agent_wait_alert(agent, "prefix", "evt.failed", "true", "fd.name", test_path("kept/missing"),
                     "fd.nameraw", "/kept/missing", NULL);
    agent_wait_alert(agent, "prefix", "evt.failed", "true", "fd.name", test_path("kept/above"), NULL);
}

Test(file, missing_file_relative_to_a_descriptor)
{
    _cleanup_close_ int directory = open(kept, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_lt(openat(directory, "missing", O_RDONLY), 0);
    agent_wait_alert(agent, "prefix", "evt.failed", "true", "fd.name", test_path("kept/missing"), NULL);
}

// --- Names at their limits ---

Test(file, deep_path)
{
    char path[PATH_MAX];
    size_t used = (size_t)snprintf(path, sizeof(path), "%s", kept);
    for (int depth = 0; depth < 40; depth++) {
        used += (size_t)snprintf(path + used, sizeof(path) - used, "/level-%d", depth);
        cr_assert_eq(mkdir(path, 0755), 0);
    }
    snprintf(path + used, sizeof(path) - used, "/leaf");
    close_opened(open(path, O_WRONLY | O_CREAT, 0600));
    agent_wait_alert(agent, "prefix", "fd.name", path, NULL);
}

Test(file, longest_names)
{
    char name[NAME_MAX + 1];
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    const char *directory = test_path("kept/%s", name);
    const char *path = format_text("%s/%s", directory, name);
    cr_assert_eq(mkdir(directory, 0755), 0);
    close_opened(open(path, O_WRONLY | O_CREAT, 0600));
    agent_wait_alert(agent, "prefix", "fd.name", path, "fd.filename", name, NULL);
}

// agent_stop() asserts that every line was JSON, which is UTF-8.
Test(file, names_of_any_bytes)
{
    const char *path = test_path("kept/new\nline \"quoted\" back\\slash \xff\xfe tab\t");
    close_opened(open(path, O_WRONLY | O_CREAT, 0600));
    agent_wait_alert(agent, "prefix", "fd.name",
                     test_path("kept/new\nline \"quoted\" back\\slash \xef\xbf\xbd\xef\xbf\xbd tab\t"), NULL);
}

// --- What is not sent ---

// By the numbers of <asm/unistd_32.h>.
enum { I386_OPEN = 5, I386_CREAT = 8, I386_OPENAT = 295 };

Test(file, callers_of_32_bits)
{
    if (!compat_available())
        cr_skip_test("this kernel has no 32-bit system calls");
    char *path = compat_text(secret);
    static const struct {
        long number;
        const char *type;
    } calls[] = {{I386_OPEN, "open"}, {I386_OPENAT, "openat"}, {I386_CREAT, "creat"}};
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        bool at = calls[i].number == I386_OPENAT;
        long fd = at ? compat_call(I386_OPENAT, AT_FDCWD, (long)path, O_RDONLY, 0, 0)
                     : compat_call(calls[i].number, (long)path,
                                   calls[i].number == I386_CREAT ? 0600 : O_RDONLY, 0, 0, 0);
        close_opened((int)fd);
        agent_wait_alert(agent, "exact", "fd.name", secret, "evt.type", calls[i].type, "fd.num",
                         format_text("%ld", fd), NULL);
    }
}

Test(file, failed_open_of_32_bits_relative_to_a_directory)
{
    if (!compat_available())
        cr_skip_test("this kernel has no 32-bit system calls");
    _cleanup_close_ int directory = open(test_dir(), O_RDONLY | O_DIRECTORY);
    cr_assert_eq(compat_call(I386_OPENAT, directory, (long)compat_text("kept/missing"), O_RDONLY, 0, 0),
                 -ENOENT);
    agent_wait_alert(agent, "prefix", "fd.name", test_path("kept/missing"), "evt.rawres",
                     format_text("%d", -ENOENT), "evt.res", "ENOENT", NULL);
}

// The kernel takes the lower halves of the registers, so nothing above them may hide a name.
Test(file, failed_open_of_32_bits_with_more_in_its_registers)
{
    if (!compat_available())
        cr_skip_test("this kernel has no 32-bit system calls");
    long above = 0x123456700000000;
    cr_assert_eq(
        compat_call(I386_OPEN, (long)compat_text(test_path("kept/missing")) | above, O_RDONLY, 0, 0, 0),
        -ENOENT);
    agent_wait_alert(agent, "prefix", "fd.name", test_path("kept/missing"), "evt.res", "ENOENT", NULL);
}

Test(file, files_of_no_rule_cause_no_record)
{
    // The kernel's filter works with hashes, so that now and then a file of others passes. One of these would
    // do so each time.
    enum { FILES = 100, ROUNDS = 100 };
    mkdir(test_path("unwatched"), 0755);
    agent_stop(TAKE_PTR(agent));
    agent = agent_start(format_text("- rule: prefix\n"
                                    "  desc: d\n"
                                    "  condition: " OPENED " and fd.name startswith \"%s/\"\n"
                                    "  output: \"%%fd.name\"\n"
                                    "  priority: WARNING\n",
                                    kept),
                        NULL);
    double before = agent_open_events(agent);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < FILES; i++) {
            char path[PATH_MAX];
            snprintf(path, sizeof(path), "%s/unwatched/file-%d", test_dir(), i);
            close_opened(open(path, O_RDWR | O_CREAT, 0600));
        }
    }
    const char *marker = test_path("kept/marker");
    close_opened(open(marker, O_WRONLY | O_CREAT, 0600));
    agent_wait_alert(agent, "prefix", "fd.name", marker, NULL);
    double more = agent_open_events(agent) - before;
    cr_expect(more >= 1 && more < 1 + ROUNDS, "%.0f", more);
}

Test(file, paths_near_a_watched_one_do_not_alert)
{
    write_file(test_path("watched/the-secret-file-2"), "");
    mkdir(test_path("kept-too"), 0755);
    write_file(test_path("kept-too/file"), "");
    write_file(test_path("the-secret-file"), "");
    close_opened(open(secret, O_RDONLY));
    agent_wait_alert(agent, "exact", "fd.name", secret, NULL);
    cr_expect_eq(agent_count_alerts(agent, "exact", NULL), 1);
    cr_expect_eq(agent_count_alerts(agent, "prefix", NULL), 0);
}

Test(file, rule_without_a_path_sees_every_open)
{
    enum { COUNT = 1000 };
    agent_stop(TAKE_PTR(agent));
    // There is room for what others open meanwhile.
    agent = agent_start(format_text("- rule: all\n"
                                    "  desc: d\n"
                                    "  condition: evt.type = openat and proc.pid = %d and\n"
                                    "    fd.name contains \"/any-\"\n"
                                    "  output: \"%%fd.name\"\n"
                                    "  priority: WARNING\n",
                                    getpid()),
                        "--ring-size", "64", NULL);
    for (int i = 0; i < COUNT; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s/any-%d", test_dir(), i);
        close_opened(open(path, O_RDWR | O_CREAT, 0600));
    }
    agent_wait_count(agent, "all", COUNT);
    agent_wait_alert(agent, "all", "fd.name", test_path("any-%d", COUNT - 1), NULL);
    cr_expect_eq(agent_count_alerts(agent, "all", NULL), COUNT);
}
