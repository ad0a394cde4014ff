#include "enrich_events.h"

#include <criterion/criterion.h>

#define A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct stage stage;

static void setup(void)
{
    stage_start(&stage, 0);
}

static void teardown(void)
{
    stage_stop(&stage);
}

TestSuite(enrich_events, .init = setup, .fini = teardown);

static const struct who shell = {
    .pid = 100, .start_ns = 10 * SECOND, .comm = "bash", .uid = 1000, .gid = 1000};
static const struct who child = {
    .pid = 200, .start_ns = 20 * SECOND, .comm = "bash", .uid = 1000, .gid = 1000};
static const struct who grep = {.pid = 200, .start_ns = 20 * SECOND, .comm = "grep", .uid = 0, .gid = 5};

static const struct exec shell_exec = {
    .parent_pid = 1, .loginuid = 1000, .tty = 34816, PART(exe, "bash\0bin\0usr"), PART(args, "-bash\0-l")};
static const struct exec grep_exec = {.parent_pid = 100,
                                      .parent_start_ns = 10 * SECOND,
                                      .loginuid = 1000,
                                      .tty = 34817,
                                      PART(exe, "grep\0bin\0usr"),
                                      PART(args, "grep\0-r\0key")};

static void start_shell(void)
{
    stage_exec(&stage, shell, shell_exec, 11 * SECOND);
    stage_done(&stage);
}

Test(enrich_events, a_child_has_what_its_parent_had)
{
    start_shell();
    const struct process *process = stage_clone(&stage, child, 100, 10 * SECOND);
    cr_assert_eq(process->pid, 200);
    cr_assert_eq(process->ppid, 100);
    cr_assert_str_eq(process->name, "bash");
    cr_assert_str_eq(process->exepath, "/usr/bin/bash");
    cr_assert_str_eq(process_exe(process), "-bash");
    cr_assert_eq(process->tty, 34816);
    cr_assert_eq(process->loginuid, LOGINUID_NONE, "the record's own");
    cr_assert_not_null(process->parent);
    cr_assert_eq(process->parent->pid, 100);
    cr_assert_eq(process->args, process->parent->args, "shared, not copied");
    stage_done(&stage);
}

Test(enrich_events, exec_replaces_the_program_and_keeps_the_parent)
{
    start_shell();
    stage_clone(&stage, child, 100, 10 * SECOND);
    stage_done(&stage);
    const struct process *process = stage_exec(&stage, grep, grep_exec, 21 * SECOND);
    cr_assert_str_eq(process->name, "grep");
    cr_assert_str_eq(process->exepath, "/usr/bin/grep");
    cr_assert_eq(process->args_size, sizeof("grep\0-r\0key"));
    cr_assert_arr_eq(process->args, "grep\0-r\0key", sizeof("grep\0-r\0key"));
    cr_assert_eq(process->tty, 34817);
    cr_assert_eq(process->uid, 0);
    cr_assert_eq(process->gid, 5);
    cr_assert_eq(process->loginuid, 1000);
    cr_assert_str_eq(process->parent->name, "bash");
    cr_assert_str_eq(process->parent->exepath, "/usr/bin/bash");
    stage_done(&stage);
    cr_assert_eq(stage.enrich->table.count, 2);
}

Test(enrich_events, exec_alone_finds_its_parent)
{
    start_shell();
    const struct process *process = stage_exec(&stage, grep, grep_exec, 21 * SECOND);
    cr_assert_not_null(process->parent, "the fork was not seen");
    cr_assert_eq(process->parent->pid, 100);
    stage_done(&stage);
}

Test(enrich_events, exec_does_not_take_a_reused_pid_for_its_parent)
{
    start_shell();
    struct exec exec = grep_exec;
    exec.parent_start_ns = 15 * SECOND;
    const struct process *process = stage_exec(&stage, grep, exec, 21 * SECOND);
    cr_assert_null(process->parent);
    cr_assert_eq(process->ppid, 100);
    stage_done(&stage);
}

Test(enrich_events, exit_forgets_after_the_event)
{
    start_shell();
    const struct process *process = stage_exit(&stage, shell, 30 * SECOND);
    cr_assert(process->exited);
    cr_assert_str_eq(process->exepath, "/usr/bin/bash");
    stage_done(&stage);
    cr_assert_null(process_table_find(&stage.enrich->table, 100));
    cr_assert_eq(stage.enrich->table.count, 0);
}

Test(enrich_events, ancestry_outlives_the_ancestors)
{
    start_shell();
    for (uint32_t i = 1; i <= 3; i++) {
        struct who next = {.pid = 100 + i, .start_ns = (10 + i) * SECOND, .comm = "bash"};
        struct who previous = {.pid = 99 + i, .start_ns = (9 + i) * SECOND, .comm = "bash"};
        stage_clone(&stage, next, previous.pid, previous.start_ns);
        stage_done(&stage);
        stage_exit(&stage, previous, 20 * SECOND);
        stage_done(&stage);
    }
    struct who last = {.pid = 103, .start_ns = 13 * SECOND, .comm = "bash"};
    const struct process *process = stage_other(&stage, last, 30 * SECOND);
    for (int pid = 103; pid >= 100; pid--, process = process->parent) {
        cr_assert_not_null(process);
        cr_assert_eq(process->pid, pid);
        cr_assert_eq(process->exited, pid != 103);
    }
    cr_assert_null(process);
    stage_done(&stage);
    cr_assert_eq(stage.enrich->table.count, 4);

    stage_exit(&stage, last, 31 * SECOND);
    stage_done(&stage);
    cr_assert_eq(stage.enrich->table.count, 0, "the last one takes the line with it");
}

Test(enrich_events, a_reused_pid_is_another_process)
{
    start_shell();
    struct who other = {.pid = 100, .start_ns = 40 * SECOND, .comm = "sshd", .uid = 7};
    const struct process *process = stage_other(&stage, other, 41 * SECOND);
    cr_assert_str_eq(process->name, "sshd");
    cr_assert_null(process->exepath, "nothing of the one before");
    cr_assert_eq(process->uid, 7);
    stage_done(&stage);
    cr_assert_eq(stage.enrich->table.count, 1);
}

Test(enrich_events, proc_is_as_exact_as_a_clock_tick)
{
    // Tick 1000 is 10 s to 10.01 s.
    stage_proc(&stage, 100, 1, "daemon", 1000, "daemon\0-d", 10);
    struct who early = {.pid = 100, .start_ns = 10 * SECOND + 9999999, .comm = "daemon", .uid = 3};
    const struct process *process = stage_other(&stage, early, 20 * SECOND);
    cr_assert_str_eq(process->exepath, "/usr/bin/daemon");
    cr_assert_eq(process->start_time_ns, early.start_ns, "the record knows it exactly");
    cr_assert_eq(process->uid, 3, "each record brings the ids of its moment");
    cr_assert_eq(process->tty, 34816);
    cr_assert_eq(process->loginuid, 1000);
    stage_done(&stage);

    struct who later = {.pid = 100, .start_ns = 10 * SECOND + 50 * MS, .comm = "other"};
    process = stage_other(&stage, later, 20 * SECOND);
    cr_assert_str_eq(process->name, "other", "/proc shows the earlier one: a stub");
    cr_assert_null(process->exepath);
    stage_done(&stage);
}

Test(enrich_events, scanned_processes_are_recognized)
{
    stage_proc(&stage, 1, 0, "init", 0, "/sbin/init", 11);
    stage_proc(&stage, 100, 1, "we (ird) name", 1000, "weird\0\0\0\0", 9);
    stage_proc(&stage, 200, 100, "child", 2000, "", 0);
    tree_write(stage.root, "/proc/300/stat", "garbage");
    tree_write(stage.root, "/proc/400/status", "a process that just goes");
    tree_write(stage.root, "/proc/meminfo", "");
    cr_assert_eq(enrich_scan(stage.enrich), 3);
    cr_assert_eq(stage.enrich->table.count, 3);
    cr_assert_eq(enrich_scan(stage.enrich), 3);
    cr_assert_eq(stage.enrich->table.count, 3, "known ones are left alone");

    struct who who = {.pid = 200, .start_ns = 20 * SECOND + 5 * MS, .comm = "child"};
    const struct process *process = stage_other(&stage, who, 30 * SECOND);
    cr_assert_str_eq(process->exepath, "/usr/bin/child");
    cr_assert_null(process->args);
    cr_assert_str_eq(process->parent->name, "we (ird) name");
    cr_assert_eq(process->parent->args_size, 6, "a tail of NULs is no argument");
    cr_assert_eq(process->parent->uid, 1001, "effective");
    cr_assert_eq(process->parent->gid, 2001);
    cr_assert_str_eq(process->parent->parent->name, "init");
    cr_assert_null(process->parent->parent->parent);
    stage_done(&stage);
}

Test(enrich_events, an_unknown_process_is_learnt_with_its_ancestors)
{
    stage_proc(&stage, 1, 0, "init", 0, "", 0);
    stage_proc(&stage, 50, 1, "sshd", 500, "", 0);
    stage_proc(&stage, 100, 50, "bash", 1000, "", 0);
    const struct process *process = stage_clone(&stage, child, 100, 10 * SECOND + 1);
    cr_assert_str_eq(process->parent->exepath, "/usr/bin/bash");
    cr_assert_str_eq(process->parent->parent->name, "sshd");
    cr_assert_str_eq(process->parent->parent->parent->name, "init");
    stage_done(&stage);
}

Test(enrich_events, a_forker_that_is_gone_is_a_stub)
{
    const struct process *process = stage_clone(&stage, child, 100, 10 * SECOND);
    cr_assert_not_null(process->parent);
    cr_assert_eq(process->parent->pid, 100);
    cr_assert_eq(process->parent->start_time_ns, 10 * SECOND);
    cr_assert_str_eq(process->parent->name, "bash");
    stage_done(&stage);
}

Test(enrich_events, a_fork_that_comes_after_the_scan_changes_nothing_but_the_parent)
{
    stage_proc(&stage, 200, 1, "grep", 2000, "grep\0x", 7);
    cr_assert_eq(enrich_scan(stage.enrich), 1);
    start_shell();
    const struct process *process = stage_clone(&stage, child, 100, 10 * SECOND);
    cr_assert_str_eq(process->name, "grep", "it had become grep by the time of the scan");
    cr_assert_str_eq(process->exepath, "/usr/bin/grep");
    cr_assert_eq(process->parent->pid, 100);
    stage_done(&stage);
}

Test(enrich_events, a_process_is_never_its_own_ancestor)
{
    const struct process *process = stage_clone(&stage, child, 200, 20 * SECOND);
    cr_assert_null(process->parent);
    stage_done(&stage);

    // Two records that contradict each other, with start times that cannot tell.
    struct who one = {.pid = 1000, .comm = "one"}, two = {.pid = 2000, .comm = "two"};
    stage_clone(&stage, two, 1000, 0);
    stage_done(&stage);
    stage_clone(&stage, one, 2000, 0);
    stage_done(&stage);
    size_t steps = 0;
    for (process = stage_other(&stage, one, SECOND); process && steps < 10; process = process->parent)
        steps++;
    cr_assert_leq(steps, 2);
    stage_done(&stage);
}

Test(enrich_events, arguments_that_the_kernel_could_not_read_come_from_proc)
{
    struct exec exec = grep_exec;
    exec.args_size = 0;
    stage_proc(&stage, 200, 100, "grep", 2000, "grep\0late", 10);
    const struct process *process = stage_exec(&stage, grep, exec, 21 * SECOND);
    cr_assert_eq(process->args_size, 10);
    cr_assert_arr_eq(process->args, "grep\0late", 10);
    stage_done(&stage);

    struct who reused = grep;
    reused.start_ns = 50 * SECOND;
    process = stage_exec(&stage, reused, exec, 51 * SECOND);
    cr_assert_null(process->args, "/proc shows another process");
    stage_done(&stage);
}

Test(enrich_events, records_that_do_not_hold_together_are_survived)
{
    start_shell();
    struct wire_process_execve *wire = stage_exec_record(&stage, shell, grep_exec, 12 * SECOND);
    wire->args_size = 60000;
    const struct process *process = stage_enrich(&stage);
    cr_assert_str_eq(process->exepath, "/usr/bin/bash", "as if nothing was said");
    stage_done(&stage);

    struct exec exec = grep_exec;
    exec.exe = "no NUL at the end";
    exec.exe_size = 5;
    exec.args = "cut";
    exec.args_size = 3;
    exec.cgroup = "docker";
    exec.cgroup_size = 3;
    process = stage_exec(&stage, shell, exec, 13 * SECOND);
    cr_assert_null(process->exepath);
    cr_assert_str_eq(process->args, "cut");
    cr_assert_eq(process->args_size, 4, "the NUL that was cut off is there");
    cr_assert_null(stage.event.container);
    stage_done(&stage);

    struct wire_header *header = stage_record(&stage, WIRE_PROCESS_CLONE, sizeof(*header), shell, SECOND);
    cr_assert_eq(header->size, sizeof(*header));
    cr_assert_eq(stage_enrich(&stage)->pid, 100, "too short to be a fork");
    stage_done(&stage);
}

Test(enrich_events, containers_come_with_exec_and_pass_to_children)
{
    tree_write(stage.root, "/var/lib/docker/containers/" A "/config.v2.json", "{\"Name\":\"/web\"}");
    struct exec exec = shell_exec;
    exec.cgroup = A "\0docker";
    exec.cgroup_size = sizeof(A "\0docker");
    stage_exec(&stage, shell, exec, 11 * SECOND);
    cr_assert_not_null(stage.event.container);
    cr_assert_str_eq(stage.event.container->name, "web");
    const struct container *container = stage.event.container;
    stage_done(&stage);

    stage_clone(&stage, child, 100, 10 * SECOND);
    cr_assert_eq(stage.event.container, container);
    stage_done(&stage);
    stage_exit(&stage, shell, 30 * SECOND);
    stage_done(&stage);
    stage_exec(&stage, grep, grep_exec, 31 * SECOND);
    cr_assert_eq(stage.event.container, container, "a record without cgroup names says nothing of it");
    stage_done(&stage);

    exec.cgroup = "init.scope";
    exec.cgroup_size = sizeof("init.scope");
    stage_exec(&stage, grep, exec, 32 * SECOND);
    cr_assert_null(stage.event.container);
    stage_done(&stage);
    cr_assert_eq(containers_count(stage.enrich->containers), 1, "the exited parent still refers to it");
    stage_exit(&stage, grep, 33 * SECOND);
    stage_done(&stage);
    cr_assert_eq(containers_count(stage.enrich->containers), 0);
}

Test(enrich_events, a_process_that_changes_its_cgroup_is_looked_at_again)
{
    struct who who = shell;
    who.cgroup_id = 10;
    stage_other(&stage, who, 11 * SECOND);
    cr_assert_null(stage.event.container);
    stage_done(&stage);

    stage_proc(&stage, 100, 1, "bash", 1000, "bash", 5);
    tree_write(stage.root, "/proc/100/cgroup", "0::/machine.slice/libpod-" A ".scope\n");
    stage_other(&stage, who, 12 * SECOND);
    cr_assert_null(stage.event.container, "the same cgroup as before");
    stage_done(&stage);
    who.cgroup_id = 11;
    stage_other(&stage, who, 13 * SECOND);
    cr_assert_not_null(stage.event.container);
    cr_assert_str_eq(stage.event.container->runtime, "podman");
    stage_done(&stage);
}

Test(enrich_events, a_container_found_by_the_scan)
{
    stage_proc(&stage, 100, 1, "app", 1000, "", 0);
    tree_write(stage.root, "/proc/100/cgroup",
               "4:memory:/\n3:pids:/kubepods/pod01234567-89ab-cdef-0123-456789abcdef/" A "\n0::/\n");
    cr_assert_eq(enrich_scan(stage.enrich), 1);
    stage_other(&stage, shell, 11 * SECOND);
    cr_assert_not_null(stage.event.container);
    cr_assert_str_eq(stage.event.container->id, A);
    stage_done(&stage);
}

// Its cgroup's path is longer than the kernel tells. Here a link does that, whose name is too long.
static void add_deep_process(void)
{
    char name[300];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    stage_proc(&stage, 100, 1, "app", 1000, "", 0);
    tree_unlink(stage.root, "/proc/100/cgroup");
    tree_link(stage.root, "/proc/100/cgroup", name);
}

static void expect_container(const char *id)
{
    cr_assert_not_null(stage.event.container);
    cr_expect_str_eq(stage.event.container->id, id);
    stage_done(&stage);
}

// Whoever may make cgroups in a container must not pass for the node by making many.
Test(enrich_events, cgroups_too_deep_to_be_told_are_not_the_nodes)
{
    add_deep_process();
    cr_assert_eq(enrich_scan(stage.enrich), 1);
    stage_other(&stage, shell, 11 * SECOND);
    expect_container("unknown");
}

Test(enrich_events, programs_in_cgroups_too_deep_to_be_told_are_not_the_nodes)
{
    add_deep_process();
    struct exec exec = {.parent_pid = 1, PART(cgroup, "x\0"), .cgroup_truncated = 1};
    stage_exec(&stage, shell, exec, 11 * SECOND);
    expect_container("unknown");
}

Test(enrich_events, the_machines_own_proc_can_be_scanned)
{
    stage.enrich->proc_root = "/proc";
    cr_assert_geq(enrich_scan(stage.enrich), 1);
    const struct process_entry *self = process_table_find(&stage.enrich->table, getpid());
    cr_assert_not_null(self);
    cr_assert_not_null(self->process.exepath);
    cr_assert_not_null(self->process.args);
    cr_assert_eq(self->process.uid, geteuid());
    cr_assert_eq(self->process.gid, getegid());
    cr_assert_eq(self->process.ppid, getppid());
}
