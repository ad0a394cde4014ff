// Source `probe`: functions that the configuration names are measured in whatever way a program comes to run
// them. What the configuration refuses is in the unit tests.
#include "harness.h"
#include "told.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

TestSuite(probe, TEST_SUITE);

// A copy that no other test's agent knows.
static const char *own_program(void)
{
    const char *path = test_path("probed-%d", getpid());
    if (access(path, X_OK))
        copy_file(program_beside("probed"), path);
    return path;
}

static const char *own_library(void)
{
    const char *path = test_path("libprobed-%d.so.1", getpid());
    if (access(path, R_OK))
        copy_file(program_beside("libprobed.so"), path);
    return path;
}

// Measures the functions of files that match, but not the test's own copies' originals.
static struct agent *watch_with(const char *files, const char *more)
{
    const char *config = test_path("agent.yaml");
    write_file(
        config,
        format_text("%s"
                    "rules: {enabled: false}\n"
                    "probes:\n"
                    "  - {name: sleep, files: ['%s'], symbol: work_sleep, measure: latency}\n"
                    "  - {name: calls, files: ['%s'], symbol: work_bytes, measure: count}\n"
                    "  - {name: sent, files: ['%s'], symbol: work_bytes, measure: amount, argument: 2, "
                    "unit: bytes}\n"
                    "  - {name: signs, files: ['%s'], symbol: work_bytes, measure: amounts, argument: 3, "
                    "bits: 32}\n",
                    more, files, files, files, files));
    struct agent *agent = agent_start(NULL, "--config", config, NULL);
    if (agent_metric(agent, "inferscope_source_up", "source", "probe", NULL) != 1) {
        agent_stop(agent);
        cr_skip_test("this kernel lets nothing be probed");
    }
    agent_wait_looked(agent);
    return agent;
}

static struct agent *watch(void)
{
    return watch_with(format_text("*probed-%d*", getpid()), "");
}

static double metric(struct agent *agent, const char *name)
{
    double value = agent_metric(agent, name, NULL);
    return isnan(value) ? 0 : value;
}

static void wait_metric(struct agent *agent, const char *name, double least)
{
    for (time_t until = time(NULL) + DEADLINE_S; metric(agent, name) < least;) {
        cr_assert_lt(time(NULL), until, "%s is %f, not %f; it said: %s", name, metric(agent, name), least,
                     agent_stderr(agent));
        poll(NULL, 0, 10); // there is nothing that could wake us
    }
}

static void wait_files(struct agent *agent, double count)
{
    static const char *const kinds[] = {"probe_sleep", "probe_calls", "probe_sent", "probe_signs"};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        for (time_t until = time(NULL) + DEADLINE_S;
             agent_metric(agent, "inferscope_probe_files", "kind", kinds[i], NULL) != count;
             poll(NULL, 0, 10))
            cr_assert_lt(time(NULL), until, "%s in %f files; it said: %s", kinds[i],
                         agent_metric(agent, "inferscope_probe_files", "kind", kinds[i], NULL),
                         agent_stderr(agent));
}

// 40 calls of each; what the kernel measured is all of it, and no more than the program's own clock says.
#define CALLS "sleep", "20", "20000", clock_path(), "bytes", "40", "700"

static const char *clock_path(void)
{
    return test_path("clock");
}

static void expect_calls(struct agent *agent)
{
    _cleanup_free_ char *own = read_whole_file(clock_path());
    cr_assert(own, "the program has not run to its end");
    double own_s = atof(own) / 1e9, seen_s = metric(agent, "inferscope_probe_sleep_seconds_sum");
    cr_expect_eq(metric(agent, "inferscope_probe_sleep_seconds_count"), 20);
    cr_expect(seen_s <= own_s && seen_s >= 0.95 * own_s, "%f s, and %f s by its own clock", seen_s, own_s);
    cr_expect_eq(metric(agent, "inferscope_probe_calls_total"), 40);
    cr_expect_eq(metric(agent, "inferscope_probe_sent_bytes_total"), 40 * 700);
    cr_expect_eq(metric(agent, "inferscope_probe_signs_count"), 20, "those that are not below zero");
    cr_expect_eq(metric(agent, "inferscope_probe_signs_sum"), 20 * 3);
}

static void let_go(int *in, pid_t pid)
{
    close(*in);
    cr_expect_eq(wait_for_exit(pid), 0);
}

Test(probe, program_that_runs_already)
{
    int in;
    pid_t pid = start_waiting(&in, own_program(), "wait", CALLS, NULL);
    _cleanup_agent_ struct agent *agent = watch();
    wait_files(agent, 1);
    let_go(&in, pid);
    expect_calls(agent);
}

Test(probe, program_that_starts_later)
{
    int in;
    _cleanup_agent_ struct agent *agent = watch();
    pid_t pid = start_waiting(&in, own_program(), "wait", CALLS, NULL);
    wait_files(agent, 1);
    cr_expect_geq(metric(agent, "inferscope_mappings_new_total"), 1);
    let_go(&in, pid);
    expect_calls(agent);
}

Test(probe, program_in_another_root)
{
    int in;
    if (access("/usr/sbin/chroot", X_OK))
        cr_skip_test("there is no chroot");
    cr_assert_eq(mkdir(test_path("root"), 0755), 0);
    copy_file(own_program(), test_path("root/probed-%d", getpid()));
    unlink(own_program());
    // Its clock is written where it believes to be.
    pid_t pid = start_waiting(&in, "/usr/sbin/chroot", test_path("root"), format_text("/probed-%d", getpid()),
                              "wait", "sleep", "20", "20000", "/clock", "bytes", "40", "700", NULL);
    _cleanup_agent_ struct agent *agent = watch();
    wait_files(agent, 1);
    let_go(&in, pid);
    cr_assert_eq(rename(test_path("root/clock"), clock_path()), 0);
    expect_calls(agent);
}

Test(probe, library_that_is_loaded_late)
{
    int in;
    const char *program = test_path("late"), *library = own_library();
    copy_file(program_beside("probed-late"), program);
    _cleanup_agent_ struct agent *agent = watch();
    pid_t pid = start_waiting(&in, program, "wait", "load", library, "wait", CALLS, NULL);
    wait_files(agent, 0);
    cr_assert_eq(write(in, "x", 1), 1);
    wait_files(agent, 1);
    let_go(&in, pid);
    expect_calls(agent);
}

Test(probe, program_that_ends_inside_of_a_call)
{
    int in;
    pid_t pid = start_waiting(&in, own_program(), "wait", "bytes", "1", "1", "wait", "die", NULL);
    _cleanup_agent_ struct agent *agent = watch();
    wait_files(agent, 1);
    cr_assert_eq(write(in, "x", 1), 1);
    wait_metric(agent, "inferscope_probe_calls_total", 1);
    let_go(&in, pid);
    cr_expect_eq(metric(agent, "inferscope_probe_sleep_seconds_count"), 0);
    cr_expect_eq(run_program(own_program(), "sleep", "3", "1", clock_path(), NULL), 0);
    cr_expect_eq(metric(agent, "inferscope_probe_sleep_seconds_count"), 3);
}

// Each is gone before anybody could have looked at it; the library is probed as long as one uses it.
Test(probe, many_short_processes_of_one_library, .timeout = 120)
{
    enum { PROCESSES = 200 };
    int in;
    const char *library = own_library(), *program = test_path("late");
    copy_file(program_beside("probed-late"), program);
    pid_t pid = start_waiting(&in, program, "load", library, "wait", NULL);
    _cleanup_agent_ struct agent *agent = watch();
    wait_files(agent, 1);
    cr_expect_eq(run_program(program, "load", library, "bytes", "1", "5", NULL), 0);
    double before = agent_metric(agent, "process_open_fds", NULL);
    for (int i = 1; i < PROCESSES; i++)
        cr_expect_eq(run_program(program, "load", library, "bytes", "1", "5", NULL), 0);
    cr_expect_eq(metric(agent, "inferscope_probe_calls_total"), PROCESSES);
    cr_expect_eq(metric(agent, "inferscope_probe_sent_bytes_total"), PROCESSES * 5);
    wait_files(agent, 1);
    cr_expect_leq(agent_metric(agent, "process_open_fds", NULL), before);
    let_go(&in, pid);
}

// Two copies are two files; what one does and what the other does is one container's.
Test(probe, files_by_path)
{
    int in;
    cr_assert(mkdir(test_path("a"), 0755) == 0 && mkdir(test_path("b"), 0755) == 0);
    const char *wanted = test_path("a/probed"), *other = test_path("b/probed");
    copy_file(own_program(), wanted);
    copy_file(own_program(), other);
    pid_t pid = start_waiting(&in, wanted, "wait", CALLS, NULL);
    _cleanup_agent_ struct agent *agent = watch_with(test_path("a/*"), "");
    wait_files(agent, 1);
    cr_expect_eq(run_program(other, "bytes", "10", "10", NULL), 0);
    let_go(&in, pid);
    expect_calls(agent);
}

// --- What it costs ---

static double cost(struct agent *agent, const char *name, const char *kind)
{
    double value = agent_metric(agent, name, "kind", kind, NULL);
    return isnan(value) ? 0 : value;
}

static void require_account(struct agent *agent)
{
    if (!isnan(agent_metric(agent, "inferscope_probe_trap_seconds", "at", "emulated", NULL)))
        return;
    agent_stop(agent);
    cr_skip_test("the kernel keeps no account here");
}

#if defined(__x86_64__)
// A call that ended by an exception does not make the next one, from deeper in the stack, look like one
// inside of it.
Test(probe, deeper_calls_after_an_exception)
{
    static const char count[] = "inferscope_probe_model_seconds_count";
    const char *library = test_path("libtorch_cpu.so"), *config = test_path("agent.yaml");
    copy_file(program_beside("libtorch_cpu.so"), library);
    write_file(config, format_text("rules: {enabled: false}\n"
                                   "probes:\n"
                                   "  - {name: model, files: ['%s'], measure: latency, symbol: "
                                   "_ZN5torch3jit13GraphFunction3runERSt6vectorIN3c106IValueESaIS4_EE}\n",
                                   library));
    struct told told = told_start(NULL, told_program("throwing"), library, NULL);
    told_do(&told, "load");
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--config", config, NULL);
    if (agent_metric(agent, "inferscope_source_up", "source", "probe", NULL) != 1)
        cr_skip_test("this kernel lets nothing be probed");
    struct told_answer answer = told_do(&told, "deep 40");
    told_wait_metric(agent, 40, count);
    told_agrees(told_metric(agent, "inferscope_probe_model_seconds_sum"), answer.took_ns);
    told_end(&told);
}
#endif

Test(probe, runs_are_counted_and_cost_something)
{
    int in;
    pid_t pid = start_waiting(&in, own_program(), "wait", CALLS, NULL);
    _cleanup_agent_ struct agent *agent = watch();
    require_account(agent);
    wait_files(agent, 1);
    let_go(&in, pid);
    wait_metric(agent, "inferscope_probe_runs_total", 3 * 40 + 2 * 20);
    cr_expect_eq(cost(agent, "inferscope_probe_runs_total", "probe_calls"), 40);
    cr_expect_eq(cost(agent, "inferscope_probe_runs_total", "probe_sleep"), 40, "beginnings and returns");
    double trap_s = agent_metric(agent, "inferscope_probe_trap_seconds", "at", "emulated", NULL);
    cr_expect_geq(cost(agent, "inferscope_probe_cost_seconds_total", "probe_calls"), 40 * trap_s);
    cr_expect_eq(agent_metric(agent, "inferscope_probe_shed_total", NULL), 0);
}

Test(probe, what_costs_too_much_is_taken_away, .timeout = 180)
{
    int in;
    const char *log = test_path("audit.log");
    pid_t pid = start_waiting(&in, own_program(), "wait", "spin", NULL);
    struct agent *agent = watch_with(format_text("*probed-%d", getpid()),
                                     format_text("probes_budget: 0.01%%\naudit: {path: %s}\n", log));
    require_account(agent);
    wait_files(agent, 1);
    cr_assert_eq(write(in, "x", 1), 1);
    wait_metric(agent, "inferscope_probe_shed_total", 1);
    wait_metric(agent, "inferscope_probe_away", 1);
    wait_metric(agent, "inferscope_probe_shed_total", 3);
    // All that was dear has gone; what nobody calls has not.
    for (size_t i = 0; i < 3; i++) {
        static const char *const kinds[] = {"probe_calls", "probe_sent", "probe_signs"};
        cr_expect_eq(agent_metric(agent, "inferscope_probe_away", "kind", kinds[i], NULL), 1, "%s", kinds[i]);
        cr_expect_eq(agent_metric(agent, "inferscope_probe_files", "kind", kinds[i], NULL), 0, "%s",
                     kinds[i]);
    }
    cr_expect_eq(agent_metric(agent, "inferscope_probe_files", "kind", "probe_sleep", NULL), 1);
    double calls = metric(agent, "inferscope_probe_calls_total");
    cr_expect_eq(run_program(own_program(), "bytes", "10", "1", NULL), 0);
    cr_expect_eq(metric(agent, "inferscope_probe_calls_total"), calls);
    let_go(&in, pid);
    agent_wait_said(agent, "more than probes_budget: those of probe_");
    agent_stop(agent);
    _cleanup_free_ char *audit = read_whole_file(log);
    cr_expect(audit && strstr(audit, "\"event\":\"probes_shed\",\"kind\":\"probe_"), "%s", audit);
}

// Without an agent: what `agent list runtimes` finds.
Test(probe, runtimes_are_listed)
{
    _cleanup_free_ char *said = NULL, *json = NULL;
    int in;
    if (access("/usr/bin/python3", X_OK))
        cr_skip_test("python3 is not installed");
    pid_t pid =
        start_waiting(&in, "/usr/bin/python3", "-c",
                      "import ssl, sys; sys.stdout.write('.'); sys.stdout.flush(); sys.stdin.read()", NULL);
    cr_expect_eq(run_captured(&json, agent_path(), "list", "runtimes", "--format", "json", NULL), 0);
    json_t *list = json_loads(json, 0, NULL);
    cr_assert(json_array_size(list) > 0, "%s", json);
    bool found = false;
    size_t i;
    json_t *row;
    json_array_foreach(list, i, row)
    {
        const char *kind = json_string_value(json_object_get(row, "runtime"));
        const char *probed = json_string_value(json_object_get(row, "probed"));
        cr_assert(kind && probed);
        found |= strcmp(kind, "openssl") == 0 && strstr(probed, " functions");
    }
    cr_expect(found, "%s", json);
    json_decref(list);
    cr_expect_eq(run_captured(&said, agent_path(), "list", "runtimes", NULL), 0);
    cr_expect(strncmp(said, "runtime", 7) == 0 && strstr(said, "openssl"), "%s", said);
    let_go(&in, pid);
}
