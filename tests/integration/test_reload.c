// Other rules while the agent runs: by a signal, and by what editors and Kubernetes do to rule files.
#include "harness.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

TestSuite(reload, TEST_SUITE);

#define CAPABILITIES_ALWAYS (1ull << 2 | 1ull << 19 | 1ull << 39) // DAC_READ_SEARCH, SYS_PTRACE, BPF

static const char connect_rule[] = "- rule: connected\n"
                                   "  desc: a connection to a port of ours\n"
                                   "  condition: evt.type = connect and fd.sport = 4747\n"
                                   "  output: \"%fd.sip\"\n"
                                   "  priority: NOTICE\n";

// As editors do: a new file in the place of the old one.
static void replace_file(const char *path, const char *text)
{
    const char *fresh = format_text("%s.new", path);
    write_file(fresh, text);
    cr_assert_eq(rename(fresh, path), 0);
}

static double reloads(struct agent *agent, const char *result)
{
    return agent_metric(agent, "inferscope_rule_reloads_total", "result", result, NULL);
}

static void wait_reloads(struct agent *agent, const char *result, double count)
{
    time_t deadline = time(NULL) + DEADLINE_S;
    while (reloads(agent, result) < count && time(NULL) < deadline)
        ;
    cr_assert_eq(reloads(agent, result), count, "%s: %.0f instead of %.0f; it said: %s", result,
                 reloads(agent, result), count, agent_stderr(agent));
}

static double rule_count(struct agent *agent)
{
    return agent_metric(agent, "inferscope_rules", NULL);
}

static unsigned long long capabilities(struct agent *agent, const char *which)
{
    _cleanup_free_ char *status = read_whole_file(format_text("/proc/%d/status", agent_pid(agent)));
    const char *line = status ? strstr(status, which) : NULL;
    cr_assert(line);
    return strtoull(line + strlen(which), NULL, 16);
}

Test(reload, a_new_rule_brings_its_source_and_its_end_takes_it_down)
{
    const char *watched = test_path("watched"), *rules = test_path("rules.yaml");
    const char *first = open_rule("opened", watched);
    write_file(watched, "x");
    write_file(rules, first);
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--rules", rules, NULL);
    const char *up = "inferscope_source_up";
    cr_expect(isnan(agent_metric(agent, up, "source", "connect", NULL)));
    open_once(watched);
    agent_wait_count(agent, "opened", 1);

    replace_file(rules, format_text("%s%s", first, connect_rule));
    wait_reloads(agent, "ok", 1);
    cr_expect_eq(agent_metric(agent, up, "source", "connect", NULL), 1);
    cr_expect_eq(rule_count(agent), 2);
    run_program(actor_copy("caller"), "connect", "127.0.0.1", "4747", NULL);
    agent_wait_alert(agent, "connected", "fd.sip", "127.0.0.1", NULL);
    open_once(watched);
    agent_wait_count(agent, "opened", 2);
    cr_expect_eq(agent_metric(agent, "inferscope_alerts_total", "rule", "opened", NULL), 2,
                 "a rule that stays goes on counting");
    cr_expect_eq(capabilities(agent, "CapEff:\t"), CAPABILITIES_ALWAYS, "raised only while reloading");

    replace_file(rules, first);
    wait_reloads(agent, "ok", 2);
    cr_expect(isnan(agent_metric(agent, up, "source", "connect", NULL)));
    cr_expect(isnan(agent_metric(agent, "inferscope_alerts_total", "rule", "connected", NULL)));
    cr_expect_eq(agent_metric(agent, "inferscope_alerts_total", "rule", "opened", NULL), 2);
    run_program(actor_copy("caller"), "connect", "127.0.0.1", "4747", NULL);
    open_once(watched);
    agent_wait_count(agent, "opened", 3);
    cr_expect_eq(agent_count_alerts(agent, "connected", NULL), 1);
    cr_expect_eq(reloads(agent, "failed"), 0);
}

static const char *rename_rule(const char *name, const char *from, const char *output)
{
    return format_text("- rule: %s\n"
                       "  desc: the file was renamed\n"
                       "  condition: evt.type in (rename, renameat, renameat2) and fs.path.source = %s\n"
                       "  output: \"%s\"\n"
                       "  priority: NOTICE\n",
                       name, from, output);
}

static void rename_there_and_back(const char *from, const char *to)
{
    cr_assert_eq(rename(from, to), 0);
    cr_assert_eq(rename(to, from), 0);
}

// Rules of one source come and go while others of the same source stay.
Test(reload, changes_of_files_follow_the_rules)
{
    const char *one = test_path("one"), *two = test_path("two"), *other = test_path("other");
    const char *rules = test_path("rules.yaml"), *opened = open_rule("opened", one);
    const char *up = "inferscope_source_up";
    const char *first = rename_rule("first", one, "%fs.path.target");
    write_file(one, "x");
    write_file(two, "x");
    write_file(rules, opened);
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--rules", rules, NULL);
    cr_expect(isnan(agent_metric(agent, up, "source", "inode", NULL)));

    replace_file(rules, format_text("%s%s", opened, first));
    wait_reloads(agent, "ok", 1);
    cr_expect_eq(agent_metric(agent, up, "source", "inode", NULL), 1);
    rename_there_and_back(two, other);
    rename_there_and_back(one, other);
    agent_wait_alert(agent, "first", "fs.path.target", other, NULL);

    replace_file(rules, format_text("%s%s%s", opened, first, rename_rule("second", two, "%fs.path.target")));
    wait_reloads(agent, "ok", 2);
    rename_there_and_back(one, other);
    rename_there_and_back(two, other);
    agent_wait_count(agent, "first", 2);
    agent_wait_count(agent, "second", 1);

    replace_file(rules, opened);
    wait_reloads(agent, "ok", 3);
    cr_expect(isnan(agent_metric(agent, up, "source", "inode", NULL)));
    rename_there_and_back(one, other);
    open_once(one);
    agent_wait_count(agent, "opened", 1);
    cr_expect_eq(agent_count_alerts(agent, "first", NULL), 2);
    cr_expect_eq(agent_count_alerts(agent, "second", NULL), 1);
    cr_expect_eq(reloads(agent, "failed"), 0);
}

static const char *session_rule(const char *path)
{
    return format_text("- rule: session\n"
                       "  desc: the file was opened\n"
                       "  condition: evt.type in (open, openat) and fd.name = %s\n"
                       "  output: \"%%proc.sid %%proc.pgid %%proc.is_sid_leader\"\n"
                       "  priority: NOTICE\n",
                       path);
}

enum command { OPEN, BEGIN_SESSION };

// Does what it is told until there is nobody to tell it.
static _Noreturn void obey(int in, int out, const char *path)
{
    char byte;
    while (read(in, &byte, 1) == 1) {
        if (byte == BEGIN_SESSION)
            setsid();
        else
            open_once(path);
        if (write(out, &byte, 1) != 1)
            _exit(1);
    }
    _exit(0);
}

static void command(int in, int out, enum command what)
{
    char byte = (char)what;
    cr_assert_eq(write(in, &byte, 1), 1);
    cr_assert_eq(read(out, &byte, 1), 1);
}

// Nobody reported the new session, because no rule read it then.
Test(reload, a_session_that_changed_meanwhile_is_known)
{
    const char *watched = test_path("watched"), *rules = test_path("rules.yaml");
    int commands[2], done[2];
    write_file(watched, "x");
    write_file(rules, session_rule(watched));
    cr_assert(pipe2(commands, O_CLOEXEC) == 0 && pipe2(done, O_CLOEXEC) == 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        close(commands[1]);
        obey(commands[0], done[1], watched);
    }
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--rules", rules, NULL);
    command(commands[1], done[0], OPEN);
    agent_wait_alert(agent, "session", "proc.is_sid_leader", "false", NULL);

    replace_file(rules, open_rule("opened", watched));
    wait_reloads(agent, "ok", 1);
    command(commands[1], done[0], BEGIN_SESSION);
    replace_file(rules, session_rule(watched));
    wait_reloads(agent, "ok", 2);
    command(commands[1], done[0], OPEN);
    const char *number = format_text("%d", pid);
    agent_wait_alert(agent, "session", "proc.sid", number, "proc.pgid", number, "proc.is_sid_leader", "true",
                     NULL);
    close(commands[1]);
    cr_expect_eq(wait_for_exit(pid), 0);
    close(commands[0]);
    close(done[0]);
    close(done[1]);
}

Test(reload, a_broken_file_keeps_the_old_rules)
{
    const char *watched = test_path("watched"), *rules = test_path("rules.yaml");
    const char *good = open_rule("opened", watched);
    write_file(watched, "x");
    write_file(rules, good);
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--rules", rules, NULL);
    cr_expect_eq(agent_metric(agent, "inferscope_rules_last_reload_successful", NULL), 1);
    double loaded = agent_metric(agent, "inferscope_rules_last_reload_success_timestamp_seconds", NULL);
    cr_expect_gt(loaded, 1e9);

    replace_file(rules, "- rule: x\n  desc: d\n  condition: proc.nam = x\n  output: x\n  priority: NOTICE\n");
    wait_reloads(agent, "failed", 1);
    agent_wait_said(agent, "rules.yaml:3:14: error: unknown field \"proc.nam\"");
    agent_wait_said(agent, "stay in use");
    cr_expect_eq(agent_metric(agent, "inferscope_rules_last_reload_successful", NULL), 0);
    cr_expect_eq(agent_metric(agent, "inferscope_rules_last_reload_success_timestamp_seconds", NULL), loaded);
    open_once(watched);
    agent_wait_count(agent, "opened", 1);

    // One that is not there is not even tried.
    cr_assert_eq(unlink(rules), 0);
    open_once(watched);
    agent_wait_count(agent, "opened", 2);
    replace_file(rules, open_rule("again", watched));
    wait_reloads(agent, "ok", 1);
    open_once(watched);
    agent_wait_count(agent, "again", 1);
    cr_expect_eq(reloads(agent, "failed"), 1);
    cr_expect_eq(agent_metric(agent, "inferscope_rules_last_reload_successful", NULL), 1);
    cr_expect_gt(agent_metric(agent, "inferscope_rules_last_reload_success_timestamp_seconds", NULL), loaded);
}

Test(reload, older_rules_are_in_use_while_a_file_is_gone)
{
    const char *watched = test_path("watched"), *rules = test_path("rules.yaml"), *away = test_path("away");
    const char *metric = "inferscope_rules_last_reload_successful";
    write_file(watched, "x");
    write_file(rules, open_rule("opened", watched));
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--rules", rules, NULL);
    cr_expect_eq(agent_metric(agent, metric, NULL), 1);
    time_t deadline = time(NULL) + DEADLINE_S;
    cr_assert_eq(rename(rules, away), 0);
    while (agent_metric(agent, metric, NULL) != 0 && time(NULL) < deadline)
        ;
    cr_expect_eq(agent_metric(agent, metric, NULL), 0);
    cr_expect_eq(reloads(agent, "failed"), 0);
    cr_assert_eq(rename(away, rules), 0);
    wait_reloads(agent, "ok", 1);
    cr_expect_eq(agent_metric(agent, metric, NULL), 1);
}

Test(reload, by_a_signal_though_nothing_has_changed)
{
    const char *watched = test_path("watched"), *rules = test_path("rules.yaml");
    write_file(watched, "x");
    write_file(rules, open_rule("opened", watched));
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--rules", rules, NULL);
    for (int i = 1; i <= 3; i++) {
        kill(agent_pid(agent), SIGHUP);
        wait_reloads(agent, "ok", i);
        open_once(watched);
        agent_wait_count(agent, "opened", (size_t)i);
    }
    agent_wait_said(agent, "agent: SIGHUP: the rules are loaded again");
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// False where writing took so long that the agent may take the writer for one that has left the file so.
static bool written_in_place(void)
{
    const char *watched = test_path("watched"), *rules = test_path("rules.yaml");
    write_file(watched, "x");
    write_file(rules, open_rule("before", watched));
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--rules", rules, NULL);
    const char *text = open_rule("after", watched);
    double begin = seconds();
    int fd = open(rules, O_WRONLY | O_TRUNC | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, 10), 10);
    // The agent has seen what was written by the time that it answers this.
    open_once(watched);
    agent_wait_count(agent, "before", 1);
    cr_assert_eq(write(fd, text + 10, strlen(text) - 10), (ssize_t)strlen(text) - 10);
    close(fd);
    if (seconds() - begin >= 1) // between two of its ticks, which have to find the file alike
        return false;
    wait_reloads(agent, "ok", 1);
    cr_expect_eq(reloads(agent, "failed"), 0);
    open_once(watched);
    agent_wait_count(agent, "after", 1);
    return true;
}

// Half a file is no rule file: it is read when its writer has closed it.
Test(reload, a_file_that_is_written_in_place)
{
    while (!written_in_place())
        ;
}

Test(reload, files_come_to_a_directory_and_go)
{
    const char *watched = test_path("watched"), *rules = test_path("rules.d");
    write_file(watched, "x");
    cr_assert_eq(mkdir(rules, 0755), 0);
    write_file(format_text("%s/a.yaml", rules), open_rule("first", watched));
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--rules", rules, "--rule-matching", "all", NULL);
    write_file(format_text("%s/notes.txt", rules), "not a rule file");
    write_file(format_text("%s/b.yaml", rules), open_rule("second", watched));
    wait_reloads(agent, "ok", 1);
    open_once(watched);
    agent_wait_count(agent, "first", 1);
    agent_wait_count(agent, "second", 1);
    cr_assert_eq(unlink(format_text("%s/a.yaml", rules)), 0);
    wait_reloads(agent, "ok", 2);
    cr_expect_eq(rule_count(agent), 1);

    // The whole directory is exchanged.
    const char *other = test_path("other.d");
    cr_assert_eq(mkdir(other, 0755), 0);
    write_file(format_text("%s/c.yaml", other), open_rule("third", watched));
    cr_assert_eq(renameat2(AT_FDCWD, other, AT_FDCWD, rules, RENAME_EXCHANGE), 0);
    wait_reloads(agent, "ok", 3);
    open_once(watched);
    agent_wait_count(agent, "third", 1);
    cr_expect_eq(agent_count_alerts(agent, "second", NULL), 1);
}

// As the kubelet writes a ConfigMap: ..data leads to a directory of its own for each version.
static void put_version(const char *volume, unsigned version, const char *rules)
{
    const char *directory = format_text("%s/..%u", volume, version),
               *link = format_text("%s/..data_tmp", volume);
    cr_assert_eq(mkdir(directory, 0755), 0);
    write_file(format_text("%s/a.yaml", directory), rules);
    cr_assert_eq(symlink(format_text("..%u", version), link), 0);
    cr_assert_eq(rename(link, format_text("%s/..data", volume)), 0);
    if (version > 1) {
        unlink(format_text("%s/..%u/a.yaml", volume, version - 1));
        rmdir(format_text("%s/..%u", volume, version - 1));
    }
}

static void config_map(bool by_directory)
{
    const char *watched = test_path("watched"), *volume = test_path("volume");
    write_file(watched, "x");
    cr_assert_eq(mkdir(volume, 0755), 0);
    put_version(volume, 1, open_rule("v1", watched));
    const char *file = format_text("%s/a.yaml", volume);
    cr_assert_eq(symlink("..data/a.yaml", file), 0);
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--rules", by_directory ? volume : file, NULL);
    for (unsigned version = 2; version <= 4; version++) {
        put_version(volume, version, open_rule(format_text("v%u", version), watched));
        wait_reloads(agent, "ok", version - 1);
        open_once(watched);
        agent_wait_count(agent, format_text("v%u", version), 1);
    }
    cr_expect_eq(reloads(agent, "ok"), 3, "once for each version");
    cr_expect_eq(reloads(agent, "failed"), 0);
}

Test(reload, a_config_map_that_is_named_by_its_directory)
{
    config_map(true);
}

Test(reload, a_config_map_that_is_named_by_its_file)
{
    config_map(false);
}

Test(reload, it_can_be_given_up_for_good)
{
    const char *watched = test_path("watched"), *rules = test_path("rules.yaml");
    write_file(watched, "x");
    write_file(rules, open_rule("opened", watched));
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--rules", rules, "--no-reload", NULL);
    cr_expect_eq(capabilities(agent, "CapPrm:\t"), CAPABILITIES_ALWAYS);
    cr_expect_eq(capabilities(agent, "CapBnd:\t") & ~CAPABILITIES_ALWAYS, 0);
    replace_file(rules, open_rule("changed", watched));
    kill(agent_pid(agent), SIGHUP);
    agent_wait_said(agent, "SIGHUP: nothing is loaded again (--no-reload)");
    open_once(watched);
    agent_wait_count(agent, "opened", 1);
}

Test(reload, what_it_needs_is_kept_without_effect)
{
    _cleanup_agent_ struct agent *agent = agent_start(open_rule("opened", "/nowhere"), NULL);
    cr_expect_eq(capabilities(agent, "CapEff:\t"), CAPABILITIES_ALWAYS);
    cr_expect_eq(capabilities(agent, "CapPrm:\t"), CAPABILITIES_ALWAYS | capabilities_for_reload());
    cr_expect_eq(capabilities(agent, "CapInh:\t"), 0);
}

// Shared with the storm: how often it has opened the file, and how often it may.
struct storm {
    unsigned opened, allowed;
};

// So many opens fit into the ring of that size, with some 250 bytes each, however long the agent does not
// run.
enum { STORM_RING_MIB = 64, STORM_AHEAD = 100000 };

// Opens both names in turn until its standard input ends.
static _Noreturn void open_in_a_storm(const char *name, const char *link, int in, struct storm *storm)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    fcntl(in, F_SETFL, O_NONBLOCK);
    const struct timespec pace = {.tv_nsec = 20000};
    unsigned opened = 0;
    char byte;
    while (read(in, &byte, 1) != 0) {
        if (opened < __atomic_load_n(&storm->allowed, __ATOMIC_SEQ_CST)) {
            int fd = open(opened % 2 ? link : name, O_RDONLY | O_CLOEXEC);
            if (fd < 0)
                _exit(1);
            close(fd);
            __atomic_store_n(&storm->opened, ++opened, __ATOMIC_SEQ_CST);
        }
        nanosleep(&pace, NULL);
    }
    _exit(0);
}

// All that was opened until now has come, so that the ring has room for as much again.
static void let_storm_go_on(struct agent *agent, struct storm *storm)
{
    unsigned opened = __atomic_load_n(&storm->opened, __ATOMIC_SEQ_CST);
    agent_wait_count(agent, "opened", opened);
    __atomic_store_n(&storm->allowed, opened + STORM_AHEAD, __ATOMIC_SEQ_CST);
}

// The sources come and go, the filter of paths opens and closes, the rules change: each open alerts once.
Test(reload, no_open_is_lost_and_none_seen_twice)
{
    const char *watched = test_path("watched"), *link = test_path("link"), *rules = test_path("rules.yaml");
    write_file(watched, "x");
    cr_assert_eq(linkat(AT_FDCWD, watched, AT_FDCWD, link, 0), 0);
    const char *opened = open_rule("opened", watched);
    const char *versions[] = {
        format_text("%s%s", opened, connect_rule),
        format_text("%s%s", open_rule("other", "/nowhere/at/all"), opened),
        // Any path, so the kernel's filter is off meanwhile.
        format_text("%s- rule: any path\n"
                    "  desc: none has this name\n"
                    "  condition: evt.type in (open, openat) and fd.name endswith /no/such/name/anywhere\n"
                    "  output: x\n"
                    "  priority: NOTICE\n",
                    opened),
        opened,
    };
    write_file(rules, opened);
    _cleanup_agent_ struct agent *agent =
        agent_start(NULL, "--rules", rules, "--ring-size", format_text("%d", STORM_RING_MIB), NULL);
    struct storm *storm =
        mmap(NULL, sizeof(*storm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(storm, MAP_FAILED);
    storm->allowed = STORM_AHEAD;
    int in[2];
    cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        close(in[1]);
        open_in_a_storm(watched, link, in[0], storm);
    }
    agent_wait_count(agent, "opened", 100);
    for (int i = 0; i < 20; i++) {
        let_storm_go_on(agent, storm);
        if (i % 5 == 4)
            kill(agent_pid(agent), SIGHUP);
        else
            replace_file(rules, versions[i % ARRAY_SIZE(versions)]);
        wait_reloads(agent, "ok", i + 1);
    }
    close(in[1]);
    cr_assert_eq(wait_for_exit(pid), 0);
    unsigned count = storm->opened;
    // The ring keeps the order, so what comes behind the storm has all of it before.
    replace_file(rules, format_text("%s%s", opened, open_rule("behind", agent_path())));
    wait_reloads(agent, "ok", 21);
    open_once(agent_path());
    agent_wait_count(agent, "opened", count);
    cr_expect_eq(agent_count_alerts(agent, "opened", NULL), count);
    cr_expect_eq(agent_metric(agent, "inferscope_alerts_total", "rule", "opened", NULL), count);
    cr_expect_eq(agent_metric(agent, "inferscope_records_lost_total", "source", "file", NULL), 0);
    cr_expect_eq(reloads(agent, "failed"), 0);
    close(in[0]);
}
