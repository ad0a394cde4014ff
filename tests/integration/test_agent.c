// The program as a person uses it: bad input, signals, what it says of itself, a ring that overflows.
#include "harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

TestSuite(agent, TEST_SUITE);

static const char quiet_rule[] = "- rule: quiet\n"
                                 "  desc: matches nothing that happens\n"
                                 "  condition: evt.type = openat and fd.name = /nowhere/at/all\n"
                                 "  output: x\n"
                                 "  priority: NOTICE\n";

// Runs the agent with a rule file that cannot be loaded: exit code 1, and all of these words.
static void expect_refused(const char *rules, const char *words)
{
    _cleanup_free_ char *output = NULL;
    int code = run_captured(&output, agent_path(), "--rules", rules, "--listen", "none", NULL);
    cr_expect_eq(code, 1, "exit code %d for %s", code, rules);
    cr_expect(strstr(output, words), "\"%s\" is not in: %.400s", words, output);
    cr_expect(strstr(output, "nothing was started"), "%.400s", output);
}

Test(agent, rule_files_that_cannot_be_loaded)
{
    const char *broken = test_path("broken.yaml");
    write_file(broken, "- rule: x\n  desc: [unclosed\n");
    expect_refused(test_path("missing.yaml"), "No such file or directory");
    expect_refused(broken, "broken.yaml:3:1: error:");
    expect_refused(agent_path(), "is it a rule file?");
}

Test(agent, mistake_in_a_rule_has_place_and_advice)
{
    const char *path = test_path("mistake.yaml");
    write_file(path, "- rule: x\n"
                     "  desc: d\n"
                     "  condition: >\n"
                     "    evt.type = execve and\n"
                     "    proc.nam = sh\n"
                     "  output: x\n"
                     "  priority: NOTICE\n");
    expect_refused(path, "mistake.yaml:5:5: error: unknown field \"proc.nam\"; did you mean \"proc.name\"?");
    expect_refused(path, "    5 |     proc.nam = sh\n      |     ^\n");
    _cleanup_free_ char *output = NULL;
    cr_expect_eq(run_captured(&output, agent_path(), "check", path, NULL), 1);
    cr_expect(strstr(output, "mistake.yaml:5:5: error:"), "%s", output);
}

Test(agent, port_that_is_taken)
{
    const char *rules = test_path("rules.yaml");
    write_file(rules, quiet_rule);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, length), 0);
    cr_assert_eq(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)&address, &length);
    const char *listen_at = format_text("127.0.0.1:%u", ntohs(address.sin_port));
    _cleanup_free_ char *output = NULL;
    cr_expect_eq(run_captured(&output, agent_path(), "--rules", rules, "--listen", listen_at, NULL), 1);
    cr_expect(strstr(output, "another program does; choose a free port with --listen"), "%s", output);
    close(fd);
}

Test(agent, command_lines_that_make_no_sense)
{
    _cleanup_free_ char *output = NULL;
    cr_expect_eq(run_captured(&output, agent_path(), "--no-such-option", NULL), 2);
    free(TAKE_PTR(output));
    cr_expect_eq(run_captured(&output, agent_path(), "nonsense", NULL), 2);
    free(TAKE_PTR(output));
    cr_expect_eq(run_captured(&output, agent_path(), "--json", NULL), 2);
    cr_expect(strstr(output, "nothing to do"), "%s", output);
}

Test(agent, without_root_it_says_so)
{
    // A copy, because the agent itself may lie where others cannot look.
    const char *program = test_path("agent");
    copy_file(agent_path(), program);
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
            _exit(99);
        execl(program, "agent", "--rules", NULL);
        _exit(98);
    }
    close(ends[1]);
    // All of it, which may come in pieces.
    _cleanup_fclose_ FILE *said = fdopen(ends[0], "r");
    _cleanup_free_ char *text = NULL;
    size_t capacity = 0;
    cr_assert_gt(getdelim(&text, &capacity, '\0', said), 0);
    cr_expect_eq(wait_for_exit(pid), 1);
    cr_expect(strstr(text, "needs root"), "%s", text);
}

Test(agent, either_signal_ends_it_cleanly)
{
    struct agent *agent = agent_start(quiet_rule, NULL);
    agent_stop_by(agent, SIGINT);
    agent = agent_start(quiet_rule, NULL);
    agent_stop_by(agent, SIGTERM);
}

Test(agent, sources_that_no_rule_needs_are_not_loaded)
{
    _cleanup_agent_ struct agent *agent = agent_start(quiet_rule, NULL);
    cr_expect_eq(agent_metric(agent, "inferscope_source_up", "source", "process", NULL), 1);
    cr_expect_eq(agent_metric(agent, "inferscope_source_up", "source", "file", NULL), 1);
    cr_expect(isnan(agent_metric(agent, "inferscope_source_up", "source", "connect", NULL)));
    cr_expect_eq(agent_metric(agent, "inferscope_rules", NULL), 1);
}

Test(agent, capabilities_are_dropped)
{
    _cleanup_agent_ struct agent *agent = agent_start(quiet_rule, NULL);
    _cleanup_free_ char *status = read_whole_file(format_text("/proc/%d/status", agent_pid(agent)));
    cr_assert(status);
    // CAP_DAC_READ_SEARCH (2), CAP_SYS_PTRACE (19), CAP_BPF (39) have effect, and no other. What
    // can be raised again for a reload is permitted; test_reload.c has the agent without that.
    const unsigned long long always = 1ull << 2 | 1ull << 19 | 1ull << 39;
    const char *effective = strstr(status, "CapEff:\t"), *permitted = strstr(status, "CapPrm:\t");
    cr_assert(effective && permitted);
    cr_expect_eq(strtoull(effective + 8, NULL, 16), always);
    cr_expect_eq(strtoull(permitted + 8, NULL, 16), always | capabilities_for_reload());
    cr_expect(strstr(status, "NoNewPrivs:\t1"));
}

Test(agent, doctor_finds_every_source_working)
{
    _cleanup_free_ char *output = NULL;
    // Before that, all do but `tls`, whose programs need bpf_loop().
    bool all = kernel_at_least(5, 17);
    cr_expect_eq(run_captured(&output, agent_path(), "doctor", NULL), all ? 0 : 1, "%s", output);
    cr_expect(strstr(output, "sources work on this kernel"), "%s", output);
    const char *failed = strstr(output, "does not work");
    cr_expect(!all == !!failed, "%s", output);
    if (all || !failed)
        return;
    cr_expect(strstr(output, "Source tls: does not work\n"), "%s", output);
    cr_expect(strstr(output, "needs Linux 5.17"), "%s", output);
    cr_expect_null(strstr(failed + 1, "does not work"), "%s", output);
}

Test(agent, lists_are_what_they_say)
{
    static const char *const lists[] = {"fields", "events", "sources", "rules"};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        _cleanup_free_ char *output = NULL;
        cr_expect_eq(run_captured(&output, agent_path(), "list", lists[i], "--format", "json", NULL), 0);
        json_t *json = json_loads(output, 0, NULL);
        cr_expect(json_is_array(json) && json_array_size(json) > 3, "list %s: %.200s", lists[i], output);
        json_decref(json);
    }
}

Test(agent, documented_events_are_those_it_has)
{
    _cleanup_free_ char *documented = read_whole_file("docs/EVENTS.md");
    if (!documented)
        cr_skip_test("docs/EVENTS.md is not here");
    _cleanup_free_ char *output = NULL;
    cr_expect_eq(run_captured(&output, agent_path(), "list", "events", "--format", "markdown", NULL), 0);
    cr_expect_str_eq(output, documented, "docs/EVENTS.md is old: make docs");
}

Test(agent, skipped_programs_are_counted)
{
    _cleanup_agent_ struct agent *agent = agent_start(quiet_rule, NULL);
    cr_expect_geq(agent_metric(agent, "inferscope_programs_skipped_total", "source", "process", NULL), 0);
    cr_expect_geq(agent_metric(agent, "inferscope_programs_skipped_total", "source", "file", NULL), 0);
}

static double file_lost(struct agent *agent)
{
    return agent_metric(agent, "inferscope_records_lost_total", "source", "file", "reason", "ring_full",
                        NULL);
}

static double openat_seen(struct agent *agent)
{
    return agent_metric(agent, "inferscope_events_total", "type", "openat", NULL);
}

enum { RING_OPENS = 50000 };

// Opens a file that often while the agent stands still; how many of these it counts then, seen or lost.
static double count_opens(struct agent *agent, const char *path)
{
    double lost_before = file_lost(agent), seen_before = openat_seen(agent), lost, seen;
    halt(agent_pid(agent));
    for (int i = 0; i < RING_OPENS; i++) {
        int fd = openat(AT_FDCWD, path, O_RDONLY);
        cr_assert_geq(fd, 0);
        close(fd);
    }
    kill(agent_pid(agent), SIGCONT);

    // Each scrape is answered between two batches of records, so asking again is waiting.
    time_t deadline = time(NULL) + DEADLINE_S;
    do {
        lost = file_lost(agent) - lost_before;
        seen = openat_seen(agent) - seen_before;
    } while (seen + lost < RING_OPENS && time(NULL) < deadline);
    cr_expect_gt(lost, 0);
    cr_expect_gt(seen, 0);
    cr_assert_geq(seen + lost, RING_OPENS, "%.0f seen and %.0f lost of %d", seen, lost, RING_OPENS);
    return seen + lost;
}

// What does not fit is counted, and what is counted and what has come add up to what was done. The kernel
// takes one in some ten thousand files of others for the watched one, so that one of them may come in
// between; but not for each of several names.
Test(agent, full_ring_loses_nothing_silently)
{
    double counted = 0;
    for (int i = 0; i < 4 && counted != RING_OPENS; i++) {
        const char *watched = test_path("watched-by-%d-%d", getpid(), i);
        write_file(watched, "x");
        _cleanup_agent_ struct agent *agent = agent_start(
            format_text("- rule: opened\n"
                        "  desc: the file was opened\n"
                        "  condition: evt.type = openat and fd.name = %s and evt.is_open_write = true\n"
                        "  output: \"%%fd.name\"\n"
                        "  priority: NOTICE\n",
                        watched),
            "--ring-size", "1", NULL);
        counted = count_opens(agent, watched);
    }
    cr_expect_eq(counted, RING_OPENS, "%.0f of %d", counted, RING_OPENS);
}

// What happened before the signal is still reported.
Test(agent, ring_is_emptied_before_the_end)
{
    const char *watched = test_path("watched-by-%d", getpid());
    write_file(watched, "x");
    struct agent *agent = agent_start(format_text("- rule: opened\n"
                                                  "  desc: the file was opened\n"
                                                  "  condition: evt.type = openat and fd.name = %s\n"
                                                  "  output: \"%%fd.name\"\n"
                                                  "  priority: NOTICE\n",
                                                  watched),
                                      NULL);
    enum { OPENS = 5000 };
    halt(agent_pid(agent));
    for (int i = 0; i < OPENS; i++) {
        int fd = openat(AT_FDCWD, watched, O_RDONLY);
        cr_assert_geq(fd, 0);
        close(fd);
    }
    kill(agent_pid(agent), SIGTERM);
    kill(agent_pid(agent), SIGCONT);
    agent_wait_count(agent, "opened", OPENS);
    agent_stop(agent);
}

Test(agent, repeated_option_counts_as_its_last)
{
    _cleanup_agent_ struct agent *agent =
        agent_start(NULL, "--syscall-latency", "read,write", "--syscall-latency", "close", NULL);
    const char *count = "inferscope_syscall_duration_seconds_count";
    cr_expect_not(isnan(agent_metric(agent, count, "syscall", "close", NULL)));
    cr_expect(isnan(agent_metric(agent, count, "syscall", "write", NULL)));
}

// Nobody reads the alerts: the agent goes on, answers, and counts what it could not write.
Test(agent, reader_that_stands_still_does_not_stop_it)
{
    const char *watched = test_path("watched-by-%d", getpid()), *rules = test_path("rules.yaml");
    write_file(watched, "x");
    write_file(rules, format_text("- rule: opened\n"
                                  "  desc: the file was opened\n"
                                  "  condition: evt.type = openat and fd.name = %s\n"
                                  "  output: \"%%fd.name\"\n"
                                  "  priority: NOTICE\n",
                                  watched));
    int out[2], err[2];
    cr_assert(pipe(out) == 0 && pipe(err) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        execl(agent_path(), "agent", "--rules", rules, "--json", "--listen", "127.0.0.1:0", NULL);
        _exit(127);
    }
    close(err[1]);
    _cleanup_fclose_ FILE *said = fdopen(err[0], "r");
    char line[512] = "";
    while (!strstr(line, "metrics on port ") && fgets(line, sizeof(line), said))
        ;
    cr_assert(strstr(line, "metrics on port "), "%s", line);
    unsigned port = (unsigned)atoi(strstr(line, "metrics on port ") + 16);

    // A pipe holds 64 KiB, an alert has some 300 bytes.
    enum { OPENS = 2000 };
    for (int i = 0; i < OPENS; i++) {
        int fd = openat(AT_FDCWD, watched, O_RDONLY);
        cr_assert_geq(fd, 0);
        close(fd);
    }
    double lost = 0, raised = 0;
    time_t deadline = time(NULL) + DEADLINE_S;
    do {
        _cleanup_free_ char *metrics = http_get(port, "/metrics");
        lost = metric_of(metrics, "inferscope_alerts_lost_total", NULL);
        raised = metric_of(metrics, "inferscope_alerts_total", NULL);
    } while (raised < OPENS && time(NULL) < deadline);
    cr_expect_eq(raised, OPENS);
    cr_expect_gt(lost, 0);
    kill(pid, SIGTERM);
    cr_expect_eq(wait_for_exit(pid), 0);
    close(out[0]);
    close(out[1]);
}

// Starts `agent record FILE RULES` with so many descriptors closed, from 0 on. What it says can be read.
static pid_t record_without_descriptors(const char *file, const char *rules, int closed, FILE **ret_said)
{
    int err[2];
    cr_assert_eq(pipe(err), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        dup2(err[1], STDERR_FILENO);
        close_range(3, ~0u, 0);
        close_range(0, (unsigned)closed - 1, 0);
        execl(agent_path(), "agent", "record", file, rules, NULL);
        _exit(127);
    }
    close(err[1]);
    *ret_said = fdopen(err[0], "r");
    return pid;
}

Test(agent, nothing_takes_the_place_of_a_closed_standard_descriptor)
{
    const char *watched = test_path("watched-by-%d", getpid()), *rules = test_path("rules.yaml");
    const char *file = test_path("recording");
    write_file(watched, "x");
    write_file(rules, format_text("- rule: opened\n"
                                  "  desc: the file was opened\n"
                                  "  condition: evt.type = openat and fd.name = %s\n"
                                  "  output: \"%%fd.name\"\n"
                                  "  priority: NOTICE\n",
                                  watched));
    _cleanup_fclose_ FILE *said = NULL, *unused = NULL;
    pid_t pid = record_without_descriptors(file, rules, 2, &said);
    char line[512] = "";
    while (!strstr(line, "ready: ") && fgets(line, sizeof(line), said))
        ;
    cr_assert(strstr(line, "ready: "), "%s", line);
    int fd = openat(AT_FDCWD, watched, O_RDONLY);
    cr_assert_geq(fd, 0);
    close(fd);
    kill(pid, SIGTERM);
    cr_expect_eq(wait_for_exit(pid), 0);
    _cleanup_free_ char *output = NULL;
    cr_expect_eq(run_captured(&output, agent_path(), "replay", file, "--rules", rules, NULL), 0, "%s",
                 output);
    cr_expect(strstr(output, watched), "%s", output);

    // The recording is the first thing that could take the place of any of the three.
    cr_assert_eq(unlink(file), 0);
    pid = record_without_descriptors(file, rules, 3, &unused);
    time_t deadline = time(NULL) + DEADLINE_S;
    while (access(file, F_OK) && time(NULL) < deadline)
        ;
    for (int i = 0; i < 3; i++) {
        char target[64] = "";
        cr_expect_gt(readlink(format_text("/proc/%d/fd/%d", pid, i), target, sizeof(target) - 1), 0);
        cr_expect_str_eq(target, "/dev/null", "%d", i);
    }
    kill(pid, SIGKILL);
    wait_for_exit(pid);
}

static size_t rows_of(const char *page)
{
    size_t count = 0;
    for (const char *at = page; (at = strstr(at, "\n| `")); at++)
        count++;
    return count;
}

// Each metric stands in docs/METRICS.md as the agent describes it. `make docs` writes it.
Test(agent, metrics_page_is_current)
{
    _cleanup_free_ char *page = read_whole_file("docs/METRICS.md"), *listed = NULL;
    if (!page)
        cr_skip_test("docs/METRICS.md is not here");
    cr_assert_eq(run_captured(&listed, agent_path(), "list", "metrics", "--format", "markdown", NULL), 0,
                 "%s", listed);
    size_t rows = rows_of(listed);
    char *rest = listed;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (strncmp(line, "| `", 3) == 0)
            cr_expect(strstr(page, line), "make docs: the page does not have\n%s", line);
    cr_expect_gt(rows, 50);
    // An older kernel may not have all of it.
    if (kernel_at_least(6, 12))
        cr_expect_eq(rows_of(page), rows, "make docs: the page has what there is no more");
}
