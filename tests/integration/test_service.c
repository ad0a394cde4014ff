// The agent within the limits that deploy/systemd/inferscope.service sets: its capabilities, its system calls
// and address families, and a file system of which it may write its own directories only.
#include "delivery.h"
#include "servers.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

TestSuite(service, TEST_SUITE);

#define UNIT "deploy/systemd/inferscope.service"

#ifdef __x86_64__
#define AUDIT_ARCH_OWN AUDIT_ARCH_X86_64
#else
#define AUDIT_ARCH_OWN AUDIT_ARCH_AARCH64
#endif

// From <linux/prctl.h> of 6.3.
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

// All values that the unit gives a key, one after the other.
static const char *setting(const char *key)
{
    _cleanup_free_ char *unit = read_whole_file(UNIT);
    cr_assert(unit);
    const char *values = "";
    char *rest = unit;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == '=')
            values = format_text("%s %s", values, line + strlen(key) + 1);
    cr_assert(*values, "%s does not say %s", UNIT, key);
    return values;
}

// Calls `take` for each word.
static void each_word(const char *words, void (*take)(const char *word, void *context), void *context)
{
    char *copy = format_text("%s", words);
    for (char *word; (word = strsep(&copy, " "));)
        if (*word)
            take(word, context);
}

// --- Capabilities ---

static bool needs_sys_admin(void)
{
    _cleanup_free_ char *level = read_whole_file("/proc/sys/kernel/perf_event_paranoid");
    return !level || atoi(level) > 2 || !kernel_at_least(6, 6);
}

static void add_capability(const char *name, void *context)
{
    char lower[64] = "";
    const char **list = context;
    cr_assert_eq(strncmp(name, "CAP_", 4), 0, "%s", name);
    for (size_t i = 0; name[i + 4] && i + 1 < sizeof(lower); i++)
        lower[i] = (char)(name[i + 4] | 0x20 * (name[i + 4] != '_'));
    if (strcmp(lower, "sys_admin") || needs_sys_admin())
        *list = format_text("%s,+%s", *list, lower);
}

// From now on agent_start() starts one that has no capability but those. A sanitizer would look for leaks by
// ptrace(), which the unit does not allow.
static void limit_capabilities(void)
{
    const char *list = "-all", *wrapper = test_path("limited-agent");
    each_word(setting("CapabilityBoundingSet"), add_capability, &list);
    _cleanup_free_ char *agent = realpath(agent_path(), NULL);
    write_file(wrapper, format_text("#!/bin/sh\nexport ASAN_OPTIONS=detect_leaks=0\n"
                                    "exec setpriv --inh-caps=-all --bounding-set=%s %s \"$@\"\n",
                                    list, agent));
    cr_assert_eq(chmod(wrapper, 0755), 0);
    cr_assert_eq(setenv("AGENT", wrapper, 1), 0);
}

// --- The file system ---

// What only this test sees: everything is read-only but the test's directory.
static void limit_files(void)
{
    struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY}, writable = {.attr_clr = MOUNT_ATTR_RDONLY};
    cr_assert_eq(unshare(CLONE_NEWNS), 0);
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    cr_assert_eq(mount(test_dir(), test_dir(), NULL, MS_BIND, NULL), 0);
    if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &read_only, sizeof(read_only)))
        cr_skip_test("this kernel cannot make a tree of mounts read-only: %s", strerror(errno));
    cr_assert_eq(mount_setattr(AT_FDCWD, test_dir(), 0, &writable, sizeof(writable)), 0);
    cr_assert_lt(open("/etc/inferscope-test", O_WRONLY | O_CREAT, 0600), 0);
}

// --- System calls ---

static const struct {
    const char *name;
    unsigned number;
} calls[] = {
#include "syscall_numbers.inc"
};

struct filter {
    const char *sets; // what systemd-analyze says of all sets
    unsigned short count;
    struct sock_filter code[4096];
};

static void add(struct filter *filter, struct sock_filter instruction)
{
    cr_assert_lt(filter->count, ARRAY_SIZE(filter->code));
    filter->code[filter->count++] = instruction;
}

static void allow_number(struct filter *filter, unsigned number)
{
    add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
    add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

// A system call, or a set of them: the indented lines behind its name, but for the comments.
static void allow(const char *name, void *context)
{
    struct filter *filter = context;
    if (*name != '@') {
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
            if (strcmp(calls[i].name, name) == 0)
                allow_number(filter, calls[i].number);
        return;
    }
    const char *heading = format_text("\n%s\n", name), *line = strstr(filter->sets, heading);
    cr_assert(line, "systemd-analyze knows no set %s", name);
    for (line += strlen(heading); strncmp(line, "    ", 4) == 0; line += strcspn(line, "\n") + 1) {
        char member[64];
        snprintf(member, sizeof(member), "%.*s", (int)strcspn(line + 4, "\n"), line + 4);
        if (*member != '#')
            allow(member, filter);
    }
}

static unsigned family_number(const char *name)
{
    static const struct {
        const char *name;
        unsigned number;
    } families[] = {
        {"AF_UNIX", AF_UNIX}, {"AF_INET", AF_INET}, {"AF_INET6", AF_INET6}, {"AF_NETLINK", AF_NETLINK}};
    for (size_t i = 0; i < ARRAY_SIZE(families); i++)
        if (strcmp(families[i].name, name) == 0)
            return families[i].number;
    cr_assert_fail("%s", name);
    return 0;
}

static void allow_family(const char *name, void *context)
{
    allow_number(context, family_number(name));
}

// Of this process and all that it starts; as systemd, which does the same, it takes no other architecture's.
static void limit_calls(void)
{
    static struct filter filter;
    char *sets = NULL;
    if (run_captured(&sets, "systemd-analyze", "syscall-filter", NULL))
        cr_skip_test("there is no systemd-analyze");
    filter.sets = format_text("\n%s", sets);
    free(sets);
    const unsigned refuse = SECCOMP_RET_ERRNO | EPERM;
    add(&filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
    add(&filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_OWN, 1, 0));
    add(&filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, refuse));
    add(&filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    unsigned short at = filter.count;
    add(&filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 0));
    add(&filter,
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])));
    each_word(setting("RestrictAddressFamilies"), allow_family, &filter);
    add(&filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT));
    filter.code[at].jf = (unsigned char)(filter.count - at - 1);
    each_word(setting("SystemCallFilter"), allow, &filter);
    add(&filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, refuse));
    struct sock_fprog program = {.len = filter.count, .filter = filter.code};
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0, "%s", strerror(errno));
    cr_assert_lt(mount("none", test_dir(), "tmpfs", 0, NULL), 0, "the filter filters nothing");
    cr_assert_lt(socket(AF_PACKET, SOCK_DGRAM, 0), 0, "the filter filters no socket");
}

// --- The test ---

// Another user's process, older than the agent, that opens the file when the other end of the pipe is closed.
static pid_t stranger_start(int *ret_go)
{
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    cr_assert_eq(chmod(test_dir(), 0711), 0);
    const char *file = delivery_file();
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        char byte;
        close(ends[1]);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (setgroups(0, NULL) || setgid(65534) || setuid(65534) || read(ends[0], &byte, 1))
            _exit(1);
        _exit(open(file, O_RDONLY) < 0);
    }
    close(ends[0]);
    *ret_go = ends[1];
    return pid;
}

// Until it is 1.
static void wait_metric(struct agent *agent, const char *name, const char *label, const char *value)
{
    for (time_t until = time(NULL) + DEADLINE_S; time(NULL) < until;)
        if (agent_metric(agent, name, label, value, NULL) == 1)
            return;
    cr_assert_fail("%s is not 1; the agent said: %s", name, agent_stderr(agent));
}

// Files, programs, connections, requests, an output, an audit log and a reload, all within the limits.
Test(service, all_works_within_the_limits_of_the_unit)
{
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    _cleanup_free_ char *version = NULL;
    if (access(UNIT, R_OK))
        cr_skip_test("there is no " UNIT " here");
    if (run_captured(&version, "setpriv", "--version", NULL))
        cr_skip_test("there is no setpriv");
    const char *program = actor_copy("limited");
    _cleanup_server_ struct server *server = server_start(SERVER_PLAIN);
    struct keeper keeper = {};
    keeper_start(&keeper);
    const char *outputs = format_text("%s  - {type: stdout, format: json}\ninference: {enabled: true}\n",
                                      delivery_webhook(keeper.port));
    const char *config = delivery_config(test_path("spool"), outputs);
    const char *rules =
        format_text("- rule: stranger\n"
                    "  desc: another user's process opens it\n"
                    "  condition: evt.type in (open, openat) and fd.name = %s and user.uid = 65534\n"
                    "  output: \"%%proc.pid %%proc.exepath\"\n"
                    "  priority: NOTICE\n"
                    "- rule: started\n"
                    "  desc: a program of the test\n"
                    "  condition: evt.type = execve and proc.name = limited\n"
                    "  output: \"%%proc.name\"\n"
                    "  priority: NOTICE\n"
                    "- rule: connected\n"
                    "  desc: to the server\n"
                    "  condition: evt.type = connect and fd.sport = %u\n"
                    "  output: \"%%fd.sport\"\n"
                    "  priority: NOTICE\n"
                    "%s",
                    delivery_file(), server_port(server), delivery_rules());
    // CAP_DAC_READ_SEARCH: what root may not read by the file's mode.
    cr_assert_eq(chmod(config, 0600) || chown(config, 65534, 65534), 0);
    int go = -1;
    pid_t stranger = stranger_start(&go);
    setrlimit(RLIMIT_MEMLOCK, &all); // LimitMEMLOCK=infinity, where it may be raised
    limit_capabilities();
    limit_files();
    limit_calls();
    prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0); // MemoryDenyWriteExecute=, from Linux 6.3 on
    _cleanup_agent_ struct agent *agent = agent_start(rules, "--config", config, NULL);
    delivery_open(delivery_file(), 2);
    run_program(program, NULL);
    const char *const bodies[] = {chat_body(true, "limits", 8), NULL};
    const struct load load = {.port = server_port(server),
                              .route = "/v1/chat/completions",
                              .bodies = bodies,
                              .requests = 1,
                              .at_once = 1};
    answers_free(load_run(&load), 1);
    close(go);
    cr_expect_eq(wait_for_exit(stranger), 0);
    // CAP_SYS_PTRACE: what program another user's process has.
    char own[PATH_MAX] = "";
    cr_assert_gt(readlink("/proc/self/exe", own, sizeof(own) - 1), 0);
    agent_wait_alert(agent, "stranger", "proc.pid", format_text("%d", stranger), "proc.exepath", own, NULL);
    agent_wait_count(agent, "opened", 2);
    agent_wait_alert(agent, "started", NULL);
    agent_wait_alert(agent, "connected", NULL);
    wait_metric(agent, "gen_ai_server_request_duration_seconds_count", "server_port",
                format_text("%u", server_port(server)));
    static const char *const sources[] = {"process", "file", "connect", "api", "tls"};
    for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
        cr_expect_eq(agent_metric(agent, "inferscope_source_up", "source", sources[i], NULL), 1, "%s: %s",
                     sources[i], agent_stderr(agent));
    delivery_wait_taken(5);
    cr_assert_eq(kill(agent_pid(agent), SIGHUP), 0); // ExecReload=
    wait_metric(agent, "inferscope_config_reloads_total", "result", "ok");
    cr_expect_eq(agent_metric(agent, "inferscope_audit_log_errors_total", NULL), 0);
    keeper_kill(&keeper);
}
