// Fields about the file that runs, sessions, namespaces, environment and directory.
#include "enrich_fields.h"

static void setup(void)
{
    stage_start(&stage, 0);
    cr_assert_eq(enrich_register_fields(), 0);
}

static void teardown(void)
{
    stage_stop(&stage);
}

TestSuite(enrich_program, .init = setup, .fini = teardown);

static const struct who shell = {.pid = 100, .start_ns = 10 * SECOND, .comm = "bash"};
static const struct who tool = {.pid = 200, .start_ns = 20 * SECOND, .comm = "tool"};

static const struct exec shell_exec = {
    .parent_pid = 1,
    PART(exe, "bash\0bin"),
    PART(args, "-bash"),
    PART(env, "HOME=/home/user\0SHELL=/bin/bash"),
    PART(cwd, "user\0home"),
    .ids = {.pidns_start_ns = SECOND, .sid = 100, .pgid = 100, .vpid = 100, .vsid = 100, .vpgid = 100}};
static const struct exec tool_exec = {
    .parent_pid = 100,
    .parent_start_ns = 10 * SECOND,
    PART(exe, "tool\0bin"),
    PART(args, "tool\0--all\0x y"),
    PART(env, "A=b c\0HOME=/root\0EMPTY=\0HOMELY=1\0HOME=/second"),
    PART(cwd, "tmp"),
    .exe_flags = WIRE_EXE_KNOWN | WIRE_EXE_UPPER_LAYER | WIRE_EXE_WRITABLE,
    .exe_ino = 77,
    .exe_ctime_ns = EPOCH_NS + 15 * SECOND,
    .exe_mtime_ns = EPOCH_NS + 14 * SECOND,
    .ids = {.pidns_start_ns = 12 * SECOND, .sid = 100, .pgid = 200, .vpid = 2, .vsid = 0, .vpgid = 2}};

static void run(struct exec exec)
{
    stage_exec(&stage, shell, shell_exec, 11 * SECOND);
    stage_done(&stage);
    stage_exec(&stage, tool, exec, 21 * SECOND);
}

Test(enrich_program, file)
{
    run(tool_exec);
    expect("proc.is_exe_upper_layer", "true");
    expect("proc.is_exe_lower_layer", "false");
    expect("proc.is_exe_writable", "true");
    expect("proc.is_exe_from_memfd", "false");
    expect("proc.exe_ino", "77");
    expect("proc.exe_ino.ctime", "1700000015000000000");
    expect("proc.exe_ino.mtime", "1700000014000000000");
    expect("proc.exe_ino.ctime_duration_proc_start", "5000000000");
    expect("proc.exe_ino.ctime_duration_pidns_start", "3000000000");
    expect("proc.pidns_init_start_ts", "1700000012000000000");
    stage_done(&stage);
}

Test(enrich_program, file_that_is_older_than_the_namespace_or_younger_than_the_process)
{
    struct exec exec = tool_exec;
    exec.exe_ctime_ns = EPOCH_NS + 11 * SECOND;
    run(exec);
    expect("proc.exe_ino.ctime_duration_pidns_start", NULL);
    expect("proc.exe_ino.ctime_duration_proc_start", "9000000000");
    stage_done(&stage);
    exec.exe_ctime_ns = EPOCH_NS + 21 * SECOND;
    stage_exec(&stage, tool, exec, 22 * SECOND);
    expect("proc.exe_ino.ctime_duration_proc_start", "0");
    stage_done(&stage);
}

Test(enrich_program, what_no_rule_asked_for_is_missing)
{
    struct exec plain = {.parent_pid = 100, PART(exe, "tool\0bin"), PART(args, "tool")};
    run(tool_exec);
    stage_done(&stage);
    stage_exec(&stage, tool, plain, 22 * SECOND);
    static const char *const missing[] = {"proc.is_exe_upper_layer",
                                          "proc.is_exe_lower_layer",
                                          "proc.is_exe_writable",
                                          "proc.exe_ino",
                                          "proc.exe_ino.ctime",
                                          "proc.exe_ino.ctime_duration_proc_start",
                                          "proc.env",
                                          "proc.env[HOME]",
                                          "proc.cwd"};
    for (size_t i = 0; i < ARRAY_SIZE(missing); i++)
        expect(missing[i], NULL);
    expect("proc.is_exe_from_memfd", "false");
    stage_done(&stage);
}

Test(enrich_program, file_in_memory)
{
    struct exec exec = {PART(exe, "memfd:runc_cloned:/proc/self/exe"), .exe_flags = WIRE_EXE_ALONE};
    run(exec);
    expect("proc.exepath", "memfd:runc_cloned:/proc/self/exe");
    expect("proc.is_exe_from_memfd", "true");
    stage_done(&stage);
    // A file of that name in the root directory is none.
    exec.exe_flags = 0;
    stage_exec(&stage, tool, exec, 22 * SECOND);
    expect("proc.exepath", "/memfd:runc_cloned:/proc/self/exe");
    expect("proc.is_exe_from_memfd", "false");
    stage_done(&stage);
}

Test(enrich_program, environment)
{
    run(tool_exec);
    expect("proc.env", "A=b c HOME=/root EMPTY= HOMELY=1 HOME=/second");
    expect("proc.env[HOME]", "/root");
    expect("proc.env[A]", "b c");
    expect("proc.env[EMPTY]", "");
    expect("proc.env[HOM]", NULL);
    expect("proc.env[b c]", NULL);
    expect_nth("proc.aenv", 0, "HOME=/home/user SHELL=/bin/bash");
    expect_nth("proc.aenv", 1, NULL);
    expect("proc.aenv[0]", "A=b c HOME=/root EMPTY= HOMELY=1 HOME=/second");
    expect("proc.aenv[1]", "HOME=/home/user SHELL=/bin/bash");
    expect("proc.aenv[2]", NULL);
    expect("proc.aenv[HOME]", "/home/user");
    expect("proc.aenv[A]", NULL);
    stage_done(&stage);
}

Test(enrich_program, a_child_has_its_parents_environment_and_file)
{
    run(tool_exec);
    stage_done(&stage);
    struct who child = {.pid = 300, .start_ns = 30 * SECOND, .comm = "tool"};
    stage_clone(&stage, child, 200, 20 * SECOND);
    expect("proc.env[HOME]", "/root");
    expect("proc.exe_ino", "77");
    expect("proc.is_exe_upper_layer", "true");
    expect("proc.cwd", "/tmp/");
    expect("proc.pgid", "200");
    expect("proc.vpid", NULL);
    stage_done(&stage);
}

Test(enrich_program, directory)
{
    struct exec exec = tool_exec;
    run(exec);
    expect("proc.cwd", "/tmp/");
    stage_done(&stage);
    exec.cwd_size = 0;
    stage_exec(&stage, tool, exec, 22 * SECOND);
    expect("proc.cwd", "/");
    stage_done(&stage);
    // It may have gone elsewhere since; where that cannot be seen, the last that is known counts.
    stage_other(&stage, tool, 23 * SECOND);
    expect("proc.cwd", "/");
    stage_done(&stage);
    stage_proc(&stage, 200, 100, "tool", 2000, "tool", 5);
    tree_link(stage.root, "/proc/200/cwd", "/srv/data");
    stage_other(&stage, tool, 24 * SECOND);
    expect("proc.cwd", "/srv/data/");
    stage_done(&stage);
}

Test(enrich_program, what_proc_says_of_a_process_that_runs_already)
{
    stage_proc(&stage, 200, 100, "tool", 2000, "tool", 5);
    stage_other(&stage, tool, 24 * SECOND);
    expect("proc.env", "HOME=/root A=b c HOME=/second");
    expect("proc.env[HOME]", "/root");
    expect("proc.pgid", "199");
    expect("proc.vpid", "7");
    expect("proc.vpgid", "5");
    expect("proc.sid", "0");
    expect("thread.vtid", "7");
    expect("proc.is_exe_upper_layer", NULL);
    expect("proc.pidns_init_start_ts", NULL);
    stage_done(&stage);
    // Another process has got its number: nothing of that one may be taken.
    struct who later = {.pid = 200, .start_ns = 40 * SECOND, .comm = "later"};
    stage_other(&stage, later, 41 * SECOND);
    expect("proc.env", NULL);
    expect("proc.vpid", NULL);
    stage_done(&stage);
}

Test(enrich_program, an_environment_that_does_not_fit)
{
    char env[4100];
    memset(env, 'x', sizeof(env));
    memcpy(env, "A=1\0B=", 6);
    stage_proc(&stage, 200, 100, "tool", 2000, "tool", 5);
    tree_write_bytes(stage.root, "/proc/200/environ", env, sizeof(env));
    stage_other(&stage, tool, 24 * SECOND);
    cr_assert_eq(strlen(text_of("proc.env", 0)), 4096);
    expect("proc.env[A]", "1");
    cr_assert_eq(strlen(text_of("proc.env[B]", 0)), 4090);
    stage_done(&stage);
}

Test(enrich_program, session_and_group)
{
    run(tool_exec);
    expect("proc.vpid", "2");
    expect("proc.pvpid", "100");
    expect("proc.sid", "0");
    expect("proc.sname", "bash");
    expect("proc.sid.exe", "-bash");
    expect("proc.sid.exepath", "/bin/bash");
    expect("proc.is_sid_leader", "false");
    expect("proc.pgid", "200");
    expect("proc.pgid.name", "tool");
    expect("proc.vpgid", "2");
    expect("proc.vpgid.exe", "tool");
    expect("proc.vpgid.exepath", "/bin/tool");
    expect("proc.is_pgid_leader", "true");
    expect("proc.is_vpgid_leader", "true");
    expect("thread.vtid", "2");
    expect("thread.ismain", "true");
    stage_done(&stage);
}

Test(enrich_program, leader_that_has_gone)
{
    struct wire_process_ids ids = {.sid = 50, .pgid = 51, .vpid = 1, .vsid = 50, .vpgid = 51};
    struct exec first = shell_exec, second = tool_exec;
    first.ids = second.ids = ids;
    stage_exec(&stage, shell, first, 11 * SECOND);
    stage_done(&stage);
    stage_exec(&stage, tool, second, 21 * SECOND);
    expect("proc.sname", "bash");
    expect("proc.pgid.name", "bash");
    expect("proc.is_sid_leader", "false");
    stage_done(&stage);
    // An ancestor in another session is none.
    second.ids.sid = 60;
    stage_exec(&stage, tool, second, 22 * SECOND);
    expect("proc.sname", "tool");
    stage_done(&stage);
}

Test(enrich_program, session_and_group_that_change)
{
    run(tool_exec);
    stage_done(&stage);
    struct wire_process_ids ids = {.sid = 200, .pgid = 200, .vpid = 200, .vsid = 200, .vpgid = 200};
    stage_session(&stage, WIRE_PROCESS_SETSID, tool, ids, 0, 0, 23 * SECOND);
    expect("proc.is_sid_leader", "true");
    stage_done(&stage);
    stage_other(&stage, tool, 24 * SECOND);
    expect("proc.sid", "200");
    expect("proc.sname", "tool");
    stage_done(&stage);
    // A shell moves its children.
    struct wire_process_ids own = shell_exec.ids;
    stage_session(&stage, WIRE_PROCESS_SETPGID, shell, own, 200, 150, 25 * SECOND);
    expect("proc.pgid", "100");
    stage_done(&stage);
    stage_other(&stage, tool, 26 * SECOND);
    expect("proc.pgid", "150");
    expect("proc.vpgid", "150");
    stage_done(&stage);
}

Test(enrich_program, capabilities)
{
    run(tool_exec);
    expect("thread.cap_permitted", "");
    struct wire_header *header = (struct wire_header *)stage.record;
    stage.event.num += 1000000;
    header->cap_permitted = 1ULL | 1ULL << 21 | 1ULL << 40 | 1ULL << 41;
    header->cap_effective = 1ULL << 39;
    header->cap_inheritable = 1ULL << 1;
    expect("thread.cap_permitted", "CAP_CHOWN CAP_SYS_ADMIN CAP_CHECKPOINT_RESTORE");
    expect("thread.cap_effective", "CAP_BPF");
    expect("thread.cap_inheritable", "CAP_DAC_OVERRIDE");
    stage_done(&stage);
}

Test(enrich_program, arguments)
{
    run(tool_exec);
    expect("proc.exeline", "tool --all x y");
    expect("proc.cmdlenargs", "8");
    expect("proc.loginshellid", "100");
    expect("proc.ppid.duration", "11000000000");
    expect("proc.ppid.ts", "1700000010000000000");
    expect("evt.args", "");
    expect("evt.arg[0]", NULL);
    // Put together once: many outputs ask for it, and the room of an event is limited.
    size_t used = stage.scratch.used;
    for (int i = 0; i < 100; i++)
        expect("proc.exeline", "tool --all x y");
    cr_assert_eq(stage.scratch.used, used);
    stage_done(&stage);
}

Test(enrich_program, arguments_of_the_event)
{
    struct wire_process_ids ids = {.sid = 1, .pgid = 1, .vpid = 1};
    stage_session(&stage, WIRE_PROCESS_SETPGID, tool, ids, 12, 0, 25 * SECOND);
    expect("evt.args", "pid=12 path=/a b gone=<NA>");
    expect("evt.info", "pid=12 path=/a b gone=<NA>");
    expect("evt.arg[0]", "12");
    expect("evt.arg[1]", "/a b");
    expect("evt.arg[2]", NULL);
    expect("evt.arg[3]", NULL);
    expect("evt.arg[pid]", "12");
    expect("evt.arg[gone]", NULL);
    expect("evt.arg[rawres]", NULL);
    expect("evt.category", "process");
    expect("evt.count", "1");
    stage_done(&stage);
    stage_other(&stage, tool, 26 * SECOND);
    expect("evt.category", "file");
    expect("evt.rawtime", "1700000026000000000");
    expect("evt.rawtime.s", "1700000026");
    expect("evt.rawtime.ns", "0");
    expect("evt.time.s", "22:13:46");
    expect("evt.datetime", "2023-11-14 22:13:46.000000000");
    expect("evt.datetime.s", "2023-11-14 22:13:46");
    expect("evt.time.iso8601", "2023-11-14T22:13:46.000000000Z");
    expect("evt.outputtime", "2023-11-14T22:13:46.000000000Z");
    stage_done(&stage);
}
