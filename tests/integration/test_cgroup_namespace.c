// An agent in a container that has only its own cgroups, as a pod without the node's /sys/fs/cgroup: it says
// that it sees no connections, instead of seeing its own alone.
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(cgroup_namespace, TEST_SUITE);

static const char rule[] = "- rule: connect\n"
                           "  desc: any connection\n"
                           "  condition: evt.type = connect and fd.sip = 127.99.7.7\n"
                           "  output: \"%fd.sip\"\n"
                           "  priority: NOTICE\n";

static void write_at(int directory, const char *name, const char *text)
{
    _cleanup_close_ int fd = openat(directory, name, O_WRONLY | O_CLOEXEC);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text), "%s: %s", name, strerror(errno));
}

static void enter(const char *mount_point, int root, const char *cgroup, const char *join)
{
    cr_assert_eq(mkdirat(root, cgroup, 0755), 0);
    write_at(root, format_text("%s/cgroup.procs", join), "0");
    cr_assert_eq(unshare(CLONE_NEWCGROUP | CLONE_NEWNS), 0);
    // Into the namespace's root by now, or below it.
    write_at(root, format_text("%s/cgroup.procs", cgroup), "0");
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    cr_assert_eq(umount2(mount_point, MNT_DETACH), 0);
    cr_assert_eq(mount("cgroup2", mount_point, "cgroup2", 0, NULL), 0);
}

static void leave(int root, const char *cgroup)
{
    write_at(root, "cgroup.procs", "0");
    unlinkat(root, cgroup, AT_REMOVEDIR);
}

Test(cgroup_namespace, own_cgroup_alone_is_not_the_node)
{
    const char *point = cgroup_mount(), *cgroup = format_text("own-%d", getpid());
    if (!point)
        cr_skip_test("no cgroup file system of the second version is mounted here");
    _cleanup_close_ int root = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enter(point, root, cgroup, cgroup);
    {
        _cleanup_agent_ struct agent *agent = agent_start(rule, NULL);
        cr_expect(strstr(agent_stderr(agent), "source connect is down"), "%s", agent_stderr(agent));
        cr_expect(strstr(agent_stderr(agent), "only this container's own; mount the node's /sys/fs/cgroup"),
                  "%s", agent_stderr(agent));
    }
    leave(root, cgroup);
}

// A node that is a container itself: all that runs in it is below where its cgroups begin.
Test(cgroup_namespace, a_node_may_be_a_container)
{
    const char *point = cgroup_mount(), *node = format_text("node-%d", getpid());
    const char *cgroup = format_text("%s/agent", node);
    if (!point)
        cr_skip_test("no cgroup file system of the second version is mounted here");
    _cleanup_close_ int root = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(mkdirat(root, node, 0755), 0);
    enter(point, root, cgroup, node);
    {
        _cleanup_agent_ struct agent *agent = agent_start(rule, NULL);
        run_program(actor_copy("walker"), "connect", "127.99.7.7", "9", NULL);
        agent_wait_alert(agent, "connect", "fd.sip", "127.99.7.7", NULL);
    }
    leave(root, cgroup);
    unlinkat(root, node, AT_REMOVEDIR);
}
