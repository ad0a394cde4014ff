// A real Prometheus scrapes the agent, and promtool has no complaint about what it reads.
#include "harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

TestSuite(prometheus, TEST_SUITE);

static const char rule[] = "- rule: quiet\n"
                           "  desc: matches nothing that happens\n"
                           "  condition: evt.type in (openat, connect) and fd.name = /nowhere/at/all\n"
                           "  output: x\n"
                           "  priority: NOTICE\n";

static bool is_installed(const char *program)
{
    _cleanup_free_ char *output = NULL;
    return run_captured(&output, program, "--version", NULL) == 0;
}

// A port that nobody listens on now.
static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, length), 0);
    getsockname(fd, (struct sockaddr *)&address, &length);
    close(fd);
    return ntohs(address.sin_port);
}

static bool is_listening(unsigned port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool listening = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return listening;
}

static void pause_briefly(void)
{
    struct timespec moment = {.tv_nsec = 50000000};
    nanosleep(&moment, NULL);
}

// The value of an instant query, as Prometheus prints it; waits until it has one that is not "0".
static const char *query(unsigned port, const char *expression)
{
    for (time_t deadline = time(NULL) + DEADLINE_S; time(NULL) < deadline; pause_briefly()) {
        if (!is_listening(port))
            continue;
        _cleanup_free_ char *body = http_get_if_ok(port, format_text("/api/v1/query?query=%s", expression));
        if (!body)
            continue;
        json_t *answer = json_loads(body, 0, NULL);
        json_t *results = json_object_get(json_object_get(answer, "data"), "result");
        json_t *value = json_object_get(json_array_get(results, 0), "value");
        const char *text = json_string_value(json_array_get(value, 1));
        const char *copy = text ? format_text("%s", text) : NULL;
        json_decref(answer);
        if (copy && strcmp(copy, "0") != 0)
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
    unsigned port = free_port();
    const char *config = test_path("prometheus.yml");
    write_file(config, format_text("scrape_configs:\n"
                                   "- job_name: inferscope\n"
                                   "  scrape_interval: 1s\n"
                                   "  static_configs:\n"
                                   "  - targets: ['127.0.0.1:%u']\n",
                                   agent_port(agent)));
    const char *arguments[] = {"prometheus",
                               format_text("--config.file=%s", config),
                               format_text("--storage.tsdb.path=%s", test_path("data")),
                               format_text("--web.listen-address=127.0.0.1:%u", port),
                               "--log.level=error",
                               NULL};
    pid_t prometheus = fork();
    if (prometheus == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execvp(arguments[0], (char **)arguments);
        _exit(127);
    }

    cr_expect_str_eq(query(port, "up"), "1");
    cr_expect_str_eq(query(port, "inferscope_source_up%7Bsource=%22file%22%7D"), "1");
    cr_expect_gt(atof(query(port, "inferscope_events_total%7Btype=%22execve%22%7D")), 0);
    // A histogram that arrived whole can be asked for a quantile.
    cr_expect_gt(atof(query(port, "histogram_quantile(0.5,inferscope_syscall_duration_seconds_bucket)")), 0);
    kill(prometheus, SIGTERM);
    cr_expect_eq(wait_for_exit(prometheus), 0);
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
