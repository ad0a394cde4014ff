// The image holds all that the agent needs, and works in a container as deploy/kubernetes has it: read-only,
// with the capabilities and mounts of the DaemonSet and nothing else.
#include "harness.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUNDLE_SCRIPT "tests/deploy/bundle.py"

static const char *image, *bundle, *runc_state, *id;

static void image_setup(void)
{
    test_setup();
    _cleanup_free_ char *said = NULL;
    if (access("deploy/image-root", X_OK))
        cr_skip_test("there is no deploy/image-root here");
    image = test_path("image");
    int code = run_captured(&said, "deploy/image-root", agent_path(), image, NULL);
    cr_assert_eq(code, 0, "%s", said);
}

static void image_teardown(void)
{
    if (image)
        umount2(format_text("%s/proc", image), MNT_DETACH);
    if (runc_state)
        run_program("runc", "--root", runc_state, "delete", "--force", id, NULL);
    test_teardown();
}

TestSuite(image, .init = image_setup, .fini = image_teardown);

Test(image, holds_what_the_agent_needs)
{
    _cleanup_free_ char *version = NULL, *rules = NULL, *config = NULL;
    const char *own = format_text("%s/agent.yaml", image);
    // For sanitizers; seen by this test only.
    cr_assert_eq(unshare(CLONE_NEWNS), 0);
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    cr_assert_eq(mount("proc", format_text("%s/proc", image), "proc", MS_RDONLY, NULL), 0);
    cr_expect_eq(run_captured(&version, "chroot", image, "/usr/sbin/inferscope-agent", "--version", NULL), 0);
    cr_expect_eq(strncmp(version, "inferscope ", 11), 0, "%s", version);
    cr_expect_eq(run_captured(&rules, "chroot", image, "/usr/sbin/inferscope-agent", "check",
                              "/usr/share/inferscope/rules", NULL),
                 0, "%s", rules);
    copy_file("deploy/agent.yaml", own);
    cr_expect_eq(run_captured(&config, "chroot", image, "/usr/sbin/inferscope-agent", "config", "check",
                              "/agent.yaml", NULL),
                 0, "%s", config);
    cr_expect(access(format_text("%s/bin/sh", image), F_OK), "the image has a shell");
}

// --- As a pod ---

// Renders the manifests and makes the bundle; skips where that cannot be done here.
static void make_bundle(const char *variant)
{
    _cleanup_free_ char *manifests = NULL, *said = NULL, *no_yaml = NULL;
    const char *rendered = test_path("manifests.yaml");
    if (run_captured(&manifests, "kubectl", "kustomize", variant, NULL))
        cr_skip_test("there is no kubectl that renders manifests");
    if (run_captured(&no_yaml, "/usr/bin/python3", "-c", "import yaml", NULL))
        cr_skip_test("there is no python3-yaml");
    write_file(rendered, manifests);
    bundle = test_path("bundle");
    cr_assert_eq(mkdir(bundle, 0700), 0);
    cr_assert_eq(run_captured(&said, "/usr/bin/python3", BUNDLE_SCRIPT, rendered, image, bundle,
                              format_text("/kubepods/besteffort/inferscope-image/%s", id), NULL),
                 0, "%s", said);
}

static const char *in_bundle(const char *name)
{
    return format_text("%s/%s", bundle, name);
}

static pid_t pod_pid(void)
{
    _cleanup_free_ char *text = read_whole_file(in_bundle("pid"));
    return text ? atoi(text) : 0;
}

// Waits until the file has that in it.
static void wait_written(const char *name, const char *wanted)
{
    for (time_t until = time(NULL) + DEADLINE_S; time(NULL) < until;) {
        _cleanup_free_ char *text = read_whole_file(in_bundle(name));
        if (text && strstr(text, wanted))
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    _cleanup_free_ char *said = read_whole_file(in_bundle("said"));
    cr_assert_fail("\"%s\" did not come; the agent said: %s", wanted, said);
}

static pid_t start_pod(void)
{
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid > 0)
        return pid;
    int alerts = open(in_bundle("alerts"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int said = open(in_bundle("said"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (dup2(alerts, STDOUT_FILENO) < 0 || dup2(said, STDERR_FILENO) < 0)
        _exit(126);
    execlp("runc", "runc", "--root", runc_state, "run", "--bundle", bundle, "--pid-file", in_bundle("pid"),
           id, NULL);
    _exit(127);
}

// The test sees the pod's network from then on.
static void enter_network(pid_t pid)
{
    int fd = open(format_text("/proc/%d/ns/net", pid), O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(setns(fd, CLONE_NEWNET), 0);
    close(fd);
}

static void add_rule(void)
{
    _cleanup_free_ char *rules = read_whole_file(in_bundle("config/rules.yaml"));
    write_file(in_bundle("config/rules.yaml"),
               format_text("%s\n- rule: connected from outside\n"
                           "  desc: not by the pod\n"
                           "  condition: evt.type = connect and proc.name = pod-%d\n"
                           "  output: \"%%proc.name\"\n"
                           "  priority: NOTICE\n",
                           rules, getpid()));
}

// Of files, only the spool's folder; /proc and /dev are the container's own.
static void expect_nothing_writable(pid_t pid)
{
    _cleanup_free_ char *mounts = read_whole_file(format_text("/proc/%d/mountinfo", pid));
    cr_assert(mounts);
    size_t count = 0;
    char *rest = mounts, place[4096], options[512];
    for (char *line; (line = strsep(&rest, "\n")) && *line; count++) {
        cr_assert_eq(sscanf(line, "%*s %*s %*s %*s %4095s %511s", place, options), 2, "%s", line);
        bool covered = rest && strstr(rest, format_text(" %s ", place));
        bool own = strcmp(place, "/var/lib/inferscope") == 0 || strcmp(place, "/dev") == 0 ||
                   strcmp(place, "/proc") == 0;
        cr_expect(covered || own || strncmp(options, "ro", 2) == 0, "%s is writable", place);
    }
    cr_expect_gt(count, 8);
}

static void expect_works_as(const char *variant)
{
    id = format_text("inferscope-image-%d", getpid());
    const char *program = actor_copy(format_text("pod-%d", getpid()));
    _cleanup_free_ char *version = NULL;
    if (run_captured(&version, "runc", "--version", NULL))
        cr_skip_test("runc is not installed");
    make_bundle(variant);
    add_rule();
    runc_state = test_path("runc");
    pid_t runc = start_pod();
    wait_written("said", "agent: ready: ");
    run_program(program, "open", "/etc/shadow", "connect", "127.0.0.1", "1", NULL);
    // Seen at the root of the node's control groups, in none of the pod's.
    wait_written("alerts", "\"rule\":\"connected from outside\"");
    wait_written("alerts", format_text("\"proc.name\":\"pod-%d\"", getpid()));
    if (kernel_at_least(5, 12))
        expect_nothing_writable(pod_pid());
    enter_network(pod_pid());
    _cleanup_free_ char *ready = http_get(9560, "/readyz"), *alive = http_get(9560, "/healthz");
    _cleanup_free_ char *metrics = http_get(9560, "/metrics");
    static const char *const sources[] = {"process", "file", "connect", "api", "tls"};
    for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
        cr_expect_eq(metric_of(metrics, "inferscope_source_up", "source", sources[i], NULL), 1, "%s",
                     sources[i]);
    run_program("runc", "--root", runc_state, "kill", id, "TERM", NULL);
    cr_expect_eq(wait_for_exit(runc), 0);
}

Test(image, works_as_the_daemon_set_has_it)
{
    _cleanup_free_ char *level = read_whole_file("/proc/sys/kernel/perf_event_paranoid");
    if (!level || atoi(level) > 2 || !kernel_at_least(6, 6))
        cr_skip_test("this kernel is one for the privileged variant");
    expect_works_as("deploy/kubernetes/base");
}

Test(image, works_as_the_privileged_daemon_set_has_it)
{
    expect_works_as("deploy/kubernetes/privileged");
}
