// A real container, started by runc from a bundle as containerd lays it out: the rules that a user wrote for
// containers all fire, and know its name and image.
#include "harness.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUNDLES "/run/containerd/io.containerd.runtime.v2.task/k8s.io"

static char id[65];
static const char *bundle;

static void make_directory(const char *path)
{
    char copy[512];
    snprintf(copy, sizeof(copy), "%s", path);
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(copy, 0755);
        *slash = '/';
    }
    mkdir(copy, 0755);
}

static void setup(void)
{
    test_setup();
    snprintf(id, sizeof(id), "%064x", getpid());
    bundle = format_text("%s/%s", BUNDLES, id);
    make_directory(format_text("%s/rootfs/etc/secrets", bundle));
    make_directory(format_text("%s/rootfs/proc", bundle));
    write_file(format_text("%s/rootfs/etc/secrets/key", bundle), "secret");
    static const char *const programs[] = {"python3", "sh", "stranger"};
    for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
        copy_file(actor_copy(programs[i]), format_text("%s/rootfs/%s", bundle, programs[i]));
}

static void teardown(void)
{
    if (bundle) {
        run_program("runc", "--root", test_path("runc"), "delete", "--force", id, NULL);
        run_program("rm", "-rf", bundle, NULL);
    }
    test_teardown();
}

TestSuite(container, .init = setup, .fini = teardown);

// Runs a container whose first program gets these arguments (JSON strings), until it ends.
static void run_container(const char *arguments)
{
    write_file(
        format_text("%s/config.json", bundle),
        format_text(
            "{\"ociVersion\":\"1.0.2\","
            "\"process\":{\"user\":{\"uid\":0,\"gid\":0},\"args\":[%s],\"cwd\":\"/\","
            "\"noNewPrivileges\":true},"
            "\"root\":{\"path\":\"rootfs\"},\"hostname\":\"box\","
            "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"}],"
            "\"annotations\":{"
            "\"io.kubernetes.cri.container-name\":\"llm-research-lab-7\","
            "\"io.kubernetes.cri.sandbox-name\":\"lab-pod\","
            "\"io.kubernetes.cri.sandbox-namespace\":\"research\","
            "\"io.kubernetes.cri.image-name\":\"registry.example:5000/lab/server:1.2\"},"
            "\"linux\":{\"cgroupsPath\":\"/kubepods/burstable/pod0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0/%s\","
            "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"network\"},"
            "{\"type\":\"ipc\"},{\"type\":\"uts\"}]}}",
            arguments, id));
    _cleanup_free_ char *output = NULL;
    int code =
        run_captured(&output, "runc", "--root", test_path("runc"), "run", "--bundle", bundle, id, NULL);
    if (code == 127)
        cr_skip_test("runc is not installed");
    cr_assert_eq(code, 0, "runc: %d: %s", code, output);
}

Test(container, the_users_four_rules_fire)
{
    _cleanup_free_ char *rules = read_whole_file("tests/data/user-rules.yaml");
    cr_assert(rules);
    _cleanup_agent_ struct agent *agent = agent_start(rules, NULL);
    // Allowed as a program, but not to do these things: a secret, a connection, a shell.
    run_container("\"/python3\",\"open\",\"/etc/secrets/key\",\"connect\",\"127.0.0.1\",\"4444\","
                  "\"spawn\",\"/sh\",\"x\"");
    agent_wait_alert(agent, "Sensitive File Access", "fd.name", "/etc/secrets/key", "container.name",
                     "llm-research-lab-7", "user.name", "root", NULL);
    agent_wait_alert(agent, "Unexpected Network Connection", "fd.sip", "127.0.0.1", "fd.sport", "4444",
                     "container.name", "llm-research-lab-7", NULL);
    agent_wait_alert(agent, "Shell Spawned in Container", "proc.name", "sh", "proc.pname", "python3",
                     "container.name", "llm-research-lab-7", NULL);
    run_program("runc", "--root", test_path("runc"), "delete", "--force", id, NULL);

    run_container("\"/stranger\",\"x\"");
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
    run_container("\"/stranger\"");
    agent_wait_alert(agent, "started", "container.full_id", id, "container.name", "llm-research-lab-7",
                     "container.type", "containerd", "container.image.tag", "1.2", "k8s.pod.name", "lab-pod",
                     "k8s.ns.name", "research", NULL);
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
