#include "enrich_containers.h"

TestSuite(enrich_containers, .init = setup, .fini = teardown);

Test(enrich_containers, containerd_with_kubernetes)
{
    tree_write(root, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" A "/config.json",
               "{\"ociVersion\":\"1.0.2\",\"annotations\":{"
               "\"io.kubernetes.cri.container-name\":\"server\","
               "\"io.kubernetes.cri.sandbox-name\":\"web-0\","
               "\"io.kubernetes.cri.sandbox-namespace\":\"shop\","
               "\"io.kubernetes.cri.image-name\":\"registry.example:5000/shop/web:1.4\"}}");
    const struct container *container = get(A, "containerd", 1);
    expect(container, "server", "registry.example:5000/shop/web:1.4", "web-0", "shop");
    cr_assert_str_eq(container->image_repository, "registry.example:5000/shop/web");
    cr_assert_str_eq(container->image_tag, "1.4");
    cr_assert_str_eq(container->id, A);
    container_unref(container);
}

Test(enrich_containers, plain_containerd)
{
    tree_write(root, "/run/containerd/io.containerd.runtime.v2.task/default/web-1/config.json", "{}");
    tree_write(root, "/run/containerd/io.containerd.runtime.v2.task/default/" A "/config.json",
               "{\"annotations\":{\"nerdctl/name\":\"db\"}}");
    tree_write(root, "/run/containerd/io.containerd.runtime.v2.task/default/" B "/config.json", "{}");
    const struct container *named = get("web-1", "containerd", 1);
    expect(named, "web-1", NULL, NULL, NULL);
    const struct container *nerdctl = get(A, "containerd", 1);
    expect(nerdctl, "db", NULL, NULL, NULL);
    const struct container *hashed = get(B, "containerd", 1);
    expect(hashed, NULL, NULL, NULL, NULL);
    container_unref(named);
    container_unref(nerdctl);
    container_unref(hashed);
}

Test(enrich_containers, mounts_of_the_node)
{
    cr_assert_eq(enrich_register_fields(), 0);
    tree_write(root, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" A "/config.json",
               "{\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
               "{\"destination\":\"/host/etc\",\"type\":\"bind\",\"source\":\"/"
               "etc\",\"options\":[\"rbind\",\"ro\"]},"
               "{\"destination\":\"/docker.sock\",\"source\":\"/var/run/docker.sock\","
               "\"options\":[\"bind\",\"rw\",\"rprivate\"]},{\"options\":17},7]}");
    tree_write(
        root, "/var/lib/docker/containers/" B "/config.v2.json",
        "{\"Name\":\"/db\",\"MountPoints\":{\"/data\":{\"Source\":\"/srv/data\",\"Destination\":\"/data\","
        "\"RW\":true,\"Relabel\":\"z\",\"Propagation\":\"rslave\"},"
        "\"/passing\":{\"Source\":\"\",\"Destination\":\"/passing\",\"RW\":true}}}");
    const struct container *container = get(A, "containerd", 1), *docker = get(B, "docker", 1);
    cr_expect_str_eq(field_of(container, "container.mounts", NULL),
                     "/etc:/host/etc::false: /var/run/docker.sock:/docker.sock::true:rprivate");
    cr_expect_str_eq(field_of(container, "container.mount", "0"), "/etc:/host/etc::false:");
    cr_expect_str_eq(field_of(container, "container.mount", "2"), "");
    cr_expect_str_eq(field_of(container, "container.mount.dest", "/var/run/docker.sock"), "/docker.sock");
    cr_expect_str_eq(field_of(container, "container.mount.dest", "/var/*"), "/docker.sock");
    cr_expect_str_eq(field_of(container, "container.mount.dest", "/proc*"), "");
    cr_expect_str_eq(field_of(container, "container.mount.source", "/host/etc"), "/etc");
    cr_expect_str_eq(field_of(container, "container.mount.rdwr", "/etc"), "false");
    cr_expect_str_eq(field_of(docker, "container.mounts", NULL), "/srv/data:/data:z:true:rslave");
    cr_expect_str_eq(field_of(docker, "container.mount.propagation", "0"), "rslave");
    container_unref(container);
    container_unref(docker);
}

Test(enrich_containers, a_pod_of_containerd)
{
    cr_assert_eq(enrich_register_fields(), 0);
    tree_write(root, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" A "/config.json",
               "{\"annotations\":{\"io.kubernetes.cri.container-name\":\"server\","
               "\"io.kubernetes.cri.sandbox-id\":\"" B "\",\"io.kubernetes.cri.sandbox-uid\":\"u-1\","
               "\"io.kubernetes.cri.image-name\":\"registry.example/web@sha256:0123\"}}");
    const struct container *container = get(A, "containerd", 1);
    cr_expect_str_eq(field_of(container, "k8s.pod.uid", NULL), "u-1");
    cr_expect_str_eq(field_of(container, "k8s.pod.sandbox_id", NULL), "fedcba987654");
    cr_expect_str_eq(field_of(container, "k8s.pod.full_sandbox_id", NULL), B);
    cr_expect_str_eq(field_of(container, "container.image.repository", NULL), "registry.example/web");
    cr_expect_str_eq(field_of(container, "container.image.digest", NULL), "sha256:0123");
    cr_expect_eq(container->privileged, CONTAINER_UNKNOWN, "nothing tells");
    container_unref(container);
}

Test(enrich_containers, the_uid_of_a_pod_by_its_cgroup)
{
    struct container_id id = {
        .id = A, .runtime = "containerd", .pod_uid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"};
    const struct container *container = containers_get(containers, &id, 1);
    cr_expect_str_eq(container->pod_uid, id.pod_uid, "no file tells");
    tree_write(root, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" A "/config.json",
               "{\"annotations\":{\"io.kubernetes.cri.sandbox-uid\":\"told\"}}");
    container_refresh(container, 2 * SECOND);
    cr_expect_str_eq(container->pod_uid, "told");
    container_unref(container);
}

Test(enrich_containers, crio_has_labels_in_annotations)
{
    cr_assert_eq(enrich_register_fields(), 0);
    tree_write(root, "/run/containers/storage/overlay-containers/" A "/userdata/config.json",
               "{\"annotations\":{\"io.kubernetes.container.name\":\"app\","
               "\"io.kubernetes.pod.uid\":\"u-3\",\"io.kubernetes.cri-o.SandboxID\":\"" B "\","
               "\"io.kubernetes.cri-o.ImageRef\":\"" B "\","
               "\"io.kubernetes.cri-o.Labels\":\"{\\\"own\\\":\\\"1\\\"}\"}}");
    tree_write(root, "/run/containers/storage/overlay-containers/" B "/userdata/config.json",
               "{\"annotations\":{\"io.kubernetes.cri-o.Labels\":\"{\\\"team\\\":\\\"lab\\\"}\"}}");
    tree_write(root, "/var/lib/containers/storage/overlay-images/images.json",
               "[{\"id\":\"" A "\",\"digest\":\"sha256:no\"},{\"id\":\"" B "\",\"digest\":\"sha256:yes\"}]");
    const struct container *container = get(A, "cri-o", 1);
    cr_expect_str_eq(field_of(container, "container.label", "own"), "1");
    cr_expect_str_eq(field_of(container, "k8s.pod.label", "team"), "lab");
    cr_expect_str_eq(field_of(container, "k8s.pod.uid", NULL), "u-3");
    cr_expect_str_eq(field_of(container, "container.image.digest", NULL), "sha256:yes");
    container_unref(container);
}

#define SOME "\"CAP_CHOWN\",\"CAP_SETUID\""
#define ALL SOME ",\"CAP_SYS_ADMIN\",\"CAP_SYS_MODULE\",\"CAP_SYS_RAWIO\",\"CAP_SYS_BOOT\",\"CAP_MAC_ADMIN\""
#define DEVICES \
    "\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},{\"allow\":true,\"access\":\"rwm\"}]}"
#define NO_DEVICES "\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]}"
#define OCI(capabilities, platform) \
    "{\"process\":{\"capabilities\":{\"bounding\":[" capabilities "]}},\"linux\":{" platform "}}"

Test(enrich_containers, privileged_as_the_configuration_tells)
{
    static const struct {
        const char *config;
        enum container_truth privileged;
    } cases[] = {
        {OCI(ALL, DEVICES), CONTAINER_TRUE},
        {OCI(ALL, DEVICES ",\"maskedPaths\":[],\"readonlyPaths\":null"), CONTAINER_TRUE},
        {OCI(SOME, DEVICES), CONTAINER_FALSE},
        {OCI(ALL, NO_DEVICES), CONTAINER_FALSE},
        {OCI(ALL, DEVICES ",\"maskedPaths\":[\"/proc/kcore\"]"), CONTAINER_UNKNOWN},
        {OCI(ALL, DEVICES ",\"seccomp\":{}"), CONTAINER_UNKNOWN},
        {OCI(ALL, "\"resources\":{}"), CONTAINER_UNKNOWN},
        {"{\"process\":{},\"linux\":{" DEVICES "}}", CONTAINER_UNKNOWN},
        {"{}", CONTAINER_UNKNOWN},
        {"{\"annotations\":{\"io.podman.annotations.privileged\":\"TRUE\"}}", CONTAINER_UNKNOWN},
    };
    cr_assert_eq(enrich_register_fields(), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        tree_write(root, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" A "/config.json",
                   cases[i].config);
        struct container container = {.id = A, .runtime = "containerd"};
        struct container_stamp stamp = {};
        cr_assert(container_files_read(root, NULL, "", &container, &stamp));
        cr_expect_eq(container.privileged, cases[i].privileged, "%s", cases[i].config);
        container_clear(&container);
    }
}

// What its runtime was told is read before the container's first event, when the files may be gone.
Test(enrich_containers, an_expected_one_outlives_its_files)
{
    tree_write(root, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" A "/config.json",
               "{\"annotations\":{\"io.kubernetes.cri.container-name\":\"brief\"}}");
    containers_expect(containers, A, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" A, 1);
    cr_expect_eq(containers_count(containers), 0, "nobody refers to it yet");
    tree_unlink(root, "/run/containerd");
    const struct container *container = get(A, "containerd", 2 * SECOND);
    expect(container, "brief", NULL, NULL, NULL);
    cr_expect_str_eq(container->runtime, "containerd");
    container_unref(container);
    container = get(A, "containerd", 9 * SECOND);
    expect(container, "brief", NULL, NULL, NULL);
    container_unref(container);
}

// Where nothing but the bundle is known, as of a storage elsewhere.
Test(enrich_containers, an_expected_one_is_described_by_its_bundle)
{
    tree_write(root, "/srv/graph/overlay-containers/containers.json",
               "[{\"id\":\"" A "\",\"names\":[\"far\"]}]");
    tree_write(root, "/srv/graph/overlay-containers/" A "/userdata/config.json",
               "{\"annotations\":{\"io.podman.annotations.privileged\":\"TRUE\"}}");
    tree_write(root, "/srv/bundle/config.json", OCI(SOME, DEVICES));
    containers_expect(containers, A, "/srv/graph/overlay-containers/" A "/userdata", 1);
    containers_expect(containers, "web-1", "/srv/bundle", 1);
    containers_expect(containers, "../x", "/srv/bundle", 1);
    const struct container *podman = get(A, "podman", 1), *plain = get("web-1", "containerd", 1);
    expect(podman, "far", NULL, NULL, NULL);
    cr_expect_eq(podman->privileged, CONTAINER_TRUE);
    expect(plain, "web-1", NULL, NULL, NULL);
    cr_expect_eq(plain->privileged, CONTAINER_FALSE);
    container_unref(podman);
    container_unref(plain);
}

Test(enrich_containers, those_that_nobody_refers_to_make_room)
{
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof(id), "e%d", i);
        containers_expect(containers, id, "/none", 1);
    }
    const struct container *held[8];
    for (int i = 0; i < 8; i++) {
        char id[16];
        snprintf(id, sizeof(id), "c%d", i);
        held[i] = get(id, "containerd", 1);
        cr_assert_str_eq(held[i]->id, id);
    }
    for (int i = 0; i < 8; i++)
        container_unref(held[i]);
}

Test(enrich_containers, a_new_name_is_seen)
{
    tree_write(root, "/var/lib/docker/containers/" A "/config.v2.json", "{\"Name\":\"/old\"}");
    const struct container *container = get(A, "docker", 10 * SECOND);
    tree_write(root, "/var/lib/docker/containers/" A "/config.v2.json", "{\"Name\":\"/newer\"}");
    container_refresh(container, 11 * SECOND - 1);
    expect(container, "old", NULL, NULL, NULL);
    container_refresh(container, 11 * SECOND);
    expect(container, "newer", NULL, NULL, NULL);
    tree_unlink(root, "/var/lib/docker");
    container_refresh(container, 20 * SECOND);
    expect(container, "newer", NULL, NULL, NULL);
    container_unref(container);
}

// A list that is too long ends after a whole mount, and the rest is counted.
Test(enrich_containers, mounts_are_capped)
{
    cr_assert_eq(enrich_register_fields(), 0);
    enum { MOUNTS = 300 };
    _cleanup_text_ struct text json = TEXT_INIT(1 << 20);
    text_add(&json, "{\"mounts\":[");
    for (int i = 0; i < MOUNTS; i++)
        text_addf(&json, "%s{\"type\":\"bind\",\"source\":\"/%0100d\",\"destination\":\"/m\"}", i ? "," : "",
                  i);
    text_add(&json, "]}");
    tree_write(root, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" A "/config.json",
               text_string(&json));
    const struct container *container = get(A, "containerd", 1);
    cr_expect_leq(container->mounts.size, CONTAINER_LIST_MAX);
    cr_expect_gt(container->mounts.size, CONTAINER_LIST_MAX - 200);
    cr_expect_str_eq(field_of(container, "container.mount.dest", "0"), "/m");
    cr_expect_str_eq(field_of(container, "container.mount.dest", "200"), "");
    container_unref(container);
}

Test(enrich_containers, podman)
{
    tree_write(root, "/var/lib/containers/storage/overlay-containers/containers.json",
               "[{\"id\":\"" B "\",\"names\":[\"other\"]},"
               "{\"id\":\"" A "\",\"names\":[\"db\",\"alias\"],"
               "\"metadata\":\"{\\\"image-name\\\":\\\"docker.io/library/postgres:16\\\"}\"}]");
    const struct container *container = get(A, "podman", 1);
    expect(container, "db", "docker.io/library/postgres:16", NULL, NULL);
    cr_assert_str_eq(container->image_repository, "docker.io/library/postgres");
    const struct container *other = get(B, "podman", 1);
    expect(other, "other", NULL, NULL, NULL);
    container_unref(container);
    container_unref(other);
}

// A pod's author writes annotations of the container that holds its namespaces.
Test(enrich_containers, pods_do_not_speak_for_another_runtime)
{
    tree_write(root, "/run/containers/storage/overlay-containers/" A "/userdata/config.json",
               "{\"annotations\":{\"io.kubernetes.pod.namespace\":\"own\",\"nerdctl/name\":\"coredns\","
               "\"io.podman.annotations.privileged\":\"FALSE\","
               "\"io.kubernetes.cri.sandbox-namespace\":\"kube-system\"}}");
    const struct container *container = get(A, "cri-o", 1);
    expect(container, NULL, NULL, NULL, "own");
    cr_expect_eq(container->privileged, CONTAINER_UNKNOWN);
    container_unref(container);
}

Test(enrich_containers, podman_on_vfs)
{
    tree_write(root, "/var/lib/containers/storage/overlay-containers/containers.json", "[]");
    tree_write(root, "/var/lib/containers/storage/vfs-containers/containers.json",
               "[{\"id\":\"" A "\",\"names\":[\"on-vfs\"],\"metadata\":\"not json\"}]");
    const struct container *container = get(A, "podman", 1);
    expect(container, "on-vfs", NULL, NULL, NULL);
    container_unref(container);
}

Test(enrich_containers, crio)
{
    tree_write(root, "/run/containers/storage/overlay-containers/" A "/userdata/config.json",
               "{\"annotations\":{\"io.kubernetes.container.name\":\"app\","
               "\"io.kubernetes.pod.name\":\"pod-1\",\"io.kubernetes.pod.namespace\":\"ns-1\","
               "\"io.kubernetes.cri-o.ImageName\":\"quay.io/org/app:v2\"}}");
    const struct container *container = get(A, "cri-o", 1);
    expect(container, "app", "quay.io/org/app:v2", "pod-1", "ns-1");
    container_unref(container);
}

Test(enrich_containers, files_that_are_not_what_they_should_be)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "42",
                                        "{\"Name\":7,\"Config\":[]}",
                                        "{\"Name\":\"\"}",
                                        "{\"Name\":null,\"Config\":{\"Image\":{},\"Labels\":\"x\"}}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        tree_write(root, "/var/lib/docker/containers/" A "/config.v2.json", texts[i]);
        const struct container *container = get(A, "docker", 1);
        expect(container, NULL, NULL, NULL, NULL);
        container_unref(container);
    }
}

Test(enrich_containers, large_files_and_texts_are_refused)
{
    size_t size = 4 * 1024 * 1024 + 1;
    char *text = malloc(size);
    cr_assert_not_null(text);
    memset(text, ' ', size);
    const char json[] = "{\"Name\":\"/big\"}";
    memcpy(text, json, sizeof(json) - 1);
    tree_write_bytes(root, "/var/lib/docker/containers/" A "/config.v2.json", text, size);
    tree_write_bytes(root, "/var/lib/docker/containers/" B "/config.v2.json", text, size - 1);
    const struct container *refused = get(A, "docker", 1);
    expect(refused, NULL, NULL, NULL, NULL);
    const struct container *read = get(B, "docker", 1);
    expect(read, "big", NULL, NULL, NULL);
    container_unref(refused);
    container_unref(read);

    size = 4000;
    memset(text, 'x', size);
    memcpy(text, "{\"Name\":\"", 9);
    memcpy(text + size - 2, "\"}", 2);
    tree_write_bytes(root, "/var/lib/docker/containers/" B "/config.v2.json", text, size);
    const struct container *long_name = get(B, "docker", 1);
    expect(long_name, NULL, NULL, NULL, NULL);
    container_unref(long_name);
    free(text);
}

Test(enrich_containers, a_missing_file_is_looked_for_again_a_few_times)
{
    const struct container *first = get(A, "docker", 10 * SECOND);
    tree_write(root, "/var/lib/docker/containers/" A "/config.v2.json", "{\"Name\":\"/late\"}");

    container_unref(get(A, "docker", 11 * SECOND - 1));
    container_unref(get(A, "docker", 1 * SECOND));
    expect(first, NULL, NULL, NULL, NULL);
    container_unref(get(A, "docker", 11 * SECOND));
    expect(first, "late", NULL, NULL, NULL);
    container_unref(first);

    const struct container *never = get(B, "docker", 20 * SECOND);
    for (uint64_t i = 1; i < 5; i++)
        container_unref(get(B, "docker", (20 + i) * SECOND));
    tree_write(root, "/var/lib/docker/containers/" B "/config.v2.json", "{\"Name\":\"/too-late\"}");
    container_unref(get(B, "docker", 100 * SECOND));
    expect(never, NULL, NULL, NULL, NULL);
    container_unref(never);
}

Test(enrich_containers, one_id_is_one_container_while_it_is_referred_to)
{
    const struct container *first = get(A, "docker", 1);
    const struct container *second = get(A, "docker", 1);
    cr_assert_eq(first, second);
    cr_assert_eq(containers_count(containers), 1);
    container_unref(first);
    cr_assert_eq(containers_count(containers), 1);
    cr_assert_str_eq(second->id, A);
    container_unref(second);
    cr_assert_eq(containers_count(containers), 0);
}

Test(enrich_containers, a_full_table_still_tells_containers_from_the_host)
{
    const struct container *held[8];
    for (int i = 0; i < 8; i++) {
        char id[16];
        snprintf(id, sizeof(id), "c%d", i);
        held[i] = get(id, "containerd", 1);
    }
    const struct container *extra = get("c8", "containerd", 1);
    cr_assert_str_eq(extra->id, "unknown");
    cr_assert_eq(containers_count(containers), 8);
    container_unref(extra);
    for (int i = 0; i < 8; i++)
        container_unref(held[i]);
    extra = get("c8", "containerd", 1);
    cr_assert_str_eq(extra->id, "c8", "there is room again");
    container_unref(extra);
}

// Any user can call a cgroup of his as he likes.
Test(enrich_containers, users_do_not_take_another_containers_identity)
{
    tree_write(root, "/var/lib/docker/containers/" A "/config.v2.json", "{\"Name\":\"/trusted\"}");
    struct container_id mine = {.id = A, .runtime = "docker"}, theirs = mine;
    theirs.users = true;
    strcpy(theirs.pod_uid, "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0");
    const struct container *user = containers_get(containers, &theirs, 1);
    const struct container *real = containers_get(containers, &mine, 1);
    const struct container *again = containers_get(containers, &theirs, 9 * SECOND);
    expect(real, "trusted", NULL, NULL, NULL);
    expect(user, NULL, NULL, NULL, NULL);
    cr_expect_null(user->pod_uid);
    cr_expect_str_eq(user->id, A);
    cr_expect_eq(user, again);
    container_unref(user);
    container_unref(real);
    container_unref(again);
}

Test(enrich_containers, ids_never_leave_the_directory)
{
    tree_write(root, "/var/lib/docker/config.v2.json", "{\"Name\":\"/outside\"}");
    struct container container = {.id = "..", .runtime = "docker"};
    struct container_stamp stamp = {};
    cr_assert_not(container_files_read(root, NULL, "", &container, &stamp));
    strcpy(container.id, "a/../..");
    cr_assert_not(container_files_read(root, NULL, "", &container, &stamp));
    cr_assert_null(container.name);
}

Test(enrich_containers, images)
{
    static const struct {
        const char *image, *repository, *tag;
    } cases[] = {
        {"nginx", "nginx", NULL},
        {"nginx:1.25", "nginx", "1.25"},
        {"host:5000/a/b", "host:5000/a/b", NULL},
        {"host:5000/a/b:tag", "host:5000/a/b", "tag"},
        {"host:5000/a/b:tag@sha256:0123", "host:5000/a/b", "tag"},
        {"host:5000/a/b@sha256:0123", "host:5000/a/b", NULL},
        {"sha256:0123", NULL, NULL},
        {"a:", "a", NULL},
        {":tag", NULL, "tag"},
        {"@sha256:0", NULL, NULL},
        {"/", "/", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct container container = {.image = (char *)cases[i].image};
        container_split_image(&container);
        const char *got[] = {container.image_repository, container.image_tag};
        const char *want[] = {cases[i].repository, cases[i].tag};
        for (int k = 0; k < 2; k++) {
            cr_assert_eq(got[k] == NULL, want[k] == NULL, "%s", cases[i].image);
            if (got[k])
                cr_assert_str_eq(got[k], want[k], "%s", cases[i].image);
        }
        free(container.image_repository);
        free(container.image_tag);
        free(container.image_digest);
    }
}
