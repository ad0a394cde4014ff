// A real container, started by runc from a bundle as containerd lays it out: the rules that a user wrote for
// containers all fire, and know its name and image.
#include "container.h"

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
