#include "../../user/enrich/container_id.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define POD "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
#define POD_ "0f1e2d3c_4b5a_6978_8796_a5b4c3d2e1f0"

static const struct {
    const char *path;
    const char *runtime; // NULL: no container
    const char *id;
} cases[] = {
    {"/docker/" A, "docker", A},
    {"/system.slice/docker-" A ".scope", "docker", A},
    // Who is in A has made what is below.
    {"/docker/" A "/docker/" B, "docker", A},
    {"/kubepods/pod" POD "/" A "/kubepods/besteffort/pod0123456789abcdef0123456789abcdef/" B, "containerd",
     A},
    {"/system.slice/docker-" A ".scope/docker-" B ".scope", "docker", A},
    {"/x/y/docker/" A "/k8s.io/web-1", "docker", A},
    {"/docker/" A "/system.slice/ssh.service", "docker", A},
    {"/docker/" A "/init", "docker", A},
    {"/kubepods.slice/kubepods-pod" POD_ ".slice/docker-" A ".scope", "docker", A},
    {"/system.slice/system.slice:docker:" A, "docker", A},
    {"/ecs/a1b2c3/" A, "docker", A},
    {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_ ".slice/cri-containerd-" A
     ".scope",
     "containerd", A},
    {"/kubepods/burstable/pod" POD "/" A, "containerd", A},
    {"/kubepods/pod" POD "/" A, "containerd", A},
    {"/kubepods/besteffort/pod0123456789abcdef0123456789abcdef/" A, "containerd", A},
    {"/../../pod" POD "/" A, "containerd", A},
    {"/system.slice/containerd.service/kubepods-burstable-pod" POD_ ".slice:cri-containerd:" A, "containerd",
     A},
    {"/lxc/box/kubelet/kubepods/burstable/pod" POD "/" A, "containerd", A},
    {"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" POD_ ".slice/cri-containerd-" A ".scope",
     "containerd", A},
    {"/k8s.io/" A, "containerd", A},
    {"/k8s.io/web-1.2_x", "containerd", "web-1.2_x"},
    {"/default/" A, "containerd", A},
    {"/system.slice/nerdctl-" A ".scope", "containerd", A},
    {"/kubepods.slice/kubepods-pod" POD_ ".slice/crio-" A ".scope", "cri-o", A},
    {"/kubepods.slice/kubepods-pod" POD_ ".slice/crio-" A ".scope/container", "cri-o", A},
    {"/kubepods/burstable/pod" POD "/crio-" A, "cri-o", A},
    {"/machine.slice/libpod-" A ".scope", "podman", A},
    {"/machine.slice/libpod-" A ".scope/container", "podman", A},
    {"/libpod_parent/libpod-" A, "podman", A},
    {"/libpod_parent/" B "/libpod-" A, "podman", A},
    {"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" A ".scope/container", "podman", A},
    {"/system.slice/app.service/libpod-payload-" A, "podman", A},

    {"/", NULL, NULL},
    {"", NULL, NULL},
    {"/process_api/17566ad06ff724ac08b7d55ce019393e", NULL, NULL},
    {"/process_api/" A, NULL, NULL},
    {"/" A, NULL, NULL},
    {"/kubepods.slice/kubepods-pod" POD_ ".slice/crio-conmon-" A ".scope", NULL, NULL},
    {"/machine.slice/libpod-conmon-" A ".scope", NULL, NULL},
    {"/libpod_parent/conmon", NULL, NULL},
    {"/system.slice/docker.service", NULL, NULL},
    {"/system.slice/var-lib-docker-" A "-merged.mount", NULL, NULL},
    {"/system.slice/docker-" A ".mount", NULL, NULL},
    {"/docker/0123456789abcdef", NULL, NULL},
    {"/docker/" A "0", NULL, NULL},
    {"/docker/0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", NULL, NULL},
    {"/kubepods/burstable/pod" POD, NULL, NULL},
    {"/kubepods/burstable/podcast/" A, NULL, NULL},
    {"/k8s.io/..", NULL, NULL},
    {"/k8s.io/a..b", NULL, NULL},
    {"/user.slice/user-1000.slice/session-3.scope", NULL, NULL},
    {"/system.slice/x:unknown:" A, NULL, NULL},
};

// The exec record's form: leaf first, NUL after each.
static size_t names_of(const char *path, char *names)
{
    size_t size = 0;
    for (size_t end = strlen(path); end > 0;) {
        const char *slash = memrchr(path, '/', end);
        size_t begin = slash ? (size_t)(slash - path) + 1 : 0;
        if (end > begin) {
            memcpy(names + size, path + begin, end - begin);
            size += end - begin;
            names[size++] = '\0';
        }
        end = slash ? begin - 1 : 0;
    }
    return size;
}

Test(enrich_container_id, table)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char names[512], text[512];
        size_t size = names_of(cases[i].path, names);
        int length = snprintf(text, sizeof(text), "4:memory:%s\n", cases[i].path);

        for (int form = 0; form < 2; form++) {
            struct container_id id = {0};
            bool found = form == 0 ? container_id_from_names(names, size, "", &id)
                                   : container_id_from_proc(text, (size_t)length, "", &id);
            cr_assert_eq(found, cases[i].runtime != NULL, "%s (form %d)", cases[i].path, form);
            if (!found)
                continue;
            cr_assert_str_eq(id.runtime, cases[i].runtime, "%s", cases[i].path);
            cr_assert_str_eq(id.id, cases[i].id, "%s", cases[i].path);
            bool in_pod = strstr(cases[i].path, POD) || strstr(cases[i].path, POD_);
            bool from_file = strstr(cases[i].path, "/pod0123456789abcdef0123456789abcdef/");
            cr_assert_str_eq(id.pod_uid,
                             in_pod      ? POD
                             : from_file ? "0123456789abcdef0123456789abcdef"
                                         : "",
                             "%s", cases[i].path);
        }
    }
}

// kind and its like: the node is a container, and what is in there is not called by it.
Test(enrich_container_id, where_the_node_is_a_container)
{
    static const struct {
        const char *path, *id;
    } inside[] = {
        {"/docker/" B "/kubelet/kubepods/burstable/pod" POD "/" A, A},
        {"/docker/" B "/docker/" A "/docker/0", A},
        {"/docker/" B "/init.scope", NULL},
        {"/../../kubelet/kubepods/pod" POD "/" A, A},
        {"/docker/" A "/docker/" B, A},
        {"/docker/" A, A},
    };
    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        char text[512], names[512];
        int length = snprintf(text, sizeof(text), "0::%s\n", inside[i].path);
        struct container_id id = {};
        cr_assert_eq(container_id_from_proc(text, (size_t)length, B, &id), inside[i].id != NULL);
        cr_expect_str_eq(id.id, inside[i].id ? inside[i].id : "", "%s", inside[i].path);
        id = (struct container_id){};
        cr_assert_eq(container_id_from_names(names, names_of(inside[i].path, names), B, &id),
                     inside[i].id != NULL);
        cr_expect_str_eq(id.id, inside[i].id ? inside[i].id : "", "%s", inside[i].path);
    }
}

Test(enrich_container_id, which_container_the_node_is)
{
    static const struct {
        const char *line, *host_root, *id;
    } mounts[] = {
        {"612 580 259:2 /docker/containers/" A "/hostname /etc/hostname rw,relatime - ext4 /dev/a rw", "", A},
        {"612 580 259:2 /docker/containers/" A "/hostname /host/etc/hostname rw - ext4 /dev/a rw", "/host/",
         A},
        {"9 8 0:1 /containers/storage/overlay-containers/" A "/userdata/resolv.conf /etc/resolv.conf rw", "",
         A},
        {"612 580 259:2 /docker/containers/" A "/hostname /etc/hostname rw - ext4 /dev/a rw", "/host", NULL},
        {"612 580 259:2 /docker/containers/" A "/hostname /host/etc/hostname rw - ext4 /dev/a rw", "", NULL},
        {"612 580 259:2 /docker/containers/" A "/data /data rw - ext4 /dev/a rw", "", NULL},
        {"612 580 259:2 /etc/resolv /etc/resolv.conf rw", "", NULL},
        {"612 580 259:2 /docker/" A, "", NULL},
        {"", "", NULL},
        {" \n", "", NULL},
    };
    for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
        char line[512], id[CONTAINER_ID_MAX + 1] = "";
        snprintf(line, sizeof(line), "%s", mounts[i].line);
        cr_expect_eq(node_container_from_mount(line, mounts[i].host_root, id), mounts[i].id != NULL, "%s",
                     mounts[i].line);
        cr_expect_str_eq(id, mounts[i].id ? mounts[i].id : "", "%s", mounts[i].line);
    }
}

// Below systemd's own directory of a user who is not root, that user calls cgroups as he likes.
Test(enrich_container_id, who_called_it_so)
{
    static const struct {
        const char *path;
        bool users;
    } callers[] = {
        {"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" A ".scope/container", true},
        {"0::/user.slice/user-1000.slice/user@1000.service/docker/" A, true},
        {"0::/user.slice/user-0.slice/user@0.service/docker/" A, false},
        {"0::/docker/" A "/user@1000.service/docker/" B, false},
        {"0::/user@.service/docker/" A, false},
        {"0::/user@1000.servicex/docker/" A, false},
        {"0::/docker/" A, false},
    };
    for (size_t i = 0; i < sizeof(callers) / sizeof(callers[0]); i++) {
        struct container_id id = {};
        cr_assert(container_id_from_proc(callers[i].path, strlen(callers[i].path), "", &id), "%s",
                  callers[i].path);
        cr_expect_eq(id.users, callers[i].users, "%s", callers[i].path);
        cr_expect_str_eq(id.id, A);
    }
}

Test(enrich_container_id, proc_text_of_all_hierarchies)
{
    static const char hybrid[] = "9:name=systemd:/\n8:pids:/user.slice\n"
                                 "4:memory:/kubepods/burstable/pod" POD "/" A "\n0::/\n";
    static const char unified[] = "0::/system.slice/docker-" B ".scope";
    static const char host[] =
        "9:name=systemd:/\n4:memory:/process_api/17566ad06ff724ac08b7d55ce019393e\n0::/\n";
    struct container_id id = {0};

    cr_assert(container_id_from_proc(hybrid, sizeof(hybrid) - 1, "", &id));
    cr_assert_str_eq(id.id, A);
    cr_assert(container_id_from_proc(unified, sizeof(unified) - 1, "", &id));
    cr_assert_str_eq(id.id, B);
    cr_assert_not(container_id_from_proc(host, sizeof(host) - 1, "", &id));
    cr_assert_not(container_id_from_proc("", 0, "", &id));
    cr_assert_not(container_id_from_proc("garbage\n::::\n:\n\n", 16, "", &id));
}

Test(enrich_container_id, names_that_were_cut_off_are_not_names)
{
    struct container_id id = {0};
    static const char names[] = A "\0docker";
    cr_assert_not(container_id_from_names(names, sizeof(names) - 1, "", &id), "the parent has no NUL");
    cr_assert_not(container_id_from_names(names, 20, "", &id));
    cr_assert(container_id_from_names(names, sizeof(names), "", &id));
}

Test(enrich_container_id, what_may_go_into_a_path)
{
    cr_assert(container_id_valid(A, 64));
    cr_assert(container_id_valid("web_1.2-x", 9));
    cr_assert_not(container_id_valid("", 0));
    cr_assert_not(container_id_valid(".", 1));
    cr_assert_not(container_id_valid("..", 2));
    cr_assert_not(container_id_valid("a..b", 4));
    cr_assert_not(container_id_valid("a/b", 3));
    cr_assert_not(container_id_valid("a\0b", 3));
    cr_assert_not(container_id_valid(A "0", 65));
}
