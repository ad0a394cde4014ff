#include "tenant.h"

#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUNDLES "/run/containerd/io.containerd.runtime.v2.task/k8s.io"

static const char *name, *bundle, *cgroup;

// What a child that acts has to say.
static int *outcome; // one more than the exit code; shared

enum { CHILDREN_MAX = 4 };
static pid_t children[CHILDREN_MAX];
static size_t children_count;

static void make_directory(const char *path)
{
    cr_assert_eq(run_program("mkdir", "-p", path, NULL), 0);
}

void tenant_setup(void)
{
    test_setup();
    const char *mount = cgroup_mount();
    if (!mount)
        cr_skip_test("no cgroup file system of the second version is mounted here");
    name = format_text("tenant-%d", getpid());
    const char *id = format_text("%064x", getpid());
    bundle = format_text("%s/%s", BUNDLES, id);
    cgroup = format_text("%s/cri-containerd-%s.scope", mount, id);
    make_directory(bundle);
    write_file(format_text("%s/config.json", bundle),
               format_text("{\"ociVersion\":\"1.0.2\",\"annotations\":{"
                           "\"io.kubernetes.cri.container-name\":\"%s\","
                           "\"io.kubernetes.cri.sandbox-name\":\"pod\","
                           "\"io.kubernetes.cri.sandbox-namespace\":\"tests\"}}",
                           name));
    cr_assert(mkdir(cgroup, 0755) == 0 || errno == EEXIST, "%s: %s", cgroup, strerror(errno));
}

void tenant_end(void)
{
    for (size_t i = 0; i < children_count; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    children_count = 0;
    if (bundle)
        run_program("rm", "-rf", bundle, NULL);
    if (cgroup)
        for (int i = 0; i < 1000 && rmdir(cgroup) && errno == EBUSY; i++)
            poll(NULL, 0, 10); // processes that were killed take a moment to go
}

void tenant_teardown(void)
{
    tenant_end();
    test_teardown();
}

const char *tenant_name(void)
{
    return name;
}

// Stays until the test ends, so that the agent can still ask the kernel who it was.
static void act_and_stay(int (*act)(const void *), const void *argument)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    __atomic_store_n(outcome, 1 + act(argument), __ATOMIC_SEQ_CST);
    for (;;)
        pause();
}

void tenant_start(int (*act)(const void *), const void *argument)
{
    outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(outcome, MAP_FAILED);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        write_file(format_text("%s/cgroup.procs", cgroup), "0");
        // A container begins with a program, by which the agent knows it.
        run_program(actor_copy("resident"), "x", NULL);
        pid = fork();
        if (pid == 0)
            act_and_stay(act, argument);
        _exit(wait_for_exit(pid));
    }
    cr_assert_lt(children_count, CHILDREN_MAX);
    children[children_count++] = pid;
}

void tenant_wait(void)
{
    int code;
    while ((code = __atomic_load_n(outcome, __ATOMIC_SEQ_CST)) == 0) {
        cr_assert_eq(waitpid(children[children_count - 1], NULL, WNOHANG), 0, "the child has ended");
        poll(NULL, 0, 10);
    }
    cr_assert_eq(code, 1, "the child ended with %d", code - 1);
}

void tenant_run(int (*act)(const void *), const void *argument)
{
    tenant_start(act, argument);
    tenant_wait();
}
