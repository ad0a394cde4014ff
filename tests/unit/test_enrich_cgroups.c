// Whose a cgroup is, for what the kernel measures by cgroup.
#include "enrich_events.h"

#include <criterion/criterion.h>
#include <errno.h>

#define A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static struct stage stage;

static void setup(void)
{
    stage_start(&stage, 0);
}

static void teardown(void)
{
    stage_stop(&stage);
}

TestSuite(enrich_cgroups, .init = setup, .fini = teardown);

static const struct who server = {
    .pid = 300, .start_ns = 3 * SECOND, .comm = "server", .uid = 1000, .gid = 1000, .cgroup_id = 77};

static void put_in_cgroup(const char *path)
{
    tree_write(stage.root, "/proc/300/cgroup", path);
}

static void learn(const char *cgroup)
{
    stage_proc(&stage, 300, 1, "server", 300, "server", 7);
    put_in_cgroup(cgroup);
}

static void expect(uint64_t cgroup_id, pid_t pid, const char *id)
{
    const struct container *container = (const struct container *)1;
    cr_assert_eq(enrich_cgroup(stage.enrich, cgroup_id, pid, &container), 0);
    cr_assert_eq(container != NULL, id != NULL);
    if (id)
        cr_expect_eq(strncmp(container->id, id, 64), 0, "%s", container->id);
}

static void expect_unknown(uint64_t cgroup_id, pid_t pid)
{
    const struct container *container = (const struct container *)1;
    cr_assert_eq(enrich_cgroup(stage.enrich, cgroup_id, pid, &container), -ENOENT);
    cr_expect_eq(container, (const struct container *)1, "left alone on failure");
}

Test(enrich_cgroups, of_a_process_that_was_an_event)
{
    learn("0::/system.slice/docker-" A ".scope\n");
    stage_other(&stage, server, 4 * SECOND);
    stage_done(&stage);
    expect(77, 300, A);
    expect(77, 999, A); // whatever process
    expect_unknown(78, 300);
}

Test(enrich_cgroups, of_the_node)
{
    learn("0::/system.slice/ssh.service\n");
    stage_other(&stage, server, 4 * SECOND);
    stage_done(&stage);
    expect(77, 300, NULL);
}

Test(enrich_cgroups, of_a_process_that_was_none)
{
    learn("0::/system.slice/docker-" A ".scope\n");
    expect(77, 300, A);
    // It is known from now on, also when the process has gone.
    expect(77, 0, A);
}

Test(enrich_cgroups, of_nobody)
{
    expect_unknown(77, 300);
    expect_unknown(77, 0);
    expect_unknown(77, -1);
    expect_unknown(0, 300);
}

// Learnt before the runtime had moved it to where it belongs.
Test(enrich_cgroups, of_a_process_that_was_moved_since)
{
    learn("0::/system.slice/containerd.service\n");
    cr_assert_eq(enrich_scan(stage.enrich), 1);
    put_in_cgroup("0::/system.slice/docker-" B ".scope\n");
    expect(77, 300, B);
}

Test(enrich_cgroups, of_a_process_that_has_ended)
{
    learn("0::/system.slice/docker-" A ".scope\n");
    stage_other(&stage, server, 4 * SECOND);
    stage_done(&stage);
    stage_exit(&stage, server, 5 * SECOND);
    stage_done(&stage);
    expect(77, 300, A);
}

// What leaves the node is told a second after it did, when who sent it may have gone and nothing was seen of
// it.
Test(enrich_cgroups, of_an_event_whose_process_has_gone)
{
    struct who gone = server;
    gone.pid = 301;
    learn("0::/system.slice/docker-" A ".scope\n");
    stage_other(&stage, server, 4 * SECOND);
    stage_done(&stage);
    stage_other(&stage, gone, 5 * SECOND);
    cr_assert(stage.event.container, "the node's");
    cr_expect_eq(strncmp(stage.event.container->id, A, 64), 0);
    stage_done(&stage);
    expect(77, 0, A);
}
