#include "../../user/enrich/containers.h"
#include "../../user/enrich/pod_table.h"
#include "enrich_tree.h"

#include <criterion/criterion.h>

#define SECOND 1000000000ULL

TestSuite(enrich_pods, .fini = pods_forget);

static int take(const char *list, size_t size)
{
    char *copy = malloc(size);
    memcpy(copy, list, size);
    return pods_take(copy, size);
}
#define TAKE(text) take(text, sizeof(text) - 1)

static char told[1024];

static ssize_t describe(const char *uid, const char *id, struct pods_asked *asked)
{
    ssize_t size = pods_describe(uid, id, asked, told, sizeof(told));
    for (ssize_t i = 0; i < size; i++)
        told[i] = told[i] ? told[i] : '|';
    if (size >= 0)
        told[size] = '\0';
    return size;
}

#define POD_B "b\0name\0space\00010.0.0.2\0002\0team\0lab\0x\0y\0001\0c1\0sha256:1\0"
#define POD_A "a\0other\0space\0\0000\0000\0"

Test(enrich_pods, are_found_by_their_uid)
{
    struct pods_asked asked = {};
    cr_expect_eq(describe("b", "c1", &asked), -ENOENT, "there is no list yet");
    cr_expect_not(pods_missed());
    cr_assert_eq(TAKE(POD_B POD_A), 0);
    cr_expect_eq(pods_count(), 2);
    cr_expect_gt(describe("b", "c1", &asked), 0);
    cr_expect_str_eq(told, "name|space|10.0.0.2|sha256:1|13|team|lab|x|y|");
    cr_expect_eq(describe("b", "c1", &asked), -EALREADY);
    cr_assert_eq(TAKE(POD_A POD_B), 0);
    cr_expect_gt(describe("b", "c2", &asked), 0);
    cr_expect_str_eq(told, "name|space|10.0.0.2||13|team|lab|x|y|");
    struct pods_asked other = {};
    cr_expect_gt(describe("a", "c1", &other), 0);
    cr_expect_str_eq(told, "other|space|||0|");
}

// One that is in no list is asked for again some times only.
Test(enrich_pods, that_are_missing)
{
    struct pods_asked asked = {};
    unsigned missed = 0;
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(TAKE(POD_A), 0);
        cr_expect_eq(describe("new", "c1", &asked), -ENOENT);
        cr_expect_eq(describe("new", "c1", &asked), -EALREADY);
        missed += pods_missed();
    }
    cr_expect_eq(missed, 3);
}

Test(enrich_pods, lists_that_do_not_hold_together)
{
    static const char whole[] = POD_B;
    cr_assert_eq(TAKE(POD_A), 0);
    for (size_t size = 1; size < sizeof(whole) - 1; size++)
        cr_expect_eq(take(whole, size), -EBADMSG, "%zu", size);
    cr_expect_eq(TAKE("b\0name\0space\0ip\000999999999999999999999\0a\0b\0"), -EBADMSG);
    cr_expect_eq(pods_count(), 1, "the last good one stays");
    cr_expect_eq(take("", 0), 0);
    cr_expect_eq(pods_count(), 0);
}

// What the runtime's files do not tell, and the labels, which the kubelet knows best.
Test(enrich_pods, tell_containers)
{
    char root[64];
    tree_make(root);
    struct containers *containers = containers_new(root, 8);
    tree_write(root, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/c1/config.json",
               "{\"annotations\":{\"io.kubernetes.cri.sandbox-name\":\"by-file\","
               "\"io.kubernetes.cri.sandbox-uid\":\"b\"}}");
    struct container_id id = {.id = "c1", .runtime = "containerd"};
    const struct container *container = containers_get(containers, &id, SECOND);
    cr_expect_null(container->pod_ip);
    cr_assert_eq(TAKE(POD_B), 0);
    container_refresh(container, 2 * SECOND);
    cr_expect_str_eq(container->pod_name, "by-file");
    cr_expect_str_eq(container->pod_namespace, "space");
    cr_expect_str_eq(container->pod_ip, "10.0.0.2");
    cr_expect_str_eq(container->image_digest, "sha256:1");
    cr_expect_eq(container->pod_labels.size, 13);
    // They stay when the files are read again.
    tree_write(root, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/c1/config.json",
               "{\"annotations\":{\"io.kubernetes.cri.sandbox-uid\":\"b\"}}");
    container_refresh(container, 3 * SECOND);
    cr_expect_str_eq(container->pod_name, "name");
    cr_expect_eq(container->pod_labels.size, 13);
    container_unref(container);
    containers_free(containers);
    tree_remove(root);
}
