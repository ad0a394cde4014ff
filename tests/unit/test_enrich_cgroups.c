// Whose a cgroup is, for what the kernel measures by cgroup.
#include "base/outside.h"
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

// --- Processes that are born in, or moved to, another cgroup ---

static const struct who child = {
    .pid = 301, .start_ns = 4 * SECOND, .comm = "server", .uid = 1000, .gid = 1000, .cgroup_id = 88};

static void expect_event(const char *id)
{
    cr_assert_eq(stage.event.container != NULL, id != NULL);
    if (id)
        cr_expect_eq(strncmp(stage.event.container->id, id, 64), 0, "%s", stage.event.container->id);
}

static void put_child(const char *cgroup)
{
    stage_proc(&stage, 301, 300, "server", 400, "server", 7);
    tree_write(stage.root, "/proc/301/cgroup", cgroup);
}

Test(enrich_cgroups, of_a_child_that_is_born_in_another)
{
    learn("0::/system.slice/docker-" A ".scope\n");
    stage_other(&stage, server, 3 * SECOND);
    stage_done(&stage);
    put_child("0::/system.slice/docker-" B ".scope\n");
    stage_clone(&stage, child, 300, 3 * SECOND);
    expect_event(B);
    stage_done(&stage);
    stage_other(&stage, child, 5 * SECOND);
    expect_event(B);
    stage_done(&stage);
    expect(77, 300, A);
    expect(88, 301, B);
}

Test(enrich_cgroups, of_a_child_that_is_born_in_another_and_gone)
{
    learn("0::/system.slice/docker-" A ".scope\n");
    stage_other(&stage, server, 3 * SECOND);
    stage_done(&stage);
    stage_clone(&stage, child, 300, 3 * SECOND);
    stage_done(&stage);
    stage_exit(&stage, child, 5 * SECOND);
    stage_done(&stage);
    expect(77, 300, A);
    expect_unknown(88, 301);
}

// Which cgroup its parent is in is not known, so it may be another than the child's.
Test(enrich_cgroups, of_a_child_of_one_that_did_nothing_else)
{
    learn("0::/system.slice/docker-" A ".scope\n");
    put_child("0::/system.slice/docker-" B ".scope\n");
    stage_clone(&stage, child, 300, 3 * SECOND);
    stage_done(&stage);
    stage_other(&stage, child, 5 * SECOND);
    stage_done(&stage);
    expect(88, 301, B);
}

Test(enrich_cgroups, tell_of_a_child_that_is_gone)
{
    const struct who other = {.pid = 302, .start_ns = 5 * SECOND, .comm = "other", .cgroup_id = 88};
    learn("0::/system.slice/docker-" A ".scope\n");
    stage_other(&stage, server, 3 * SECOND);
    stage_done(&stage);
    put_child("0::/system.slice/docker-" B ".scope\n");
    stage_other(&stage, child, 4 * SECOND);
    stage_done(&stage);
    stage_clone(&stage, other, 300, 3 * SECOND);
    expect_event(B);
    stage_done(&stage);
}

// The record of its fork is read when the runtime has moved it to its container already.
Test(enrich_cgroups, of_the_node_where_a_fork_is_read_late)
{
    struct who born = child;
    born.cgroup_id = 77;
    learn("0::/system.slice/containerd.service\n");
    put_child("0::/system.slice/docker-" B ".scope\n");
    cr_assert_eq(enrich_scan(stage.enrich), 2);
    stage_clone(&stage, born, 300, 3 * SECOND);
    stage_done(&stage);
    stage_other(&stage, child, 5 * SECOND);
    expect_event(B);
    stage_done(&stage);
    expect(77, 300, NULL);
    expect(88, 301, B);
}

Test(enrich_cgroups, of_a_process_of_which_nothing_is_known)
{
    stage_other(&stage, server, 4 * SECOND);
    expect_event(NULL);
    stage_done(&stage);
    expect_unknown(77, 300);
    learn("0::/system.slice/docker-" A ".scope\n");
    expect_unknown(77, 0);
}

// Its pid is another's by the time it is asked for.
Test(enrich_cgroups, of_a_process_whose_pid_is_another_s)
{
    learn("0::/system.slice/docker-" A ".scope\n");
    stage_other(&stage, server, 3 * SECOND);
    stage_done(&stage);
    stage_proc(&stage, 300, 1, "next", 900, "next", 5);
    put_in_cgroup("0::/system.slice/docker-" B ".scope\n");
    struct who moved = server;
    moved.cgroup_id = 88;
    stage_other(&stage, moved, 4 * SECOND);
    expect_event(A);
    stage_done(&stage);
    expect_unknown(88, 300);
}

// --- While a recording is made ---

static unsigned asked;

static void on_answered(void *context, enum outside_life life, const char *question, const void *data,
                        ssize_t result)
{
    asked++;
}

// What a replay does not do must leave all as it was.
Test(enrich_cgroups, ask_nothing_of_their_own_for_a_recording)
{
    const struct outside_tap tap = {.answered = on_answered};
    learn("0::/system.slice/docker-" A ".scope\n");
    outside_set_tap(&tap);
    expect_unknown(77, 300);
    cr_expect_eq(asked, 0);
    cr_expect_eq(stage.enrich->table.count, 0);
    cr_assert_eq(enrich_scan(stage.enrich), 1);
    asked = 0;
    expect(77, 300, A);
    cr_expect_eq(asked, 0);
    expect_unknown(77, 0);
    outside_set_tap(NULL);
}

// --- Room ---

// What is remembered of those that have ended must not keep out others.
Test(enrich_cgroups, leave_room_for_new_containers)
{
    enrich_free(&stage.enrich);
    const struct enrich_options options = {.containers_max = 4, .host_root = stage.root};
    cr_assert_eq(enrich_new(&options, &stage.enrich), 0);
    stage.enrich->proc_root = stage.proc;
    for (unsigned i = 0; i < 16; i++) {
        char id[65], cgroup[128];
        snprintf(id, sizeof(id), "%064x", i + 1);
        snprintf(cgroup, sizeof(cgroup), "0::/system.slice/docker-%s.scope\n", id);
        learn(cgroup);
        struct who who = server;
        who.cgroup_id = 100 + i;
        stage_other(&stage, who, 4 * SECOND);
        expect_event(id);
        stage_done(&stage);
        stage_exit(&stage, who, 5 * SECOND);
        stage_done(&stage);
        expect(100 + i, 300, id);
    }
}

// What leaves the node is told a second after it did, when who sent it may have gone and nothing was seen
// of it.
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
