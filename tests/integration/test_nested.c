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

// The user runs it by a link that is called as a runtime, and says what that is told.
static void tell_by_link(uid_t user, const char *link, const char *name)
{
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        if (setresuid(user, user, user) == 0)
            execl(link, "runc", "--root", "/own", "create", "--bundle", "/own", name, NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
}

static const char told[] = "- rule: told\n"
                           "  desc: something called a runtime was run as root\n"
                           "  condition: evt.type = execve and proc.name = runc and user.uid = 0\n"
                           "  output: \"%proc.cmdline %user.loginuid\"\n"
                           "  priority: NOTICE\n";

// A program that is root whoever runs it, such as su, is run with the words of any user, who would else say
// which of the node's cgroups is whose.
Test(nested, set_user_id_programs_do_not_tell_of_containers)
{
    const char *root = make_node();
    const char *name = format_text("of-%d", getpid()), *link = test_path("runc");
    const char *words = format_text("runc --root /own create --bundle /own %s", name);
    const char *note = format_text("%s/own/%s", root, name);
    cr_assert_eq(run_program("mkdir", "-p", note, NULL), 0);
    write_file(format_text("%s/state.json", note),
               format_text("{\"cgroup_paths\":{\"\":\"/sys/fs/cgroup/%s\"}}", name));
    cr_assert_eq(chmod(program, 04755), 0);
    cr_assert_eq(symlink(program, link), 0);
    _cleanup_agent_ struct agent *agent =
        agent_start(format_text("%s%s", rule, told), "--host-root", root, NULL);
    tell_by_link(65534, link, name);
    agent_wait_alert(agent, "told", "proc.cmdline", words, NULL);
    struct inside nobody = start_inside(format_text("/%s", name), "nobody");
    agent_wait_alert(agent, "started", "proc.cmdline", "stranger stay nobody", "container.id", "host", NULL);
    end_inside(&nobody);
    // Root's own word counts.
    tell_by_link(0, link, name);
    struct inside real = start_inside(format_text("/%s", name), "real");
    agent_wait_alert(agent, "started", "proc.cmdline", "stranger stay real", "container.full_id", name, NULL);
    end_inside(&real);
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
