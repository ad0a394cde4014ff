// A real Prometheus scrapes the agent, and promtool has no complaint about what it reads.
#include "prometheus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

TestSuite(prometheus, TEST_SUITE);

static const char rule[] = "- rule: quiet\n"
                           "  desc: matches nothing that happens\n"
                           "  condition: evt.type in (openat, connect) and fd.name = /nowhere/at/all\n"
                           "  output: x\n"
                           "  priority: NOTICE\n";

// The value of an instant query, as Prometheus prints it; waits until it has one that is not "0", nor "NaN",
// which is the quantile of nothing yet.
static const char *query(const struct prometheus *prometheus, const char *expression)
{
    struct timespec moment = {.tv_nsec = 50000000};
    for (time_t deadline = time(NULL) + DEADLINE_S; time(NULL) < deadline; nanosleep(&moment, NULL)) {
        json_t *results = prometheus_query(prometheus, expression);
        json_t *value = json_object_get(json_array_get(results, 0), "value");
        const char *text = json_string_value(json_array_get(value, 1));
        const char *copy = text ? format_text("%s", text) : NULL;
        json_decref(results);
        if (copy && strcmp(copy, "0") != 0 && strcmp(copy, "NaN") != 0)
            return copy;
    }
    cr_assert_fail("Prometheus has no value for %s", expression);
    return NULL;
}

Test(prometheus, scrapes_the_agent)
{
    if (!is_installed("prometheus"))
        cr_skip_test("prometheus is not installed");
    _cleanup_agent_ struct agent *agent = agent_start(rule, "--syscall-latency", "read,write", NULL);
    _cleanup_prometheus_ struct prometheus prometheus = {};
    prometheus_start(&prometheus, agent, "");
    cr_expect_str_eq(query(&prometheus, "up"), "1");
    cr_expect_str_eq(query(&prometheus, "inferscope_source_up{source=\"file\"}"), "1");
    cr_expect_gt(atof(query(&prometheus, "inferscope_events_total{type=\"execve\"}")), 0);
    // A histogram that arrived whole can be asked for a quantile.
    cr_expect_gt(
        atof(query(&prometheus, "histogram_quantile(0.5,inferscope_syscall_duration_seconds_bucket)")), 0);
}

Test(prometheus, promtool_has_no_complaint)
{
    if (!is_installed("promtool"))
        cr_skip_test("promtool is not installed");
    _cleanup_agent_ struct agent *agent = agent_start(rule, "--syscall-latency", "read", NULL);
    _cleanup_free_ char *metrics = http_get(agent_port(agent), "/metrics");
    const char *path = test_path("metrics");
    write_file(path, metrics);
    _cleanup_free_ char *output = NULL;
    int code = run_captured(&output, "sh", "-c", format_text("promtool check metrics < %s", path), NULL);
    cr_expect_eq(code, 0, "%s", output);
    cr_expect_str_eq(output, "", "%s", output);
}

Test(prometheus, health_and_readiness)
{
    _cleanup_agent_ struct agent *agent = agent_start(rule, NULL);
    _cleanup_free_ char *health = http_get(agent_port(agent), "/healthz");
    _cleanup_free_ char *ready = http_get(agent_port(agent), "/readyz");
    _cleanup_free_ char *index = http_get(agent_port(agent), "/");
    cr_expect(strstr(health, "ok"));
    cr_expect(strlen(ready) > 0);
    cr_expect(strstr(index, "/metrics"));
}
