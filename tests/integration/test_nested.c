// Cgroups below a container's, which whoever is in it may have made, and called as another container's is.
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(nested, TEST_SUITE);

static const char rule[] = "- rule: started\n"
                           "  desc: a program started\n"
                           "  condition: evt.type in (execve, dup2) and proc.name = stranger\n"
                           "  output: \"%container.full_id %container.name %container.id %proc.cmdline\"\n"
                           "  priority: NOTICE\n";

enum { LEVELS_MAX = 8 };

// Two containers of Docker's below a root of the test's own.
static const char *outer, *trusted;
static const char *program; // that is run in cgroups

// A process in a cgroup that the test has made, with all those above it.
struct inside {
    const char *cgroups[LEVELS_MAX];
    size_t count;
    pid_t pid;
};

static struct inside start_inside(const char *path, const char *word)
{
    struct inside inside = {};
    const char *mount = cgroup_mount();
    if (!mount)
        cr_skip_test("no cgroup file system of the second version is mounted here");
    for (const char *slash = path; slash; slash = strchr(slash + 1, '/')) {
        const char *end = strchr(slash + 1, '/');
        int length = end ? (int)(end - path) : (int)strlen(path);
        const char *cgroup = format_text("%s%.*s", mount, length, path);
        cr_assert(mkdir(cgroup, 0755) == 0 || errno == EEXIST, "%s", cgroup);
        cr_assert_lt(inside.count, LEVELS_MAX);
        inside.cgroups[inside.count++] = cgroup;
    }
    const char *procs = format_text("%s/cgroup.procs", inside.cgroups[inside.count - 1]);
    inside.pid = fork();
    cr_assert_geq(inside.pid, 0);
    if (inside.pid == 0) {
        write_file(procs, "0");
        // It ends with the test at the latest.
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(program, "stranger", "stay", word, NULL);
        _exit(1);
    }
    return inside;
}

static void end_inside(struct inside *inside)
{
    kill(inside->pid, SIGKILL);
    waitpid(inside->pid, NULL, 0);
    while (inside->count > 0)
        rmdir(inside->cgroups[--inside->count]); // some may be somebody else's, too
}

static const char *make_node(void)
{
    const char *root = test_path("node");
    program = actor_copy("stranger");
    outer = format_text("%064x", getpid());
    trusted = format_text("5a%062x", getpid());
    const char *const ids[] = {outer, trusted}, *const names[] = {"outer", "trusted"};
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        const char *directory = format_text("%s/var/lib/docker/containers/%s", root, ids[i]);
        cr_assert_eq(run_program("mkdir", "-p", directory, NULL), 0);
        write_file(format_text("%s/config.v2.json", directory), format_text("{\"Name\":\"/%s\"}", names[i]));
        write_file(format_text("%s/hostname", directory), "node\n");
    }
    cr_assert_eq(run_program("mkdir", "-p", format_text("%s/etc", root), NULL), 0);
    write_file(format_text("%s/etc/hostname", root), "node\n");
    return root;
}

Test(nested, nobody_takes_another_containers_identity)
{
    const char *root = make_node();
    const char *claimed = format_text("/docker/%s/docker/%s", outer, trusted);
    _cleanup_agent_ struct agent *agent = agent_start(rule, "--host-root", root, NULL);
    struct inside claims = start_inside(claimed, "claims");
    agent_wait_alert(agent, "started", "proc.cmdline", "stranger stay claims", "container.full_id", outer,
                     "container.name", "outer", NULL);
    struct inside real = start_inside(format_text("/docker/%s", trusted), "real");
    agent_wait_alert(agent, "started", "proc.cmdline", "stranger stay real", "container.full_id", trusted,
                     "container.name", "trusted", NULL);
    end_inside(&real);
    end_inside(&claims);
}

// systemd gives a user a directory of cgroups, in which the user calls them as he likes.
Test(nested, users_do_not_either)
{
    const char *root = make_node();
    const char *claimed = format_text("/of-%d/user@1000.service/docker/%s", getpid(), trusted);
    _cleanup_agent_ struct agent *agent = agent_start(rule, "--host-root", root, NULL);
    struct inside claims = start_inside(claimed, "claims");
    json_t *alert = agent_wait_alert(agent, "started", "proc.cmdline", "stranger stay claims",
                                     "container.full_id", trusted, NULL);
    cr_expect_str_empty(alert_field(alert, "container.name"));
    end_inside(&claims);
}

// kind and its like: the node is a container, which its own runtime has given its /etc/hostname.
Test(nested, a_node_that_is_a_container_is_not_what_is_in_it)
{
    const char *root = make_node();
    const char *hostname = format_text("%s/etc/hostname", root);
    const char *own = format_text("%s/var/lib/docker/containers/%s/hostname", root, outer);
    if (mount(own, hostname, NULL, MS_BIND, NULL))
        cr_skip_test("nothing can be mounted here");
    {
        _cleanup_agent_ struct agent *agent = agent_start(rule, "--host-root", root, NULL);
        struct inside node = start_inside(format_text("/docker/%s/init", outer), "node");
        agent_wait_alert(agent, "started", "proc.cmdline", "stranger stay node", "container.id", "host",
                         NULL);
        struct inside pod = start_inside(format_text("/docker/%s/kubelet/k8s.io/%s", outer, trusted), "pod");
        agent_wait_alert(agent, "started", "proc.cmdline", "stranger stay pod", "container.full_id", trusted,
                         "container.name", "trusted", NULL);
        end_inside(&pod);
        end_inside(&node);
    }
    umount(hostname);
}
