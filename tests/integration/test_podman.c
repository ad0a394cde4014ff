// Containers of podman: what users' rules say of them is right from their first event on.
#include "box.h"

#include <stdio.h>
#include <string.h>

TestSuite(podman, .init = box_setup, .fini = box_teardown);

#define IMAGE BOX_IMAGE ":" BOX_TAG

static const char identity_rule[] =
    "- rule: started\n"
    "  desc: a program started in a container\n"
    "  condition: evt.type = execve and container.id != host and proc.name = stranger\n"
    "  output: \"%container.full_id %container.name %container.type %container.image\n"
    "    %container.image.repository %container.image.tag %container.image.id %container.image.digest\n"
    "    %container.privileged %container.label[team] %container.label[origin] %container.labels\n"
    "    %container.mount.dest[0] %k8s.pod.name %proc.cmdline\"\n"
    "  priority: NOTICE\n";

Test(podman, the_users_four_rules_fire)
{
    box_podman("image exists " IMAGE);
    box_case_four_rules(box_podman, BOX_RUN);
}

Test(podman, all_of_a_containers_identity)
{
    const char *name = box_name("identity");
    const char *digest = box_podman("image inspect --format '{{.Digest}}' " IMAGE);
    const char *image_id = box_podman("image inspect --format '{{.Id}}' " IMAGE);
    _cleanup_agent_ struct agent *agent = box_agent(identity_rule);
    const char *id = box_podman("create --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --network=none "
                                "--label team=research -v %s:/node:ro --name %s " IMAGE " /stranger who",
                                test_dir(), name);
    box_podman("start %s", name);
    json_t *alert = agent_wait_alert(agent, "started", "container.name", name, "container.type", "podman",
                                     "container.image", IMAGE, "container.image.repository", BOX_IMAGE,
                                     "container.image.tag", BOX_TAG, "container.privileged", "false",
                                     "container.label[team]", "research", "container.label[origin]", "image",
                                     "k8s.pod.name", "-", "proc.cmdline", "stranger who", NULL);
    cr_expect_eq(strncmp(id, alert_field(alert, "container.full_id"), 64), 0, "%s", id);
    cr_expect_eq(strncmp(image_id, alert_field(alert, "container.image.id"), 64), 0, "%s", image_id);
    cr_expect_eq(strncmp(digest, alert_field(alert, "container.image.digest"), 7 + 64), 0, "%s", digest);
    cr_expect(strstr(alert_field(alert, "container.labels"), "team:research"));
}

Test(podman, privileged)
{
    const char *name = box_name("privileged");
    box_podman("image exists " IMAGE);
    _cleanup_agent_ struct agent *agent = box_agent(identity_rule);
    box_podman(BOX_RUN " --rm --privileged --name %s " IMAGE " /stranger", name);
    agent_wait_alert(agent, "started", "container.name", name, "container.privileged", "true", NULL);
}

// A rule about calls that wake nobody is judged when the containers have long gone.
Test(podman, what_is_gone_at_once_has_its_name_all_the_same)
{
    enum { CONTAINERS = 10 };
    const char *name = box_name("gone");
    box_podman("image exists " IMAGE);
    _cleanup_agent_ struct agent *agent = box_agent(
        "- rule: copied\n"
        "  desc: a descriptor was copied in a container\n"
        "  condition: evt.type = dup2 and evt.arg.newfd = 100 and container.id != host\n"
        "  output: \"%container.name %container.image.tag %container.image.digest %container.privileged "
        "%container.label[team]\"\n"
        "  priority: NOTICE\n");
    for (int i = 0; i < CONTAINERS; i++)
        box_podman(BOX_RUN " --rm --label team=research --name %s-%d " IMAGE " /stranger dup", name, i);
    for (int i = 0; i < CONTAINERS; i++)
        agent_wait_alert(agent, "copied", "container.name", format_text("%s-%d", name, i),
                         "container.image.tag", BOX_TAG, "container.image.digest", "*",
                         "container.privileged", "false", "container.label[team]", "research", NULL);
}

Test(podman, what_happens_to_one_that_runs)
{
    box_case_running(box_podman, BOX_RUN, identity_rule);
}

// `graphroot` of its configuration is elsewhere: what stays with a container knows.
Test(podman, with_a_storage_elsewhere)
{
    const char *name = box_name("elsewhere");
    box_podman(BOX_RUN " -d --label team=research --name %s " IMAGE " /python3 stay", name);
    _cleanup_agent_ struct agent *agent = agent_start(identity_rule, NULL);
    box_podman("exec %s /stranger before", name);
    agent_wait_alert(agent, "started", "proc.cmdline", "stranger before", "container.name", name,
                     "container.image.repository", BOX_IMAGE, "container.label[team]", "research", NULL);
    box_podman(BOX_RUN " --rm --label team=research --name %s-2 " IMAGE " /stranger after", name);
    agent_wait_alert(agent, "started", "proc.cmdline", "stranger after", "container.name",
                     format_text("%s-2", name), "container.image.repository", BOX_IMAGE,
                     "container.label[team]", "research", NULL);
}
