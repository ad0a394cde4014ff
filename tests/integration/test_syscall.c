// Source `syscall`: histograms of chosen calls.
#include "harness.h"

#include <math.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

TestSuite(syscall, TEST_SUITE);

static double count_of(struct agent *agent, const char *call)
{
    return agent_metric(agent, "inferscope_syscall_duration_seconds_count", "syscall", call, NULL);
}

// getppid() has no arguments, so its tracepoint has the smallest context there is.
Test(syscall, every_call_is_counted)
{
    _cleanup_agent_ struct agent *agent =
        agent_start(NULL, "--syscall-latency", "getppid,nanosleep,getppid", NULL);
    enum { CALLS = 1000 };
    double before = count_of(agent, "getppid");
    cr_assert_not(isnan(before));
    for (int i = 0; i < CALLS; i++)
        syscall(SYS_getppid);
    cr_expect_geq(count_of(agent, "getppid") - before, CALLS);
}

Test(syscall, time_that_passes_is_in_the_sum)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--syscall-latency", "nanosleep", NULL);
    const char *sum = "inferscope_syscall_duration_seconds_sum";
    enum { CALLS = 5 };
    double before = agent_metric(agent, sum, "syscall", "nanosleep", NULL);
    double counted = count_of(agent, "nanosleep");
    struct timespec nap = {.tv_nsec = 20000000};
    for (int i = 0; i < CALLS; i++)
        cr_assert_eq(syscall(SYS_nanosleep, &nap, NULL), 0);
    cr_expect_geq(count_of(agent, "nanosleep") - counted, CALLS);
    cr_expect_geq(agent_metric(agent, sum, "syscall", "nanosleep", NULL) - before, CALLS * 0.02);
    // None of them was shorter than 16.8 ms, which is a bound; other processes' are not ours to judge.
    cr_expect_geq(count_of(agent, "nanosleep") -
                      agent_metric(agent, "inferscope_syscall_duration_seconds_bucket", "syscall",
                                   "nanosleep", "le", "0.016777216", NULL),
                  CALLS);
}

Test(syscall, only_the_chosen_calls_are_there)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--syscall-latency", "read", NULL);
    cr_expect(isnan(count_of(agent, "write")));
    cr_expect_eq(agent_metric(agent, "inferscope_source_up", "source", "syscall", NULL), 1);
    cr_expect(isnan(agent_metric(agent, "inferscope_source_up", "source", "file", NULL)));
}

Test(syscall, unknown_call_is_refused)
{
    _cleanup_free_ char *output = NULL;
    cr_expect_eq(run_captured(&output, agent_path(), "--syscall-latency", "read,nonsense", NULL), 2);
    cr_expect(strstr(output, "no system call \"nonsense\""), "%s", output);
}
