// Alerts go from a spool to receivers over HTTP: strict stand-ins, a real Alertmanager, and nginx for TLS.
#include "deliver.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>

TestSuite(deliver_http, TEST_SUITE);

#define RETRY "retry: {initial: 10ms, max: 50ms}, batch_wait: 0s"

static const char *const paths[] = {
    "/hook", "/services/collector/event", "/_bulk", "/loki/api/v1/push", "/api/v2/alerts", "/v1/logs"};
enum { PATHS = ARRAY_SIZE(paths), WEBHOOK = 0, SPLUNK, ELASTICSEARCH, LOKI, ALERTMANAGER, OTLP };

static const char *all_outputs(unsigned port)
{
    write_file(test_path("token"), "s3cret-token\n");
    return format_text("- {type: webhook, url: \"http://127.0.0.1:%u/hook\", batch: 8, " RETRY "}\n"
                       "- {type: splunk, url: \"http://127.0.0.1:%u\", batch: 8, token: {file: %s}, " RETRY
                       "}\n"
                       "- {type: elasticsearch, url: \"http://127.0.0.1:%u/\", batch: 8, " RETRY "}\n"
                       "- {type: loki, url: \"http://127.0.0.1:%u/loki/api/v1/push\", batch: 8, " RETRY "}\n"
                       "- {type: alertmanager, url: \"http://127.0.0.1:%u\", batch: 8, " RETRY "}\n"
                       "- {type: otlp, url: \"http://127.0.0.1:%u\", batch: 8, " RETRY "}\n",
                       port, port, test_path("token"), port, port, port, port);
}

Test(deliver_http, each_receiver_gets_every_alert_in_its_shape)
{
    unsigned port = receivers_start();
    const char **uuids = spool_fill(1, 30);
    pid_t pid = deliver_start(all_outputs(port));
    for (size_t i = 0; i < PATHS; i++)
        receivers_wait_taken(paths[i], uuids, 30);
    // What is appended later arrives, too, and nothing twice.
    const char **more = spool_fill(31, 10);
    for (size_t i = 0; i < PATHS; i++) {
        receivers_wait_taken(paths[i], more, 10);
        receivers_wait_taken(paths[i], uuids, 30);
    }
    // Connections were kept: eight for the webhook, one for each of the others, one for each look at the
    // state.
    json_t *state = receivers_state();
    json_int_t looks = json_integer_value(json_object_get(state, "connections"));
    json_decref(state);
    state = receivers_state();
    cr_expect_eq(json_integer_value(json_object_get(state, "connections")), looks + 1);
    json_decref(state);
    deliver_stop(pid);

    // Nothing is delivered again by the next process.
    pid = deliver_start(all_outputs(port));
    const char *last = spool_fill_line(alert_line("Critical", "Shell", 41));
    for (size_t i = 0; i < PATHS; i++) {
        receivers_wait_taken(paths[i], &last, 1);
        receivers_wait_taken(paths[i], uuids, 30);
    }
    deliver_stop(pid);
}

Test(deliver_http, urls_may_hold_a_part_of_the_path)
{
    unsigned port = receivers_start();
    const char **uuids = spool_fill(1, 3);
    write_file(test_path("token"), "s3cret-token\n");
    pid_t pid =
        deliver_start(format_text("- {type: splunk, url: \"http://127.0.0.1:%u/services/collector\", token: "
                                  "{file: %s}, " RETRY "}\n"
                                  "- {type: elasticsearch, url: \"http://127.0.0.1:%u/_bulk/\", " RETRY "}\n"
                                  "- {type: loki, url: \"http://127.0.0.1:%u/loki/api/v1/\", " RETRY "}\n"
                                  "- {type: alertmanager, url: \"http://127.0.0.1:%u//\", " RETRY "}\n"
                                  "- {type: otlp, url: \"http://127.0.0.1:%u/v1/logs\", " RETRY "}\n",
                                  port, test_path("token"), port, port, port, port));
    for (size_t i = SPLUNK; i < PATHS; i++)
        receivers_wait_taken(paths[i], uuids, 3);
    deliver_stop(pid);
}

Test(deliver_http, failures_are_outlived)
{
    unsigned port = receivers_start();
    for (size_t i = 0; i < PATHS; i++)
        receivers_mode(paths[i], "500 429:1 503 429:past 503:-5 503:0 cut reset 401 404 redirect 408 ok");
    const char **uuids = spool_fill(1, 20);
    pid_t pid = deliver_start(all_outputs(port));
    for (size_t i = 0; i < PATHS; i++)
        receivers_wait_taken(paths[i], uuids, 20);
    deliver_wait_said("takes everything again");
    deliver_stop(pid);
}

Test(deliver_http, only_what_was_not_taken_is_sent_again)
{
    unsigned port = receivers_start();
    receivers_mode("/_bulk", "half half half ok");
    const char **uuids = spool_fill(1, 40);
    pid_t pid = deliver_start(
        format_text("- {type: elasticsearch, url: \"http://127.0.0.1:%u\", batch: 40, " RETRY "}\n", port));
    receivers_wait_taken("/_bulk", uuids, 40);
    // 40, 20, 10, 5: what was taken before would be a conflict, not a success.
    cr_expect_eq(receivers_requests("/_bulk"), 4);
    deliver_stop(pid);
}

Test(deliver_http, what_otlp_rejects_is_not_sent_again)
{
    unsigned port = receivers_start();
    receivers_mode("/v1/logs", "half ok");
    const char **uuids = spool_fill(1, 8);
    pid_t pid = deliver_start(
        format_text("- {type: otlp, url: \"http://127.0.0.1:%u\", batch: 8, " RETRY "}\n", port));
    receivers_wait_taken("/v1/logs", uuids, 4);
    deliver_wait_said("4 given up: it rejects 4 of 8 records");
    const char *last = spool_fill_line(alert_line("Critical", "Shell", 9));
    receivers_wait_taken("/v1/logs", &last, 1);
    cr_expect_eq(receivers_requests("/v1/logs"), 2);
    deliver_stop(pid);
}

Test(deliver_http, one_alert_that_is_refused_takes_no_other_down)
{
    unsigned port = receivers_start();
    receivers_mode("/loki/api/v1/push", "refuse:unwanted");
    receivers_mode("/api/v2/alerts", "refuse:unwanted");
    receivers_mode("/hook", "refuse:unwanted");
    receivers_mode("/v1/logs", "refuse:unwanted");
    const char **before = spool_fill(1, 10);
    spool_fill_line(alert_line("Warning", "unwanted", 11));
    const char **after = spool_fill(12, 10);
    pid_t pid = deliver_start(all_outputs(port));
    for (size_t i = 0; i < PATHS; i++) {
        receivers_wait_taken(paths[i], after, 10);
        if (i == SPLUNK) // which takes events of a batch or does not, nobody knows
            continue;
        receivers_wait_taken(paths[i], before, 10);
    }
    deliver_wait_said("output splunk: 1 given up: it cannot read an event (code 6)");
    deliver_wait_said("output elasticsearch: 1 given up: of an alert it says document_parsing_exception");
    deliver_wait_said("output loki: 1 given up");
    deliver_wait_said("output webhook: 1 given up");
    deliver_stop(pid);
}

Test(deliver_http, an_old_loki_gets_alerts_without_structured_metadata)
{
    unsigned port = receivers_start();
    receivers_mode("/loki/api/v1/push", "plain");
    const char **uuids = spool_fill(1, 5);
    pid_t pid = deliver_start(format_text("- {type: loki, url: \"http://127.0.0.1:%u\", " RETRY "}\n", port));
    receivers_wait_taken("/loki/api/v1/push", uuids, 5);
    deliver_stop(pid);
}

Test(deliver_http, a_receiver_that_hangs_delays_no_other)
{
    unsigned port = receivers_start();
    receivers_mode("/hook", "hang");
    receivers_mode("/loki/api/v1/push", "hang");
    const char **uuids = spool_fill(1, 300);
    const char *outputs = all_outputs(port);
    pid_t pid = deliver_start(outputs);
    receivers_wait_requests("/hook", 8);
    receivers_wait_taken(paths[ELASTICSEARCH], uuids, 300);
    receivers_wait_taken(paths[ALERTMANAGER], uuids, 300);
    // It ends all the same, and who hung gets everything later.
    deliver_stop(pid);
    receivers_mode("/hook", "ok");
    receivers_mode("/loki/api/v1/push", "ok");
    pid = deliver_start(outputs);
    receivers_wait_taken("/hook", uuids, 300);
    receivers_wait_taken("/loki/api/v1/push", uuids, 300);
    deliver_stop(pid);
}

Test(deliver_http, an_answer_without_end_is_not_read_to_its_end)
{
    unsigned port = receivers_start();
    receivers_mode("/hook", "endless ok");
    receivers_mode("/_bulk", "endless ok");
    const char **uuids = spool_fill(1, 3);
    pid_t pid = deliver_start(
        format_text("- {type: elasticsearch, url: \"http://127.0.0.1:%u\", " RETRY "}\n", port));
    receivers_wait_taken("/_bulk", uuids, 3);
    deliver_stop(pid);
}

Test(deliver_http, redirects_are_not_followed)
{
    unsigned port = receivers_start();
    receivers_mode("/_bulk", "redirect");
    spool_fill(1, 1);
    pid_t pid = deliver_start(
        format_text("- {type: elasticsearch, url: \"http://127.0.0.1:%u\", " RETRY "}\n", port));
    receivers_wait_requests("/_bulk", 3);
    deliver_wait_said("status 307: redirects are not followed");
    cr_expect_eq(receivers_requests("/hook"), 0);
    deliver_stop(pid);
}

Test(deliver_http, an_address_that_refuses_everything_costs_no_alert)
{
    unsigned port = receivers_start();
    receivers_mode("/hook", "400");
    const char **uuids = spool_fill(1, 12);
    pid_t pid =
        deliver_start(format_text("- {type: webhook, url: \"http://127.0.0.1:%u/hook\", " RETRY "}\n", port));
    receivers_wait_requests("/hook", 60);
    receivers_mode("/hook", "ok");
    receivers_wait_taken("/hook", uuids, 12);
    deliver_stop(pid);
    cr_expect_null(strstr(deliver_said(), "given up"), "%s", deliver_said());
}

// --- Secrets and privileges ---

Test(deliver_http, secrets_reach_the_receiver_and_nobody_else)
{
    unsigned port = receivers_start();
    setenv("TEST_PASSWORD", "s3cret-password", 1);
    setenv("TEST_HEADER", "s3cret-header", 1);
    write_file(test_path("token"), "s3cret-wrong\n");
    receivers_mode("/_bulk", "401 403 500 cut ok");
    const char **uuids = spool_fill(1, 2);
    pid_t pid = deliver_start(format_text(
        "- {type: splunk, url: \"http://127.0.0.1:%u\", token: {file: %s}, " RETRY "}\n"
        "- {type: elasticsearch, url: \"http://127.0.0.1:%u\", user: me, password: {env: TEST_PASSWORD}, "
        "headers: {X-Key: \"${TEST_HEADER}\"}, " RETRY "}\n"
        "- {name: lost, type: loki, url: \"http://127.0.0.1:%u\", token: {file: /nowhere/at/all}, " RETRY
        "}\n",
        port, test_path("token"), port, port));
    receivers_wait_taken("/_bulk", uuids, 2);
    deliver_wait_said("output splunk: it does not know the token (code 4)");
    deliver_wait_said("output lost: cannot use the token in the file /nowhere/at/all");
    // A new token is read on SIGUSR1.
    write_file(test_path("token"), "s3cret-token\n");
    kill(pid, SIGUSR1);
    receivers_wait_taken("/services/collector/event", uuids, 2);

    json_t *state = receivers_state();
    const json_t *headers = json_object_get(json_object_get(state, "headers"), "/_bulk");
    cr_expect_str_eq(json_string_value(json_object_get(headers, "Authorization")),
                     "Basic bWU6czNjcmV0LXBhc3N3b3Jk");
    cr_expect_str_eq(json_string_value(json_object_get(headers, "X-Key")), "s3cret-header");
    json_decref(state);
    deliver_stop(pid);
    cr_expect_null(strstr(deliver_said(), "s3cret"), "%s", deliver_said());
}

static bool status_has(pid_t pid, const char *line)
{
    _cleanup_free_ char *status = read_whole_file(format_text("/proc/%d/status", (int)pid));
    return status && strstr(status, line);
}

Test(deliver_http, the_deliverer_has_no_privileges_and_leaves_no_core)
{
    unsigned port = receivers_start();
    const char **uuids = spool_fill(1, 1);
    pid_t pid =
        deliver_start(format_text("- {type: webhook, url: \"http://127.0.0.1:%u/hook\", " RETRY "}\n", port));
    receivers_wait_taken("/hook", uuids, 1);
    cr_expect(status_has(pid, "CapPrm:\t0000000000000000"));
    cr_expect(status_has(pid, "CapEff:\t0000000000000000"));
    cr_expect(status_has(pid, "CapBnd:\t0000000000000000"));
    cr_expect(status_has(pid, "NoNewPrivs:\t1"));
    _cleanup_free_ char *limits = read_whole_file(format_text("/proc/%d/limits", (int)pid));
    cr_expect(strstr(limits, "Max core file size        0                    0"), "%s", limits);
    deliver_stop(pid);
}

// --- A real Alertmanager ---

static pid_t spawn(const char *log, const char *const *arguments)
{
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execvp(arguments[0], (char *const *)arguments);
        _exit(127);
    }
    return pid;
}

static json_t *wait_alerts(unsigned port, size_t count)
{
    for (time_t deadline = time(NULL) + DEADLINE_S; time(NULL) < deadline; pause_briefly()) {
        _cleanup_free_ char *text = http_get_if_ok(port, "/api/v2/alerts");
        json_t *alerts = text ? json_loads(text, 0, NULL) : NULL;
        if (json_array_size(alerts) >= count)
            return alerts;
        json_decref(alerts);
    }
    cr_assert_fail("Alertmanager does not have %zu alerts: %s", count, deliver_said());
    return NULL;
}

static const char *label(const json_t *alert, const char *name)
{
    const char *value = json_string_value(json_object_get(json_object_get(alert, "labels"), name));
    return value ? value : "";
}

Test(deliver_http, alertmanager_takes_alerts)
{
    if (access("/usr/bin/prometheus-alertmanager", X_OK))
        cr_skip_test("prometheus-alertmanager is not installed");
    unsigned port = free_port();
    const char *config = test_path("alertmanager.yml");
    write_file(config, "route: {receiver: none}\nreceivers: [{name: none}]\n");
    const char *arguments[] = {"prometheus-alertmanager",
                               format_text("--config.file=%s", config),
                               format_text("--storage.path=%s", test_path("am")),
                               format_text("--web.listen-address=127.0.0.1:%u", port),
                               "--cluster.listen-address=",
                               NULL};
    pid_t alertmanager = spawn(test_path("alertmanager.log"), arguments);
    wait_for_port(port);

    spool_fill_line(alert_line("Critical", "Shell in container", 1));
    spool_fill_line(alert_line("Notice", "Odd file", 2));
    // The same labels: the same alert.
    spool_fill_line(alert_line("Notice", "Odd file", 3));
    pid_t pid = deliver_start(format_text("- {type: alertmanager, url: \"http://127.0.0.1:%u\", "
                                          "labels: {cluster: test}, " RETRY "}\n",
                                          port));
    json_t *alerts = wait_alerts(port, 2);
    cr_assert_eq(json_array_size(alerts), 2);
    bool first = strcmp(label(json_array_get(alerts, 0), "alertname"), "Shell in container") == 0;
    const json_t *shell = json_array_get(alerts, !first), *odd = json_array_get(alerts, first);
    cr_expect_str_eq(label(shell, "severity"), "P1");
    cr_expect_str_eq(label(shell, "priority"), "Critical");
    cr_expect_str_eq(label(shell, "hostname"), "node-1");
    cr_expect_str_eq(label(shell, "tags"), "shell,T1059");
    cr_expect_str_eq(label(shell, "pod"), "web-1");
    cr_expect_str_eq(label(shell, "cluster"), "test");
    cr_expect_str_eq(label(odd, "severity"), "P3");
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(odd, "status"), "state")), "active");
    json_decref(alerts);
    deliver_stop(pid);
    kill(alertmanager, SIGTERM);
    wait_for_exit(alertmanager);
}
