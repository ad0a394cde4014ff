#include "container.h"

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

void container_setup(void)
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

const char *container_id(void)
{
    return id;
}

void container_delete(void)
{
    run_program("runc", "--root", test_path("runc"), "delete", "--force", id, NULL);
}

void container_teardown(void)
{
    if (bundle) {
        container_delete();
        run_program("rm", "-rf", bundle, NULL);
    }
    test_teardown();
}

void container_run(const char *arguments)
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
