#include "pod.h"

#include "harness.h"

#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOUNTS_MAX = 2 };

static const char *bundle, *name;
static const char *mounts[MOUNTS_MAX], *cgroups[MOUNTS_MAX];
static size_t mounts_count;

// The second version, and the first one's hierarchy of memory, which names containers where that is used.
static void find_mounts(void)
{
    FILE *stream = setmntent("/proc/self/mounts", "r");
    cr_assert(stream);
    for (struct mntent *entry; mounts_count < MOUNTS_MAX && (entry = getmntent(stream));) {
        bool memory = strcmp(entry->mnt_type, "cgroup") == 0 && hasmntopt(entry, "memory");
        if (memory || strcmp(entry->mnt_type, "cgroup2") == 0)
            mounts[mounts_count++] = format_text("%s", entry->mnt_dir);
    }
    endmntent(stream);
}

static void make_directories(const char *path)
{
    char *copy = format_text("%s", path);
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(copy, 0755);
        *slash = '/';
    }
    mkdir(copy, 0755);
}

static bool move_to(const char *cgroup)
{
    _cleanup_fclose_ FILE *stream = fopen(format_text("%s/cgroup.procs", cgroup), "we");
    return stream && fputs("0", stream) >= 0 && fflush(stream) == 0;
}

void pod_enter(void)
{
    const char *id = format_text("b0c5%060x", getpid());
    name = format_text("pod-%d", getpid());
    bundle = format_text("/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s", id);
    make_directories(bundle);
    write_file(format_text("%s/config.json", bundle),
               format_text("{\"ociVersion\":\"1.0.2\",\"annotations\":{"
                           "\"io.kubernetes.cri.container-name\":\"%s\","
                           "\"io.kubernetes.cri.sandbox-name\":\"pod\","
                           "\"io.kubernetes.cri.sandbox-namespace\":\"tests\"}}",
                           name));
    find_mounts();
    bool any = false;
    for (size_t i = 0; i < mounts_count; i++) {
        cgroups[i] = format_text("%s/kubepods/pod0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f1/%s", mounts[i], id);
        make_directories(cgroups[i]);
        any |= move_to(cgroups[i]);
    }
    if (!any)
        cr_skip_test("no cgroups can be made here");
}

const char *pod_name(void)
{
    return name;
}

void pod_leave(void)
{
    for (size_t i = 0; i < mounts_count; i++) {
        move_to(mounts[i]);
        rmdir(cgroups[i]);
    }
    if (bundle)
        run_program("rm", "-rf", bundle, NULL);
}

void pod_setup(void)
{
    test_setup();
    pod_enter();
}

void pod_teardown(void)
{
    pod_leave();
    test_teardown();
}
