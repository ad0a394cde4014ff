// What happened is recorded, and gives the same alerts again to somebody who is not root.
#include "answers.h"
#include "container.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

TestSuite(record, .init = container_setup, .fini = container_teardown);

enum { ARGUMENTS_MAX = 24 };

static const char *program; // where ordinary users can run it, too

static void start_in_child(char **arguments, int out, int err)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
        _exit(126);
    execv(arguments[0], arguments);
    _exit(127);
}

static void take_options(va_list rest, char **arguments, size_t count)
{
    for (char *option; count + 1 < ARGUMENTS_MAX && (option = va_arg(rest, char *));)
        arguments[count++] = option;
    arguments[count] = NULL;
}

struct recorder {
    pid_t pid;
    const char *alerts; // a file
    int err;
};

// `agent record FILE RULES OPTION…`; its standard output goes into the file `alerts`.
static struct recorder record_start(const char *file, const char *rules, ...)
{
    struct recorder recorder = {.alerts = test_path("live")};
    char *arguments[ARGUMENTS_MAX] = {(char *)agent_path(), (char *)"record", (char *)file, (char *)rules};
    va_list rest;
    va_start(rest, rules);
    take_options(rest, arguments, 4);
    va_end(rest);
    int out = open(recorder.alerts, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), err[2];
    cr_assert_eq(pipe2(err, O_CLOEXEC), 0);
    recorder.pid = fork();
    cr_assert_geq(recorder.pid, 0);
    if (recorder.pid == 0)
        start_in_child(arguments, out, err[1]);
    close(out);
    close(err[1]);
    recorder.err = err[0];
    char words[4096] = "";
    for (size_t used = 0; !strstr(words, "agent: ready: ");) {
        ssize_t count = read(err[0], words + used, sizeof(words) - 1 - used);
        cr_assert_gt(count, 0, "the recorder said: %s", words);
        used += (size_t)count;
    }
    return recorder;
}

static void record_stop(struct recorder *recorder, int signal_number)
{
    kill(recorder->pid, signal_number);
    kill(recorder->pid, SIGCONT);
    int code = wait_for_exit(recorder->pid);
    cr_expect_eq(code, signal_number == SIGKILL ? 128 + SIGKILL : 0, "the recorder ended with %d", code);
    close(recorder->err);
}

// What the recorder has written so far; owned.
static char *record_alerts(const struct recorder *recorder)
{
    char *text = read_whole_file(recorder->alerts);
    cr_assert(text);
    return text;
}

static void wait_for_alert(const struct recorder *recorder, const char *words)
{
    time_t deadline = time(NULL) + DEADLINE_S;
    for (bool found = false; !found;) {
        _cleanup_free_ char *text = record_alerts(recorder);
        found = strstr(text, words);
        cr_assert(found || time(NULL) < deadline, "no %s in: %s", words, text);
    }
}

// `agent replay FILE --rules RULES OPTION…` by nobody, in another time zone. Its standard output and error,
// owned.
static int replay(char **ret_alerts, char **ret_words, const char *file, const char *rules, ...)
{
    if (!program) {
        program = test_path("agent");
        copy_file(agent_path(), program);
    }
    char *arguments[ARGUMENTS_MAX] = {(char *)program, (char *)"replay", (char *)file, (char *)"--rules",
                                      (char *)rules};
    va_list rest;
    va_start(rest, rules);
    take_options(rest, arguments, 5);
    va_end(rest);
    const char *alerts = test_path("replayed"), *words = test_path("words");
    int out = open(alerts, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int err = open(words, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_eq(chown(file, 65534, 65534), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        setenv("TZ", "UTC+7", 1);
        if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
            _exit(99);
        start_in_child(arguments, out, err);
    }
    close(out);
    close(err);
    int code = wait_for_exit(pid);
    *ret_alerts = read_whole_file(alerts);
    *ret_words = read_whole_file(words);
    cr_assert(*ret_alerts && *ret_words);
    return code;
}

static void expect_same(struct recorder *recorder, const char *file, const char *rules, const char *option)
{
    _cleanup_free_ char *live = record_alerts(recorder), *again = NULL, *words = NULL;
    int code = replay(&again, &words, file, rules, option, NULL);
    cr_expect_eq(code, 0, "%s", words);
    cr_expect_gt(strlen(live), 0);
    cr_expect_str_eq(again, live);
    cr_expect_not(strstr(words, "missing"), "%s", words);
}

// Rules that ask for what comes from every corner: the record, /proc, passwd, container files, clocks, names.
static const char *wide_rules(void)
{
    const char *path = test_path("wide.yaml");
    write_file(
        path, format_text(
                  "- macro: shown\n"
                  "  condition: evt.num exists\n"
                  "- rule: opened\n"
                  "  desc: d\n"
                  "  condition: evt.type in (open, openat) and fd.name startswith %s/watched\n"
                  "  output: \"%%evt.num %%evt.time %%evt.hostname %%fd.name %%fd.ino %%proc.cmdline\n"
                  "    %%proc.exepath %%proc.pname %%proc.aname[2] %%proc.pid.ts %%proc.duration %%proc.tty\n"
                  "    %%user.name %%user.loginname %%group.name %%container.name %%evt.rawres\"\n"
                  "  priority: NOTICE\n"
                  "- rule: exact\n"
                  "  desc: d\n"
                  "  condition: evt.type in (open, openat) and fd.name in (%s/exact, /secrets/key)\n"
                  "  output: \"%%evt.num %%fd.name %%proc.name %%container.id %%container.image\"\n"
                  "  priority: WARNING\n"
                  "- rule: started\n"
                  "  desc: d\n"
                  "  condition: evt.type = execve and proc.name in (stranger, python3, sh)\n"
                  "  output: \"%%evt.num %%proc.cmdline %%proc.aname %%container.full_id %%container.name\n"
                  "    %%container.image.repository %%container.type %%k8s.pod.name %%k8s.ns.name\"\n"
                  "  priority: ERROR\n"
                  "- rule: connected\n"
                  "  desc: d\n"
                  "  condition: evt.type = connect and fd.sport in (4848, 4444)\n"
                  "  output: \"%%evt.num %%fd.sip %%proc.name %%user.name %%evt.res\"\n"
                  "  priority: CRITICAL\n",
                  test_dir(), test_dir()));
    return path;
}

static void make_things_happen(struct recorder *recorder, int waiting)
{
    const char *watched = test_path("watched"), *exact = test_path("exact");
    const char *link = test_path("another name");
    write_file(watched, "x");
    write_file(exact, "x");
    cr_assert_eq(linkat(AT_FDCWD, exact, AT_FDCWD, link, 0), 0);
    open_once(watched);
    run_program(actor_copy("stranger"), "open", watched, "connect", "127.0.0.1", "4848", NULL);
    run_program(actor_copy("python3"), "spawn", actor_copy("sh"), "x", NULL);
    // One that was there before the recorder.
    cr_assert_eq(write(waiting, "x", 1), 1);
    // The file has an inode that is watched when the next tick has seen it.
    time_t deadline = time(NULL) + DEADLINE_S;
    for (bool found = false; !found && time(NULL) < deadline;) {
        open_once(link);
        _cleanup_free_ char *text = record_alerts(recorder);
        found = strstr(text, "\"rule\":\"exact\"") || strstr(text, "Warning ");
    }
    // What is in the ring at the end is judged, too.
    halt(recorder->pid);
    for (int i = 0; i < 50; i++)
        open_once(i % 2 ? watched : link);
}

static void record_and_replay(const char *option)
{
    const char *file = test_path("recording"), *rules = wide_rules();
    int waiting;
    pid_t pid = start_waiting(&waiting, actor_copy("before"), "wait", "open", test_path("watched"), NULL);
    struct recorder recorder = record_start(file, rules, option, NULL);
    make_things_happen(&recorder, waiting);
    close(waiting);
    record_stop(&recorder, SIGTERM);
    wait_for_exit(pid);
    struct stat status;
    cr_assert_eq(stat(file, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0600);
    expect_same(&recorder, file, rules, option);
    _cleanup_free_ char *live = record_alerts(&recorder);
    cr_expect(strstr(live, "/exact"));
    cr_expect(strstr(live, "before"));
}

Test(record, json_alerts_come_again_byte_for_byte)
{
    record_and_replay("--json");
}

Test(record, text_alerts_come_again_byte_for_byte)
{
    record_and_replay("--rule-matching=all");
}

Test(record, containers_come_again)
{
    const char *file = test_path("recording"), *rules = wide_rules();
    struct recorder recorder = record_start(file, rules, "--json", NULL);
    container_run(
        "\"/python3\",\"open\",\"/etc/secrets/key\",\"connect\",\"127.0.0.1\",\"4444\",\"spawn\",\"/sh\","
        "\"x\"");
    record_stop(&recorder, SIGTERM);
    _cleanup_free_ char *live = record_alerts(&recorder);
    cr_expect(strstr(live, "llm-research-lab-7"), "%s", live);
    container_delete();
    run_program("rm", "-rf",
                format_text("/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s", container_id()), NULL);
    expect_same(&recorder, file, rules, "--json");
}

// Names of users are those of their time, where the names change meanwhile, too.
Test(record, user_names_come_again)
{
    const char *root = test_path("root"), *file = test_path("recording"), *rules = wide_rules();
    const char *passwd = format_text("%s/etc/passwd", root), *watched = test_path("watched");
    mkdir(root, 0755);
    mkdir(format_text("%s/etc", root), 0755);
    write_file(passwd, "first:x:0:0:secret words::\n");
    write_file(watched, "x");
    struct recorder recorder = record_start(file, rules, "--json", "--host-root", root, NULL);
    open_once(watched);
    wait_for_alert(&recorder, "\"user.name\":\"first\"");
    write_file(passwd, "second:x:0:0:secret words::\n");
    time_t deadline = time(NULL) + DEADLINE_S;
    for (bool found = false; !found && time(NULL) < deadline;) {
        open_once(watched);
        _cleanup_free_ char *text = record_alerts(&recorder);
        found = strstr(text, "\"user.name\":\"second\"");
    }
    record_stop(&recorder, SIGINT);
    unlink(passwd);
    expect_same(&recorder, file, rules, "--json");
}

// Rules that ask for what processes, sockets, files and names have to tell.
static const char *deep_rules(const char *named)
{
    const char *path = test_path("deep.yaml");
    write_file(
        path,
        format_text(
            "- rule: renamed\n"
            "  desc: d\n"
            "  condition: evt.type in (rename, renameat, renameat2) and fs.path.source startswith %s/\n"
            "  output: \"%%evt.num %%fs.path.source %%fs.path.target %%proc.cwd %%proc.env[PATH] %%proc.sid\n"
            "    %%proc.sname %%proc.pgid %%proc.vpid %%proc.is_sid_leader %%thread.vtid\n"
            "    %%proc.exe_ino %%proc.exe_ino.mtime %%user.homedir %%user.shell\"\n"
            "  priority: NOTICE\n"
            "- rule: copied\n"
            "  desc: d\n"
            "  condition: evt.type in (dup, dup2, dup3) and fd.name startswith %s/\n"
            "  output: \"%%evt.num %%fd.num %%fd.name %%fd.type %%fd.ino %%evt.args %%proc.aenv[KEPT]\"\n"
            "  priority: NOTICE\n"
            "- rule: sent\n"
            "  desc: d\n"
            "  condition: evt.type = sendto and fd.sip = %s and fd.sport = 4949\n"
            "  output: \"%%evt.num %%fd.name %%fd.sip.name %%evt.buffer %%evt.buflen %%proc.cwd\"\n"
            "  priority: NOTICE\n"
            "- rule: connected\n"
            "  desc: d\n"
            "  condition: evt.type = connect and fd.sip = %s and fd.sip.name = weights.inferscope.example\n"
            "  output: \"%%evt.num %%fd.sip %%fd.sip.name %%evt.res %%proc.env[KEPT]\"\n"
            "  priority: NOTICE\n"
            "- rule: started\n"
            "  desc: d\n"
            "  condition: evt.type = execve and proc.exepath startswith %s/\n"
            "  output: \"%%evt.num %%proc.cmdline %%proc.env[KEPT] %%proc.aenv[KEPT] %%proc.cwd %%proc.sid\n"
            "    %%proc.is_exe_writable %%proc.exe_ino.ctime %%proc.pidns_init_start_ts\"\n"
            "  priority: NOTICE\n",
            test_dir(), test_dir(), named, named, test_dir()));
    return path;
}

// What those rules are about, by a process with an environment, a directory and a session of its own. The
// agent reads of /proc while this one waits for the end of its standard input.
static _Noreturn void do_deep_things(const char *named, const char *actor, int in)
{
    const char *one = test_path("one"), *two = test_path("two");
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4949)};
    inet_pton(AF_INET, named, &to.sin_addr);
    char byte;
    int file = open(one, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool done = setsid() > 0 && chdir(test_dir()) == 0 && file >= 0 && sender >= 0 &&
                dup2(file, 100) == 100 &&
                sendto(sender, "weights", 7, 0, (struct sockaddr *)&to, sizeof(to)) == 7 &&
                connect(sender, (struct sockaddr *)&to, sizeof(to)) == 0 && rename(one, two) == 0 &&
                setenv("KEPT", "of the child", 1) == 0 && run_program(actor, "x", NULL) == 0;
    _exit(done && read(in, &byte, 1) == 0 ? 0 : 1);
}

Test(record, what_processes_and_sockets_tell_comes_again)
{
    // Addresses of our own among those that lead to this machine itself.
    unsigned number = (unsigned)getpid();
    const char *named = format_text("127.54.%u.%u", number >> 8 & 255, number & 255);
    const char *resolver = format_text("127.55.%u.%u", number >> 8 & 255, number & 255);
    const char *root = test_path("root"), *file = test_path("recording"), *rules = deep_rules(named);
    const char *passwd = format_text("%s/etc/passwd", root), *actor = actor_copy("newcomer");
    cr_assert_eq(mkdir(root, 0755), 0);
    cr_assert_eq(mkdir(format_text("%s/etc", root), 0755), 0);
    write_file(passwd, "root:x:0:0:secret words:/homes/root:/bin/of/root\n");
    struct recorder recorder = record_start(file, rules, "--json", "--host-root", root, NULL);
    uint8_t answer[ANSWER_MAX];
    answer_send(resolver, 53, answer, answer_make(answer, "weights", named, 0));
    int ends[2];
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        close(ends[1]);
        do_deep_things(named, actor, ends[0]);
    }
    wait_for_alert(&recorder, "newcomer x");
    close(ends[1]);
    close(ends[0]);
    cr_expect_eq(wait_for_exit(pid), 0);
    record_stop(&recorder, SIGTERM);
    unlink(passwd);
    unlink(test_path("two"));
    unlink(actor);

    _cleanup_free_ char *live = record_alerts(&recorder);
    const char *expected[] = {"\"rule\":\"renamed\"",
                              "\"rule\":\"copied\"",
                              "\"rule\":\"sent\"",
                              "\"evt.buffer\":\"weights\"",
                              "\"fd.sip.name\":\"weights.inferscope.example\"",
                              "\"proc.env[KEPT]\":\"of the child\"",
                              "\"proc.env[PATH]\":\"/",
                              "\"user.homedir\":\"/homes/root\"",
                              "\"user.shell\":\"/bin/of/root\"",
                              format_text("\"proc.cwd\":\"%s/\"", test_dir()),
                              format_text("\"proc.sid\":%d", pid)};
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        cr_expect(strstr(live, expected[i]), "no %s in %s", expected[i], live);
    expect_same(&recorder, file, rules, "--json");
}

Test(record, other_rules_see_what_was_recorded_and_say_what_was_not)
{
    const char *file = test_path("recording"), *rules = wide_rules(), *other = test_path("other.yaml");
    const char *watched = test_path("watched");
    write_file(watched, "x");
    struct recorder recorder = record_start(file, rules, NULL);
    run_program(actor_copy("stranger"), "open", watched, NULL);
    record_stop(&recorder, SIGHUP);
    write_file(
        other,
        format_text("- rule: by name\n"
                    "  desc: d\n"
                    "  condition: evt.type in (open, openat) and proc.name = stranger and user.name = root\n"
                    "    and fd.name = %s\n"
                    "  output: \"%%proc.cmdline\"\n"
                    "  priority: NOTICE\n",
                    watched));
    _cleanup_free_ char *alerts = NULL, *words = NULL;
    cr_expect_eq(replay(&alerts, &words, file, other, NULL), 0);
    cr_expect(strstr(alerts, format_text("Notice stranger open %s\n", watched)), "%s", alerts);
    cr_expect(strstr(words, "ask 1 things about the node that were not asked while recording"), "%s", words);
}

// No alert of a rule whose events were not recorded must not look like nothing having happened.
Test(record, types_of_events_that_were_not_recorded_are_told)
{
    const char *file = test_path("recording"), *rules = test_path("opened.yaml");
    const char *other = test_path("removed.yaml"), *started = test_path("started.yaml");
    write_file(rules,
               "- rule: opened\n  desc: d\n  condition: evt.type = openat and fd.name = /nowhere/at/all\n"
               "  output: x\n  priority: NOTICE\n");
    write_file(other, "- rule: removed\n  desc: d\n  condition: evt.type in (openat, unlinkat, connect)\n"
                      "  output: x\n  priority: NOTICE\n");
    write_file(started, "- rule: started\n  desc: d\n  condition: evt.type in (execve, clone, procexit)\n"
                        "  output: x\n  priority: NOTICE\n");
    struct recorder recorder = record_start(file, rules, NULL);
    record_stop(&recorder, SIGTERM);
    _cleanup_free_ char *alerts = NULL, *words = NULL;
    cr_expect_eq(replay(&alerts, &words, file, other, NULL), 0);
    const char *list = strstr(words, "types of events that were not recorded: ");
    cr_assert(list, "%s", words);
    cr_expect(strstr(list, "unlinkat") && strstr(list, "connect") && !strstr(list, "openat"), "%s", words);
    const char *const complete[] = {rules, started};
    for (size_t i = 0; i < ARRAY_SIZE(complete); i++) {
        free(TAKE_PTR(alerts));
        free(TAKE_PTR(words));
        cr_expect_eq(replay(&alerts, &words, file, complete[i], NULL), 0);
        cr_expect_not(strstr(words, "not recorded"), "%s", words);
    }
}

Test(record, everything_is_for_rules_yet_to_be_written)
{
    const char *file = test_path("recording"), *rules = test_path("quiet.yaml"),
               *watched = test_path("watched");
    write_file(watched, "x");
    write_file(rules, "- rule: quiet\n  desc: d\n  condition: evt.type = execve and proc.name = nothing\n"
                      "  output: x\n  priority: NOTICE\n");
    struct recorder recorder = record_start(file, rules, "--everything", "--ring-size", "64", NULL);
    run_program(actor_copy("stranger"), "open", watched, "connect", "127.0.0.1", "4848", NULL);
    record_stop(&recorder, SIGTERM);
    _cleanup_free_ char *live = record_alerts(&recorder), *alerts = NULL, *words = NULL;
    cr_expect_str_eq(live, "");
    cr_expect_eq(replay(&alerts, &words, file, wide_rules(), NULL), 0, "%s", words);
    cr_expect(strstr(alerts, "/watched"), "%s", alerts);
    cr_expect(strstr(alerts, "127.0.0.1"), "%s", alerts);
}

Test(record, a_killed_recorder_leaves_what_was_before)
{
    const char *file = test_path("recording"), *rules = wide_rules(), *watched = test_path("watched");
    write_file(watched, "x");
    struct recorder recorder = record_start(file, rules, NULL);
    run_program(actor_copy("stranger"), "open", watched, NULL);
    wait_for_alert(&recorder, "stranger open");
    // What comes after it shows that this was written.
    run_program(actor_copy("python3"), "x", NULL);
    wait_for_alert(&recorder, "python3 x");
    record_stop(&recorder, SIGKILL);
    _cleanup_free_ char *alerts = NULL, *words = NULL;
    cr_expect_eq(replay(&alerts, &words, file, rules, NULL), 1);
    cr_expect(strstr(alerts, "stranger open"), "%s", alerts);
    cr_expect(strstr(words, "the recording has no end mark"), "%s", words);
    _cleanup_free_ char *live = record_alerts(&recorder);
    cr_expect_eq(strncmp(alerts, live, strlen(alerts)), 0, "what is replayed is what was");
}

Test(record, a_damaged_recording_is_replayed_up_to_there)
{
    const char *file = test_path("recording"), *rules = wide_rules(), *watched = test_path("watched");
    write_file(watched, "x");
    struct recorder recorder = record_start(file, rules, NULL);
    run_program(actor_copy("stranger"), "open", watched, NULL);
    wait_for_alert(&recorder, "stranger open");
    record_stop(&recorder, SIGTERM);
    struct stat status;
    cr_assert_eq(stat(file, &status), 0);
    cr_assert_eq(truncate(file, status.st_size - 1), 0);
    _cleanup_free_ char *alerts = NULL, *words = NULL;
    cr_expect_eq(replay(&alerts, &words, file, rules, NULL), 1);
    cr_expect(strstr(alerts, "stranger open"), "%s", alerts);
    cr_expect(strstr(words, format_text("%s: offset ", file)), "%s", words);
    cr_expect(strstr(words, "ends in the middle of a block"), "%s", words);
}

Test(record, losses_are_told_again)
{
    const char *file = test_path("recording"), *rules = wide_rules(), *watched = test_path("watched");
    write_file(watched, "x");
    struct recorder recorder = record_start(file, rules, "--ring-size", "1", NULL);
    halt(recorder.pid);
    for (int i = 0; i < 50000; i++)
        open_once(watched);
    record_stop(&recorder, SIGTERM);
    _cleanup_free_ char *live = record_alerts(&recorder), *alerts = NULL, *words = NULL;
    cr_expect_eq(replay(&alerts, &words, file, rules, NULL), 0);
    cr_expect_str_eq(alerts, live);
    cr_expect(strstr(words, "records of the source file were lost while recording (ring_full)"), "%s", words);
}

// What only outputs read is asked and recorded there, too.
Test(record, outputs_of_a_recording_into_a_pipe_come_again)
{
    const char *file = test_path("live"), *rules = test_path("cwd.yaml"), *watched = test_path("watched");
    write_file(watched, "x");
    write_file(rules, format_text("- rule: opened\n  desc: d\n"
                                  "  condition: evt.type in (open, openat) and fd.name = %s\n"
                                  "  output: \"cwd=%%proc.cwd sid=%%proc.sid\"\n  priority: NOTICE\n",
                                  watched));
    int waiting;
    pid_t pid = start_waiting(&waiting, actor_copy("before"), "wait", "open", watched, NULL);
    struct recorder recorder = record_start("-", rules, NULL);
    cr_assert_eq(write(waiting, "x", 1), 1);
    close(waiting);
    wait_for_exit(pid);
    record_stop(&recorder, SIGTERM);
    _cleanup_free_ char *alerts = NULL, *words = NULL;
    cr_expect_eq(replay(&alerts, &words, file, rules, NULL), 0, "%s", words);
    cr_expect(strstr(alerts, "cwd="), "%s", alerts);
    cr_expect_not(strstr(words, "missing"), "%s", words);
}

Test(record, into_a_pipe)
{
    const char *file = test_path("live"), *rules = wide_rules(), *watched = test_path("watched");
    write_file(watched, "x");
    struct recorder recorder = record_start("-", rules, NULL);
    run_program(actor_copy("stranger"), "open", watched, NULL);
    record_stop(&recorder, SIGTERM);
    _cleanup_free_ char *alerts = NULL, *words = NULL;
    cr_expect_eq(replay(&alerts, &words, file, rules, NULL), 0, "%s", words);
    cr_expect(strstr(alerts, "stranger open"), "%s", alerts);
}

// Into a network namespace in which nobody answers.
static int send_away(const void *address)
{
    static char bytes[5000];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4950)};
    inet_pton(AF_INET, address, &to.sin_addr);
    if (unshare(CLONE_NEWNET) ||
        run_program("ip", "link", "add", "one", "type", "veth", "peer", "name", "two", NULL) ||
        run_program("ip", "addr", "add", "10.98.53.1/16", "dev", "one", NULL) ||
        run_program("ip", "link", "set", "one", "up", NULL) ||
        run_program("ip", "link", "set", "two", "up", NULL))
        return 1;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return sendto(fd, bytes, 1000, 0, (struct sockaddr *)&to, sizeof(to)) != 1000;
}

Test(record, what_left_the_node_comes_again)
{
    unsigned number = (unsigned)getpid();
    const char *away = format_text("10.98.%u.%u", 1 + number / 250 % 250, 2 + number % 250);
    const char *resolver = format_text("127.56.%u.%u", number >> 8 & 255, number & 255);
    const char *file = test_path("recording"), *rules = test_path("egress.yaml");
    write_file(rules,
               format_text("- rule: left\n"
                           "  desc: d\n"
                           "  condition: evt.type = egress and fd.sip = %s\n"
                           "  output: \"%%evt.num %%fd.sip.name %%fd.sport %%net.egress.bytes %%proc.name\"\n"
                           "  priority: WARNING\n"
                           "- rule: sum\n"
                           "  desc: d\n"
                           "  condition: evt.type = egress and fd.sip = %s and net.egress.sum[10m] >= 3000\n"
                           "  output: \"%%net.egress.sum\"\n"
                           "  priority: WARNING\n",
                           away, away));
    struct recorder recorder = record_start(file, rules, "--json", NULL);
    uint8_t answer[ANSWER_MAX];
    answer_send(resolver, 53, answer, answer_make(answer, "away", away, 0));
    in_child(send_away, away);
    wait_for_alert(&recorder, "\"net.egress.bytes\":1000");
    in_child(send_away, away);
    in_child(send_away, away);
    wait_for_alert(&recorder, "\"net.egress.sum\":3000");
    record_stop(&recorder, SIGTERM);
    _cleanup_free_ char *live = record_alerts(&recorder);
    cr_expect(strstr(live, "\"fd.sip.name\":\"away.inferscope.example\""), "%s", live);
    expect_same(&recorder, file, rules, "--json");
}
