// Alerts arrive, whatever dies, fills up or is damaged on the way.
#include "delivery.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

TestSuite(delivery, TEST_SUITE, .timeout = 900);

static void wait_metric(struct agent *agent, const char *name, const char *label, const char *value,
                        double wanted)
{
    double now = NAN;
    for (time_t until = time(NULL) + DEADLINE_S; time(NULL) < until;) {
        now = label ? agent_metric(agent, name, label, value, NULL) : agent_metric(agent, name, NULL);
        if (now == wanted)
            return;
    }
    cr_assert_fail("%s is %f instead of %f; the agent said: %s", name, now, wanted, agent_stderr(agent));
}

static const char *spool_path(void)
{
    return test_path("spool");
}

Test(delivery, an_alert_arrives_everywhere_with_one_name)
{
    struct keeper keeper = {};
    keeper_start(&keeper);
    const char *file = test_path("alerts.json");
    const char *config = delivery_config(
        spool_path(), format_text("%s  - {type: stdout, format: json}\n  - {type: file, path: %s}\n",
                                  delivery_webhook(keeper.port), file));
    _cleanup_agent_ struct agent *agent = agent_start(delivery_rules(), "--config", config, NULL);
    delivery_open(delivery_file(), 3);
    agent_wait_count(agent, "opened", 3);
    delivery_wait_taken(3);
    wait_metric(agent, "inferscope_output_delivered_total", "output", "file", 3);
    _cleanup_arrivals_ struct arrivals taken = {}, written = {};
    arrivals_read_keeper(&taken);
    arrivals_read_file(&written, file);
    cr_expect_eq(taken.count, 3);
    cr_expect_eq(taken.highest, 3);
    cr_expect_eq(written.count, 3);
    for (int i = 1; i <= 3; i++)
        cr_expect_str_eq(taken.uuids[i], written.uuids[i]);
    cr_expect_eq(agent_metric(agent, "inferscope_spool_records", "class", "p1", NULL), 3);
    cr_expect_eq(agent_metric(agent, "inferscope_deliverer_up", NULL), 1);
    keeper_kill(&keeper);
}

Test(delivery, who_delivers_has_no_privileges_and_nothing_else_open)
{
    const char *config = delivery_config(spool_path(), "  - {type: stdout, format: json}\n");
    _cleanup_agent_ struct agent *agent = agent_start(delivery_rules(), "--config", config, NULL);
    pid_t pid = delivery_process(agent);
    wait_metric(agent, "inferscope_output_up", "output", "stdout", 1);
    _cleanup_free_ char *status = read_whole_file(format_text("/proc/%d/status", pid));
    cr_assert(status);
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
    for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
        cr_expect(strstr(status, format_text("%s:\t0000000000000000\n", sets[i])), "%s: %s", sets[i], status);
    cr_expect(strstr(status, "NoNewPrivs:\t1\n"));
    for (int fd = 0; fd < 64; fd++) {
        char target[256] = "";
        if (readlink(format_text("/proc/%d/fd/%d", pid, fd), target, sizeof(target) - 1) > 0)
            cr_expect(!strstr(target, "bpf") && !strstr(target, "socket:"), "%d is %s", fd, target);
    }
    // Its end is not the agent's, and another one takes its place.
    kill(pid, SIGKILL);
    wait_metric(agent, "inferscope_deliverer_restarts_total", NULL, NULL, 1);
    delivery_open(delivery_file(), 1);
    wait_metric(agent, "inferscope_output_delivered_total", "output", "stdout", 1);
    pid = delivery_process(agent);
    status = (free(status), read_whole_file(format_text("/proc/%d/status", pid)));
    cr_expect(strstr(status, "CapPrm:\t0000000000000000\n"), "%s", status);
    cr_expect(strstr(status, "CapEff:\t0000000000000000\n"), "%s", status);
}

// One of the deliverer's descriptors, as code that was smuggled into it could use it.
static int take_descriptor(pid_t pid, int number)
{
    _cleanup_close_ int process = (int)syscall(SYS_pidfd_open, pid, 0);
    int fd = (int)syscall(SYS_pidfd_getfd, process, number, 0);
    cr_assert_geq(fd, 0, "%d: %s", number, strerror(errno));
    return fd;
}

Test(delivery, who_delivers_cannot_hold_up_or_mislead_the_agent)
{
    const char *config = delivery_config(spool_path(), "  - {type: stdout, format: json}\n");
    _cleanup_agent_ struct agent *agent = agent_start(delivery_rules(), "--config", config, NULL);
    pid_t pid = delivery_process(agent);
    wait_metric(agent, "inferscope_output_up", "output", "stdout", 1);
    halt(pid);
    _cleanup_close_ int page = take_descriptor(pid, 4), news = take_descriptor(pid, 5);
    // There is no room for more news, and who has some is to wait.
    uint64_t full = UINT64_MAX - 1;
    fcntl(news, F_SETFL, fcntl(news, F_GETFL) & ~O_NONBLOCK);
    ssize_t filled = write(news, &full, sizeof(full));
    _cleanup_close_ int other = open(format_text("/proc/%d/fd/5", pid), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    while (other >= 0 && filled != 0 && write(other, &full, sizeof(full)) > 0)
        ;
    // Names that would spoil the whole scrape.
    struct stat status;
    cr_assert_eq(fstat(page, &status), 0);
    for (off_t at = 0; at < status.st_size; at++)
        cr_assert_eq(pwrite(page, "\xff", 1, at), 1);
    delivery_open(delivery_file(), 5);
    wait_metric(agent, "inferscope_spool_records", "class", "p1", 5);
    cr_expect_not(isnan(agent_metric(agent, "inferscope_output_up", "output", "stdout", NULL)));
    kill(pid, SIGKILL);
    agent_wait_count(agent, "opened", 5);
    cr_expect_not(isnan(agent_metric(agent, "inferscope_output_up", "output", "stdout", NULL)));
}

Test(delivery, a_parent_that_ignores_its_children_does_not_hide_an_end)
{
    const char *config = delivery_config(spool_path(), "  - {type: stdout, format: json}\n");
    signal(SIGCHLD, SIG_IGN);
    _cleanup_agent_ struct agent *agent = agent_start(delivery_rules(), "--config", config, NULL);
    signal(SIGCHLD, SIG_DFL);
    kill(delivery_process(agent), SIGKILL);
    wait_metric(agent, "inferscope_deliverer_restarts_total", NULL, NULL, 1);
    delivery_open(delivery_file(), 1);
    agent_wait_count(agent, "opened", 1);
}

static double output_metric(struct agent *agent, const char *name, const char *output)
{
    return agent_metric(agent, format_text("inferscope_output_%s", name), "output", output, NULL);
}

Test(delivery, every_alert_is_somewhere)
{
    enum { OPENED = 5, LOOKED = 7 };
    static const char *const places[] = {"delivered_total", "rejected_total", "filtered_total",
                                         "dropped_total", "waiting_records"};
    static const char *const outputs[] = {"stdout", "some", "nobody"};
    static const double wanted[ARRAY_SIZE(outputs)][ARRAY_SIZE(places)] = {
        {OPENED + LOOKED}, {LOOKED, 0, OPENED}, {0, 0, 0, 0, OPENED + LOOKED}};
    struct keeper keeper = {};
    keeper_reserve(&keeper);
    const char *config = delivery_config(
        spool_path(), format_text("  - {type: stdout, format: json}\n"
                                  "  - {name: some, type: file, path: %s, rules: [look*]}\n"
                                  "  - {name: nobody, type: webhook, url: \"http://127.0.0.1:%u/\"}\n",
                                  test_path("some.json"), keeper.port));
    _cleanup_agent_ struct agent *agent = agent_start(delivery_rules(), "--config", config, NULL);
    delivery_open(delivery_file(), OPENED);
    delivery_open(delivery_unwatched(), LOOKED);
    agent_wait_count(agent, "looked", LOOKED);
    for (size_t i = 0; i < ARRAY_SIZE(outputs); i++)
        for (size_t k = 0; k < ARRAY_SIZE(places); k++)
            wait_metric(agent, format_text("inferscope_output_%s", places[k]), "output", outputs[i],
                        wanted[i][k]);
    // Also after another process has taken over, and when outputs have changed their places.
    kill(delivery_process(agent), SIGKILL);
    wait_metric(agent, "inferscope_deliverer_restarts_total", NULL, NULL, 1);
    delivery_config(spool_path(),
                    format_text("  - {name: nobody, type: webhook, url: \"http://127.0.0.1:%u/\"}\n"
                                "  - {name: some, type: file, path: %s, rules: [look*]}\n"
                                "  - {type: stdout, format: json}\n",
                                keeper.port, test_path("some.json")));
    kill(agent_pid(agent), SIGHUP);
    wait_metric(agent, "inferscope_deliverer_restarts_total", NULL, NULL, 2);
    for (size_t i = 0; i < ARRAY_SIZE(outputs); i++) {
        double sum = 0;
        for (size_t k = 0; k < ARRAY_SIZE(places); k++)
            sum += output_metric(agent, places[k], outputs[i]);
        cr_expect_eq(sum, OPENED + LOOKED, "%s: %f", outputs[i], sum);
    }
}

Test(delivery, signals_for_files_do_not_end_the_agent)
{
    _cleanup_agent_ struct agent *agent = agent_start(delivery_rules(), NULL);
    kill(agent_pid(agent), SIGUSR1);
    kill(agent_pid(agent), SIGUSR2);
    delivery_open(delivery_file(), 1);
    agent_wait_count(agent, "opened", 1);
}

Test(delivery, files_that_were_moved_away_begin_anew)
{
    const char *file = test_path("alerts.json");
    const char *config = delivery_config(spool_path(), format_text("  - {type: file, path: %s}\n", file));
    _cleanup_agent_ struct agent *agent = agent_start(delivery_rules(), "--config", config, NULL);
    delivery_open(delivery_file(), 1);
    wait_metric(agent, "inferscope_output_delivered_total", "output", "file", 1);
    const char *moved = test_path("alerts.json.1"), *moved_log = test_path("audit.log.1");
    cr_assert_eq(rename(file, moved), 0);
    cr_assert_eq(rename(delivery_audit_log(), moved_log), 0);
    kill(agent_pid(agent), SIGUSR1);
    for (time_t until = time(NULL) + DEADLINE_S; access(delivery_audit_log(), F_OK) && time(NULL) < until;)
        ;
    delivery_open(delivery_file(), 1);
    wait_metric(agent, "inferscope_output_delivered_total", "output", "file", 2);
    _cleanup_arrivals_ struct arrivals old = {}, new = {};
    arrivals_read_file(&old, moved);
    arrivals_read_file(&new, file);
    cr_expect_eq(old.highest, 1);
    cr_expect_eq(new.highest, 2);
    cr_expect_eq(new.count, 1);
    _cleanup_free_ char *said = NULL;
    cr_expect_eq(run_captured(&said, agent_path(), "audit", "verify", moved_log, delivery_audit_log(), NULL),
                 0, "%s", said);
}

Test(delivery, an_agent_that_cannot_keep_alerts_does_not_start)
{
    const char *outputs = "  - {type: stdout, format: json}\n", *rules = test_path("own.yaml");
    write_file(rules, delivery_rules());
    write_file(spool_path(), "a file");
    _cleanup_free_ char *said = NULL, *busy = NULL, *log = NULL;
    const char *config = delivery_config(spool_path(), outputs);
    int code =
        run_captured(&said, agent_path(), "--rules", rules, "--config", config, "--listen", "none", NULL);
    cr_expect_eq(code, 1);
    cr_expect(strstr(said, "cannot keep alerts in ") && strstr(said, ": Not a directory"), "%s", said);

    config = delivery_config(test_path("other"), outputs);
    _cleanup_agent_ struct agent *agent = agent_start(delivery_rules(), "--config", config, NULL);
    const char *second = test_path("second.yaml");
    write_file(second, format_text("spool: {directory: %s}\noutputs:\n%s", test_path("other"), outputs));
    code = run_captured(&busy, agent_path(), "--rules", rules, "--config", second, "--listen", "none", NULL);
    cr_expect_eq(code, 1);
    cr_expect(strstr(busy, "another agent does"), "%s", busy);
    write_file(second, format_text("audit: {path: %s}\n", delivery_audit_log()));
    code = run_captured(&log, agent_path(), "--rules", rules, "--config", second, "--listen", "none", NULL);
    cr_expect_eq(code, 1);
    cr_expect(strstr(log, "another agent does"), "%s", log);
}

// --- The audit log ---

static void expect_line(const char *log, const char *part)
{
    cr_expect(strstr(log, part), "no %s in:\n%s", part, log);
}

Test(delivery, the_audit_log_tells_what_happened)
{
    const char *config = delivery_config(spool_path(), "  - {type: stdout, format: json}\n");
    const char *rules = test_path("rules.yaml");
    write_file(rules, delivery_rules());
    struct agent *agent = agent_start(NULL, "--rules", rules, "--config", config, NULL);
    delivery_open(delivery_file(), 1);
    agent_wait_count(agent, "opened", 1);
    write_file(test_path("broken"), "- rule: x\n");
    cr_assert_eq(rename(test_path("broken"), rules), 0);
    wait_metric(agent, "inferscope_rule_reloads_total", "result", "failed", 1);
    write_file(test_path("fresh"), format_text("%s- rule: connected\n"
                                               "  desc: takes another source\n"
                                               "  condition: evt.type = connect and fd.sport = 4747\n"
                                               "  output: x\n"
                                               "  priority: NOTICE\n",
                                               delivery_rules()));
    char *said = NULL;
    cr_assert_eq(run_captured(&said, "sha256sum", test_path("fresh"), NULL), 0);
    const char *hash = format_text("\"sha256\":\"%.64s\"", said);
    free(said);
    cr_assert_eq(rename(test_path("fresh"), rules), 0);
    wait_metric(agent, "inferscope_rule_reloads_total", "result", "ok", 1);
    kill(delivery_process(agent), SIGKILL);
    wait_metric(agent, "inferscope_deliverer_restarts_total", NULL, NULL, 1);
    double entries = agent_metric(agent, "audit_log_entries_total", NULL);
    agent_stop(agent);

    _cleanup_free_ char *log = read_whole_file(delivery_audit_log());
    size_t lines = 0;
    for (const char *at = log; (at = strchr(at, '\n')); at++)
        lines++;
    cr_expect_eq(lines, entries + 1, "and the stop");
    expect_line(log, "\"event\":\"start\",\"version\":\"");
    expect_line(log, "\"next_sequence\":1");
    expect_line(log, "\"event\":\"config_loaded\",\"sha256\":\"");
    expect_line(log, "\"outputs\":[\"stdout\"]");
    expect_line(log, "\"event\":\"rules_loaded\",\"rules\":2");
    expect_line(log, "\"event\":\"source_up\",\"source\":\"file\"");
    expect_line(log, "\"event\":\"alert\",\"rule\":\"opened\",\"priority\":\"Critical\"");
    expect_line(log, "\"event\":\"rules_not_loaded\",\"why\":\"the rules have errors\"");
    expect_line(log, "\"event\":\"rules_loaded\",\"rules\":3");
    expect_line(log, hash);
    expect_line(log, "\"event\":\"source_up\",\"source\":\"connect\"");
    expect_line(log, "\"event\":\"deliverer_ended\",\"how\":\"signal 9\"");
    expect_line(log, "\"event\":\"deliverer_started\"");
    expect_line(log, "\"event\":\"stop\",\"why\":\"SIGTERM\"");

    _cleanup_free_ char *good = NULL, *bad = NULL;
    cr_expect_eq(run_captured(&good, agent_path(), "audit", "verify", delivery_audit_log(), NULL), 0, "%s",
                 good);
    *strstr(log, "\"Critical\"") = 'x';
    write_file(delivery_audit_log(), log);
    cr_expect_eq(run_captured(&bad, agent_path(), "audit", "verify", delivery_audit_log(), NULL), 1);
    cr_expect(strstr(bad, "it is not what its hash was made of"), "%s", bad);
}

// --- Damage ---

Test(delivery, what_is_damaged_while_it_waits_costs_only_itself)
{
    struct keeper keeper = {};
    keeper_reserve(&keeper);
    const char *config = delivery_config(spool_path(), delivery_webhook(keeper.port));
    _cleanup_agent_ struct agent *agent = agent_start(delivery_rules(), "--config", config, NULL);
    pid_t deliverer = delivery_process(agent);
    wait_metric(agent, "inferscope_output_up", "output", "webhook", 1);
    // It must not have read them before they are damaged.
    halt(deliverer);
    delivery_open(delivery_file(), 20);
    wait_metric(agent, "inferscope_spool_records", "class", "p1", 20);
    _cleanup_close_ int fd = open(test_path("spool/p1.%020d", 0), O_RDWR | O_CLOEXEC);
    struct stat status;
    cr_assert(fd >= 0 && fstat(fd, &status) == 0);
    cr_assert_eq(pwrite(fd, "?", 1, status.st_size / 2), 1);
    keeper_start(&keeper);
    kill(deliverer, SIGCONT);
    wait_metric(agent, "inferscope_output_delivered_total", "output", "webhook", 19);
    wait_metric(agent, "inferscope_output_dropped_total", "output", "webhook", 1);
    _cleanup_arrivals_ struct arrivals taken = {};
    arrivals_read_keeper(&taken);
    cr_expect_eq(taken.count, 19);
    cr_expect_eq(taken.highest, 20);
    keeper_kill(&keeper);
}

// --- A full disk ---

// Alerts that are not lost: of those that were raised without those that did not get into the spool or had
// gone from it before this output read them.
static uint64_t not_lost(struct agent *agent)
{
    _cleanup_free_ char *page = http_get(agent_port(agent), "/metrics");
    double lost = metric_of(page, "inferscope_alerts_lost_total", "sink", "spool", NULL) +
                  metric_of(page, "inferscope_output_dropped_total", "output", "webhook", NULL);
    cr_expect_leq(lost, metric_of(page, "inferscope_spool_dropped_total", NULL));
    return (uint64_t)(metric_of(page, "inferscope_alerts_total", NULL) - lost);
}

// Waits until all of these have arrived, and says how many: who delivers tells how far it has come before it
// tells what it has missed on the way, and what counts as lost too late would here count as on its way.
static uint64_t wait_arrived(struct agent *agent)
{
    uint64_t wanted = 0, taken = UINT64_MAX;
    for (time_t until = time(NULL) + DEADLINE_S; taken != wanted && time(NULL) < until;) {
        _cleanup_arrivals_ struct arrivals arrivals = {};
        wanted = not_lost(agent);
        arrivals_read_keeper(&arrivals);
        taken = arrivals.count;
    }
    cr_assert_eq(taken, wanted);
    return taken;
}

Test(delivery, on_a_full_disk_the_least_grave_are_dropped_and_counted)
{
    // A file system of its own, which only this test and its agent see.
    const char *small = test_path("small");
    cr_assert_eq(mkdir(small, 0700), 0);
    cr_assert_eq(unshare(CLONE_NEWNS), 0);
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    cr_assert_eq(mount("none", small, "tmpfs", 0, "size=1m"), 0);
    struct keeper keeper = {};
    keeper_reserve(&keeper);
    const char *config = delivery_config(test_path("small/spool"), delivery_webhook(keeper.port));
    _cleanup_agent_ struct agent *agent = agent_start(delivery_rules(), "--config", config, NULL);
    wait_metric(agent, "inferscope_output_up", "output", "webhook", 1);
    const char *dropped = "inferscope_spool_dropped_total";
    for (time_t until = time(NULL) + DEADLINE_S; time(NULL) < until;) {
        delivery_open(delivery_unwatched(), 100);
        if (agent_metric(agent, dropped, "reason", "disk_full", NULL) > 0)
            break;
    }
    cr_assert_gt(agent_metric(agent, dropped, "reason", "disk_full", "class", "p4", NULL), 0);
    // From one page: the last of these alerts may be made between two.
    _cleanup_free_ char *page = http_get(agent_port(agent), "/metrics");
    cr_expect_eq(metric_of(page, "inferscope_alerts_lost_total", "sink", "spool", NULL),
                 metric_of(page, dropped, "reason", "disk_full", NULL));
    // The gravest find room where the others were.
    delivery_open(delivery_file(), 50);
    wait_metric(agent, "inferscope_alerts_total", "rule", "opened", 50);
    cr_expect_eq(agent_metric(agent, dropped, "class", "p1", NULL), 0, "%s", agent_stderr(agent));
    cr_expect_eq(agent_metric(agent, "inferscope_spool_records", "class", "p1", NULL), 50);

    // What is delivered makes room again; each alert has arrived or was counted.
    keeper_start(&keeper);
    wait_metric(agent, "inferscope_output_waiting_records", "output", "webhook", 0);
    uint64_t arrived = wait_arrived(agent);
    delivery_open(delivery_unwatched(), 1);
    delivery_wait_taken(arrived + 1);
    keeper_kill(&keeper);
}

// --- Chaos ---

enum { CHAOS_ALERTS = 10000, CHAOS_S = 60, CHAOS_MAX_S = 600 };

// Opens the file again and again until its standard input ends.
static _Noreturn void open_in_a_storm(const char *path, int in)
{
    const struct timespec pace = {.tv_nsec = 2000000};
    char byte;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    fcntl(in, F_SETFL, O_NONBLOCK);
    while (read(in, &byte, 1) != 0) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            _exit(1);
        close(fd);
        nanosleep(&pace, NULL);
    }
    _exit(0);
}

static pid_t start_storm(int *ret_in)
{
    int in[2];
    const char *path = delivery_file();
    cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        close(in[1]);
        open_in_a_storm(path, in[0]);
    }
    close(in[0]);
    *ret_in = in[1];
    return pid;
}

static void wait_sequence(struct agent *agent, uint64_t wanted)
{
    time_t until = time(NULL) + DEADLINE_S;
    while (delivery_last_sequence() < wanted && time(NULL) < until)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    cr_assert_geq(delivery_last_sequence(), wanted, "the agent said: %s", agent_stderr(agent));
}

// However much waits, and however slow the receiver is: as long as it gets less within the deadline.
static void wait_delivered(struct agent *agent, const char *output)
{
    const char *name = "inferscope_output_waiting_records";
    double least = INFINITY;
    for (time_t until = time(NULL) + DEADLINE_S; least > 0 && time(NULL) < until;) {
        double now = agent_metric(agent, name, "output", output, NULL);
        if (now < least)
            until = time(NULL) + DEADLINE_S;
        least = fmin(least, now);
    }
    cr_assert_eq(least, 0, "%s: %.0f wait; the agent said: %s", output, least, agent_stderr(agent));
}

// What the audit log says of alerts; a line for one that was not kept would be there, too.
static void read_audit(struct arrivals *arrivals)
{
    _cleanup_fclose_ FILE *file = fopen(delivery_audit_log(), "re");
    _cleanup_free_ char *line = NULL;
    size_t capacity = 0;
    cr_assert(file);
    cr_assert_leq(delivery_last_sequence(), UINT64_C(1) << 32);
    arrivals->capacity = delivery_last_sequence() + 1;
    arrivals->uuids = calloc(arrivals->capacity, sizeof(*arrivals->uuids));
    while (getline(&line, &capacity, file) > 0) {
        json_t *entry = json_loads(line, 0, NULL);
        cr_assert(entry, "%s", line);
        const char *event = json_string_value(json_object_get(entry, "event"));
        cr_expect(strcmp(event, "alert_lost") != 0, "%s", line);
        uint64_t sequence = (uint64_t)json_integer_value(json_object_get(entry, "sequence"));
        if (strcmp(event, "alert") == 0) {
            cr_assert(sequence > 0 && sequence < arrivals->capacity);
            cr_expect_eq(arrivals->uuids[sequence][0], '\0', "%" PRIu64 " is there twice", sequence);
            strcpy(arrivals->uuids[sequence], json_string_value(json_object_get(entry, "uuid")));
            arrivals->count++;
        }
        json_decref(entry);
    }
}

static void expect_all(const char *where, const struct arrivals *come, const struct arrivals *noted,
                       uint64_t last)
{
    uint64_t missing = 0;
    for (uint64_t i = 1; i <= last; i++) {
        missing += i >= come->capacity || !come->uuids[i][0];
        if (i < come->capacity && i < noted->capacity && noted->uuids[i][0])
            cr_expect_str_eq(come->uuids[i], noted->uuids[i], "%s: %" PRIu64, where, i);
    }
    cr_expect_eq(missing, 0, "%s: %" PRIu64 " of %" PRIu64 " are missing", where, missing, last);
    cr_expect_eq(come->highest, last, "%s", where);
}

// The agent, who delivers and the receiver are killed at random while a storm of events makes alerts: each of
// them that the agent has told of arrives at both outputs, and repeats have the same name. An alert that is
// kept just when the agent is killed may be missing from the audit log, but not from the spool.
Test(delivery, no_alert_is_lost_whoever_dies)
{
    struct keeper keeper = {};
    keeper_start(&keeper);
    const char *file = test_path("alerts.json");
    const char *config = delivery_config(
        spool_path(), format_text("%s  - {type: file, path: %s}\n", delivery_webhook(keeper.port), file));
    const char *rules = delivery_rules();
    struct agent *agent = agent_start(rules, "--config", config, NULL);
    int storm_in;
    pid_t storm = start_storm(&storm_in);
    unsigned seed = (unsigned)time(NULL), kills[3] = {};
    time_t begin = time(NULL);
    for (uint64_t sequence = 0;
         (sequence < CHAOS_ALERTS || time(NULL) < begin + CHAOS_S) && time(NULL) < begin + CHAOS_MAX_S;) {
        wait_sequence(agent, sequence + 50 + (unsigned)rand_r(&seed) % 700);
        int victim = rand_r(&seed) % 3;
        kills[victim]++;
        if (victim == 0) {
            agent_kill(agent);
            agent = agent_start(rules, "--config", config, NULL);
        } else if (victim == 1) {
            kill(delivery_process(agent), SIGKILL);
        } else {
            keeper_kill(&keeper);
            wait_sequence(agent, delivery_last_sequence() + (unsigned)rand_r(&seed) % 300);
            keeper_start(&keeper);
        }
        sequence = delivery_last_sequence();
    }
    close(storm_in);
    cr_expect_eq(wait_for_exit(storm), 0);
    uint64_t made = 0;
    do {
        made = delivery_last_sequence();
        wait_delivered(agent, "webhook");
        wait_delivered(agent, "file");
    } while (delivery_last_sequence() != made);
    cr_expect_eq(agent_metric(agent, "inferscope_output_dropped_total", NULL), 0);
    agent_stop(agent);

    _cleanup_arrivals_ struct arrivals taken = {}, written = {}, noted = {};
    arrivals_read_keeper(&taken);
    arrivals_read_file(&written, file);
    read_audit(&noted);
    cr_expect_geq(made, CHAOS_ALERTS);
    expect_all("webhook", &taken, &noted, made);
    expect_all("file", &written, &noted, made);
    cr_expect_leq(made - noted.count, kills[0], "in the audit log %" PRIu64 " of %" PRIu64 " are missing",
                  made - noted.count, made);
    _cleanup_free_ char *said = NULL;
    cr_expect_eq(run_captured(&said, agent_path(), "audit", "verify", delivery_audit_log(), NULL), 0, "%s",
                 said);
    fprintf(stderr,
            "chaos: %" PRIu64
            " alerts in %ld s; killed: agent %u, deliverer %u, receiver %u times; repeats: %" PRIu64
            " at the webhook, %" PRIu64 " in the file\n",
            made, (long)(time(NULL) - begin), kills[0], kills[1], kills[2], taken.repeats, written.repeats);
    keeper_kill(&keeper);
}
