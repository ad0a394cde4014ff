#include "../../user/enrich/containers.h"
#include "../../user/enrich/plain.h"
#include "enrich_tree.h"

#include <criterion/criterion.h>

static char root[64];
static struct plains plains;
static struct container_id id;

static void setup(void)
{
    tree_make(root);
    memset(&plains, 0, sizeof(plains));
}

static void teardown(void)
{
    tree_remove(root);
}

TestSuite(enrich_plain, .init = setup, .fini = teardown);

static bool find(const char *cgroup)
{
    id = (struct container_id){};
    return plain_find(&plains, root, cgroup, &id);
}

Test(enrich_plain, only_what_the_note_says)
{
    tree_write(
        root, "/run/runc/web/state.json",
        "{\"cgroup_paths\":{\"memory\":\"/sys/fs/cgroup/memory/web\",\"\":\"/sys/fs/cgroup/unified/web\"}}");
    cr_expect_not(find("/web"), "nobody has asked for it");
    plain_add(&plains, "web", NULL);
    cr_expect_not(find("/other/web"), "somebody else's cgroup of that name");
    cr_expect(find("/web"));
    cr_expect_str_eq(id.id, "web");
    cr_expect_str_eq(id.runtime, "runc");
    cr_expect_not(find("/"));
    cr_expect_not(find("web"));
    cr_expect(find("/web/below"), "it cannot leave by going down");
    cr_expect_eq(id.depth, 1);
    cr_expect_not(find("/web-below"));
    cr_expect_not(find("/unified/w"));
    static const char names[] = "web\0";
    id = (struct container_id){};
    cr_expect(plain_find_names(&plains, root, names, sizeof(names) - 1, &id));
    cr_expect_not(plain_find_names(&plains, root, names, 3, &id), "cut off");
    id = (struct container_id){};
    static const char text[] = "4:memory:/x\n0::/web\n";
    cr_expect(plain_find_proc(&plains, root, text, sizeof(text) - 1, &id));
    cr_expect_not(plain_find_proc(&plains, root, "0::/\n::\n", 8, &id));
}

// Who is in one of them has made what is below; what is further out than it counts.
Test(enrich_plain, the_outermost_counts)
{
    tree_write(root, "/run/runc/web/state.json", "{\"cgroup_paths\":{\"\":\"/sys/fs/cgroup/a/web\"}}");
    plain_add(&plains, "web", NULL);
    cr_expect(find("/a/web/b"));
    cr_expect_eq(id.depth, 2);
    struct container_id below = {.id = "claimed", .depth = 3}, above = {.id = "real", .depth = 1};
    cr_expect(plain_find(&plains, root, "/a/web/docker/claimed", &below));
    cr_expect_str_eq(below.id, "web");
    cr_expect_not(plain_find(&plains, root, "/a/web", &above));
    cr_expect_str_eq(above.id, "real");
}

Test(enrich_plain, a_note_may_come_late_and_be_elsewhere)
{
    plain_add(&plains, "web", "/srv/notes");
    cr_expect_not(find("/system.slice/runc-web.scope"));
    tree_write(root, "/srv/notes/web/state.json",
               "{\"cgroup_paths\":{\"\":\"/sys/fs/cgroup/system.slice/runc-web.scope\"}}");
    cr_expect(find("/system.slice/runc-web.scope"));
}

Test(enrich_plain, notes_that_are_none)
{
    static const char *const notes[] = {"", "[]", "{\"cgroup_paths\":7}",
                                        "{\"cgroup_paths\":{\"\":\"/web\"}}",
                                        "{\"cgroup_paths\":{\"\":\"/sys/fs/cgroup/a/b/web\"}}"};
    for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
        tree_write(root, "/run/runc/web/state.json", notes[i]);
        plain_add(&plains, "web", NULL);
        cr_expect_not(find("/web"), "%s", notes[i]);
    }
    plain_add(&plains, "../web", NULL);
    cr_expect_not(find("/../web"));
}

// Those that run already, but for those that the cgroup tells by itself.
Test(enrich_plain, are_learnt_at_the_start)
{
    tree_write(
        root, "/run/runc/old/state.json",
        "{\"cgroup_paths\":{\"\":\"/sys/fs/cgroup/my/cgroup\"},\"config\":{\"labels\":[\"bundle=/srv/b\"]}}");
    tree_write(root, "/run/containerd/runc/default/web-1/state.json",
               "{\"cgroup_paths\":{\"memory\":\"/sys/fs/cgroup/memory/default/web-1\"}}");
    tree_write(root, "/run/runc/known/state.json",
               "{\"cgroup_paths\":{\"\":\"/sys/fs/cgroup/k8s.io/known\"}}");
    tree_write(root, "/srv/b/config.json", "{}");
    struct containers *containers = containers_new(root, 8);
    plain_learn(&plains, root, containers);
    cr_expect(find("/my/cgroup"));
    cr_expect_str_eq(id.id, "old");
    cr_expect(find("/default/web-1"));
    cr_expect_not(find("/k8s.io/known"));
    containers_free(containers);
}

Test(enrich_plain, the_latest_are_kept)
{
    for (int i = 0; i < 3 * PLAIN_MAX; i++) {
        char name[32], note[96], text[160];
        snprintf(name, sizeof(name), "c%d", i);
        snprintf(note, sizeof(note), "/run/runc/%s/state.json", name);
        snprintf(text, sizeof(text), "{\"cgroup_paths\":{\"\":\"/sys/fs/cgroup/%s\"}}", name);
        tree_write(root, note, text);
        plain_add(&plains, name, NULL);
        plain_add(&plains, name, NULL);
    }
    cr_expect_not(find("/c0"));
    cr_expect(find("/c191"));
    cr_expect(find("/c128"));
}

// Every runtime that uses runc tells of its containers, most of which are known by their cgroups' names.
Test(enrich_plain, those_that_tell_by_themselves_push_none_out)
{
    tree_write(root, "/run/runc/web/state.json", "{\"cgroup_paths\":{\"\":\"/sys/fs/cgroup/web\"}}");
    plain_add(&plains, "web", NULL);
    cr_expect(find("/web"));
    for (int i = 0; i < 3 * PLAIN_MAX; i++) {
        char name[32];
        snprintf(name, sizeof(name), "other%d", i);
        plain_add(&plains, name, NULL);
    }
    cr_expect(find("/web"));
}

Test(enrich_plain, those_in_use_are_kept)
{
    for (int i = 0; i <= 2 * PLAIN_MAX; i++) {
        char name[32], note[96], text[160], cgroup[40];
        snprintf(name, sizeof(name), "c%d", i);
        snprintf(cgroup, sizeof(cgroup), "/%s", name);
        snprintf(note, sizeof(note), "/run/runc/%s/state.json", name);
        snprintf(text, sizeof(text), "{\"cgroup_paths\":{\"\":\"/sys/fs/cgroup/%s\"}}", name);
        tree_write(root, note, text);
        plain_add(&plains, name, NULL);
        cr_expect(find(cgroup));
        cr_expect(find("/c0/below"));
    }
    cr_expect_not(find("/c1"));
}
