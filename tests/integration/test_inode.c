// Source `inode`: every call that makes, removes or renames directory entries or changes permissions is seen,
// by the names in it.
#include "compat.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 // since Linux 6.6
#endif

#define CHANGED                                                                                     \
    "evt.type in (symlink, symlinkat, link, linkat, rename, renameat, renameat2, unlink, unlinkat," \
    " rmdir, mkdir, mkdirat, chmod, fchmod, fchmodat, fchmodat2)"
#define CHANGE_OUTPUT                                                                                        \
    "%evt.type %evt.rawres %evt.failed %evt.res %evt.arg.path %evt.arg.name %evt.arg.filename %evt.arg.mode" \
    " %evt.arg.oldpath %evt.arg.newpath %evt.arg.target %evt.arg.linkpath %evt.arg.dirfd %evt.arg.olddirfd"  \
    " %evt.arg.newdirfd %evt.arg.olddir %evt.arg.newdir %evt.arg.linkdirfd %evt.arg.fd %evt.arg.flags"       \
    " %fd.num %fd.name %fs.path.name %fs.path.nameraw %fs.path.source %fs.path.sourceraw %fs.path.target"    \
    " %fs.path.targetraw %proc.pid"

static const char *root; // what all the rules are about
static struct agent *agent;

static char *rule(const char *name, const char *condition)
{
    return format_text("- rule: %s\n"
                       "  desc: d\n"
                       "  condition: >\n"
                       "    " CHANGED " and %s\n"
                       "  output: \"%s\"\n"
                       "  priority: WARNING\n",
                       name, condition, CHANGE_OUTPUT);
}

static void setup(void)
{
    test_setup();
    root = test_path("root");
    cr_assert_eq(mkdir(root, 0755), 0);
    write_file(test_path("root/file"), "");
    const char *condition =
        format_text("(evt.arg.path startswith %s/ or evt.arg.name startswith %s/ or\n"
                    "    evt.arg.filename startswith %s/ or evt.arg.oldpath startswith %s/ or\n"
                    "    evt.arg.newpath startswith %s/ or evt.arg.linkpath startswith %s/ or\n"
                    "    evt.arg.target startswith %s/ or fd.name startswith %s/)",
                    root, root, root, root, root, root, root, root);
    agent = agent_start(rule("change", condition), NULL);
}

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    test_teardown();
}

TestSuite(inode, .init = setup, .fini = teardown);

static const char *below(const char *name)
{
    return test_path("root/%s", name);
}

// Other rules than those of the suite. Where these name no path, the calls of the whole machine go through
// the ring, such as those of somebody who removes a large folder: there is room for that.
static void restart_agent(const char *rules)
{
    agent_stop(TAKE_PTR(agent));
    agent = agent_start(rules, "--ring-size", "64", NULL);
}

#define expect_change(type, ...)                                                                 \
    agent_wait_alert(agent, "change", "evt.type", type, "proc.pid", format_text("%d", getpid()), \
                     __VA_ARGS__, NULL)
#define DONE "evt.failed", "false", "evt.rawres", "0", "evt.res", "SUCCESS"

#define MODE_0751 "S_IXOTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR"

// --- The calls ---

#ifdef SYS_unlink

Test(inode, by_symlink)
{
    const char *link = below("link");
    cr_assert_eq(syscall(SYS_symlink, "../etc/shadow", link), 0);
    expect_change("symlink", DONE, "evt.arg.target", "../etc/shadow", "evt.arg.linkpath", link,
                  "fs.path.source", link, "fs.path.sourceraw", link, "fs.path.target",
                  test_path("etc/shadow"), "fs.path.targetraw", "../etc/shadow", "evt.arg.path", "-");
}

Test(inode, by_link)
{
    const char *file = below("file"), *link = below("link");
    cr_assert_eq(syscall(SYS_link, file, link), 0);
    expect_change("link", DONE, "evt.arg.oldpath", file, "evt.arg.newpath", link, "fs.path.source", link,
                  "fs.path.target", file);
}

Test(inode, by_rename)
{
    const char *file = below("file"), *other = below("other");
    cr_assert_eq(syscall(SYS_rename, file, other), 0);
    expect_change("rename", DONE, "evt.arg.oldpath", file, "evt.arg.newpath", other, "fs.path.source", file,
                  "fs.path.target", other);
}

Test(inode, by_unlink)
{
    cr_assert_eq(syscall(SYS_unlink, below("file")), 0);
    expect_change("unlink", DONE, "evt.arg.path", below("file"), "fs.path.name", below("file"),
                  "fs.path.nameraw", below("file"));
}

Test(inode, by_rmdir_and_mkdir)
{
    const char *directory = below("directory");
    cr_assert_eq(syscall(SYS_mkdir, directory, 0751), 0);
    expect_change("mkdir", DONE, "evt.arg.path", directory, "evt.arg.mode", MODE_0751, "fs.path.name",
                  directory);
    cr_assert_eq(syscall(SYS_rmdir, directory), 0);
    expect_change("rmdir", DONE, "evt.arg.path", directory, "evt.arg.mode", "-");
}

Test(inode, by_chmod)
{
    const char *file = below("file");
    cr_assert_eq(syscall(SYS_chmod, file, 04700), 0);
    expect_change("chmod", DONE, "evt.arg.filename", file, "evt.arg.mode", "S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID",
                  "fs.path.name", file);
    cr_assert_eq(syscall(SYS_chmod, file, 0), 0);
    expect_change("chmod", DONE, "evt.arg.filename", file, "evt.arg.mode", "0");
}

#endif

Test(inode, by_symlinkat)
{
    const char *link = below("link");
    cr_assert_eq(syscall(SYS_symlinkat, "/etc/../etc/shadow", AT_FDCWD, link), 0);
    expect_change("symlinkat", DONE, "evt.arg.target", "/etc/../etc/shadow", "evt.arg.linkpath", link,
                  "evt.arg.linkdirfd", "AT_FDCWD", "fs.path.source", link, "fs.path.target", "/etc/shadow");
}

Test(inode, by_linkat)
{
    const char *file = below("file"), *link = below("link");
    cr_assert_eq(syscall(SYS_linkat, AT_FDCWD, file, AT_FDCWD, link, AT_SYMLINK_FOLLOW), 0);
    expect_change("linkat", DONE, "evt.arg.oldpath", file, "evt.arg.newpath", link, "evt.arg.olddir",
                  "AT_FDCWD", "evt.arg.newdir", "AT_FDCWD", "evt.arg.flags", "AT_SYMLINK_FOLLOW");
}

Test(inode, by_linkat_of_a_descriptor)
{
    _cleanup_close_ int file = open(below("file"), O_PATH | O_CLOEXEC);
    const char *link = below("link");
    cr_assert_eq(syscall(SYS_linkat, file, "", AT_FDCWD, link, AT_EMPTY_PATH), 0);
    expect_change("linkat", DONE, "evt.arg.oldpath", below("file"), "evt.arg.newpath", link, "evt.arg.olddir",
                  format_text("%d", file), "evt.arg.flags", "AT_EMPTY_PATH");
}

Test(inode, by_renameat)
{
    const char *file = below("file"), *other = below("other");
    cr_assert_eq(syscall(SYS_renameat, AT_FDCWD, file, AT_FDCWD, other), 0);
    expect_change("renameat", DONE, "evt.arg.oldpath", file, "evt.arg.newpath", other, "evt.arg.olddirfd",
                  "AT_FDCWD", "evt.arg.newdirfd", "AT_FDCWD", "evt.arg.flags", "-");
}

Test(inode, by_renameat2)
{
    const char *file = below("file"), *other = below("other");
    write_file(other, "");
    cr_assert_eq(syscall(SYS_renameat2, AT_FDCWD, file, AT_FDCWD, other, RENAME_EXCHANGE), 0);
    expect_change("renameat2", DONE, "evt.arg.oldpath", file, "evt.arg.newpath", other, "evt.arg.flags",
                  "RENAME_EXCHANGE");
}

Test(inode, by_unlinkat)
{
    const char *directory = below("directory");
    cr_assert_eq(syscall(SYS_mkdirat, AT_FDCWD, directory, 0751), 0);
    expect_change("mkdirat", DONE, "evt.arg.path", directory, "evt.arg.mode", MODE_0751, "evt.arg.dirfd",
                  "AT_FDCWD", "fs.path.name", directory);
    cr_assert_eq(syscall(SYS_unlinkat, AT_FDCWD, directory, AT_REMOVEDIR), 0);
    expect_change("unlinkat", DONE, "evt.arg.name", directory, "evt.arg.flags", "AT_REMOVEDIR",
                  "fs.path.name", directory);
    cr_assert_eq(syscall(SYS_unlinkat, AT_FDCWD, below("file"), 0), 0);
    expect_change("unlinkat", DONE, "evt.arg.name", below("file"), "evt.arg.flags", "0");
}

Test(inode, by_fchmod)
{
    cr_assert_eq(symlink(below("file"), test_path("elsewhere")), 0);
    _cleanup_close_ int file = open(test_path("elsewhere"), O_RDONLY | O_CLOEXEC);
    const char *number = format_text("%d", file);
    cr_assert_eq(syscall(SYS_fchmod, file, 02600), 0);
    expect_change("fchmod", DONE, "fd.name", below("file"), "fd.num", number, "evt.arg.fd", number,
                  "evt.arg.mode", "S_IWUSR|S_IRUSR|S_ISGID", "fs.path.name", below("file"));
}

Test(inode, by_fchmodat)
{
    const char *file = below("file");
    cr_assert_eq(syscall(SYS_fchmodat, AT_FDCWD, file, 01600), 0);
    expect_change("fchmodat", DONE, "evt.arg.filename", file, "evt.arg.mode", "S_IWUSR|S_IRUSR|S_ISVTX",
                  "evt.arg.dirfd", "AT_FDCWD");
}

Test(inode, by_fchmodat2)
{
    if (!kernel_at_least(6, 6))
        cr_skip_test("there is no fchmodat2() before Linux 6.6");
    _cleanup_close_ int file = open(below("file"), O_PATH | O_CLOEXEC);
    cr_assert_eq(syscall(SYS_fchmodat2, file, "", 0600, AT_EMPTY_PATH), 0);
    expect_change("fchmodat2", DONE, "evt.arg.filename", below("file"), "evt.arg.mode", "S_IWUSR|S_IRUSR",
                  "evt.arg.dirfd", format_text("%d", file), "evt.arg.flags", "AT_EMPTY_PATH");
}

// --- The names ---

Test(inode, relative_to_the_working_directory)
{
    cr_assert_eq(chdir(root), 0);
    cr_assert_eq(mkdirat(AT_FDCWD, "a//./b/../c", 0700), -1); // there is no "a"
    expect_change("mkdirat", "evt.res", "ENOENT", "evt.arg.path", below("a/c"));
    cr_assert_eq(renameat(AT_FDCWD, "file", AT_FDCWD, "../outside"), 0);
    expect_change("renameat", DONE, "fs.path.source", below("file"), "fs.path.sourceraw", "file",
                  "fs.path.target", test_path("outside"), "fs.path.targetraw", "../outside");
}

Test(inode, relative_to_two_descriptors)
{
    cr_assert_eq(mkdir(test_path("other"), 0755), 0);
    _cleanup_close_ int from = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int to = open(test_path("other"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(linkat(from, "file", to, "link", 0), 0);
    expect_change("linkat", DONE, "evt.arg.oldpath", below("file"), "evt.arg.newpath",
                  test_path("other/link"), "evt.arg.olddir", format_text("%d", from), "evt.arg.newdir",
                  format_text("%d", to));
    cr_assert_eq(symlinkat("x", from, "link"), 0);
    expect_change("symlinkat", DONE, "evt.arg.linkpath", below("link"), "fs.path.target", below("x"));
    cr_assert_eq(unlinkat(from, "link", 0), 0);
    expect_change("unlinkat", DONE, "evt.arg.name", below("link"), "fs.path.nameraw", "link");
}

// Into and out of the watched directory: each of the two names is enough.
Test(inode, either_name_is_enough)
{
    write_file(test_path("outside"), "");
    cr_assert_eq(rename(test_path("outside"), below("inside")), 0);
    agent_wait_alert(agent, "change", "evt.arg.oldpath", test_path("outside"), "evt.arg.newpath",
                     below("inside"), NULL);
    cr_assert_eq(rename(below("inside"), test_path("outside")), 0);
    agent_wait_alert(agent, "change", "evt.arg.oldpath", below("inside"), "evt.arg.newpath",
                     test_path("outside"), NULL);
    cr_assert_eq(symlink(below("file"), test_path("link")), 0);
    agent_wait_alert(agent, "change", "evt.arg.target", below("file"), "evt.arg.linkpath", test_path("link"),
                     NULL);
}

static int change_in_chroot(const void *unused)
{
    return chroot(test_dir()) || chdir("/root") || mkdir("/root/absolute", 0755) ||
           mkdir("/../root/above", 0755) || mkdir("relative", 0755) || mkdir("/root/..", 0755) == 0;
}

Test(inode, chroot_does_not_shorten)
{
    in_child(change_in_chroot, NULL);
    agent_wait_alert(agent, "change", "fs.path.name", below("relative"), NULL);
    agent_wait_alert(agent, "change", "fs.path.name", below("absolute"), "fs.path.nameraw", "/root/absolute",
                     NULL);
    agent_wait_alert(agent, "change", "fs.path.name", below("above"), NULL);
}

Test(inode, root_by_any_name)
{
    restart_agent(rule("change", "(evt.arg.path = / or evt.arg.name = / or evt.arg.filename = / or"
                                 " fs.path.name = /)"));
    static const char *const names[] = {"/", "/.", "/..", "//", "/tmp/.."};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        cr_assert_eq(mkdirat(AT_FDCWD, names[i], 0755), -1);
        agent_wait_count(agent, "change", i + 1);
    }
    cr_assert_eq(chdir("/"), 0);
    cr_assert_eq(mkdirat(AT_FDCWD, ".", 0755), -1);
    agent_wait_count(agent, "change", ARRAY_SIZE(names) + 1);
}

// The name as it was given, not what it leads to.
Test(inode, links_are_not_resolved)
{
    cr_assert_eq(symlink(root, test_path("elsewhere")), 0);
    restart_agent(rule("change", format_text("evt.arg.path startswith %s/", test_path("elsewhere"))));
    cr_assert_eq(syscall(SYS_mkdirat, AT_FDCWD, test_path("elsewhere/new"), 0755), 0);
    expect_change("mkdirat", DONE, "evt.arg.path", test_path("elsewhere/new"));
}

Test(inode, names_at_their_limits)
{
    char name[NAME_MAX + 1];
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    const char *directory = below(name), *other = below(format_text("m%s", name + 1));
    cr_assert_eq(mkdirat(AT_FDCWD, directory, 0755), 0);
    cr_assert_eq(renameat(AT_FDCWD, directory, AT_FDCWD, other), 0);
    expect_change("renameat", DONE, "evt.arg.oldpath", directory, "evt.arg.newpath", other);

    // 16 names of 255 bytes: the longest that the kernel takes, 4095 bytes.
    char longest[PATH_MAX];
    size_t used = (size_t)snprintf(longest, sizeof(longest), "%s", root);
    while (used < PATH_MAX - 1)
        used += (size_t)snprintf(longest + used, sizeof(longest) - used, "/%s", name);
    longest[PATH_MAX - 1] = '\0';
    cr_assert_eq(renameat(AT_FDCWD, longest, AT_FDCWD, longest), -1);
    expect_change("renameat", "evt.res", "ENOENT", "evt.arg.oldpath", longest, "evt.arg.newpath", longest);
}

static int rename_in_the_deep(const void *name)
{
    for (size_t i = 0; i < 70; i++)
        if (mkdir(name, 0755) || chdir(name))
            return 1;
    return renameat(AT_FDCWD, "missing", AT_FDCWD, below("from-the-deep")) == 0;
}

// A rule on the other name still sees it.
Test(inode, path_that_is_too_deep_is_counted)
{
    cr_assert_eq(chdir(root), 0);
    in_child(rename_in_the_deep, "d");
    agent_wait_alert(agent, "change", "evt.arg.newpath", below("from-the-deep"), "evt.arg.oldpath", "-",
                     NULL);
    cr_expect_gt(agent_metric(agent, "inferscope_paths_unknown_total", NULL), 0);
}

// --- Failures ---

Test(inode, failures)
{
    cr_assert_eq(unlinkat(AT_FDCWD, below("missing"), 0), -1);
    expect_change("unlinkat", "evt.failed", "true", "evt.rawres", format_text("%d", -ENOENT), "evt.res",
                  "ENOENT", "evt.arg.name", below("missing"), "fs.path.name", "-", "fs.path.nameraw", "-");
    cr_assert_eq(mkdirat(AT_FDCWD, below("file"), 0700), -1);
    expect_change("mkdirat", "evt.res", "EEXIST", "evt.arg.path", below("file"), "fs.path.name", "-");
    cr_assert_eq(renameat(AT_FDCWD, below("missing"), AT_FDCWD, below("x")), -1);
    expect_change("renameat", "evt.res", "ENOENT", "evt.arg.oldpath", below("missing"), "evt.arg.newpath",
                  below("x"), "fs.path.source", "-", "fs.path.target", "-");
}

// What cannot be read or leads nowhere has no path, but the event is there.
Test(inode, calls_without_a_usable_name)
{
    restart_agent(rule("change", format_text("proc.pid = %d", getpid())));
    cr_assert_eq(syscall(SYS_mkdirat, AT_FDCWD, NULL, 0700), -1);
    expect_change("mkdirat", "evt.res", "EFAULT", "evt.arg.path", "-");
    cr_assert_eq(syscall(SYS_unlinkat, AT_FDCWD, "", 0), -1);
    expect_change("unlinkat", "evt.res", "ENOENT", "evt.arg.name", "-");
    cr_assert_eq(syscall(SYS_unlinkat, 12345, "x", 0), -1);
    expect_change("unlinkat", "evt.res", "EBADF", "evt.arg.name", "-", "evt.arg.dirfd", "12345");
    cr_assert_eq(syscall(SYS_fchmod, -1, 0700), -1);
    expect_change("fchmod", "evt.res", "EBADF", "fd.num", "-", "fd.name", "-", "evt.arg.fd", "-1");
    cr_assert_eq(syscall(SYS_renameat, AT_FDCWD, below("file"), AT_FDCWD, NULL), -1);
    expect_change("renameat", "evt.res", "EFAULT", "evt.arg.oldpath", below("file"), "evt.arg.newpath", "-");
    // An absolute name needs no directory.
    cr_assert_eq(syscall(SYS_unlinkat, 12345, below("file"), 0), 0);
    expect_change("unlinkat", DONE, "evt.arg.name", below("file"));
}

// --- 32-bit callers ---

// By the numbers of <asm/unistd_32.h>.
enum {
    I386_LINK = 9,
    I386_UNLINK = 10,
    I386_CHMOD = 15,
    I386_RENAME = 38,
    I386_MKDIR = 39,
    I386_RMDIR = 40,
    I386_SYMLINK = 83,
    I386_FCHMOD = 94,
    I386_MKDIRAT = 296,
    I386_UNLINKAT = 301,
    I386_RENAMEAT = 302,
    I386_LINKAT = 303,
    I386_SYMLINKAT = 304,
    I386_FCHMODAT = 306,
    I386_RENAMEAT2 = 353,
    I386_FCHMODAT2 = 452,
};

Test(inode, callers_of_32_bits)
{
    if (!compat_available())
        cr_skip_test("this kernel has no 32-bit system calls");
    long file = (long)compat_text(below("file")), link = (long)compat_text(below("link"));
    long directory = (long)compat_text(below("directory"));
    cr_assert_eq(compat_call(I386_SYMLINK, file, link, 0, 0, 0), 0);
    expect_change("symlink", DONE, "evt.arg.target", below("file"), "evt.arg.linkpath", below("link"));
    cr_assert_eq(compat_call(I386_UNLINK, link, 0, 0, 0, 0), 0);
    expect_change("unlink", DONE, "evt.arg.path", below("link"));
    cr_assert_eq(compat_call(I386_LINK, file, link, 0, 0, 0), 0);
    expect_change("link", DONE, "evt.arg.oldpath", below("file"), "evt.arg.newpath", below("link"));
    cr_assert_eq(compat_call(I386_RENAME, link, link, 0, 0, 0), 0);
    expect_change("rename", DONE, "evt.arg.oldpath", below("link"), "evt.arg.newpath", below("link"));
    cr_assert_eq(compat_call(I386_MKDIR, directory, 0751, 0, 0, 0), 0);
    expect_change("mkdir", DONE, "evt.arg.path", below("directory"), "evt.arg.mode", MODE_0751);
    cr_assert_eq(compat_call(I386_RMDIR, directory, 0, 0, 0, 0), 0);
    expect_change("rmdir", DONE, "evt.arg.path", below("directory"));
    cr_assert_eq(compat_call(I386_CHMOD, file, 0751, 0, 0, 0), 0);
    expect_change("chmod", DONE, "evt.arg.filename", below("file"), "evt.arg.mode", MODE_0751);
    _cleanup_close_ int fd = open(below("file"), O_RDONLY | O_CLOEXEC);
    cr_assert_eq(compat_call(I386_FCHMOD, fd, 0751, 0, 0, 0), 0);
    expect_change("fchmod", DONE, "fd.name", below("file"), "evt.arg.mode", MODE_0751);
}

Test(inode, callers_of_32_bits_relative_to_descriptors)
{
    if (!compat_available())
        cr_skip_test("this kernel has no 32-bit system calls");
    _cleanup_close_ int at = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const char *number = format_text("%d", at);
    long file = (long)compat_text("file"), other = (long)compat_text("other");
    cr_assert_eq(compat_call(I386_MKDIRAT, at, other, 0751, 0, 0), 0);
    expect_change("mkdirat", DONE, "evt.arg.path", below("other"), "evt.arg.mode", MODE_0751);
    cr_assert_eq(compat_call(I386_UNLINKAT, at, other, AT_REMOVEDIR, 0, 0), 0);
    expect_change("unlinkat", DONE, "evt.arg.name", below("other"), "evt.arg.flags", "AT_REMOVEDIR");
    cr_assert_eq(compat_call(I386_LINKAT, at, file, at, other, AT_SYMLINK_FOLLOW), 0);
    expect_change("linkat", DONE, "evt.arg.oldpath", below("file"), "evt.arg.newpath", below("other"),
                  "evt.arg.newdir", number, "evt.arg.flags", "AT_SYMLINK_FOLLOW");
    cr_assert_eq(compat_call(I386_RENAMEAT, at, other, at, file, 0), 0);
    expect_change("renameat", DONE, "evt.arg.oldpath", below("other"), "evt.arg.newpath", below("file"));
    cr_assert_eq(compat_call(I386_RENAMEAT2, at, other, at, file, RENAME_EXCHANGE), 0);
    expect_change("renameat2", DONE, "evt.arg.oldpath", below("other"), "evt.arg.newpath", below("file"),
                  "evt.arg.flags", "RENAME_EXCHANGE", "evt.arg.olddirfd", number);
    cr_assert_eq(compat_call(I386_SYMLINKAT, file, at, (long)compat_text("link"), 0, 0), 0);
    expect_change("symlinkat", DONE, "evt.arg.target", "file", "evt.arg.linkpath", below("link"));
    cr_assert_eq(compat_call(I386_FCHMODAT, at, file, 0751, 0, 0), 0);
    expect_change("fchmodat", DONE, "evt.arg.filename", below("file"), "evt.arg.mode", MODE_0751);
    if (kernel_at_least(6, 6)) {
        cr_assert_eq(compat_call(I386_FCHMODAT2, at, file, 0751, 0, 0), 0);
        expect_change("fchmodat2", DONE, "evt.arg.filename", below("file"), "evt.arg.flags", "0");
    }
    // AT_FDCWD comes without its sign.
    cr_assert_eq(chdir(root), 0);
    cr_assert_eq(compat_call(I386_UNLINKAT, AT_FDCWD, file, 0, 0, 0), 0);
    expect_change("unlinkat", DONE, "evt.arg.name", below("file"), "evt.arg.dirfd", "AT_FDCWD");
}

// The kernel takes the lower halves of the registers.
Test(inode, caller_of_32_bits_with_more_in_its_registers)
{
    if (!compat_available())
        cr_skip_test("this kernel has no 32-bit system calls");
    long above = 0x123456700000000;
    cr_assert_eq(compat_call(I386_CHMOD, (long)compat_text(below("file")) | above, 0751 | above, 0, 0, 0), 0);
    expect_change("chmod", DONE, "evt.arg.filename", below("file"), "evt.arg.mode", MODE_0751);
}

// --- What is not sent ---

Test(inode, names_of_no_rule_cause_no_record)
{
    enum { ROUNDS = 100 };
    cr_assert_eq(mkdir(test_path("unwatched"), 0755), 0);
    cr_assert_eq(unlinkat(AT_FDCWD, below("first"), 0), -1);
    expect_change("unlinkat", "evt.arg.name", below("first"));
    double before = agent_metric(agent, "inferscope_events_total", "source", "inode", NULL);
    cr_assert_eq(chdir(test_path("unwatched")), 0);
    for (int i = 0; i < ROUNDS; i++) {
        cr_assert_eq(mkdirat(AT_FDCWD, "a", 0755), 0);
        cr_assert_eq(renameat(AT_FDCWD, "a", AT_FDCWD, test_path("unwatched/b")), 0);
        cr_assert_eq(unlinkat(AT_FDCWD, "b", AT_REMOVEDIR), 0);
    }
    cr_assert_eq(unlinkat(AT_FDCWD, below("marker"), 0), -1);
    expect_change("unlinkat", "evt.arg.name", below("marker"));
    // Others may use a name that a rule's directory has, "root"; but not so often.
    double after = agent_metric(agent, "inferscope_events_total", "source", "inode", NULL);
    cr_expect_lt(after, before + ROUNDS);
}

Test(inode, failures_that_no_rule_wants_cause_no_record)
{
    restart_agent(rule("change", format_text("fs.path.name startswith %s/", root)));
    for (int i = 0; i < 100; i++)
        cr_assert_eq(unlinkat(AT_FDCWD, below("missing"), 0), -1);
    cr_assert_eq(unlinkat(AT_FDCWD, below("file"), 0), 0);
    expect_change("unlinkat", "fs.path.name", below("file"));
    cr_expect_lt(agent_metric(agent, "inferscope_events_total", "source", "inode", NULL), 100);
}

Test(inode, without_a_path_every_call_is_seen)
{
    enum { COUNT = 1000 };
    restart_agent(
        rule("change", format_text("evt.arg.mode contains \"S_ISUID\" and proc.pid = %d", getpid())));
    for (int i = 0; i < COUNT; i++)
        cr_assert_eq(fchmodat(AT_FDCWD, below("file"), i % 2 ? 04700 : 0700, 0), 0);
    agent_wait_count(agent, "change", COUNT / 2);
}

Test(inode, needs_no_program_where_no_rule_wants_it)
{
    restart_agent("- rule: change\n"
                  "  desc: d\n"
                  "  condition: evt.type = openat and fd.name = /nothing\n"
                  "  output: x\n"
                  "  priority: WARNING\n");
    const char *ready = strstr(agent_stderr(agent), "sources: ");
    cr_assert(ready);
    cr_expect(strstr(ready, "file"), "%s", ready);
    cr_expect_not(strstr(ready, "inode"), "%s", ready);
}
