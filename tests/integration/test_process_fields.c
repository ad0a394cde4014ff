// Source `process`: what is told of a program's file, its session and namespaces, its environment, directory
// and capabilities. By the real thing each.
#include "harness.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(process_fields, TEST_SUITE);

// A rule for the programs in the test's own directory.
static struct agent *start_with(const char *output)
{
    return agent_start(format_text("- rule: exec\n"
                                   "  desc: a program of the test was run\n"
                                   "  condition: evt.type = execve and (proc.exepath startswith \"%s/\" or\n"
                                   "    proc.exepath startswith \"memfd:inf/\")\n"
                                   "  output: \"%%proc.name %%proc.exepath %s\"\n"
                                   "  priority: NOTICE\n",
                                   test_dir(), output),
                       NULL);
}

// --- The file ---

#define FILE_OUTPUT                                                                                  \
    "%proc.is_exe_upper_layer %proc.is_exe_lower_layer %proc.is_exe_from_memfd "                     \
    "%proc.is_exe_writable %proc.exe_ino %proc.exe_ino.ctime %proc.exe_ino.mtime "                   \
    "%proc.exe_ino.ctime_duration_proc_start %proc.exe_ino.ctime_duration_pidns_start %proc.pid.ts " \
    "%proc.pidns_init_start_ts"

static int exec_from_memory(const void *program)
{
    int from = open(program, O_RDONLY | O_CLOEXEC);
    int memory = memfd_create("inf/in memory", MFD_CLOEXEC);
    struct stat status;
    if (memory < 0 || fstat(from, &status))
        return 2;
    char *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, from, 0);
    if (bytes == MAP_FAILED || write(memory, bytes, (size_t)status.st_size) != status.st_size)
        return 3;
    char *const arguments[] = {(char *)"harmless", NULL};
    fexecve(memory, arguments, environ);
    return 1;
}

Test(process_fields, program_in_memory)
{
    const char *program = actor_copy("on-disk");
    _cleanup_agent_ struct agent *agent = start_with(FILE_OUTPUT);
    in_child(exec_from_memory, program);
    agent_wait_alert(agent, "exec", "proc.exepath", "memfd:inf/in memory", "proc.is_exe_from_memfd", "true",
                     NULL);
    cr_assert_eq(run_program(program, NULL), 0);
    agent_wait_alert(agent, "exec", "proc.exepath", program, "proc.is_exe_from_memfd", "false",
                     "proc.is_exe_upper_layer", "false", "proc.is_exe_lower_layer", "false", NULL);
}

// A private mount namespace with an overlay at test_dir()/both; its exit code, 77 where the kernel refuses.
enum { REFUSED = 77 };

static int run_on_overlay(const void *program)
{
    const char *base = test_path("layers");
    mkdir(base, 0755);
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("tmpfs", base, "tmpfs", 0, NULL))
        return REFUSED;
    const char *lower = test_path("layers/lower"), *upper = test_path("layers/upper");
    const char *work = test_path("layers/work"), *both = test_path("both");
    if (mkdir(lower, 0755) || mkdir(upper, 0755) || mkdir(work, 0755) || mkdir(both, 0755))
        return 2;
    copy_file(program, test_path("layers/lower/of-image"));
    copy_file(program, test_path("layers/lower/changed"));
    chmod(test_path("layers/lower/of-image"), 0755);
    chmod(test_path("layers/lower/changed"), 0755);
    const char *options = format_text("lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work);
    if (mount("overlay", both, "overlay", 0, options))
        return REFUSED;
    copy_file(program, test_path("both/dropped"));
    chmod(test_path("both/dropped"), 0755);
    // A write copies it up.
    int fd = open(test_path("both/changed"), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0 || write(fd, "x", 1) != 1 || close(fd))
        return 3;
    return run_program(test_path("both/of-image"), NULL) | run_program(test_path("both/dropped"), NULL) |
           run_program(test_path("both/changed"), NULL);
}

Test(process_fields, layers_of_an_overlay)
{
    const char *program = actor_copy("from");
    _cleanup_agent_ struct agent *agent = start_with(FILE_OUTPUT);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        _exit(run_on_overlay(program));
    int code = wait_for_exit(pid);
    if (code == REFUSED)
        cr_skip_test("this kernel does not mount an overlay here");
    cr_assert_eq(code, 0);
    agent_wait_alert(agent, "exec", "proc.exepath", test_path("both/of-image"), "proc.is_exe_upper_layer",
                     "false", "proc.is_exe_lower_layer", "true", NULL);
    agent_wait_alert(agent, "exec", "proc.exepath", test_path("both/dropped"), "proc.is_exe_upper_layer",
                     "true", "proc.is_exe_lower_layer", "false", NULL);
    agent_wait_alert(agent, "exec", "proc.exepath", test_path("both/changed"), "proc.is_exe_upper_layer",
                     "true", "proc.is_exe_lower_layer", "false", NULL);
}

static const char *text_of_time(const struct timespec *time)
{
    return format_text("%lld", (long long)time->tv_sec * 1000000000 + time->tv_nsec);
}

Test(process_fields, times_of_the_file)
{
    const char *program = actor_copy("changed-mode");
    struct timespec long_ago[2] = {{.tv_sec = 1000000000, .tv_nsec = 5},
                                   {.tv_sec = 1000000000, .tv_nsec = 5}};
    cr_assert_eq(utimensat(AT_FDCWD, program, long_ago, 0), 0);
    cr_assert_eq(chmod(program, 0711), 0);
    struct stat status;
    cr_assert_eq(stat(program, &status), 0);
    _cleanup_agent_ struct agent *agent = start_with(FILE_OUTPUT);
    cr_assert_eq(run_program(program, NULL), 0);
    json_t *alert =
        agent_wait_alert(agent, "exec", "proc.exepath", program, "proc.exe_ino",
                         format_text("%llu", (unsigned long long)status.st_ino), "proc.exe_ino.ctime",
                         text_of_time(&status.st_ctim), "proc.exe_ino.mtime", "1000000000000000005", NULL);
    long long start = atoll(alert_field(alert, "proc.pid.ts"));
    long long ctime = atoll(alert_field(alert, "proc.exe_ino.ctime"));
    long long first = atoll(alert_field(alert, "proc.pidns_init_start_ts"));
    cr_expect_gt(start, ctime);
    // The two clocks' difference is looked up once a second.
    long long age = atoll(alert_field(alert, "proc.exe_ino.ctime_duration_proc_start"));
    cr_expect_lt(llabs(age - (start - ctime)), 1000000000);
    cr_expect_gt(first, 0);
    cr_expect_lt(first, ctime);
    long long since = atoll(alert_field(alert, "proc.exe_ino.ctime_duration_pidns_start"));
    cr_expect_lt(llabs(since - (ctime - first)), 1000000000);
}

Test(process_fields, file_that_its_user_can_write)
{
    const char *safe = actor_copy("safe"), *open_to_all = actor_copy("open-to-all"), *own = actor_copy("own");
    cr_assert_eq(chmod(safe, 0755), 0);
    cr_assert_eq(chmod(open_to_all, 0777), 0);
    cr_assert_eq(chmod(own, 0555), 0);
    cr_assert_eq(chown(own, 65534, 65534), 0);
    _cleanup_agent_ struct agent *agent = start_with(FILE_OUTPUT " %user.uid");
    in_child(exec_as_nobody, safe);
    in_child(exec_as_nobody, open_to_all);
    in_child(exec_as_nobody, own);
    cr_assert_eq(run_program(safe, NULL), 0);
    cr_assert_eq(run_program(own, NULL), 0);
    agent_wait_alert(agent, "exec", "proc.exepath", safe, "user.uid", "65534", "proc.is_exe_writable",
                     "false", NULL);
    agent_wait_alert(agent, "exec", "proc.exepath", open_to_all, "user.uid", "65534", "proc.is_exe_writable",
                     "true", NULL);
    agent_wait_alert(agent, "exec", "proc.exepath", own, "user.uid", "65534", "proc.is_exe_writable", "true",
                     NULL);
    agent_wait_alert(agent, "exec", "proc.exepath", safe, "user.uid", "0", "proc.is_exe_writable", "true",
                     NULL);
    agent_wait_alert(agent, "exec", "proc.exepath", own, "user.uid", "0", "proc.is_exe_writable", "true",
                     NULL);
}

// --- Sessions, groups, namespaces ---

#define SESSION_OUTPUT                                                                                 \
    "%proc.pid %proc.ppid %proc.vpid %proc.pvpid %proc.sid %proc.sname %proc.sid.exepath "             \
    "%proc.is_sid_leader %proc.pgid %proc.vpgid %proc.vpgid.name %proc.pgid.exe %proc.is_pgid_leader " \
    "%proc.is_vpgid_leader %thread.vtid %thread.ismain %proc.pidns_init_start_ts"

static int exec_in_own_session(const void *program)
{
    return setsid() < 0 ? 2 : execl(program, program, "spawn", test_path("inner"), NULL);
}

Test(process_fields, session_of_ones_own)
{
    const char *leader = actor_copy("leader"), *inner = actor_copy("inner");
    _cleanup_agent_ struct agent *agent = start_with(SESSION_OUTPUT);
    in_child(exec_in_own_session, leader);
    json_t *alert = agent_wait_alert(agent, "exec", "proc.exepath", leader, "proc.is_sid_leader", "true",
                                     "proc.is_pgid_leader", "true", "proc.sname", "leader", NULL);
    const char *pid = format_text("%s", alert_field(alert, "proc.pid"));
    agent_wait_alert(agent, "exec", "proc.exepath", inner, "proc.is_sid_leader", "false",
                     "proc.is_vpgid_leader", "false", "proc.sid", pid, "proc.pgid", pid, "proc.vpgid", pid,
                     "proc.sname", "leader", "proc.sid.exepath", leader, "proc.vpgid.name", "leader",
                     "proc.pgid.exe", leader, "thread.ismain", "true", NULL);
}

static int change_groups(const void *argument)
{
    // A child that is moved by its parent, as shells do, and then ends.
    int ends[2];
    char byte;
    if (pipe2(ends, O_CLOEXEC))
        return 2;
    pid_t child = fork();
    if (child == 0) {
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    int error = setpgid(child, 0);
    close(ends[1]);
    close(ends[0]);
    if (wait_for_exit(child) != 0 || error)
        return 3;
    return setsid() < 0 ? 4 : 0;
}

// A session or group that changes without an exec is known of later events.
Test(process_fields, session_and_group_that_change)
{
    _cleanup_agent_ struct agent *agent =
        agent_start(format_text("- rule: exit\n"
                                "  desc: d\n"
                                "  condition: evt.type = procexit and proc.apid = %d\n"
                                "  output: \"%s\"\n"
                                "  priority: NOTICE\n"
                                "- rule: call\n"
                                "  desc: d\n"
                                "  condition: evt.type in (setsid, setpgid) and proc.apid = %d\n"
                                "  output: \"%%evt.type %%evt.args %%evt.arg[0] %%evt.rawres %%proc.sid\"\n"
                                "  priority: NOTICE\n",
                                getpid(), SESSION_OUTPUT, getpid()),
                    NULL);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        _exit(change_groups(NULL));
    cr_assert_eq(wait_for_exit(pid), 0);
    const char *text = format_text("%d", pid);
    json_t *alert = agent_wait_alert(agent, "exit", "proc.ppid", text, "proc.is_pgid_leader", "true",
                                     "proc.is_sid_leader", "false", NULL);
    const char *child = format_text("%s", alert_field(alert, "proc.pid"));
    cr_expect_str_eq(alert_field(alert, "proc.pgid"), child);
    agent_wait_alert(agent, "exit", "proc.pid", text, "proc.is_sid_leader", "true", "proc.sid", text,
                     "proc.pgid", text, NULL);
    agent_wait_alert(agent, "call", "evt.type", "setsid", "evt.args", "", "evt.rawres", text, "proc.sid",
                     text, NULL);
    agent_wait_alert(agent, "call", "evt.type", "setpgid", "evt.args", format_text("pid=%s pgid=0", child),
                     "evt.arg[0]", child, "evt.rawres", "0", NULL);
}

static int run_in_namespace(const void *program)
{
    if (unshare(CLONE_NEWPID))
        return REFUSED;
    return run_program(program, "spawn", test_path("second"), NULL);
}

Test(process_fields, pid_namespace)
{
    const char *first = actor_copy("first"), *second = actor_copy("second");
    _cleanup_agent_ struct agent *agent = start_with(SESSION_OUTPUT " %proc.pid.ts");
    in_child(run_in_namespace, first);
    json_t *alert = agent_wait_alert(agent, "exec", "proc.exepath", first, "proc.vpid", "1", "thread.vtid",
                                     "1", "proc.sid", "0", "proc.vpgid", "0", NULL);
    cr_expect_str_neq(alert_field(alert, "proc.pid"), "1");
    const char *start = format_text("%s", alert_field(alert, "proc.pid.ts"));
    cr_expect_lt(llabs(atoll(alert_field(alert, "proc.pidns_init_start_ts")) - atoll(start)), 1000);
    alert =
        agent_wait_alert(agent, "exec", "proc.exepath", second, "proc.vpid", "2", "proc.pvpid", "1", NULL);
    cr_expect_lt(llabs(atoll(alert_field(alert, "proc.pidns_init_start_ts")) - atoll(start)), 1000000000);
    // In the node's own namespace both count alike.
    cr_assert_eq(run_program(second, NULL), 0);
    agent_wait_alert(agent, "exec", "proc.exepath", second, "proc.pvpid", format_text("%d", getpid()), NULL);
}

// --- Environment, directory, capabilities ---

static int exec_with_environment(const void *program)
{
    char *const arguments[] = {(char *)program, (char *)"spawn", (char *)test_path("plain"), NULL};
    char *const environment[] = {(char *)"FIRST=one two", (char *)"LD_PRELOAD=", (char *)"INF_SECRET=s3",
                                 NULL};
    return execve(program, arguments, environment);
}

Test(process_fields, environment)
{
    const char *program = actor_copy("with-env"), *plain = actor_copy("plain");
    _cleanup_agent_ struct agent *agent =
        start_with("%proc.env %proc.env[FIRST] %proc.env[LD_PRELOAD] %proc.env[NONE] %proc.aenv[1] "
                   "%proc.aenv[INF_SECRET] %proc.aenv[INF_OUTER]");
    cr_assert_eq(setenv("INF_OUTER", "of the test", 1), 0);
    in_child(exec_with_environment, program);
    agent_wait_alert(agent, "exec", "proc.exepath", program, "proc.env",
                     "FIRST=one two LD_PRELOAD= INF_SECRET=s3", "proc.env[FIRST]", "one two",
                     "proc.env[LD_PRELOAD]", "", "proc.env[NONE]", "-", "proc.aenv[INF_SECRET]", "-", NULL);
    agent_wait_alert(agent, "exec", "proc.exepath", plain, "proc.env[FIRST]", "one two", "proc.aenv[1]",
                     "FIRST=one two LD_PRELOAD= INF_SECRET=s3", "proc.aenv[INF_SECRET]", "s3", NULL);
}

static int exec_with_long_environment(const void *program)
{
    static char value[8000] = "BB=";
    memset(value + 3, 'v', sizeof(value) - 4);
    char *const arguments[] = {(char *)program, NULL};
    char *const environment[] = {(char *)"AA=first", value, NULL};
    return execve(program, arguments, environment);
}

Test(process_fields, long_environment_is_cut_off_and_counted)
{
    const char *program = actor_copy("long-env");
    _cleanup_agent_ struct agent *agent = start_with("%proc.env");
    in_child(exec_with_long_environment, program);
    json_t *alert = agent_wait_alert(agent, "exec", "proc.exepath", program, NULL);
    cr_expect_eq(strncmp(alert_field(alert, "proc.env"), "AA=first BB=vvv", 15), 0);
    cr_expect_eq(strlen(alert_field(alert, "proc.env")), 4096u);
    cr_expect_geq(agent_metric(agent, "inferscope_environments_truncated_total", NULL), 1);
}

// What ran before the agent is read from /proc.
Test(process_fields, process_that_existed_before_the_agent)
{
    const char *old = actor_copy("old-one"), *young = actor_copy("young");
    cr_assert_eq(setenv("INF_OLD", "known", 1), 0);
    int in;
    pid_t pid = start_waiting(&in, old, "wait", "spawn", young, "hold", NULL);
    cr_assert_eq(unsetenv("INF_OLD"), 0);
    _cleanup_agent_ struct agent *agent =
        agent_start(format_text("- rule: fork\n"
                                "  desc: d\n"
                                "  condition: evt.type = clone and proc.ppid = %d\n"
                                "  output: \"%%proc.aenv[INF_OLD] %%proc.sid %%proc.sname %%proc.exe_ino "
                                "%%proc.pvpid %%proc.exepath\"\n"
                                "  priority: NOTICE\n",
                                pid),
                    NULL);
    struct stat status;
    cr_assert_eq(stat(old, &status), 0);
    cr_assert_eq(write(in, ".", 1), 1);
    agent_wait_alert(agent, "fork", "proc.aenv[INF_OLD]", "known", "proc.sid", format_text("%d", getsid(0)),
                     "proc.exe_ino", format_text("%llu", (unsigned long long)status.st_ino), "proc.pvpid",
                     format_text("%d", pid), "proc.exepath", old, NULL);
    close(in);
    cr_assert_eq(wait_for_exit(pid), 0);
}

static int exec_in_directory(const void *program)
{
    return chdir(test_path("here")) ? 2 : execl(program, program, NULL);
}

static int exec_in_root(const void *program)
{
    return chdir("/") ? 2 : execl(program, program, NULL);
}

Test(process_fields, directory_of_an_exec)
{
    const char *program = actor_copy("in-directory"), *at_root = actor_copy("at-root");
    cr_assert_eq(mkdir(test_path("here"), 0755), 0);
    _cleanup_agent_ struct agent *agent = start_with("%proc.cwd");
    in_child(exec_in_directory, program);
    in_child(exec_in_root, at_root);
    agent_wait_alert(agent, "exec", "proc.exepath", program, "proc.cwd", test_path("here/"), NULL);
    agent_wait_alert(agent, "exec", "proc.exepath", at_root, "proc.cwd", "/", NULL);
}

// Of other events it is where the process is by then.
Test(process_fields, directory_that_changes)
{
    cr_assert_eq(mkdir(test_path("there"), 0755), 0);
    _cleanup_agent_ struct agent *agent =
        agent_start(format_text("- rule: fork\n"
                                "  desc: d\n"
                                "  condition: evt.type = clone and proc.ppid = %d\n"
                                "  output: \"%%proc.cwd\"\n"
                                "  priority: NOTICE\n",
                                getpid()),
                    NULL);
    char before[4096];
    cr_assert(getcwd(before, sizeof(before)));
    cr_assert_eq(chdir(test_path("there")), 0);
    // The child stays where it is until its alert has come.
    int ends[2];
    char byte;
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    agent_wait_alert(agent, "fork", "proc.cwd", test_path("there/"), NULL);
    close(ends[1]);
    cr_assert_eq(wait_for_exit(pid), 0);
    close(ends[0]);
    cr_assert_eq(chdir(before), 0);
}

static int exec_without_capability(const void *program)
{
    // What is not in the bounding set, a program cannot get back.
    return prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN) || prctl(PR_CAPBSET_DROP, CAP_CHOWN)
               ? 2
               : execl(program, program, NULL);
}

static int exit_without_effective(const void *unused)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {};
    sets[0].permitted = 1u << CAP_KILL | 1u << CAP_NET_RAW;
    sets[0].inheritable = 1u << CAP_KILL;
    return syscall(SYS_capset, &header, sets) ? 2 : 0;
}

Test(process_fields, capabilities)
{
    const char *program = actor_copy("with-less"), *all = actor_copy("with-all");
    _cleanup_agent_ struct agent *agent =
        agent_start(format_text("- rule: exec\n"
                                "  desc: d\n"
                                "  condition: evt.type = execve and proc.exepath startswith \"%s/\"\n"
                                "  output: \"%%proc.exepath %%thread.cap_permitted %%thread.cap_effective\"\n"
                                "  priority: NOTICE\n"
                                "- rule: exit\n"
                                "  desc: d\n"
                                "  condition: evt.type = procexit and proc.ppid = %d and\n"
                                "    not thread.cap_permitted contains CAP_SYS_ADMIN\n"
                                "  output: \"%%thread.cap_permitted %%thread.cap_effective "
                                "%%thread.cap_inheritable\"\n"
                                "  priority: NOTICE\n",
                                test_dir(), getpid()),
                    NULL);
    in_child(exit_without_effective, NULL);
    agent_wait_alert(agent, "exit", "thread.cap_permitted", "CAP_KILL CAP_NET_RAW", "thread.cap_effective",
                     "", "thread.cap_inheritable", "CAP_KILL", NULL);
    in_child(exec_without_capability, program);
    json_t *alert = agent_wait_alert(agent, "exec", "proc.exepath", program, NULL);
    cr_expect_null(strstr(alert_field(alert, "thread.cap_permitted"), "CAP_SYS_ADMIN"));
    cr_expect_null(strstr(alert_field(alert, "thread.cap_permitted"), "CAP_CHOWN"));
    cr_expect(strstr(alert_field(alert, "thread.cap_permitted"), "CAP_KILL"));
    cr_assert_eq(run_program(all, NULL), 0);
    alert = agent_wait_alert(agent, "exec", "proc.exepath", all, NULL);
    cr_expect(strstr(alert_field(alert, "thread.cap_effective"), "CAP_SYS_ADMIN"));
    cr_expect_eq(strncmp(alert_field(alert, "thread.cap_permitted"), "CAP_CHOWN ", 10), 0);
}

// --- Threads that end together ---

static void *end_together(void *barrier)
{
    pthread_barrier_wait(barrier);
    syscall(SYS_exit, 0);
    return NULL;
}

static int end_by_threads(const void *unused)
{
    pthread_barrier_t barrier;
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    if (pthread_create(&thread, NULL, end_together, &barrier))
        return 2;
    end_together(&barrier);
    return 3;
}

// Both can find that none is left, but the process ends once.
Test(process_fields, threads_that_end_at_the_same_instant)
{
    enum { COUNT = 300 };
    _cleanup_agent_ struct agent *agent =
        agent_start(format_text("- rule: exit\n"
                                "  desc: d\n"
                                "  condition: evt.type = procexit and proc.ppid = %d and proc.name != last\n"
                                "  output: \"%%proc.pid %%evt.num\"\n"
                                "  priority: NOTICE\n"
                                "- rule: last\n"
                                "  desc: d\n"
                                "  condition: evt.type = execve and proc.exepath startswith \"%s/\"\n"
                                "  output: o\n"
                                "  priority: NOTICE\n",
                                getpid(), test_dir()),
                    NULL);
    pid_t pids[COUNT];
    for (int i = 0; i < COUNT; i++) {
        pids[i] = fork();
        cr_assert_geq(pids[i], 0);
        if (pids[i] == 0)
            _exit(end_by_threads(NULL));
        cr_assert_eq(wait_for_exit(pids[i]), 0);
    }
    // The ring keeps the order.
    cr_assert_eq(run_program(actor_copy("last"), NULL), 0);
    agent_wait_count(agent, "last", 1);
    for (int i = 0; i < COUNT; i++) {
        size_t ends = agent_count_alerts(agent, "exit", "proc.pid", format_text("%d", pids[i]), NULL);
        cr_expect_eq(ends, 1, "process %d of %d has ended %zu times", i, COUNT, ends);
    }
    cr_expect_eq(agent_count_alerts(agent, "exit", NULL), COUNT);
}
