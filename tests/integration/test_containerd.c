// Containers of containerd, as the kubelet has it make them: what a pod is comes from the files of the node
// alone.
#include "box.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(containerd, .init = box_setup, .fini = box_teardown);

#define IMAGE BOX_IMAGE ":" BOX_TAG
#define POD_UID "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

static const char identity_rule[] =
    "- rule: started\n"
    "  desc: a program started in a container\n"
    "  condition: evt.type = execve and container.id != host and proc.name = stranger\n"
    "  output: \"%container.full_id %container.name %container.type %container.image.repository\n"
    "    %container.image.tag %container.image.digest %container.privileged %container.label[team]\n"
    "    %k8s.pod.name %k8s.ns.name %k8s.pod.uid %k8s.pod.id %k8s.pod.full_sandbox_id %k8s.pod.sandbox_id\n"
    "    %k8s.pod.label[app.kubernetes.io/name] %k8s.pod.label[cost-centre] %k8s.pod.labels\"\n"
    "  priority: NOTICE\n";

static struct agent *start_agent(void)
{
    return agent_start(identity_rule, "--host-root", box_root(), NULL);
}

static void import_image(void)
{
    box_ctr("-n k8s.io image import --snapshotter native --base-name " BOX_IMAGE " %s",
            test_path("image.oci"));
}

// The sandbox is a container of its own, which has the pod's labels.
Test(containerd, a_pods_container)
{
    char id[65], sandbox[65];
    snprintf(id, sizeof(id), "%064x", getpid());
    snprintf(sandbox, sizeof(sandbox), "5a%062x", getpid());
    import_image();
    box_ctr("-n k8s.io container create --snapshotter native --label app.kubernetes.io/name=llm "
            "--label cost-centre=4711 --label io.kubernetes.pod.name=lab-pod " IMAGE " %s",
            sandbox);
    _cleanup_agent_ struct agent *agent = start_agent();
    box_ctr("-n k8s.io run --rm --snapshotter native --label team=research "
            "--annotation io.kubernetes.cri.container-name=llm-research-lab "
            "--annotation io.kubernetes.cri.sandbox-name=lab-pod "
            "--annotation io.kubernetes.cri.sandbox-namespace=research "
            "--annotation io.kubernetes.cri.sandbox-id=%s "
            "--cgroup /kubepods/burstable/pod" POD_UID "/%s " IMAGE " %s /stranger",
            sandbox, id, id);
    json_t *alert = agent_wait_alert(
        agent, "started", "container.full_id", id, "container.name", "llm-research-lab", "container.type",
        "containerd", "container.image.repository", BOX_IMAGE, "container.image.tag", BOX_TAG,
        "container.image.digest", "*", "container.privileged", "false", "container.label[team]", "research",
        "k8s.pod.name", "lab-pod", "k8s.ns.name", "research", "k8s.pod.uid", POD_UID, "k8s.pod.id", POD_UID,
        "k8s.pod.full_sandbox_id", sandbox, "k8s.pod.label[app.kubernetes.io/name]", "llm",
        "k8s.pod.label[cost-centre]", "4711", NULL);
    cr_expect_eq(strncmp(alert_field(alert, "k8s.pod.sandbox_id"), sandbox, 12), 0);
    // The two, and those of the image that the sandbox was made of.
    const char *labels = alert_field(alert, "k8s.pod.labels");
    cr_expect(strstr(labels, "app.kubernetes.io/name:llm, cost-centre:4711"), "%s", labels);
    cr_expect_not(strstr(labels, "io.kubernetes"), "%s", labels);
    cr_expect_not(strstr(labels, "io.containerd"), "%s", labels);
    const char *list = box_ctr("-n k8s.io image ls name==" IMAGE);
    cr_expect(strstr(list, alert_field(alert, "container.image.digest")), "%s", list);
    box_ctr("-n k8s.io container rm %s", sandbox);
}

Test(containerd, privileged)
{
    char id[65];
    snprintf(id, sizeof(id), "%064x", getpid());
    import_image();
    _cleanup_agent_ struct agent *agent = start_agent();
    box_ctr("-n k8s.io run --rm --privileged --snapshotter native --cgroup /kubepods/pod" POD_UID "/%s " IMAGE
            " %s /stranger",
            id, id);
    agent_wait_alert(agent, "started", "container.full_id", id, "container.privileged", "true",
                     "container.image.tag", BOX_TAG, "k8s.pod.uid", POD_UID, NULL);
}

// Without Kubernetes the cgroup says nothing but a name that somebody chose.
Test(containerd, by_a_name_of_its_own)
{
    const char *name = box_name("ctr");
    box_ctr("image import --snapshotter native --base-name " BOX_IMAGE " %s", test_path("image.oci"));
    _cleanup_agent_ struct agent *agent = start_agent();
    // runc's note goes with the container, so this one stays.
    box_ctr("run -d --null-io --snapshotter native --label team=research " IMAGE " %s /python3 stay", name);
    // The one place that containerd's configuration does not move is where its runc keeps its notes.
    const char *notes = "run/containerd/runc/default";
    cr_assert_eq(run_program("mkdir", "-p", format_text("%s/%s", box_root(), notes), NULL), 0);
    cr_assert_eq(run_program("cp", "-r", format_text("/%s/%s", notes, name),
                             format_text("%s/%s/", box_root(), notes), NULL),
                 0);
    box_ctr("task exec --exec-id one %s /stranger", name);
    agent_wait_alert(agent, "started", "container.full_id", name, "container.name", name, "container.type",
                     "containerd", "container.image.repository", BOX_IMAGE, "container.label[team]",
                     "research", NULL);
}

// `root` and `state` of its configuration are elsewhere, as they are where a distribution of Kubernetes
// brings containerd along: a container tells where it is.
Test(containerd, with_a_root_elsewhere)
{
    char id[65], before[65];
    snprintf(id, sizeof(id), "%064x", getpid());
    snprintf(before, sizeof(before), "be%062x", getpid());
    static const char run[] =
        "-n k8s.io run %s --snapshotter native --label team=research "
        "--annotation io.kubernetes.cri.container-name=%s --cgroup /kubepods/pod" POD_UID "/%s " IMAGE
        " %s %s";
    import_image();
    box_ctr(run, "-d --null-io", "early", before, before, "/python3 stay");
    _cleanup_agent_ struct agent *agent = agent_start(identity_rule, NULL);
    box_ctr("-n k8s.io task exec --exec-id one %s /stranger", before);
    agent_wait_alert(agent, "started", "container.full_id", before, "container.name", "early",
                     "container.image.repository", BOX_IMAGE, "container.label[team]", "research", NULL);
    box_ctr(run, "--rm", "late", id, id, "/stranger");
    agent_wait_alert(agent, "started", "container.full_id", id, "container.name", "late",
                     "container.image.digest", "*", "container.label[team]", "research", NULL);
}
