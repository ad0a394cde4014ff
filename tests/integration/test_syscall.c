// Source `syscall`: histograms of chosen calls.
#include "harness.h"
#include "tenant.h"

#include <math.h>
#include <poll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

TestSuite(syscall, TEST_SUITE);

static double count_of(struct agent *agent, const char *call)
{
    double value = agent_metric(agent, "inferscope_syscall_duration_seconds_count", "syscall", call, NULL);
    return isnan(value) ? 0 : value; // nobody has called it yet
}

// What was called shows once it is known whose it is.
static void wait_count(struct agent *agent, const char *call, double count)
{
    for (int i = 0; i < DEADLINE_S * 10 && count_of(agent, call) < count; i++)
        poll(NULL, 0, 100);
    cr_expect_geq(count_of(agent, call), count);
}

// getppid() has no arguments, so its tracepoint has the smallest context there is.
Test(syscall, every_call_is_counted)
{
    _cleanup_agent_ struct agent *agent =
        agent_start(NULL, "--syscall-latency", "getppid,nanosleep,getppid", NULL);
    enum { CALLS = 1000 };
    double before = count_of(agent, "getppid");
    for (int i = 0; i < CALLS; i++)
        syscall(SYS_getppid);
    wait_count(agent, "getppid", before + CALLS);
}

static double tenants_metric(struct agent *agent, const char *part, const char *call, const char *bound)
{
    const char *name = format_text("inferscope_syscall_duration_seconds_%s", part);
    return agent_metric(agent, name, "k8s_container_name", tenant_name(), "syscall", call,
                        bound ? "le" : NULL, bound, NULL);
}

// All calls come at once, when it is known whose they are.
static double wait_tenants_count(struct agent *agent, const char *call)
{
    double count = NAN;
    for (int i = 0; i < DEADLINE_S * 10 && isnan(count); i++) {
        count = tenants_metric(agent, "count", call, NULL);
        poll(NULL, 0, 100);
    }
    return count;
}

enum { TENANTS_CALLS = 777 };

static int call_often(const void *ignored)
{
    for (int i = 0; i < TENANTS_CALLS; i++)
        syscall(SYS_getppid);
    return 0;
}

Test(syscall, calls_are_counted_by_container, .init = tenant_setup, .fini = tenant_teardown)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--syscall-latency", "getppid", NULL);
    tenant_run(call_often, NULL);
    cr_expect_eq(wait_tenants_count(agent, "getppid"), TENANTS_CALLS);
}

enum { NAPS = 5 };

static int nap_often(const void *ignored)
{
    struct timespec nap = {.tv_nsec = 20000000};
    for (int i = 0; i < NAPS; i++)
        if (syscall(SYS_nanosleep, &nap, NULL))
            return 1;
    return 0;
}

// None of them is shorter than 16.8 ms, which is a bound.
Test(syscall, time_that_passes_is_in_the_sum, .init = tenant_setup, .fini = tenant_teardown)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--syscall-latency", "nanosleep", NULL);
    tenant_run(nap_often, NULL);
    cr_expect_eq(wait_tenants_count(agent, "nanosleep"), NAPS);
    cr_expect_geq(tenants_metric(agent, "sum", "nanosleep", NULL), NAPS * 0.02);
    cr_expect_eq(tenants_metric(agent, "bucket", "nanosleep", "0.016777216"), 0);
}

Test(syscall, only_the_chosen_calls_are_there)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--syscall-latency", "read", NULL);
    cr_expect_eq(count_of(agent, "write"), 0);
    cr_expect_eq(agent_metric(agent, "inferscope_source_up", "source", "syscall", NULL), 1);
    cr_expect(isnan(agent_metric(agent, "inferscope_source_up", "source", "file", NULL)));
}

Test(syscall, usual_calls_by_one_word)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--syscall-latency", "getppid,default", NULL);
    wait_count(agent, "read", 1);
    wait_count(agent, "write", 1);
    wait_count(agent, "openat", 1);
    cr_expect_eq(agent_metric(agent, "inferscope_source_up", "source", "syscall", NULL), 1);
}

// As many as may be asked for, of which one stands for nine.
Test(syscall, none_of_the_calls_that_were_asked_for_is_left_out)
{
    _cleanup_agent_ struct agent *agent = agent_start(
        NULL, "--syscall-latency",
        "default,lseek,close,dup,dup3,fcntl,ioctl,ppoll,geteuid,mmap,munmap,mprotect,getpid,getuid,"
        "getgid,getppid",
        NULL);
    syscall(SYS_getppid);
    wait_count(agent, "getppid", 1);
    cr_expect_eq(agent_metric(agent, "inferscope_source_up", "source", "syscall", NULL), 1);
}

Test(syscall, unknown_call_is_refused)
{
    _cleanup_free_ char *output = NULL;
    cr_expect_eq(run_captured(&output, agent_path(), "--syscall-latency", "read,nonsense", NULL), 2);
    cr_expect(strstr(output, "no system call \"nonsense\""), "%s", output);
}
