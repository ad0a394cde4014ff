// A real container, started by runc from a bundle as containerd lays it out: the rules that a user wrote for
// containers all fire, and know its name and image.
#include "container.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(container, .init = container_setup, .fini = container_teardown);

Test(container, the_users_four_rules_fire)
{
    _cleanup_free_ char *rules = read_whole_file("tests/data/user-rules.yaml");
    cr_assert(rules);
    _cleanup_agent_ struct agent *agent = agent_start(rules, NULL);
    // Allowed as a program, but not to do these things: a secret, a connection, a shell.
    container_run("\"/python3\",\"open\",\"/etc/secrets/key\",\"connect\",\"127.0.0.1\",\"4444\","
                  "\"spawn\",\"/sh\",\"x\"");
    agent_wait_alert(agent, "Sensitive File Access", "fd.name", "/etc/secrets/key", "container.name",
                     "llm-research-lab-7", "user.name", "root", NULL);
    agent_wait_alert(agent, "Unexpected Network Connection", "fd.sip", "127.0.0.1", "fd.sport", "4444",
                     "container.name", "llm-research-lab-7", NULL);
    agent_wait_alert(agent, "Shell Spawned in Container", "proc.name", "sh", "proc.pname", "python3",
                     "container.name", "llm-research-lab-7", NULL);
    container_delete();

    container_run("\"/stranger\",\"x\"");
    agent_wait_alert(agent, "Unauthorized Process in Container", "proc.cmdline", "stranger x",
                     "container.name", "llm-research-lab-7", "container.image.repository",
                     "registry.example:5000/lab/server", NULL);
    // Started by the container's runtime, python3 itself is no stranger.
    cr_expect_eq(
        agent_count_alerts(agent, "Unauthorized Process in Container", "proc.cmdline", "python3", NULL), 0);
}

Test(container, identity_is_known_to_the_first_event)
{
    _cleanup_agent_ struct agent *agent =
        agent_start("- rule: started\n"
                    "  desc: a program started in a container\n"
                    "  condition: evt.type = execve and container.id != host and proc.name = stranger\n"
                    "  output: \"%container.id %container.full_id %container.name %container.type\n"
                    "    %container.image.tag %k8s.pod.name %k8s.ns.name\"\n"
                    "  priority: NOTICE\n",
                    NULL);
    container_run("\"/stranger\"");
    agent_wait_alert(agent, "started", "container.full_id", container_id(), "container.name",
                     "llm-research-lab-7", "container.type", "containerd", "container.image.tag", "1.2",
                     "k8s.pod.name", "lab-pod", "k8s.ns.name", "research", NULL);
}

// The same program on the node itself is none of these rules' business.
Test(container, node_is_not_a_container)
{
    _cleanup_agent_ struct agent *agent = agent_start(
        "- rule: inside\n"
        "  desc: a program started in a container\n"
        "  condition: evt.type = execve and container.id != host and proc.name in (stranger, sh)\n"
        "  output: x\n"
        "  priority: NOTICE\n"
        "- rule: outside\n"
        "  desc: a program started on the node\n"
        "  condition: evt.type = execve and container.id = host and proc.name = sh\n"
        "  output: \"%container.name\"\n"
        "  priority: NOTICE\n",
        NULL);
    run_program(actor_copy("stranger"), "x", NULL);
    run_program(actor_copy("sh"), "x", NULL);
    agent_wait_alert(agent, "outside", "container.name", "host", NULL);
    cr_expect_eq(agent_count_alerts(agent, "inside", NULL), 0);
}

struct deep {
    const char *cgroup;
    const char *program;
};

static int move_and_exec(const void *argument)
{
    const struct deep *deep = argument;
    write_file(format_text("%s/cgroup.procs", deep->cgroup), "0");
    // It must be there when /proc is asked, and ends with the test at the latest.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl(deep->program, "stranger", "stay", "deep", NULL);
    return 1;
}

// Whoever may make cgroups in a container must not get out of it by making many.
Test(container, many_levels_of_cgroups_lead_to_it_all_the_same)
{
    const char *mount = cgroup_mount();
    if (!mount)
        cr_skip_test("no cgroup file system of the second version is mounted here");
    _cleanup_agent_ struct agent *agent = agent_start(
        "- rule: started\n"
        "  desc: a program started in a container\n"
        "  condition: evt.type = execve and container.id != host and proc.cmdline = \"stranger stay deep\"\n"
        "  output: \"%container.full_id\"\n"
        "  priority: NOTICE\n",
        NULL);
    enum { LEVELS = 30 };
    const char *paths[LEVELS] = {format_text("%s/docker", mount),
                                 format_text("%s/docker/%s", mount, container_id())};
    for (int i = 2; i < LEVELS; i++)
        paths[i] = format_text("%s/%d", paths[i - 1], i);
    for (int i = 0; i < LEVELS; i++)
        cr_assert(mkdir(paths[i], 0755) == 0 || errno == EEXIST, "%s", paths[i]);
    struct deep deep = {.cgroup = paths[LEVELS - 1], .program = actor_copy("stranger")};
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        _exit(move_and_exec(&deep));
    agent_wait_alert(agent, "started", "container.full_id", container_id(), NULL);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (int i = LEVELS - 1; i >= 0; i--)
        rmdir(paths[i]); // the first may be somebody else's, too
}

// --- Without a manager: runc alone, whose own note says which cgroup is the container's ---

static const char plain_rule[] =
    "- rule: started\n"
    "  desc: a program started in a container\n"
    "  condition: evt.type = execve and container.id != host and proc.name = stranger\n"
    "  output: \"%container.full_id %container.name %container.type %container.privileged %proc.cmdline\"\n"
    "  priority: NOTICE\n";

static const char *plain_bundle(const char *arguments, const char *cgroup)
{
    static const char *const directories[] = {"plain", "plain/rootfs", "plain/rootfs/proc"};
    for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
        cr_assert(mkdir(test_path("%s", directories[i]), 0755) == 0 || errno == EEXIST);
    static const char *const programs[] = {"python3", "stranger"};
    for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
        if (access(test_path("plain/rootfs/%s", programs[i]), F_OK))
            copy_file(actor_copy(programs[i]), test_path("plain/rootfs/%s", programs[i]));
    write_file(test_path("plain/config.json"),
               format_text("{\"ociVersion\":\"1.0.2\","
                           "\"process\":{\"user\":{\"uid\":0,\"gid\":0},\"args\":[%s],\"cwd\":\"/\","
                           "\"capabilities\":{\"bounding\":[\"CAP_CHOWN\"]},\"noNewPrivileges\":true},"
                           "\"root\":{\"path\":\"rootfs\"},"
                           "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"}],"
                           "\"linux\":{%s\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]},"
                           "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"network\"},"
                           "{\"type\":\"ipc\"},{\"type\":\"uts\"}]}}",
                           arguments, cgroup));
    return test_path("plain");
}

// runc's note goes with the container, so this one stays.
static void expect_alone(struct agent *agent, const char *name, const char *cgroup, const char *word)
{
    const char *bundle = plain_bundle("\"/python3\",\"stay\"", cgroup), *root = test_path("own");
    int code = run_program(
        "sh", "-c",
        format_text("cd %s && exec runc --root %s run -d %s </dev/null >/dev/null 2>&1", bundle, root, name),
        NULL);
    if (code == 127)
        cr_skip_test("runc is not installed");
    cr_assert_eq(code, 0);
    cr_expect_eq(run_program("runc", "--root", root, "exec", name, "/stranger", word, NULL), 0);
    agent_wait_alert(agent, "started", "container.full_id", name, "container.name", name, "container.type",
                     "runc", "container.privileged", "false", "proc.cmdline",
                     format_text("stranger %s", word), NULL);
    run_program("runc", "--root", root, "delete", "--force", name, NULL);
}

Test(container, runc_alone)
{
    const char *name = format_text("plain-%d", getpid());
    _cleanup_agent_ struct agent *agent = agent_start(plain_rule, NULL);
    // In a cgroup that is called as the container is, and in one of its own choice.
    expect_alone(agent, name, "", "one");
    expect_alone(agent, name, format_text("\"cgroupsPath\":\"/of-%d/%s\",", getpid(), name), "two");
    // runc makes it in every hierarchy, and does not take away what is above the container's own.
    run_program(
        "sh", "-c",
        format_text("rmdir /sys/fs/cgroup/of-%d /sys/fs/cgroup/*/of-%d 2>/dev/null", getpid(), getpid()),
        NULL);
}

Test(container, runc_alone_before_the_agent)
{
    const char *name = format_text("before-%d", getpid());
    const char *bundle = plain_bundle("\"/python3\",\"stay\"", "");
    int code = run_program(
        "sh", "-c", format_text("exec runc run -d --bundle %s %s </dev/null >/dev/null 2>&1", bundle, name),
        NULL);
    if (code == 127)
        cr_skip_test("runc is not installed");
    cr_assert_eq(code, 0);
    {
        _cleanup_agent_ struct agent *agent = agent_start(plain_rule, NULL);
        cr_expect_eq(run_program("runc", "exec", name, "/stranger", "inside", NULL), 0);
        agent_wait_alert(agent, "started", "container.full_id", name, "container.name", name,
                         "container.type", "runc", "proc.cmdline", "stranger inside", NULL);
    }
    run_program("runc", "delete", "--force", name, NULL);
}
