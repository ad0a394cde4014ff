// A runtime that is told to make a container, and the container that is gone when its first event is read.
#include "enrich_events.h"

#include <criterion/criterion.h>

#define A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BUNDLE "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" A

static struct stage stage;

static void setup(void)
{
    stage_start(&stage, 0);
    tree_write(stage.root, BUNDLE "/config.json",
               "{\"annotations\":{\"io.kubernetes.cri.container-name\":\"brief\"}}");
}

static void teardown(void)
{
    stage_stop(&stage);
}

TestSuite(enrich_runtime_exec, .init = setup, .fini = teardown);

static const struct who runc = {.pid = 100, .start_ns = 10 * SECOND, .comm = "runc"};

// What the container is called after the runtime's exec, with its files gone; "": that is not known.
static const char *name_after_exec(struct who runtime, struct exec exec)
{
    static char name[64];
    stage_exec(&stage, runtime, exec, 11 * SECOND);
    stage_done(&stage);
    tree_unlink(stage.root, "/run/containerd");

    struct who inside = {.pid = 200, .start_ns = 20 * SECOND, .comm = "true"};
    struct exec first = {.parent_pid = 100, PART(args, "true"), PART(cgroup, A "\0k8s.io\0")};
    stage_exec(&stage, inside, first, 21 * SECOND);
    cr_assert_not_null(stage.event.container);
    cr_assert_str_eq(stage.event.container->id, A);
    snprintf(name, sizeof(name), "%s", stage.event.container->name ? stage.event.container->name : "");
    stage_done(&stage);
    return name;
}

static const char *name_after(struct who runtime, const char *args, size_t size, const char *cgroup,
                              size_t cgroup_size)
{
    struct exec exec = {
        .parent_pid = 1, .args = args, .args_size = size, .cgroup = cgroup, .cgroup_size = cgroup_size};
    return name_after_exec(runtime, exec);
}
#define NAME_AFTER(runtime, args) name_after(runtime, args, sizeof(args), "init.scope", sizeof("init.scope"))

Test(enrich_runtime_exec, create)
{
    cr_expect_str_eq(NAME_AFTER(runc,
                                "runc\0--root\0/run/containerd/runc/k8s.io\0--log\0/l\0--log-format\0json\0"
                                "--systemd-cgroup\0create\0--bundle\0" BUNDLE "\0--pid-file\0/p\0" A),
                     "brief");
}

Test(enrich_runtime_exec, run_in_other_words)
{
    const struct who crun = {.pid = 100, .start_ns = 10 * SECOND, .comm = "crun"};
    cr_expect_str_eq(NAME_AFTER(crun, "/usr/bin/crun\0--root=/run/crun\0run\0--bundle=" BUNDLE "\0" A),
                     "brief");
}

Test(enrich_runtime_exec, where_it_is)
{
    char cwd[PATH_MAX];
    stage_proc(&stage, 100, 1, "runc", 1000, "runc", 5);
    snprintf(cwd, sizeof(cwd), "%s", BUNDLE);
    tree_link(stage.root, "/proc/100/cwd", cwd);
    cr_expect_str_eq(NAME_AFTER(runc, "runc\0run\0" A), "brief");
}

// Else anybody could give a container a name.
Test(enrich_runtime_exec, only_the_nodes_root_is_believed)
{
    const struct who user = {.pid = 100, .start_ns = 10 * SECOND, .comm = "runc", .uid = 1000};
    cr_expect_str_eq(NAME_AFTER(user, "runc\0create\0--bundle\0" BUNDLE "\0" A), "");
}

Test(enrich_runtime_exec, who_is_root_by_the_programs_file_is_not)
{
    static const char args[] = "runc\0create\0--bundle\0" BUNDLE "\0" A;
    struct exec exec = {
        .parent_pid = 1, .args = args, .args_size = sizeof(args), .exe_flags = WIRE_EXE_OTHER_USER};
    cr_expect_str_eq(name_after_exec(runc, exec), "");
}

Test(enrich_runtime_exec, a_containers_root_is_not_the_nodes)
{
    static const char other[] = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210\0docker\0";
    static const char args[] = "runc\0create\0--bundle\0" BUNDLE "\0" A;
    cr_expect_str_eq(name_after(runc, args, sizeof(args), other, sizeof(other)), "");
}

// One that has gone, and of which the kernel told the lowest cgroups alone: it may have been in a container.
Test(enrich_runtime_exec, whose_container_is_not_known_is_not_believed)
{
    static const char args[] = "runc\0create\0--bundle\0" BUNDLE "\0" A;
    struct exec exec = {.parent_pid = 1, .args = args, .args_size = sizeof(args), PART(cgroup, "x\0")};
    exec.cgroup_truncated = 1;
    cr_expect_str_eq(name_after_exec(runc, exec), "");
}

// Who is in the root has a cgroup without a name.
Test(enrich_runtime_exec, in_the_root_of_all_cgroups)
{
    static const char args[] = "runc\0create\0--bundle\0" BUNDLE "\0" A;
    struct exec exec = {.parent_pid = 1, .args = args, .args_size = sizeof(args)};
    cr_expect_str_eq(name_after_exec(runc, exec), "brief");
}

Test(enrich_runtime_exec, other_programs_say_nothing)
{
    const struct who other = {.pid = 100, .start_ns = 10 * SECOND, .comm = "bash"};
    cr_expect_str_eq(NAME_AFTER(other, "bash\0create\0--bundle\0" BUNDLE "\0" A), "");
}

Test(enrich_runtime_exec, other_commands_say_nothing)
{
    cr_expect_str_eq(NAME_AFTER(runc, "runc\0exec\0--bundle\0" BUNDLE "\0create\0" A), "");
}

Test(enrich_runtime_exec, orders_that_are_none)
{
    static const char *const wrong[] = {"runc", "runc\0create", "runc\0create\0--bundle", "runc\0create\0..",
                                        "runc\0create\0--bundle\0/x\0a/b"};
    static const size_t sizes[] = {5, 12, 21, 15, 28};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct exec exec = {.parent_pid = 1, .args = wrong[i], .args_size = sizes[i]};
        stage_exec(&stage, runc, exec, (11 + i) * SECOND);
        stage_done(&stage);
    }
    // Cut off in the middle of a word.
    cr_expect_str_eq(name_after(runc, "runc\0create\0--bundle\0" BUNDLE "\0" A, 60, "init.scope", 11), "");
}

// --- Those that stay with a container that ran before the agent ---

#define FAR "/data/containerd/io.containerd.runtime.v2.task/k8s.io/"
#define FIRST "1111111111111111111111111111111111111111111111111111111111111111"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static void write_far(const char *id, const char *name)
{
    char path[PATH_MAX], text[256];
    snprintf(path, sizeof(path), FAR "%s/config.json", id);
    snprintf(text, sizeof(text), "{\"annotations\":{\"io.kubernetes.cri.container-name\":\"%s\"}}", name);
    tree_write(stage.root, path, text);
}

static void expect_name(const char *id, const char *name)
{
    char cgroup[128];
    size_t size = (size_t)snprintf(cgroup, sizeof(cgroup), "%s%ck8s.io", id, '\0') + 1;
    static pid_t pid = 200;
    struct who inside = {.pid = ++pid, .start_ns = 20 * SECOND, .comm = "true"};
    struct exec first = {.parent_pid = 1, PART(args, "true"), .cgroup = cgroup, .cgroup_size = size};
    stage_exec(&stage, inside, first, 21 * SECOND);
    cr_assert_not_null(stage.event.container);
    const char *got = stage.event.container->name ? stage.event.container->name : "";
    cr_expect_str_eq(got, name, "%s: %s", id, got);
    stage_done(&stage);
}

static void scan_shim_as(unsigned real_uid, unsigned uid, const char *name, const char *args, size_t size)
{
    static int pid = 50;
    char file[64], status[160];
    stage_proc(&stage, ++pid, 1, name, 1000, args, size);
    snprintf(file, sizeof(file), "/proc/%d/status", pid);
    snprintf(status, sizeof(status), "Name:\t%s\nUid:\t%u\t%u\t%u\t%u\nGid:\t0\t0\t0\t0\n", name, real_uid,
             uid, uid, uid);
    tree_write(stage.root, file, status);
    snprintf(file, sizeof(file), "/proc/%d/cwd", pid);
    tree_link(stage.root, file, FAR FIRST);
    cr_assert_geq(enrich_scan(stage.enrich), 0);
}
static void scan_shim(unsigned uid, const char *name, const char *args, size_t size)
{
    scan_shim_as(uid, uid, name, args, size);
}
#define SCAN_SHIM(name, args) scan_shim(0, name, args, sizeof(args))

Test(enrich_runtime_exec, shims_know_where_containerd_is)
{
    write_far(FIRST, "far");
    write_far(OTHER, "beside");
    SCAN_SHIM("containerd-shim",
              "/usr/bin/containerd-shim-runc-v2\0-namespace\0k8s.io\0-id\0" FIRST "\0-address\0/s");
    expect_name(FIRST, "far");
    // One shim stays with all containers of a pod.
    expect_name(OTHER, "beside");
}

Test(enrich_runtime_exec, conmon_knows_where_podman_is)
{
    tree_write(stage.root, "/graph/overlay-containers/containers.json",
               "[{\"id\":\"" OTHER "\",\"names\":[\"graph\"]}]");
    SCAN_SHIM("conmon", "/usr/bin/conmon\0--api-version\0001\0-c\0" OTHER "\0-u\0" OTHER
                        "\0-r\0/usr/bin/runc\0-b\0/graph/overlay-containers/" OTHER "/userdata");
    expect_name(OTHER, "graph");
}

Test(enrich_runtime_exec, what_is_no_shim)
{
    write_far(FIRST, "far");
    SCAN_SHIM("bash", "containerd-shim-runc-v2\0-id\0" FIRST);
    SCAN_SHIM("containerd-shim", "containerd-shim-runc-v2\0-id");
    SCAN_SHIM("containerd-shim", "containerd-shim-runc-v2\0-id\0../x");
    SCAN_SHIM("conmon", "conmon\0-c\0" FIRST "\0-b\0relative");
    scan_shim(0, "containerd-shim", "containerd-shim-runc-v2\0-id\0" FIRST, 40);
    static const char args[] = "containerd-shim-runc-v2\0-id\0" FIRST;
    scan_shim(1000, "containerd-shim", args, sizeof(args));
    expect_name(FIRST, "");
}

// A user's link of that name to a program that is root whoever runs it, such as su, which waits for a
// password.
Test(enrich_runtime_exec, who_runs_a_setuid_program_is_not_root)
{
    static const char args[] = "conmon\0-c\0" FIRST "\0root\0--\0-b\0" FAR FIRST;
    write_far(FIRST, "far");
    scan_shim_as(1000, 0, "conmon", args, sizeof(args));
    expect_name(FIRST, "");
}

Test(enrich_runtime_exec, the_latest_places_are_kept)
{
    struct container_places places = {};
    char bundle[128];
    container_places_note(&places, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/a");
    container_places_note(&places, "/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/a");
    container_places_note(&places, "relative/io.containerd.runtime.v2.task/k8s.io/a");
    container_places_note(&places, "/io.containerd.runtime.v2.task/k8s.io/a");
    container_places_note(&places, "/srv/bundle");
    container_places_note(&places, "");
    cr_expect_eq(places.next, 0, "usual ones, and those that are none");
    for (int i = 0; i < 2 * CONTAINER_PLACES_MAX + 1; i++) {
        snprintf(bundle, sizeof(bundle), "/data/%d/io.containerd.runtime.v2.task/k8s.io/a", i);
        container_places_note(&places, bundle);
        container_places_note(&places, bundle);
    }
    cr_expect_eq(places.next, 2 * CONTAINER_PLACES_MAX + 1);
    cr_expect_str_eq(places.state[0], "/data/16");
    cr_expect_str_eq(places.state[1], "/data/9");
}
