// What Docker's files tell of its containers, and where runtimes keep theirs elsewhere than is usual.
#include "enrich_containers.h"

TestSuite(enrich_docker, .init = setup, .fini = teardown);

Test(enrich_docker, docker)
{
    // dockerd's containerd has a file of its own for it, which says less.
    tree_write(root, "/run/containerd/io.containerd.runtime.v2.task/moby/" A "/config.json", "{}");
    tree_write(root, "/var/lib/docker/containers/" A "/config.v2.json",
               "{\"Name\":\"/happy_euler\",\"Config\":{\"Image\":\"nginx:1.25@sha256:abc\",\"Labels\":{}}}");
    const struct container *container = get(A, "docker", 1);
    expect(container, "happy_euler", "nginx:1.25@sha256:abc", NULL, NULL);
    cr_assert_str_eq(container->image_repository, "nginx");
    cr_assert_str_eq(container->image_tag, "1.25");
    container_unref(container);
}

// Data is often moved to another disk, and a link left behind: on the node it begins at the node's root.
Test(enrich_docker, links_are_the_nodes)
{
    tree_write(root, "/mnt/disk/containers/" A "/config.v2.json", "{\"Name\":\"/moved\"}");
    tree_link(root, "/var/lib/docker", "/mnt/disk");
    const struct container *container = get(A, "docker", 1);
    expect(container, "moved", NULL, NULL, NULL);
    container_unref(container);
}

// Nor does a link lead out of it.
Test(enrich_docker, links_stay_on_the_node)
{
    char other[64], up[160];
    tree_make(other);
    tree_write(other, "/containers/" A "/config.v2.json", "{\"Name\":\"/elsewhere\"}");
    snprintf(up, sizeof(up), "../../../../../../../..%s", other);
    tree_link(root, "/var/lib/docker", up);
    const struct container *container = get(A, "docker", 1);
    expect(container, NULL, NULL, NULL, NULL);
    container_unref(container);
    tree_remove(other);
}

Test(enrich_docker, all_that_docker_tells)
{
    cr_assert_eq(enrich_register_fields(), 0);
    tree_write(root, "/etc/docker/daemon.json", "{\"data-root\":\"/srv/docker\"}");
    tree_write(root, "/srv/docker/containers/" A "/config.v2.json",
               "{\"Name\":\"/k8s_web_web-0_shop_u-2_0\",\"Driver\":\"overlay2\",\"Image\":\"sha256:" B
               "\",\"Config\":{\"Image\":\"nginx:1.25\",\"Labels\":{"
               "\"team\":\"shop\",\"cost-centre\":\"42\",\"io.kubernetes.sandbox.id\":\"" B "\","
               "\"io.kubernetes.pod.uid\":\"u-2\"}}}");
    tree_write(root, "/srv/docker/containers/" A "/hostconfig.json", "{\"Privileged\":true}");
    tree_write(root, "/srv/docker/containers/" B "/config.v2.json",
               "{\"Name\":\"/pause\",\"Config\":{\"Labels\":{\"app\":\"web\",\"tier\":\"front\"}}}");
    tree_write(root, "/srv/docker/containers/" B "/hostconfig.json", "{\"Privileged\":false}");
    tree_write(root, "/srv/docker/image/overlay2/repositories.json",
               "{\"Repositories\":{\"other\":{\"other@sha256:1111\":\"sha256:" B "\"},"
               "\"nginx\":{\"nginx:1.25\":\"sha256:" B "\",\"nginx@sha256:2222\":\"sha256:" B "\","
               "\"nginx@sha256:3333\":\"sha256:" A "\"}}}");
    const struct container *container = get(A, "docker", 1), *pause = get(B, "docker", 1);
    cr_expect_str_eq(field_of(container, "container.image.id", NULL), B);
    cr_expect_str_eq(field_of(container, "container.image.digest", NULL), "sha256:2222");
    cr_expect_str_eq(field_of(container, "container.label", "team"), "shop");
    cr_expect_str_eq(field_of(container, "container.label", "none"), "");
    cr_expect_str_eq(field_of(container, "k8s.pod.uid", NULL), "u-2");
    cr_expect_str_eq(field_of(container, "k8s.pod.label", "tier"), "front");
    cr_expect_str_eq(field_of(container, "k8s.pod.labels", NULL), "app:web, tier:front");
    cr_expect_eq(container->privileged, CONTAINER_TRUE);
    cr_expect_eq(pause->privileged, CONTAINER_FALSE);
    container_unref(container);
    container_unref(pause);
}

// Wherever dockerd was told to keep its data, runc was told to mount files from there.
Test(enrich_docker, docker_somewhere_else)
{
    static const char bundle[] = "/run/d/containerd/daemon/io.containerd.runtime.v2.task/moby/" A;
    static const struct {
        const char *mounts;
        bool found;
    } cases[] = {
        {"{\"destination\":\"/etc/hostname\",\"source\":\"/disk/docker/containers/" A "/hostname\"}", true},
        // The container's pod has another that holds its namespaces.
        {"{\"destination\":\"/etc/resolv.conf\",\"source\":\"/disk/docker/containers/" B "/resolv.conf\"}",
         true},
        {"{\"destination\":\"/data\",\"source\":\"/disk/docker/containers/" A "/hostname\"}", false},
        {"{\"destination\":\"/etc/hosts\",\"source\":\"/disk/docker/containers/short/hosts\"}", false},
        {"{\"destination\":\"/etc/hosts\",\"source\":\"/containers/" A "/hosts\"}", false},
        {"{\"destination\":\"/etc/hosts\",\"source\":\"disk/docker/containers/" A "/hosts\"}", false},
        {"{\"destination\":\"/etc/hosts\",\"source\":\"\"},{\"destination\":\"/etc/hosts\"},7", false},
    };
    struct container_places places = {};
    container_places_note(&places, bundle);
    tree_write(root, "/disk/docker/containers/" A "/config.v2.json", "{\"Name\":\"/far\"}");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char path[256], text[512];
        snprintf(path, sizeof(path), "%s/config.json", bundle);
        snprintf(text, sizeof(text), "{\"mounts\":[%s]}", cases[i].mounts);
        tree_write(root, path, text);
        struct container container = {.id = A, .runtime = "docker"};
        struct container_stamp stamp = {};
        cr_expect_eq(container_files_read(root, &places, "", &container, &stamp), cases[i].found, "%s",
                     cases[i].mounts);
        cr_expect_eq(container.name != NULL, cases[i].found);
        container_clear(&container);
    }
}

// As `docker run` was given it; the kubelet gives the id.
Test(enrich_docker, how_docker_images_are_named)
{
    static const struct {
        const char *image, *driver, *more, *repository, *tag, *digest;
    } cases[] = {
        {"nginx:1.25", "overlay2", "", "nginx", "1.25", "sha256:2222"},
        {"nginx", "overlay2", "", "nginx", NULL, "sha256:2222"},
        {"docker.io/library/nginx:1.25", "overlay2", "", "docker.io/library/nginx", "1.25", "sha256:2222"},
        {"sha256:" B, "overlay2", "", "nginx", "1.25", "sha256:2222"},
        {"fedcba987654", "overlay2", "", "nginx", "1.25", "sha256:2222"},
        // "ngin" has the same image, but is not what was asked for.
        {"nginx-extra:1", "overlay2", "", "nginx-extra", "1", NULL},
        {"nginx:1.25", "vfs", "", "nginx", "1.25", NULL},
        {"nginx:1.25", "../overlay2", "", "nginx", "1.25", NULL},
        {"nginx:1.25", "overlayfs", ",\"ImageManifest\":{\"size\":7}", "nginx", "1.25", "sha256:" B},
        {"nginx:1.25", "overlay2", ",\"ImageManifest\":null", "nginx", "1.25", "sha256:2222"},
    };
    tree_write(root, "/var/lib/docker/image/overlay2/repositories.json",
               "{\"Repositories\":{\"nginx\":{\"nginx:1.25\":\"sha256:" B "\",\"nginx:9\":7,"
               "\"nginx@sha256:2222\":\"sha256:" B "\"},\"ngin\":{\"ngin@sha256:3333\":\"sha256:" B "\"}}}");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 "{\"Name\":\"/x\",\"Driver\":\"%s\",\"Image\":\"sha256:" B
                 "\",\"Config\":{\"Image\":\"%s\"}%s}",
                 cases[i].driver, cases[i].image, cases[i].more);
        tree_write(root, "/var/lib/docker/containers/" A "/config.v2.json", text);
        struct container container = {.id = A, .runtime = "docker"};
        struct container_stamp stamp = {};
        cr_assert(container_files_read(root, NULL, "", &container, &stamp));
        container_split_image(&container);
        const char *got[] = {container.image_repository, container.image_tag, container.image_digest};
        const char *want[] = {cases[i].repository, cases[i].tag, cases[i].digest};
        for (size_t k = 0; k < ARRAY_SIZE(got); k++)
            cr_expect_str_eq(got[k] ? got[k] : "", want[k] ? want[k] : "", "%zu: %zu", i, k);
        container_clear(&container);
    }
}

// One that need not survive is in a list that is elsewhere, too.
Test(enrich_docker, a_passing_one_of_a_storage_elsewhere)
{
    tree_write(root, "/srv/graph/overlay-containers/containers.json", "[]");
    tree_write(
        root, "/srv/graph/overlay-containers/" A "/userdata/config.json",
        "{\"mounts\":[{\"destination\":\"/etc/hostname\",\"source\":\"relative/overlay-containers/" A
        "/userdata/hostname\"},{\"destination\":\"/etc/hostname\",\"source\":\"/srv/run/overlay-containers/" A
        "/userdata/hostname\"},{\"destination\":\"/data\",\"source\":\"/x/overlay-containers/" A
        "/userdata/data\"}]}");
    tree_write(root, "/srv/run/overlay-containers/volatile-containers.json",
               "[{\"id\":\"" A "\",\"names\":[\"passing\"]}]");
    containers_expect(containers, A, "/srv/graph/overlay-containers/" A "/userdata", 1);
    const struct container *container = get(A, "podman", 1);
    expect(container, "passing", NULL, NULL, NULL);
    container_unref(container);
}

// CRI-O's own word, in a storage that is elsewhere.
Test(enrich_docker, crio_somewhere_else)
{
    cr_assert_eq(enrich_register_fields(), 0);
    tree_write(root, "/srv/run/overlay-containers/" A "/userdata/config.json",
               "{\"annotations\":{\"io.kubernetes.container.name\":\"app\","
               "\"io.kubernetes.cri-o.SandboxID\":\"" B "\"}}");
    tree_write(root, "/srv/run/overlay-containers/" B "/userdata/config.json",
               "{\"annotations\":{\"io.kubernetes.cri-o.Labels\":\"{\\\"team\\\":\\\"lab\\\"}\"}}");
    containers_expect(containers, A, "/srv/run/overlay-containers/" A "/userdata", 1);
    const struct container *container = get(A, "cri-o", 1);
    expect(container, "app", NULL, NULL, NULL);
    cr_expect_str_eq(field_of(container, "k8s.pod.label", "team"), "lab");
    container_unref(container);
}

Test(enrich_docker, docker_below_the_kubelet)
{
    tree_write(root, "/run/containerd/io.containerd.runtime.v2.task/moby/" A "/config.json", "{}");
    tree_write(root, "/var/lib/docker/containers/" A "/config.v2.json",
               "{\"Name\":\"/k8s_app_pod\",\"Config\":{\"Image\":\"sha256:0123\",\"Labels\":{"
               "\"io.kubernetes.container.name\":\"app\",\"io.kubernetes.pod.name\":\"app-7\","
               "\"io.kubernetes.pod.namespace\":\"prod\"}}}");
    const struct container *container = get(A, "containerd", 1);
    cr_assert_str_eq(container->runtime, "docker", "its files say what the cgroup does not");
    expect(container, "app", "sha256:0123", "app-7", "prod");
    cr_assert_null(container->image_repository);
    container_unref(container);
}

// What an image's author writes into it must not make its container another's.
Test(enrich_docker, images_do_not_say_whose_they_are)
{
    tree_write(root, "/var/lib/docker/containers/" A "/config.v2.json",
               "{\"Name\":\"/own\",\"Config\":{\"Image\":\"bad:1\",\"Labels\":{"
               "\"io.kubernetes.container.name\":\"coredns\",\"io.kubernetes.pod.name\":\"coredns-7\","
               "\"io.kubernetes.pod.uid\":\"u\",\"io.kubernetes.pod.namespace\":\"kube-system\"}}}");
    tree_write(root, "/var/lib/containers/storage/overlay-containers/containers.json",
               "[{\"id\":\"" B "\",\"names\":[\"own\"],"
               "\"metadata\":\"{\\\"image-name\\\":\\\"bad:1\\\"}\"}]");
    tree_write(root, "/var/lib/containers/storage/overlay-containers/" B "/userdata/config.json",
               "{\"annotations\":{\"io.podman.annotations.privileged\":\"TRUE\",\"nerdctl/"
               "name\":\"coredns\",\"io.kubernetes.cri.image-name\":\"coredns:1\","
               "\"io.kubernetes.cri-o.ImageName\":\"coredns:1\",\"io.kubernetes.pod.name\":\"coredns-7\","
               "\"io.kubernetes.cri.sandbox-uid\":\"u\","
               "\"io.kubernetes.cri.sandbox-namespace\":\"kube-system\"}}");
    const struct container *docker = get(A, "docker", 1), *podman = get(B, "podman", 1);
    expect(docker, "own", "bad:1", NULL, NULL);
    cr_expect_null(docker->pod_uid);
    expect(podman, "own", "bad:1", NULL, NULL);
    cr_expect_null(podman->pod_uid);
    cr_expect_eq(podman->privileged, CONTAINER_TRUE, "podman's own word");
    container_unref(docker);
    container_unref(podman);
}

// podman hands on what an image's author has written, also where its storage is not found.
Test(enrich_docker, images_do_not_say_whose_pod_it_is)
{
    tree_write(root, "/srv/unheard-of/config.json",
               "{\"annotations\":{\"io.container.manager\":\"libpod\",\"nerdctl/name\":\"claimed\","
               "\"io.kubernetes.cri.sandbox-name\":\"claimed\",\"io.kubernetes.pod.namespace\":\"claimed\","
               "\"io.kubernetes.cri.image-name\":\"claimed\"}}");
    containers_expect(containers, A, "/srv/unheard-of", 1);
    const struct container *container = get(A, "podman", 2 * SECOND);
    expect(container, A, NULL, NULL, NULL);
    container_unref(container);
}
