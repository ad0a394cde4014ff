#include "../../user/metric/served_by.h"
#include "container.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static void add(const char *name)
{
    cr_assert_eq(served_by_add_pod_label(name), 0, "%s", name);
}

TestSuite(metric_served_by, .init = served_by_forget_pod_labels);

Test(metric_served_by, labels_of_pods_that_are_asked_for)
{
    static char labels[] = "app\0llm\0cost-centre\0"
                           "4711\0team/name\0research\0empty\0";
    const struct container container = {.name = (char *)"server",
                                        .pod_name = (char *)"lab",
                                        .pod_labels = {.bytes = labels, .size = sizeof(labels)}};
    const struct event event = {.container = &container};
    struct served_by served_by;
    struct label written[SERVED_BY_LABELS];
    add("cost-centre");
    add("none");
    add("team/name");
    served_by_event(&event, 8000, &served_by);
    size_t count = served_by_labels(&served_by, written);
    const char *const wanted[][2] = {{"server_port", "8000"},
                                     {"k8s_pod_name", "lab"},
                                     {"k8s_container_name", "server"},
                                     {"k8s_pod_label_cost_centre", "4711"},
                                     {"k8s_pod_label_team_name", "research"}};
    cr_assert_eq(count, sizeof(wanted) / sizeof(wanted[0]));
    for (size_t i = 0; i < count; i++) {
        cr_expect_str_eq(written[i].name, wanted[i][0]);
        cr_expect_str_eq(written[i].value, wanted[i][1]);
    }
}

// A recording's list may be anything.
Test(metric_served_by, lists_that_do_not_hold_together)
{
    static char labels[] = {'a', '\0', 'b', '\0', 'c'};
    struct container container = {.pod_labels = {.bytes = labels}};
    const struct event event = {.container = &container};
    struct served_by served_by;
    add("c");
    for (size_t size = 0; size <= sizeof(labels); size++) {
        container.pod_labels.size = size;
        served_by_event(&event, 0, &served_by);
        cr_expect_str_empty(served_by.pod_labels[0]);
    }
}

Test(metric_served_by, names_that_cannot_be)
{
    char name[400];
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    cr_expect_eq(served_by_add_pod_label(name), -EINVAL);
    add("cost-centre");
    cr_expect_eq(served_by_add_pod_label("cost.centre"), -EEXIST);
    add("b");
    add("c");
    add("d");
    cr_expect_eq(served_by_add_pod_label("e"), -ENOSPC);
}
