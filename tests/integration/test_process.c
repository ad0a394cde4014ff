// Source `process`: every way to become a program, and who the ancestors were.
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

TestSuite(process, TEST_SUITE);

// Programs in the test's own directory only, so that other processes of the machine do not count.
#define EXEC_OUTPUT                                                                                    \
    "%proc.name %proc.exe %proc.exepath %proc.cmdline %proc.args %proc.cmdnargs %proc.pid %proc.ppid " \
    "%proc.pname %proc.pexepath %proc.aname[1] %proc.aname[2] %proc.aname[3] %proc.apid[2] "           \
    "%evt.type %evt.arg.filename %user.name %user.uid %group.gid"

static struct agent *start_for_exec(void)
{
    return agent_start(format_text("- rule: exec\n"
                                   "  desc: a program of the test was run\n"
                                   "  condition: evt.type = execve and proc.exepath startswith \"%s/\"\n"
                                   "  output: \"%s\"\n"
                                   "  priority: NOTICE\n",
                                   test_dir(), EXEC_OUTPUT),
                       NULL);
}

Test(process, exec_has_name_path_and_arguments)
{
    const char *program = actor_copy("plain");
    _cleanup_agent_ struct agent *agent = start_for_exec();
    double before = agent_metric(agent, "inferscope_events_total", "type", "execve", NULL);
    cr_assert_eq(run_program(program, "-x", "two words", "", "last", NULL), 0);
    json_t *alert =
        agent_wait_alert(agent, "exec", "proc.name", "plain", "proc.exepath", program, "proc.exe", program,
                         "proc.args", "-x two words  last", "proc.cmdline", "plain -x two words  last",
                         "proc.cmdnargs", "4", "evt.type", "execve", "evt.arg.filename", program, NULL);
    cr_expect_str_eq(json_string_value(json_object_get(alert, "priority")), "Notice");
    cr_expect_str_eq(json_string_value(json_object_get(alert, "source")), "syscall");
    cr_expect_eq(atoi(alert_field(alert, "proc.ppid")), getpid());
    double after = agent_metric(agent, "inferscope_events_total", "type", "execve", NULL);
    cr_expect_geq(after, before + 1);
}

Test(process, symbolic_link_shows_the_real_file)
{
    const char *program = actor_copy("real-program");
    const char *link = test_path("innocent");
    cr_assert_eq(symlink(program, link), 0);
    _cleanup_agent_ struct agent *agent = start_for_exec();
    cr_assert_eq(run_program(link, NULL), 0);
    agent_wait_alert(agent, "exec", "proc.name", "innocent", "proc.exepath", program, "evt.arg.filename",
                     link, NULL);
}

Test(process, ancestors_three_levels_up)
{
    const char *oldest = actor_copy("oldest"), *middle = actor_copy("middle");
    const char *parent = actor_copy("parent"), *child = actor_copy("child");
    _cleanup_agent_ struct agent *agent = start_for_exec();
    cr_assert_eq(run_program(oldest, "spawn", middle, "spawn", parent, "spawn", child, NULL), 0);
    agent_wait_alert(agent, "exec", "proc.name", "child", "proc.pname", "parent", "proc.pexepath", parent,
                     "proc.aname[1]", "parent", "proc.aname[2]", "middle", "proc.aname[3]", "oldest", NULL);
}

// Who forked stays known after it has exited, although the kernel has given the child another parent.
Test(process, parent_that_exited_before_the_exec)
{
    const char *grand = actor_copy("grand"), *gone = actor_copy("gone"), *left = actor_copy("left");
    _cleanup_agent_ struct agent *agent = start_for_exec();
    cr_assert_eq(run_program(grand, "spawn", gone, "orphan", left, NULL), 0);
    agent_wait_alert(agent, "exec", "proc.name", "left", "proc.pname", "gone", "proc.aname[2]", "grand",
                     NULL);
}

Test(process, process_that_existed_before_the_agent)
{
    const char *old = actor_copy("old-one"), *young = actor_copy("young");
    int in;
    pid_t pid = start_waiting(&in, old, "wait", "spawn", young, NULL);
    _cleanup_agent_ struct agent *agent = start_for_exec();
    close(in);
    cr_assert_eq(wait_for_exit(pid), 0);
    agent_wait_alert(agent, "exec", "proc.name", "young", "proc.pname", "old-one", "proc.pexepath", old,
                     "proc.ppid", format_text("%d", pid), NULL);
}

// A process may call itself what it likes; the path of its file and the name it was run by stay.
Test(process, name_chosen_later_does_not_deceive)
{
    const char *real = actor_copy("real-name"), *child = actor_copy("child");
    _cleanup_agent_ struct agent *agent = start_for_exec();
    cr_assert_eq(run_program(real, "name", "kworker/0:1", "spawn", child, NULL), 0);
    agent_wait_alert(agent, "exec", "proc.name", "child", "proc.pname", "real-name", "proc.pexepath", real,
                     NULL);
}

// More than a record holds: cut off, but the event comes and what is there is right.
Test(process, long_arguments_are_cut_off)
{
    enum { LENGTH = 100 * 1024 };
    const char *program = actor_copy("long-args");
    char *argument = malloc(LENGTH + 1);
    cr_assert(argument);
    memset(argument, 'a', LENGTH);
    argument[LENGTH] = '\0';
    _cleanup_agent_ struct agent *agent = start_for_exec();
    cr_assert_eq(run_program(program, "first", argument, "last", NULL), 0);
    free(argument);
    json_t *alert = agent_wait_alert(agent, "exec", "proc.name", "long-args", "proc.exepath", program, NULL);
    const char *shown = alert_field(alert, "proc.args");
    cr_expect_eq(strncmp(shown, "first aaaa", 10), 0);
    cr_expect_gt(strlen(shown), 1000u);
    cr_expect_leq(strlen(shown), 4096u);
}

Test(process, many_short_lived_processes_are_all_seen)
{
    enum { COUNT = 500 };
    const char *program = actor_copy("short");
    _cleanup_agent_ struct agent *agent = start_for_exec();
    for (int i = 0; i < COUNT; i++)
        cr_assert_eq(run_program(program, NULL), 0);
    agent_wait_count(agent, "exec", COUNT);
    cr_expect_eq(agent_count_alerts(agent, "exec", "proc.name", "short", "proc.exepath", program, NULL),
                 COUNT);
}

static int exec_by_descriptor(const void *program)
{
    int fd = open(program, O_RDONLY | O_CLOEXEC);
    char *const arguments[] = {(char *)"chosen-name", (char *)"argument", NULL};
    syscall(SYS_execveat, fd, "", arguments, environ, AT_EMPTY_PATH);
    return 1;
}

Test(process, execveat_shows_the_file)
{
    const char *program = actor_copy("by-descriptor");
    _cleanup_agent_ struct agent *agent = start_for_exec();
    in_child(exec_by_descriptor, program);
    agent_wait_alert(agent, "exec", "proc.exepath", program, "proc.exe", "chosen-name", "proc.args",
                     "argument", "evt.type", "execve", NULL);
}

static int exec_from_memory(const void *program)
{
    int from = open(program, O_RDONLY | O_CLOEXEC);
    int memory = memfd_create("in-memory-program", 0);
    struct stat status;
    if (memory < 0 || fstat(from, &status))
        return 2;
    char *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, from, 0);
    if (bytes == MAP_FAILED || write(memory, bytes, (size_t)status.st_size) != status.st_size)
        return 3;
    char *const arguments[] = {(char *)"nothing-to-see", NULL};
    fexecve(memory, arguments, environ);
    return 1;
}

Test(process, program_that_is_in_no_file_system)
{
    const char *program = actor_copy("to-memory");
    _cleanup_agent_ struct agent *agent =
        agent_start("- rule: exec\n"
                    "  desc: a program was run from memory\n"
                    "  condition: evt.type = execve and proc.exepath contains \"in-memory-program\"\n"
                    "  output: \"" EXEC_OUTPUT "\"\n"
                    "  priority: NOTICE\n",
                    NULL);
    in_child(exec_from_memory, program);
    json_t *alert = agent_wait_alert(agent, "exec", "proc.exe", "nothing-to-see", NULL);
    cr_expect(strstr(alert_field(alert, "proc.exepath"), "memfd:in-memory-program"));
}

Test(process, user_is_who_runs_it)
{
    const char *program = actor_copy("by-nobody");
    _cleanup_agent_ struct agent *agent = start_for_exec();
    in_child(exec_as_nobody, program);
    agent_wait_alert(agent, "exec", "proc.name", "by-nobody", "user.name", "nobody", "user.uid", "65534",
                     "group.gid", "65534", NULL);
    cr_assert_eq(run_program(program, NULL), 0);
    agent_wait_alert(agent, "exec", "proc.name", "by-nobody", "user.name", "root", "user.uid", "0", NULL);
}

Test(process, fork_and_exit_are_events)
{
    const char *program = actor_copy("forker");
    _cleanup_agent_ struct agent *agent =
        agent_start(format_text("- rule: fork\n"
                                "  desc: d\n"
                                "  condition: evt.type = clone and proc.pname = forker\n"
                                "  output: \"%%proc.pid %%proc.name %%proc.exepath\"\n"
                                "  priority: NOTICE\n"
                                "- rule: exit\n"
                                "  desc: d\n"
                                "  condition: evt.type = procexit and proc.exepath = \"%s\"\n"
                                "  output: \"%%proc.name %%evt.arg.status\"\n"
                                "  priority: NOTICE\n",
                                program),
                    NULL);
    // The child cannot run it and exits with 127.
    cr_assert_eq(run_program(program, "spawn", "/nowhere", NULL), 127);
    agent_wait_alert(agent, "fork", "proc.name", "forker", "proc.exepath", program, NULL);
    agent_wait_count(agent, "exit", 2);
    cr_expect_eq(agent_count_alerts(agent, "exit", "proc.name", "forker", "evt.arg.status",
                                    format_text("%d", 127 << 8), NULL),
                 2);
}
