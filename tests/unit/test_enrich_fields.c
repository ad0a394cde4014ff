#include "enrich_fields.h"

#include <criterion/criterion.h>

#define A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void setup(void)
{
    stage_start(&stage, 0);
    cr_assert_eq(enrich_register_fields(), 0);
    tree_write(stage.root, "/etc/passwd", "root:x:0:0\nana:x:1000:1000\n");
    tree_write(stage.root, "/etc/group", "root:x:0:\nstaff:x:50:\n");
}

static void teardown(void)
{
    stage_stop(&stage);
}

TestSuite(enrich_fields, .init = setup, .fini = teardown);

static const struct who init = {.pid = 1, .start_ns = SECOND, .comm = "systemd"};
static const struct who shell = {.pid = 100, .start_ns = 10 * SECOND, .comm = "bash", .uid = 1000, .gid = 50};
static const struct who tool = {.pid = 200, .start_ns = 20 * SECOND, .comm = "python3", .uid = 0, .gid = 50};

static const struct exec init_exec = {
    .loginuid = LOGINUID_NONE, PART(exe, "systemd\0systemd\0lib\0usr"), PART(args, "/sbin/init")};
static const struct exec shell_exec = {.parent_pid = 1,
                                       .parent_start_ns = SECOND,
                                       .loginuid = 1000,
                                       .tty = 34816,
                                       PART(exe, "bash\0bin\0usr"),
                                       PART(args, "-bash\0-l\0-i")};
static const struct exec tool_exec = {.parent_pid = 100,
                                      .parent_start_ns = 10 * SECOND,
                                      .loginuid = 1000,
                                      .tty = 34816,
                                      PART(exe, "python3.11\0bin\0usr"),
                                      PART(args, "./tool\0a b\0\0--last")};

static void run_tool(void)
{
    stage_exec(&stage, init, init_exec, 2 * SECOND);
    stage_done(&stage);
    stage_exec(&stage, shell, shell_exec, 11 * SECOND);
    stage_done(&stage);
    stage_exec(&stage, tool, tool_exec, 25 * SECOND);
}

Test(enrich_fields, of_the_process)
{
    run_tool();
    expect("proc.pid", "200");
    expect("proc.ppid", "100");
    expect("thread.tid", "200");
    expect("proc.name", "python3");
    expect("proc.exe", "./tool");
    expect("proc.exepath", "/usr/bin/python3.11");
    expect("proc.args", "a b  --last");
    expect("proc.cmdline", "python3 a b  --last");
    expect("proc.cmdnargs", "3");
    expect("proc.tty", "34816");
    expect("proc.duration", "5000000000");
    expect("proc.pid.ts", "1700000020000000000");
    expect("user.uid", "0");
    expect("user.name", "root");
    expect("user.loginuid", "1000");
    expect("user.loginname", "ana");
    expect("group.gid", "50");
    expect("group.name", "staff");
    stage_done(&stage);
}

Test(enrich_fields, of_the_ancestors)
{
    run_tool();
    expect("proc.pname", "bash");
    expect("proc.pexe", "-bash");
    expect("proc.pexepath", "/usr/bin/bash");
    expect("proc.pcmdline", "bash -l -i");
    expect("proc.aname[0]", "python3");
    expect("proc.aname[1]", "bash");
    expect("proc.aname[2]", "systemd");
    expect("proc.aname[3]", NULL);
    expect("proc.apid[2]", "1");
    expect("proc.aexe[2]", "/sbin/init");
    expect("proc.aexepath[1]", "/usr/bin/bash");
    expect("proc.acmdline[2]", "systemd");
    expect_nth("proc.aname", 0, "bash");
    expect_nth("proc.aname", 1, "systemd");
    expect_nth("proc.aname", 2, NULL);
    expect_nth("proc.apid", 0, "100");
    expect_nth("proc.apid", 1, "1");
    expect_nth("proc.acmdline", 1, "systemd");
    stage_done(&stage);
}

Test(enrich_fields, a_missing_value_does_not_hide_the_ancestors_above)
{
    stage_exec(&stage, init, init_exec, 2 * SECOND);
    stage_done(&stage);
    struct exec exec = shell_exec;
    exec.exe_size = exec.args_size = 0;
    stage_exec(&stage, shell, exec, 11 * SECOND);
    stage_done(&stage);
    stage_exec(&stage, tool, tool_exec, 25 * SECOND);
    expect("proc.pexepath", NULL);
    expect("proc.aexepath[1]", NULL);
    expect_nth("proc.aexepath", 0, "/usr/lib/systemd/systemd");
    expect_nth("proc.aexepath", 1, NULL);
    expect_nth("proc.aexe", 0, "/sbin/init");
    stage_done(&stage);
}

Test(enrich_fields, of_a_process_of_which_little_is_known)
{
    struct who who = {.pid = 7, .start_ns = 5 * SECOND, .comm = "kworker/0:1", .uid = 4242, .gid = 4242};
    stage_other(&stage, who, 6 * SECOND);
    expect("proc.name", "kworker/0:1");
    expect("proc.cmdline", "kworker/0:1");
    static const char *const missing[] = {"proc.exe",
                                          "proc.exepath",
                                          "proc.args",
                                          "proc.cmdnargs",
                                          "proc.ppid",
                                          "proc.pname",
                                          "proc.pcmdline",
                                          "proc.aname[1]",
                                          "user.loginname",
                                          "user.name",
                                          "group.name",
                                          "container.image",
                                          "k8s.pod.name",
                                          "k8s.ns.name",
                                          "container.image.tag",
                                          "proc.pexepath",
                                          "container.image.repository"};
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
        expect(missing[i], NULL);
    expect("user.loginuid", "-1");
    expect("user.uid", "4242");
    stage_done(&stage);
}

Test(enrich_fields, arguments_and_their_absence)
{
    struct exec exec = {PART(args, "only")};
    stage_exec(&stage, shell, exec, 11 * SECOND);
    expect("proc.args", "");
    expect("proc.cmdline", "bash");
    expect("proc.cmdnargs", "0");
    stage_done(&stage);

    struct exec empty = {PART(args, "\0")};
    stage_exec(&stage, shell, empty, 12 * SECOND);
    expect("proc.exe", "");
    expect("proc.args", "");
    expect("proc.cmdnargs", "1");
    stage_done(&stage);

    // Composed once and shared: many rules ask for it, and the room of an event is limited.
    char args[4096];
    memset(args, 'x', sizeof(args));
    args[1] = '\0';
    exec = (struct exec){.args = args, .args_size = sizeof(args)};
    stage_exec(&stage, shell, exec, 13 * SECOND);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(strlen(text_of("proc.cmdline", 0)), strlen("bash ") + sizeof(args) - 2);
    stage_done(&stage);
}

Test(enrich_fields, a_child_has_its_parents_command_line_until_exec)
{
    run_tool();
    stage_done(&stage);
    struct who child = {.pid = 300, .start_ns = 30 * SECOND, .comm = "python3"};
    stage_clone(&stage, child, 200, 20 * SECOND);
    expect("proc.cmdline", "python3 a b  --last");
    expect("proc.pname", "python3");
    stage_done(&stage);
    struct who ls = {.pid = 300, .start_ns = 30 * SECOND, .comm = "ls"};
    struct exec exec = {PART(args, "ls\0-l")};
    stage_exec(&stage, ls, exec, 31 * SECOND);
    expect("proc.cmdline", "ls -l");
    expect("proc.pcmdline", "python3 a b  --last");
    stage_done(&stage);
}

Test(enrich_fields, of_the_event)
{
    run_tool();
    char num[32];
    snprintf(num, sizeof(num), "%llu", (unsigned long long)stage.event.num);
    expect("evt.num", num);
    expect("evt.time", "1700000025000000000");
    expect("evt.type", "execve");
    expect("evt.dir", "<");
    expect("evt.source", "syscall");
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    expect("evt.hostname", host);
    stage_done(&stage);
}

Test(enrich_fields, of_the_host_and_of_containers)
{
    static const char *const fields[] = {"container.id", "container.full_id", "container.name",
                                         "container.type"};
    run_tool();
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        expect(fields[i], "host");
    stage_done(&stage);

    tree_write(stage.root, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" A "/config.json",
               "{\"annotations\":{\"io.kubernetes.cri.container-name\":\"app\","
               "\"io.kubernetes.cri.sandbox-name\":\"app-0\","
               "\"io.kubernetes.cri.sandbox-namespace\":\"prod\","
               "\"io.kubernetes.cri.image-name\":\"reg:5000/app:1\"}}");
    struct exec exec = tool_exec;
    exec.cgroup = "cri-containerd-" A ".scope\0kubepods.slice";
    exec.cgroup_size = sizeof("cri-containerd-" A ".scope\0kubepods.slice");
    stage_exec(&stage, tool, exec, 26 * SECOND);
    expect("container.id", "0123456789ab");
    expect("container.full_id", A);
    expect("container.name", "app");
    expect("container.type", "containerd");
    expect("container.image", "reg:5000/app:1");
    expect("container.image.repository", "reg:5000/app");
    expect("container.image.tag", "1");
    expect("k8s.pod.name", "app-0");
    expect("k8s.ns.name", "prod");
    stage_done(&stage);
}

static void visit(const char *group, const struct event_type *type, const struct field *field, void *context)
{
    if (type)
        return;
    size_t length = strlen(field->help);
    cr_assert(length > 10 && field->help[length - 1] != '.', "%s: %s", field->name, field->help);
    cr_assert_eq(strncmp(field->name, group, strlen(group)), 0, "%s is in group %s", field->name, group);
    ++*(int *)context;
}

Test(enrich_fields, every_field_has_a_group_and_a_help_text)
{
    int count = 0;
    field_visit(visit, &count);
    cr_assert_geq(count, 40);
}

Test(enrich_fields, the_nodes_name_comes_from_its_root)
{
    tree_write(stage.root, "/etc/hostname", "node-7\n");
    enrich_free(&stage.enrich);
    struct enrich_options options = {.host_root = stage.root};
    cr_assert_eq(enrich_new(&options, &stage.enrich), 0);
    stage.enrich->proc_root = stage.proc;
    run_tool();
    expect("evt.hostname", "node-7");
    stage_done(&stage);
}
