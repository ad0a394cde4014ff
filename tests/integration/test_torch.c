// Source `torch`: calls through which exceptions pass. What no real model does, a stand-in library has done;
// the last tests are about libtorch itself.
#include "pod.h"
#include "told.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

TestSuite(torch, POD_SUITE);

static const char count[] = "inferscope_torch_forward_duration_seconds_count";
static const char sum[] = "inferscope_torch_forward_duration_seconds_sum";
static const char errors[] = "inferscope_torch_forward_errors_total";

enum { CALLS = 40 };

static struct agent *watch(void)
{
    struct agent *agent = agent_start(NULL, "--inference", NULL);
    if (agent_metric(agent, "inferscope_source_up", "source", "torch", NULL) != 1) {
        agent_stop(agent);
        cr_skip_test("this kernel cannot probe libraries");
    }
    agent_wait_looked(agent);
    return agent;
}

// A library of the test's own, which only this test's agent, and those that look at all, can know.
static const char *own_library(const char *which)
{
    const char *path = test_path("libtorch_cpu.so");
    copy_file(told_program(which), path);
    return path;
}

static struct told start(const char *which)
{
    return told_start(NULL, told_program("throwing"), own_library(which), NULL);
}

static struct told start_loaded(void)
{
    struct told told = start("libtorch_cpu.so");
    told_do(&told, "load");
    return told;
}

// --- Calls ---

Test(torch, calls_of_a_program_that_runs_already)
{
    struct told told = start_loaded();
    _cleanup_agent_ struct agent *agent = watch();
    struct told_answer answer = told_do(&told, "run %d", CALLS);
    cr_assert_eq(answer.count, CALLS);
    told_wait_metric(agent, CALLS, count);
    told_agrees(told_metric(agent, sum), answer.took_ns);
    cr_expect_eq(told_metric(agent, errors), 0);
    told_end(&told);
}

Test(torch, calls_inside_of_calls_are_one)
{
    struct told told = start_loaded();
    _cleanup_agent_ struct agent *agent = watch();
    struct told_answer answer = told_do(&told, "nested %d", CALLS);
    told_wait_metric(agent, CALLS, count);
    told_agrees(told_metric(agent, sum), answer.took_ns);
    told_end(&told);
}

Test(torch, each_way_to_return)
{
    struct told told = start_loaded();
    _cleanup_agent_ struct agent *agent = watch();
    told_do(&told, "early %d", CALLS);
    told_wait_metric(agent, CALLS, count);
    told_do(&told, "inside %d", CALLS);
    told_wait_metric(agent, 2 * CALLS, count);
    told_do(&told, "run 1");
    told_wait_metric(agent, 2 * CALLS + 1, count);
    cr_expect_eq(told_metric(agent, errors), 0);
    told_end(&told);
}

// --- Exceptions ---

// The program lives on, which it would not with a return probe.
Test(torch, exceptions_leave_calls)
{
    struct told told = start_loaded();
    _cleanup_agent_ struct agent *agent = watch();
    cr_expect_eq(told_do(&told, "throw %d", CALLS).count, 0);
    told_wait_metric(agent, CALLS, errors);
    cr_expect_eq(told_metric(agent, count), 0);
    struct told_answer answer = told_do(&told, "run %d", CALLS);
    told_wait_metric(agent, CALLS, count);
    told_agrees(told_metric(agent, sum), answer.took_ns);
    cr_expect_eq(told_metric(agent, errors), CALLS);
    told_end(&told);
}

// A call that ended by an exception does not make the next one look like one inside of it.
Test(torch, deeper_calls_after_an_exception)
{
    struct told told = start_loaded();
    _cleanup_agent_ struct agent *agent = watch();
    struct told_answer answer = told_do(&told, "deep %d", CALLS);
    told_wait_metric(agent, CALLS, count);
    told_agrees(told_metric(agent, sum), answer.took_ns);
    cr_expect_eq(told_metric(agent, errors), CALLS);
    told_end(&told);
}

#if defined(__x86_64__)
// Nor does one of which nothing at all was seen to end it.
Test(torch, deeper_calls_after_a_jump)
{
    struct told told = start_loaded();
    _cleanup_agent_ struct agent *agent = watch();
    struct told_answer answer = told_do(&told, "jump %d", CALLS);
    told_wait_metric(agent, CALLS, count);
    told_agrees(told_metric(agent, sum), answer.took_ns);
    cr_expect_eq(told_metric(agent, errors), 0);
    told_end(&told);
}
#endif

// An inner call ends by an exception that the outer one catches: the outer one goes on.
Test(torch, exceptions_inside_of_a_call)
{
    struct told told = start_loaded();
    _cleanup_agent_ struct agent *agent = watch();
    struct told_answer answer = told_do(&told, "passing %d", CALLS);
    told_wait_metric(agent, CALLS, count);
    told_agrees(told_metric(agent, sum), answer.took_ns);
    cr_expect_eq(told_metric(agent, errors), 0);
    told_end(&told);
}

// --- Functions that are not understood ---

Test(torch, function_that_ends_elsewhere)
{
    struct told told = start("elsewhere/libtorch_cpu.so");
    told_do(&told, "load");
    _cleanup_agent_ struct agent *agent = watch();
    cr_expect_geq(agent_metric(agent, "inferscope_probe_files_left_total", "reason", "no_returns", NULL), 1);
    told_do(&told, "throw 3");
    told_do(&told, "run 3");
    cr_expect_eq(told_metric(agent, count), 0);
    cr_expect_eq(told_metric(agent, errors), 0);
    told_end(&told);
}

// --- Beginnings and ends ---

Test(torch, library_is_loaded_late)
{
    _cleanup_agent_ struct agent *agent = watch();
    struct told told = start("libtorch_cpu.so");
    told_do(&told, "load");
    double before = told_wait_probed(agent, &told, "run 1", count);
    told_do(&told, "run %d", CALLS);
    told_wait_metric(agent, before + CALLS, count);
    told_end(&told);
}

Test(torch, program_ends_inside_of_a_call)
{
    struct told first = start_loaded();
    struct told second = told_start(NULL, told_program("throwing"), test_path("libtorch_cpu.so"), NULL);
    told_do(&second, "load");
    _cleanup_agent_ struct agent *agent = watch();
    told_last(&first, "exit");
    told_do(&second, "run %d", CALLS);
    told_wait_metric(agent, CALLS, count);
    told_end(&second);
}

Test(torch, many_processes_share_a_library)
{
    struct told first = start_loaded();
    _cleanup_agent_ struct agent *agent = watch();
    told_do(&first, "run 1");
    told_wait_metric(agent, 1, count);
    size_t before = agent_descriptors(agent);
    for (int i = 0; i < 200; i++) {
        struct told told = told_start(NULL, told_program("throwing"), test_path("libtorch_cpu.so"), NULL);
        told_do(&told, "load");
        told_do(&told, i % 2 ? "early 1" : "throw 1");
        told_end(&told);
    }
    told_wait_metric(agent, 101, count);
    cr_expect_eq(told_metric(agent, errors), 100);
    // Others on this machine may bring libraries of their own meanwhile.
    cr_expect_lt(agent_descriptors(agent), before + 40);
    told_end(&first);
}

// --- libtorch itself, in a root of its own ---

static struct told start_real(void)
{
    const char *root = told_root("torch");
    copy_file("tests/servers/scripted.py", test_path("scripted.py"));
    struct told told = told_start(root, "/usr/bin/python3.13", "/mnt/scripted.py", NULL);
    told_do(&told, "load");
    // The first calls compile the model, in calls of their own.
    told_do(&told, "run 5");
    told_do(&told, "nested 5");
    return told;
}

Test(torch, real_models, .timeout = 180)
{
    struct told told = start_real();
    _cleanup_agent_ struct agent *agent = watch();
    struct told_answer run = told_do(&told, "run %d", CALLS);
    told_wait_metric(agent, CALLS, count);
    told_agrees(told_metric(agent, sum), run.took_ns);
    told_do(&told, "nested %d", CALLS);
    told_wait_metric(agent, 2 * CALLS, count);
    cr_expect_eq(told_metric(agent, errors), 0);
    told_end(&told);
}

Test(torch, real_exceptions, .timeout = 180)
{
    struct told told = start_real();
    _cleanup_agent_ struct agent *agent = watch();
    told_do(&told, "throw %d", CALLS);
    told_wait_metric(agent, CALLS, errors);
    cr_expect_eq(told_metric(agent, count), 0);
    told_do(&told, "run %d", CALLS);
    told_wait_metric(agent, CALLS, count);
    told_end(&told);
}
