// Source `control`: who traces, loads modules, uses bpf(), changes namespaces or users.
#include "compat.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/module.h>
#include <linux/userfaultfd.h>
#include <math.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define USUAL_TYPES "ptrace, bpf, setns, unshare, setuid, userfaultfd"
#define MODULE_TYPES "init_module, finit_module"

static struct agent *agent;

static const char *number(long value)
{
    return format_text("%ld", value);
}

// A rule for what this process and its children do.
static const char *rule_for(const char *types)
{
    return format_text(
        "- rule: control\n"
        "  desc: d\n"
        "  condition: evt.type in (%s) and (proc.pid = %d or proc.ppid = %d)\n"
        "  output: \"%%evt.type %%evt.rawres %%evt.res %%evt.failed %%evt.arg.request %%evt.arg.pid\n"
        "    %%evt.arg.uargs %%evt.arg.length %%evt.arg.fd %%evt.arg.flags %%evt.arg.cmd\n"
        "    %%evt.arg.nstype %%evt.arg.uid %%fd.name %%fd.num %%fd.type %%proc.pid\"\n"
        "  priority: NOTICE\n",
        types, getpid(), getpid());
}

static void setup(void)
{
    test_setup();
    agent = agent_start(rule_for(USUAL_TYPES), NULL);
}

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    test_teardown();
}

TestSuite(control, .init = setup, .fini = teardown);

// --- ptrace ---

Test(control, ptrace)
{
    int hold[2];
    cr_assert_eq(pipe2(hold, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(hold[1]);
        _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
    }
    cr_assert_eq(ptrace(PTRACE_ATTACH, child, NULL, NULL), 0, "%s", strerror(errno));
    cr_assert_eq(waitpid(child, NULL, 0), child);
    cr_assert_eq(ptrace(PTRACE_DETACH, child, NULL, NULL), 0);
    agent_wait_alert(agent, "control", "evt.type", "ptrace", "evt.arg.request", "PTRACE_ATTACH",
                     "evt.arg.pid", number(child), "evt.rawres", "0", "evt.res", "SUCCESS", "evt.failed",
                     "false", NULL);
    // What is usual for a debugger waits for the agent's tick, but comes.
    agent_wait_alert(agent, "control", "evt.arg.request", "PTRACE_DETACH", "evt.arg.pid", number(child),
                     NULL);
    close(hold[1]);
    close(hold[0]);
    cr_assert_eq(wait_for_exit(child), 0);
}

static int be_traced(const void *argument)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) ? 1 : 0;
}

Test(control, ptrace_of_oneself)
{
    in_child(be_traced, NULL);
    agent_wait_alert(agent, "control", "evt.arg.request", "PTRACE_TRACEME", "evt.res", "SUCCESS", NULL);
    cr_assert_lt(ptrace(PTRACE_SEIZE, getpid(), NULL, NULL), 0);
    agent_wait_alert(agent, "control", "evt.arg.request", "PTRACE_SEIZE", "evt.arg.pid", number(getpid()),
                     "evt.res", "EPERM", "evt.rawres", number(-EPERM), "evt.failed", "true", NULL);
    cr_assert_lt(syscall(SYS_ptrace, 0x7777, getppid(), NULL, NULL), 0);
    agent_wait_alert(agent, "control", "evt.arg.request", number(0x7777), "evt.failed", "true", NULL);
}

// --- bpf ---

Test(control, bpf)
{
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_MEMLOCK, &all); // until 5.11 maps count as locked memory
    union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    _cleanup_close_ int map = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
    cr_assert_geq(map, 0);
    agent_wait_alert(agent, "control", "evt.type", "bpf", "evt.arg.cmd", "BPF_MAP_CREATE", "evt.rawres",
                     number(map), "evt.res", "SUCCESS", NULL);
    uint32_t key = 0, value = 0;
    attr = (union bpf_attr){.map_fd = (uint32_t)map, .key = (uintptr_t)&key, .value = (uintptr_t)&value};
    cr_assert_eq(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)), 0);
    agent_wait_alert(agent, "control", "evt.type", "bpf", "evt.arg.cmd", "BPF_MAP_LOOKUP_ELEM", NULL);
    attr = (union bpf_attr){.prog_type = BPF_PROG_TYPE_SOCKET_FILTER};
    cr_assert_lt(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)), 0);
    int error = errno; // which it is depends on the kernel
    agent_wait_alert(agent, "control", "evt.type", "bpf", "evt.arg.cmd", "BPF_PROG_LOAD", "evt.rawres",
                     number(-error), "evt.failed", "true", NULL);
}

// --- namespaces ---

static int leave(const void *argument)
{
    const int *flags = argument;
    return unshare(*flags) ? errno : 0;
}

Test(control, unshare)
{
    int flags = CLONE_NEWNS | CLONE_NEWUTS;
    in_child(leave, &flags);
    agent_wait_alert(agent, "control", "evt.type", "unshare", "evt.arg.flags", "CLONE_NEWNS|CLONE_NEWUTS",
                     "evt.rawres", "0", "evt.res", "SUCCESS", NULL);
    // Not allowed to a process with threads, which the one that reads the agent makes this one.
    cr_assert_lt(unshare(CLONE_NEWNS | CLONE_NEWUSER), 0);
    agent_wait_alert(agent, "control", "evt.type", "unshare", "evt.arg.flags", "CLONE_NEWNS|CLONE_NEWUSER",
                     "evt.res", "EINVAL", NULL);
    cr_assert_lt(unshare(0x01000000), 0);
    agent_wait_alert(agent, "control", "evt.type", "unshare", "evt.arg.flags", "0x1000000", NULL);
}

static int enter(const void *argument)
{
    const int *fd = argument;
    return setns(*fd, 0) ? errno : 0;
}

Test(control, setns)
{
    static const char *const kinds[][2] = {{"mnt", "CLONE_NEWNS"},  {"uts", "CLONE_NEWUTS"},
                                           {"net", "CLONE_NEWNET"}, {"ipc", "CLONE_NEWIPC"},
                                           {"pid", "CLONE_NEWPID"}, {"cgroup", "CLONE_NEWCGROUP"}};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        _cleanup_close_ int fd = open(format_text("/proc/self/ns/%s", kinds[i][0]), O_RDONLY | O_CLOEXEC);
        cr_assert_geq(fd, 0);
        in_child(enter, &fd);
        agent_wait_alert(agent, "control", "evt.type", "setns", "evt.arg.nstype", kinds[i][1], "evt.arg.fd",
                         number(fd), "evt.res", "SUCCESS", NULL);
    }
    cr_assert_lt(setns(-1, CLONE_NEWNET | CLONE_NEWUSER), 0);
    agent_wait_alert(agent, "control", "evt.type", "setns", "evt.arg.nstype", "CLONE_NEWUSER|CLONE_NEWNET",
                     "evt.arg.fd", "-1", "evt.res", "EBADF", "evt.failed", "true", NULL);
    cr_assert_lt(setns(0, 0), 0); // no namespace at all
    agent_wait_alert(agent, "control", "evt.type", "setns", "evt.arg.nstype", "0", "evt.arg.fd", "0", NULL);
}

// --- setuid ---

enum { NOBODYS_UID = 64999 };

static int become(const void *argument)
{
    return syscall(SYS_setuid, NOBODYS_UID) || syscall(SYS_setuid, 0) == 0;
}

Test(control, setuid)
{
    in_child(become, NULL);
    agent_wait_alert(agent, "control", "evt.type", "setuid", "evt.arg.uid", number(NOBODYS_UID), "evt.res",
                     "SUCCESS", NULL);
    agent_wait_alert(agent, "control", "evt.type", "setuid", "evt.res", "EPERM", "evt.failed", "true", NULL);
}

// --- userfaultfd ---

Test(control, userfaultfd)
{
    long fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOSYS)
        cr_skip_test("this kernel is built without userfaultfd()");
    agent_wait_alert(agent, "control", "evt.type", "userfaultfd", "evt.arg.flags", "O_NONBLOCK|O_CLOEXEC",
                     "evt.rawres", number(fd < 0 ? -errno : fd), NULL);
    close((int)fd);
    cr_assert_lt(syscall(SYS_userfaultfd, O_APPEND), 0);
    agent_wait_alert(agent, "control", "evt.type", "userfaultfd", "evt.arg.flags", "0x400", "evt.res",
                     "EINVAL", NULL);
}

// --- 32-bit callers ---

static int become_by(const void *argument)
{
    const long *call = argument;
    return compat_call(call[0], call[1], 0, 0, 0, 0) || getuid() != NOBODYS_UID;
}

Test(control, callers_of_32_bits)
{
    if (!compat_available())
        cr_skip_test("this kernel has no 32-bit system calls");
    enum { PTRACE = 26, UNSHARE = 310, SETNS = 346, BPF = 357, USERFAULTFD = 374 };
    cr_assert_eq(compat_call(PTRACE, PTRACE_ATTACH, getpid(), 0, 0, 0), -EPERM);
    agent_wait_alert(agent, "control", "evt.arg.request", "PTRACE_ATTACH", "evt.arg.pid", number(getpid()),
                     "evt.res", "EPERM", NULL);
    cr_assert_eq(compat_call(UNSHARE, CLONE_NEWUSER, 0, 0, 0, 0), -EINVAL);
    agent_wait_alert(agent, "control", "evt.type", "unshare", "evt.arg.flags", "CLONE_NEWUSER", NULL);
    _cleanup_close_ int uts = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
    cr_assert_eq(compat_call(SETNS, uts, 0, 0, 0, 0), 0);
    agent_wait_alert(agent, "control", "evt.type", "setns", "evt.arg.nstype", "CLONE_NEWUTS", "evt.res",
                     "SUCCESS", NULL);
    union bpf_attr *attr = compat_memory(sizeof(*attr));
    cr_assert_lt(compat_call(BPF, BPF_MAP_CREATE, (long)attr, sizeof(*attr), 0, 0), 0);
    agent_wait_alert(agent, "control", "evt.type", "bpf", "evt.arg.cmd", "BPF_MAP_CREATE", "evt.failed",
                     "true", NULL);
    long result = compat_call(USERFAULTFD, O_APPEND, 0, 0, 0, 0);
    agent_wait_alert(agent, "control", "evt.type", "userfaultfd", "evt.arg.flags", "0x400", "evt.rawres",
                     number(result), NULL);
}

// setuid() itself takes 16 bits there; what the caller leaves above them does not count.
Test(control, setuid_of_32_bit_callers)
{
    if (!compat_available())
        cr_skip_test("this kernel has no 32-bit system calls");
    const long calls[][2] = {{213, NOBODYS_UID}, {23, 0x10000 + NOBODYS_UID}};
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        in_child(become_by, calls[i]);
        agent_wait_count(agent, "control", i + 1);
    }
    cr_expect_eq(
        agent_count_alerts(agent, "control", "evt.type", "setuid", "evt.arg.uid", number(NOBODYS_UID), NULL),
        ARRAY_SIZE(calls));
    cr_assert_eq(compat_call(23, 0xffff, 0, 0, 0, 0), -EINVAL);
    agent_wait_alert(agent, "control", "evt.type", "setuid", "evt.arg.uid", "4294967295", "evt.res", "EINVAL",
                     NULL);
}

// --- By an agent of its own each ---

TestSuite(control_alone, TEST_SUITE);

// The agent reads maps at each scrape. It judges its own bpf() calls before it sees those of others after
// them.
Test(control_alone, own_bpf_calls_are_not_reported)
{
    _cleanup_agent_ struct agent *other =
        agent_start(format_text("- rule: bpf\n"
                                "  desc: d\n"
                                "  condition: evt.type = bpf and (proc.pid = %d or proc.ppid = %d)\n"
                                "  output: \"%%evt.arg.cmd %%proc.pid\"\n"
                                "  priority: NOTICE\n",
                                getpid(), getpid()),
                    NULL);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(agent_metric(other, "inferscope_source_up", "source", "control", NULL), 1);
    union bpf_attr attr = {};
    cr_assert_lt(syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr)), 0);
    agent_wait_alert(other, "bpf", "proc.pid", number(getpid()), "evt.arg.cmd", "BPF_OBJ_GET", NULL);
    cr_expect_eq(agent_count_alerts(other, "bpf", "proc.pid", number(agent_pid(other)), NULL), 0);
}

Test(control_alone, users_go_by_name_and_number)
{
    cr_assert_eq(mkdir(test_path("root"), 0755), 0);
    cr_assert_eq(mkdir(test_path("root/etc"), 0755), 0);
    write_file(test_path("root/etc/passwd"), format_text("tester:x:%d:0::/:/bin/sh\n", NOBODYS_UID));
    _cleanup_agent_ struct agent *other =
        agent_start(format_text("- rule: name\n"
                                "  desc: d\n"
                                "  condition: evt.type = setuid and proc.ppid = %d and evt.arg.uid = tester\n"
                                "  output: \"%%evt.arg.uid\"\n"
                                "  priority: NOTICE\n"
                                "- rule: number\n"
                                "  desc: d\n"
                                "  condition: evt.type = setuid and proc.ppid = %d and evt.arg.uid = %d\n"
                                "  output: \"%%evt.arg.uid\"\n"
                                "  priority: NOTICE\n",
                                getpid(), getpid(), NOBODYS_UID),
                    "--host-root", test_path("root"), "--rule-matching", "all", NULL);
    in_child(become, NULL);
    agent_wait_alert(other, "name", "evt.arg.uid", "tester", NULL);
    agent_wait_alert(other, "number", "evt.arg.uid", "tester", NULL);
}

// Only what a rule asks for is attached.
Test(control_alone, other_calls_are_not_watched)
{
    _cleanup_agent_ struct agent *other = agent_start(rule_for("setuid"), NULL);
    cr_expect_eq(agent_metric(other, "inferscope_source_up", "source", "control", NULL), 1);
    cr_assert_lt(unshare(CLONE_NEWUSER), 0);
    in_child(become, NULL);
    agent_wait_alert(other, "control", "evt.type", "setuid", NULL);
    double unshared = agent_metric(other, "inferscope_events_total", "type", "unshare", NULL);
    cr_expect(isnan(unshared) || unshared == 0);
}

static bool kernel_has_modules(void)
{
    return syscall(SYS_finit_module, -1, "", 0) == 0 || errno != ENOSYS;
}

Test(control_alone, modules)
{
    if (!kernel_has_modules())
        cr_skip_test("this kernel is built without modules");
    const char *path = test_path("evil.ko");
    write_file(path, "not a module");
    _cleanup_agent_ struct agent *other = agent_start(rule_for(MODULE_TYPES), NULL);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_lt(syscall(SYS_finit_module, fd, "debug=1 name=\"x y\"", MODULE_INIT_IGNORE_VERMAGIC), 0);
    int error = errno;
    agent_wait_alert(other, "control", "evt.type", "finit_module", "evt.rawres", number(-error), "evt.failed",
                     "true", "evt.arg.fd", number(fd), "evt.arg.uargs", "debug=1 name=\"x y\"",
                     "evt.arg.flags", "MODULE_INIT_IGNORE_VERMAGIC", "fd.name", path, "fd.num", number(fd),
                     "fd.type", "file", NULL);
    cr_assert_lt(syscall(SYS_finit_module, -1, NULL, 0), 0);
    agent_wait_alert(other, "control", "evt.type", "finit_module", "evt.res", "EBADF", "evt.arg.fd", "-1",
                     "fd.name", "-", "fd.num", "-", "evt.arg.uargs", "-", "evt.arg.flags", "0", NULL);
    cr_assert_lt(syscall(SYS_init_module, "junk", 4, "a=b"), 0);
    error = errno;
    agent_wait_alert(other, "control", "evt.type", "init_module", "evt.rawres", number(-error),
                     "evt.arg.uargs", "a=b", "evt.arg.length", "4", NULL);
    if (!compat_available())
        return;
    enum { I386_INIT_MODULE = 128, I386_FINIT_MODULE = 350 };
    compat_call(I386_FINIT_MODULE, fd, (long)compat_text("of=32"), 0, 0, 0);
    agent_wait_alert(other, "control", "evt.type", "finit_module", "evt.arg.uargs", "of=32", "fd.name", path,
                     NULL);
    compat_call(I386_INIT_MODULE, (long)compat_text("junk"), 5, (long)compat_text("of=i386"), 0, 0);
    agent_wait_alert(other, "control", "evt.type", "init_module", "evt.arg.uargs", "of=i386",
                     "evt.arg.length", "5", NULL);
}

Test(control_alone, kernel_without_modules_is_told)
{
    if (kernel_has_modules())
        cr_skip_test("this kernel has modules");
    _cleanup_agent_ struct agent *other = agent_start(rule_for(MODULE_TYPES), NULL);
    cr_expect_eq(agent_metric(other, "inferscope_source_up", "source", "control", NULL), 0);
    cr_expect(strstr(agent_stderr(other), "source control is down: cannot attach to "
                                          "tracepoint/syscalls/sys_exit_"),
              "%s", agent_stderr(other));
}
