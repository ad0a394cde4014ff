#include "../../user/enrich/containers.h"
#include "base/text.h"
#include "enrich.h"
#include "enrich_tree.h"

#include <criterion/criterion.h>

#define A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define SECOND 1000000000ULL

static char root[64];
static struct containers *containers;

static void setup(void)
{
    tree_make(root);
    containers = containers_new(root, 8);
    cr_assert_not_null(containers);
}

static void teardown(void)
{
    cr_assert_eq(containers_count(containers), 0, "every reference was given back");
    containers_free(containers);
    tree_remove(root);
}

TestSuite(enrich_containers, .init = setup, .fini = teardown);

static const struct container *get(const char *id, const char *runtime, uint64_t now_ns)
{
    struct container_id key = {.runtime = runtime};
    strcpy(key.id, id);
    return containers_get(containers, &key, now_ns);
}

static void expect(const struct container *container, const char *name, const char *image, const char *pod,
                   const char *namespace)
{
    const char *got[] = {container->name, container->image, container->pod_name, container->pod_namespace};
    const char *want[] = {name, image, pod, namespace};
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(got[i] == NULL, want[i] == NULL, "%d: %s", i, got[i] ? got[i] : "missing");
        if (got[i])
            cr_assert_str_eq(got[i], want[i]);
    }
}

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

Test(enrich_containers, docker)
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

// Reads a field of an event in that container; "" where it is missing.
static const char *field_of(const struct container *container, const char *name, const char *key)
{
    static struct scratch scratch;
    struct event event = {.container = container, .scratch = &scratch};
    struct field_arg arg = {.set = key, .key = key};
    struct value value;
    scratch.used = 0;
    const struct field *field = field_find_any(name, strlen(name));
    cr_assert(field, "%s", name);
    return field_get(field, &event, &arg, 0, &value) ? value.string.data : "";
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
        "\"RW\":true,\"Mode\":\"z\",\"Propagation\":\"rslave\"}}}");
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

Test(enrich_containers, docker_below_the_kubelet)
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

Test(enrich_containers, ids_never_leave_the_directory)
{
    tree_write(root, "/var/lib/docker/config.v2.json", "{\"Name\":\"/outside\"}");
    struct container container = {.id = "..", .runtime = "docker"};
    struct container_stamp stamp = {};
    cr_assert_not(container_files_read(root, "", &container, &stamp));
    strcpy(container.id, "a/../..");
    cr_assert_not(container_files_read(root, "", &container, &stamp));
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
    }
}
