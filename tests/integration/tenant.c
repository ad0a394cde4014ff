#include "tenant.h"

#include "harness.h"

#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUNDLES "/run/containerd/io.containerd.runtime.v2.task/k8s.io"

static const char *name, *bundle, *cgroup;

static const char *cgroup_mount(void)
{
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    const char *found = NULL;
    for (struct mntent *entry; !found && mounts && (entry = getmntent(mounts));)
        if (strcmp(entry->mnt_type, "cgroup2") == 0)
            found = format_text("%s", entry->mnt_dir);
    if (mounts)
        endmntent(mounts);
    return found;
}

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

void tenant_teardown(void)
{
    if (bundle)
        run_program("rm", "-rf", bundle, NULL);
    if (cgroup)
        rmdir(cgroup); // in use where a child has not ended yet
    test_teardown();
}

const char *tenant_name(void)
{
    return name;
}

pid_t tenant_start(int (*act)(const void *), const void *argument)
{
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid != 0)
        return pid;
    write_file(format_text("%s/cgroup.procs", cgroup), "0");
    // A container begins with a program, by which the agent knows it.
    run_program(actor_copy("resident"), "x", NULL);
    pid = fork();
    if (pid == 0)
        _exit(act(argument));
    _exit(wait_for_exit(pid));
}

void tenant_run(int (*act)(const void *), const void *argument)
{
    int code = wait_for_exit(tenant_start(act, argument));
    cr_assert_eq(code, 0, "the child ended with %d", code);
}
