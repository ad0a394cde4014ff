// The agent by its configuration file: what the file says, what the command line says against it, and other
// words in the file while the agent runs.
#include "deliver.h"
#include "harness.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

TestSuite(config, TEST_SUITE);

// A rule file that has one rule of that name, about a file of that name.
static const char *one_rule(const char *name)
{
    const char *watched = test_path("%s", name), *rules = test_path("%s.rules.yaml", name);
    write_file(watched, "x");
    write_file(rules, open_rule(name, watched));
    return rules;
}

static double reloads(struct agent *agent, const char *result)
{
    return agent_metric(agent, "inferscope_config_reloads_total", "result", result, NULL);
}

// SIGHUP, and until that was answered.
static void hang_up(struct agent *agent, const char *result)
{
    double before = reloads(agent, result);
    kill(agent_pid(agent), SIGHUP);
    time_t deadline = time(NULL) + DEADLINE_S;
    while (reloads(agent, result) == before && time(NULL) < deadline)
        pause_briefly();
    cr_assert_eq(reloads(agent, result), before + 1, "%s; it said: %s", result, agent_stderr(agent));
}

Test(config, file_alone_says_what_options_say)
{
    const char *file = test_path("agent.yaml"), *rules = one_rule("opened");
    write_file(file, format_text("rules: {files: [%s]}\n"
                                 "syscall_latency: [getppid]\n"
                                 "ring_size: 1MiB\n"
                                 "json: true\n",
                                 rules));
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--config", file, NULL);
    open_once(test_path("opened"));
    agent_wait_alert(agent, "opened", "fd.name", test_path("opened"), NULL);
    cr_expect_eq(agent_metric(agent, "inferscope_source_up", "source", "syscall", NULL), 1);
    cr_expect_eq(agent_metric(agent, "inferscope_ring_size_bytes", NULL), 1 << 20);
    cr_expect_eq(agent_metric(agent, "inferscope_config_last_reload_successful", NULL), 1);
}

Test(config, command_line_overrides_the_file)
{
    const char *file = test_path("agent.yaml"), *rules = one_rule("by-file"), *other = one_rule("by-option");
    write_file(file, format_text("json: false\n"
                                 "listen: none\n"
                                 "ring_size: 1MiB\n"
                                 "syscall_latency: [read]\n"
                                 "rules: {files: [%s]}\n",
                                 rules));
    _cleanup_agent_ struct agent *agent =
        agent_start(NULL, "--config", file, "--ring-size", "2", "--syscall-latency=close", other, NULL);
    open_once(test_path("by-file"));
    open_once(test_path("by-option"));
    agent_wait_alert(agent, "by-option", NULL);
    cr_expect_eq(agent_count_alerts(agent, "by-file", NULL), 0);
    cr_expect_eq(agent_metric(agent, "inferscope_ring_size_bytes", NULL), 2 << 20);
    const char *count = "inferscope_syscall_duration_seconds_count";
    cr_expect_not(isnan(agent_metric(agent, count, "syscall", "close", NULL)));
    cr_expect(isnan(agent_metric(agent, count, "syscall", "read", NULL)));
}

static void expect_refused(int wanted, const char *words, const char *argument, const char *value)
{
    _cleanup_free_ char *output = NULL;
    int code = run_captured(&output, agent_path(), "--rules", "--listen", "none", argument, value, NULL);
    cr_expect_eq(code, wanted, "%d: %s", code, output);
    cr_expect(strstr(output, words), "\"%s\" is not in: %s", words, output);
}

Test(config, what_is_wrong_is_refused_with_its_place)
{
    const char *file = test_path("agent.yaml");
    write_file(file, "syscall_latency: [read, nonsense]\n"
                     "inference:\n"
                     "  routes:\n"
                     "    - chat\n"
                     "rings: 1\n");
    expect_refused(1, format_text("%s:1:25: error: there is no system call \"nonsense\" here\n", file),
                   "--config", file);
    expect_refused(1, format_text("%s:4:7: error: \"chat\" is no path", file), "--config", file);
    expect_refused(1, format_text("%s:5:1: error: there is no key \"rings\"", file), "--config", file);
    expect_refused(1, "nothing was started", "--config", file);
    expect_refused(1, "missing.yaml: error: this cannot be read as a configuration file: No such file",
                   "--config", test_path("missing.yaml"));
    expect_refused(1, "it is not a regular file", "--config", test_dir());
    expect_refused(2,
                   "--ring-size is a size from 1MiB to 1GiB, such as 64MiB, not \"0\"; a number counts MiB",
                   "--ring-size", "0");
    expect_refused(
        2,
        "--priority is Emergency, Alert, Critical, Error, Warning, Notice, Informational or Debug, not \"x\"",
        "--priority", "x");
    expect_refused(2, "--color is auto, always or never, not \"x\"", "--color", "x");
    expect_refused(2, "--listen is an address such as", "--listen", "9560");

    _cleanup_free_ char *output = NULL;
    cr_expect_eq(run_captured(&output, agent_path(), "config", "check", file, NULL), 1);
    cr_expect(strstr(output, ":1:25: error:") && strstr(output, ":4:7: error:"), "%s", output);
}

Test(config, host_root_that_is_none_is_refused)
{
    const char *file = test_path("file");
    write_file(file, "");
    expect_refused(1, "No such file or directory", "--host-root", test_path("nowhere"));
    expect_refused(1, "Not a directory", "--host-root", file);
}

Test(config, what_is_shown_is_what_holds)
{
    const char *file = test_path("agent.yaml"), *shown = test_path("shown.yaml");
    write_file(
        file,
        "ring_size: 1MiB\n"
        "outputs:\n"
        "  - {type: splunk, url: 'https://${INFERSCOPE_TEST_HOST}', token: '${INFERSCOPE_TEST_TOKEN}'}\n");
    setenv("INFERSCOPE_TEST_TOKEN", "SESAME", 1);
    setenv("INFERSCOPE_TEST_HOST", "SESAME", 1);
    _cleanup_free_ char *output = NULL, *again = NULL;
    cr_expect_eq(run_captured(&output, agent_path(), "config", "show", "--config", file, "--ring-size", "2",
                              "--disable", "a:b", "one.yaml", NULL),
                 0, "%s", output);
    cr_expect(strstr(output, "ring_size: 2MiB\n") && strstr(output, "- disable: \"a:b\"\n") &&
                  strstr(output, "- \"one.yaml\"\n") &&
                  strstr(output, "token: {env: \"INFERSCOPE_TEST_TOKEN\"}"),
              "%s", output);
    cr_expect_not(strstr(output, "SESAME"), "%s", output);
    write_file(shown, output);
    cr_expect_eq(run_captured(&again, agent_path(), "config", "show", "--config", shown, NULL), 0);
    cr_expect_str_eq(again, output);
}

Test(config, hanging_up_applies_what_can_be)
{
    const char *file = test_path("agent.yaml"), *first = one_rule("first"), *second = one_rule("second");
    write_file(file, format_text("rules: {files: [%s]}\n", first));
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--config", file, NULL);
    open_once(test_path("first"));
    agent_wait_count(agent, "first", 1);

    write_file(file,
               format_text("rules: {files: [%s]}\nring_size: 8MiB\ninference: {enabled: true}\n", second));
    hang_up(agent, "ok");
    agent_wait_said(agent,
                    "these keys of the configuration wait for a restart: ring_size, inference.enabled\n");
    agent_wait_said(agent,
                    "the configuration was read again; changed: ring_size, rules.files, inference.enabled\n");
    open_once(test_path("first"));
    open_once(test_path("second"));
    agent_wait_count(agent, "second", 1);
    cr_expect_eq(agent_count_alerts(agent, "first", NULL), 1);

    // Files that are named only now are followed from now on, and those of before are not.
    write_file(first, "nonsense");
    write_file(second, open_rule("third", test_path("second")));
    open_once(test_path("second"));
    time_t deadline = time(NULL) + DEADLINE_S;
    while (agent_count_alerts(agent, "third", NULL) == 0 && time(NULL) < deadline) {
        open_once(test_path("second"));
        pause_briefly();
    }
    agent_wait_alert(agent, "third", NULL);

    // Another time, with the same rules, and their file broken: that is the file's fault.
    write_file(file, format_text("rules: {files: [%s]}\ndebug: true\n", second));
    write_file(second, "- rule: x\n");
    hang_up(agent, "ok");
    cr_expect_eq(agent_metric(agent, "inferscope_config_last_reload_successful", NULL), 1);
    cr_expect_eq(agent_metric(agent, "inferscope_rules_last_reload_successful", NULL), 0);
    size_t before = agent_count_alerts(agent, "third", NULL);
    open_once(test_path("second"));
    agent_wait_count(agent, "third", before + 1);
}

Test(config, hanging_up_begins_to_fold)
{
    const char *file = test_path("agent.yaml"), *often = one_rule("often"), *mark = one_rule("mark");
    const char *format = "rules: {files: [%s, %s]}\n%s";
    write_file(file, format_text(format, often, mark, ""));
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--config", file, NULL);
    open_once(test_path("often"));
    open_once(test_path("often"));
    agent_wait_count(agent, "often", 2);
    write_file(file, format_text(format, often, mark, "noise: {window: 1h}\n"));
    hang_up(agent, "ok");
    for (int i = 0; i < 5; i++)
        open_once(test_path("often"));
    open_once(test_path("mark"));
    agent_wait_count(agent, "mark", 1);
    cr_expect_eq(agent_count_alerts(agent, "often", NULL), 3, "the first of its kind, and no more");
}

Test(config, hanging_up_with_a_bad_file_keeps_all)
{
    const char *file = test_path("agent.yaml"), *rules = one_rule("kept");
    write_file(file, format_text("rules: {files: [%s]}\n", rules));
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--config", file, NULL);
    double since = agent_metric(agent, "inferscope_config_last_reload_success_timestamp_seconds", NULL);
    double loaded = agent_metric(agent, "inferscope_rule_reloads_total", "result", "ok", NULL);

    write_file(file, "rules:\n  files: [/nowhere]\n  nonsense: 1\n");
    hang_up(agent, "failed");
    agent_wait_said(agent, format_text("%s:3:3: error: there is no key \"rules.nonsense\"", file));
    agent_wait_said(agent, "the configuration stays as it was");

    // Rules that cannot be loaded make it no better.
    write_file(file, "rules:\n  files: [/nowhere]\n");
    hang_up(agent, "failed");
    cr_expect_eq(unlink(file), 0);
    hang_up(agent, "failed");
    open_once(test_path("kept"));
    agent_wait_count(agent, "kept", 1);
    cr_expect_eq(reloads(agent, "ok"), 0);
    cr_expect_eq(agent_metric(agent, "inferscope_config_last_reload_successful", NULL), 0);
    cr_expect_eq(agent_metric(agent, "inferscope_config_last_reload_success_timestamp_seconds", NULL), since);
    cr_expect_eq(agent_metric(agent, "inferscope_rule_reloads_total", "result", "ok", NULL), loaded);
}

// Opens the file until its alerts come there: the old deliverer may have taken the first one.
static void wait_for_words(struct agent *agent, const char *path, const char *words)
{
    time_t deadline = time(NULL) + DEADLINE_S;
    const char *watched = test_path("delivered");
    bool found = false;
    while (!found && time(NULL) < deadline) {
        open_once(watched);
        _cleanup_free_ char *text = access(path, R_OK) == 0 ? read_whole_file(path) : NULL;
        found = text && strstr(text, words);
        // A deliverer that is flooded with alerts may not end in the time that it has.
        pause_briefly();
    }
    cr_assert(found, "\"%s\" has not come to %s; the agent said: %s", words, path, agent_stderr(agent));
}

Test(config, hanging_up_changes_outputs)
{
    const char *file = test_path("agent.yaml"), *rules = one_rule("delivered");
    const char *spool = test_path("spool"), *one = test_path("one.json"), *other = test_path("other.json");
    const char *format =
        "rules: {files: [%s]}\n"
        "spool: {directory: %s, size: 4MiB}\n"
        "outputs:\n"
        "  - {type: file, path: %s}\n"
        "  - {type: splunk, url: 'http://127.0.0.1:1/', token: '${INFERSCOPE_TEST_TOKEN}'}\n";
    setenv("INFERSCOPE_TEST_TOKEN", "SESAME", 1);
    write_file(file, format_text(format, rules, spool, one));
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--config", file, NULL);
    wait_for_words(agent, one, "delivered");

    write_file(file, format_text(format, rules, spool, other));
    hang_up(agent, "ok");
    wait_for_words(agent, other, "delivered");

    agent_wait_said(agent, "agent: the deliverer has ended, so that the configuration can be followed");
    cr_expect_not(strstr(agent_stderr(agent), "warning: the deliverer has ended"), "%s", agent_stderr(agent));

    // A file that is refused is not the deliverer's either.
    write_file(file, "outputs: [{type: file}]\n");
    hang_up(agent, "failed");
    cr_expect_eq(unlink(other), 0);
    kill(agent_pid(agent), SIGUSR1);
    wait_for_words(agent, other, "delivered");
    cr_expect_not(strstr(agent_stderr(agent), "SESAME"), "%s", agent_stderr(agent));
}

// The rules would follow, the outputs cannot.
Test(config, hanging_up_changes_all_or_nothing)
{
    const char *file = test_path("agent.yaml"), *first = one_rule("first"), *second = one_rule("second");
    const char *spool = test_path("spool"), *mark = one_rule("mark");
    const char *format = "rules: {files: [%s, %s]}\n"
                         "spool: {directory: %s, size: 4MiB}\n"
                         "outputs:\n"
                         "  - {type: stdout, format: json}\n%s";
    write_file(file, format_text(format, first, mark, spool, ""));
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--config", file, NULL);
    // From here on alerts have a file, and no output can get one.
    open_once(test_path("mark"));
    agent_wait_count(agent, "mark", 1);
    cr_assert_eq(chmod(spool, 0500), 0);
    const char *more = format_text("  - {name: more, type: file, path: %s}\n", test_path("more.json"));
    write_file(file, format_text(format, second, mark, spool, more));
    hang_up(agent, "failed");
    agent_wait_said(agent, "cannot change the outputs: Permission denied");

    // What is in use now is what was, also when its files change.
    const char *name = "inferscope_rule_reloads_total";
    double before = agent_metric(agent, name, "result", "ok", NULL);
    write_file(first, open_rule("still", test_path("first")));
    time_t deadline = time(NULL) + DEADLINE_S;
    while (agent_metric(agent, name, "result", "ok", NULL) == before && time(NULL) < deadline)
        ;
    open_once(test_path("second"));
    open_once(test_path("first"));
    open_once(test_path("mark"));
    agent_wait_count(agent, "mark", 2);
    cr_expect_eq(agent_count_alerts(agent, "still", NULL), 1, "%s", agent_stderr(agent));
    cr_expect_eq(agent_count_alerts(agent, "second", NULL), 0);

    // Where the rules cannot be loaded, no output begins.
    cr_assert_eq(chmod(spool, 0700), 0);
    write_file(file, format_text(format, "/nowhere", mark, spool, more));
    hang_up(agent, "failed");
    cr_expect_neq(access(test_path("spool/cursor.more"), F_OK), 0);
    write_file(file, format_text(format, second, mark, spool, more));
    hang_up(agent, "ok");
    cr_expect_eq(access(test_path("spool/cursor.more"), F_OK), 0);
    open_once(test_path("second"));
    agent_wait_count(agent, "second", 1);
}
