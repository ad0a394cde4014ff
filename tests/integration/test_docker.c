// Containers of Docker: its own daemon makes them, and what rules say of them comes from the files that it
// writes.
#include "box.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(docker, .init = box_setup, .fini = box_teardown);

#define IMAGE BOX_IMAGE ":" BOX_TAG

static const char identity_rule[] =
    "- rule: started\n"
    "  desc: a program started in a container\n"
    "  condition: evt.type = execve and container.id != host and proc.name = stranger\n"
    "  output: \"%container.id %container.full_id %container.name %container.type %container.image\n"
    "    %container.image.repository %container.image.tag %container.image.id %container.image.digest\n"
    "    %container.privileged %container.label[team] %container.label[origin] %container.mounts\n"
    "    %k8s.pod.name %k8s.ns.name %k8s.pod.uid %k8s.pod.label[app] %proc.cmdline\"\n"
    "  priority: NOTICE\n";

Test(docker, the_users_four_rules_fire)
{
    box_docker("inspect " IMAGE);
    box_case_four_rules(box_docker, BOX_DOCKER_RUN);
}

Test(docker, all_of_a_containers_identity)
{
    const char *name = box_name("identity");
    const char *image_id = box_docker("inspect --format '{{.Id}}' " IMAGE);
    _cleanup_agent_ struct agent *agent = box_agent(identity_rule);
    const char *id =
        box_docker("create --network=none --label team=research -v %s:/node:ro,z -v kept-%d:/kept "
                   "--mount type=tmpfs,dst=/passing --name %s " IMAGE " /stranger who",
                   test_dir(), getpid(), name);
    box_docker("start -a %s", name);
    json_t *alert = agent_wait_alert(agent, "started", "container.name", name, "container.type", "docker",
                                     "container.image", IMAGE, "container.image.repository", BOX_IMAGE,
                                     "container.image.tag", BOX_TAG, "container.privileged", "false",
                                     "container.label[team]", "research", "container.label[origin]", "image",
                                     "k8s.pod.name", "-", "proc.cmdline", "stranger who", NULL);
    cr_expect_eq(strncmp(id, alert_field(alert, "container.full_id"), 64), 0, "%s", id);
    cr_expect_eq(strlen(alert_field(alert, "container.id")), 12);
    cr_expect_eq(strncmp(id, alert_field(alert, "container.id"), 12), 0, "%s", id);
    cr_expect_eq(strncmp(image_id + 7, alert_field(alert, "container.image.id"), 64), 0, "%s", image_id);
    const char *mounts = alert_field(alert, "container.mounts");
    cr_expect(strstr(mounts, format_text("%s:/node:ro,z:false:rprivate", test_dir())), "%s", mounts);
    cr_expect(strstr(mounts, format_text("/volumes/kept-%d/_data:/kept:z:true:", getpid())), "%s", mounts);
    cr_expect_not(strstr(mounts, "/passing"), "%s", mounts);
    // An image that no registry has seen has no digest there.
    cr_expect_str_empty(alert_field(alert, "container.image.digest"));
}

Test(docker, privileged)
{
    const char *name = box_name("privileged");
    box_docker("inspect " IMAGE);
    _cleanup_agent_ struct agent *agent = box_agent(identity_rule);
    box_docker(BOX_DOCKER_RUN " " BOX_FEWER " --rm --privileged --name %s " IMAGE " /stranger", name);
    agent_wait_alert(agent, "started", "container.name", name, "container.privileged", "true", NULL);
}

// The kubelet's shim for Docker names the image by its id and has the pod in labels.
Test(docker, a_pods_container)
{
    const char *pod = format_text("%s_lab-pod_research_u-%d_0", box_name("pod"), getpid());
    const char *image_id = box_docker("inspect --format '{{.Id}}' " IMAGE);
    const char *sandbox =
        box_docker(BOX_DOCKER_RUN " -d --label app=llm --name k8s_POD_%s " IMAGE " /python3 stay", pod);
    _cleanup_agent_ struct agent *agent = box_agent(identity_rule);
    box_docker(BOX_DOCKER_RUN
               " --rm --cgroup-parent=/kubepods/burstable/pod0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0 "
               "--label io.kubernetes.container.name=server --label io.kubernetes.pod.name=lab-pod "
               "--label io.kubernetes.pod.namespace=research --label io.kubernetes.pod.uid=u-%d "
               "--label io.kubernetes.sandbox.id=%.64s --name k8s_server_%s %.71s /stranger",
               getpid(), sandbox, pod, image_id);
    agent_wait_alert(agent, "started", "container.name", "server", "container.type", "docker",
                     "container.image", IMAGE, "container.image.repository", BOX_IMAGE, "container.image.tag",
                     BOX_TAG, "k8s.pod.name", "lab-pod", "k8s.ns.name", "research", "k8s.pod.uid",
                     format_text("u-%d", getpid()), "k8s.pod.label[app]", "llm", NULL);
}

// A rule about calls that wake nobody is judged when the containers have long gone.
Test(docker, what_is_gone_at_once_has_its_name_all_the_same)
{
    enum { CONTAINERS = 10 };
    const char *name = box_name("gone");
    box_docker("inspect " IMAGE);
    _cleanup_agent_ struct agent *agent = box_agent(
        "- rule: copied\n"
        "  desc: a descriptor was copied in a container\n"
        "  condition: evt.type = dup2 and evt.arg.newfd = 100 and container.id != host\n"
        "  output: \"%container.name %container.image.tag %container.privileged %container.label[team]\"\n"
        "  priority: NOTICE\n");
    for (int i = 0; i < CONTAINERS; i++)
        box_docker(BOX_DOCKER_RUN " --rm --label team=research --name %s-%d " IMAGE " /stranger dup", name,
                   i);
    for (int i = 0; i < CONTAINERS; i++)
        agent_wait_alert(agent, "copied", "container.name", format_text("%s-%d", name, i),
                         "container.image.tag", BOX_TAG, "container.privileged", "false",
                         "container.label[team]", "research", NULL);
}

Test(docker, what_happens_to_one_that_runs)
{
    box_case_running(box_docker, BOX_DOCKER_RUN, identity_rule);
}

// Neither the daemon's data nor its state is where they usually are, and no file says so: the disk for images
// is mostly another one.
Test(docker, a_data_root_elsewhere)
{
    const char *name = box_name("disk"), *before = box_name("disk-before");
    box_docker_data_root(format_text("%s/disk/docker", box_root()));
    box_docker(BOX_DOCKER_RUN " -d --name %s " IMAGE " /python3 stay", before);
    _cleanup_agent_ struct agent *agent = agent_start(identity_rule, NULL);
    box_docker("exec %s /stranger before", before);
    agent_wait_alert(agent, "started", "proc.cmdline", "stranger before", "container.name", before,
                     "container.type", "docker", "container.image.repository", BOX_IMAGE, NULL);
    box_docker(BOX_DOCKER_RUN " --rm --cgroup-parent=/anybody --name %s " IMAGE " /stranger after", name);
    agent_wait_alert(agent, "started", "proc.cmdline", "stranger after", "container.name", name,
                     "container.type", "docker", "container.image.tag", BOX_TAG, NULL);
    // Docker leaves a parent that it has made.
    const char *output;
    box_shell("rmdir /sys/fs/cgroup/anybody /sys/fs/cgroup/*/anybody", &output);
}
