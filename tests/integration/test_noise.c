// Alerts that repeat, folded by the agent.
#include "deliver.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

TestSuite(noise, TEST_SUITE);

enum { OPENS = 12 };

static const char *rule_for(const char *path)
{
    return format_text("- rule: read\n  desc: d\n  priority: Warning\n"
                       "  condition: evt.type in (open, openat, openat2) and fd.name = %s\n"
                       "  output: Read %%fd.name by %%proc.name pid %%proc.pid\n",
                       path);
}

static void open_often(const char *path)
{
    for (int i = 0; i < OPENS; i++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        cr_assert_geq(fd, 0);
        close(fd);
    }
}

// How many the alerts until now stand for, and how many alerts there are.
static size_t stands_for(struct agent *agent, size_t *ret_alerts)
{
    size_t sum = 0;
    json_t *alerts = agent_alerts(agent, "read");
    for (size_t i = 0; i < json_array_size(alerts); i++) {
        const json_t *fields = json_object_get(json_array_get(alerts, i), "output_fields");
        const json_t *folded = json_object_get(fields, "folded");
        sum += folded ? (size_t)json_integer_value(folded) : 1;
    }
    *ret_alerts = json_array_size(alerts);
    json_decref(alerts);
    return sum;
}

static void wait_stands_for(struct agent *agent, size_t wanted, size_t *ret_alerts)
{
    size_t sum = 0;
    for (time_t deadline = time(NULL) + DEADLINE_S; time(NULL) < deadline; pause_briefly()) {
        sum = stands_for(agent, ret_alerts);
        if (sum == wanted)
            return;
    }
    cr_assert_fail("the alerts stand for %zu, not for %zu", sum, wanted);
}

Test(noise, repeats_become_a_summary_when_the_window_closes)
{
    const char *path = test_path("secret"), *config = test_path("agent.yaml");
    write_file(path, "");
    write_file(config, "noise: {window: 2s}\n");
    _cleanup_agent_ struct agent *agent = agent_start(rule_for(path), "--config", config, NULL);
    open_often(path);
    size_t alerts;
    wait_stands_for(agent, OPENS, &alerts);
    cr_expect_lt(alerts, OPENS);
    json_t *summary =
        agent_wait_alert(agent, "read", "folded", "*", "folded_reason", "duplicate", "fd.name", path, NULL);
    cr_expect(strstr(json_string_value(json_object_get(summary, "output")), " more of these in "));
    double folded = agent_metric(agent, "inferscope_alerts_folded_total", "reason", "duplicate", NULL);
    cr_expect(folded >= 1 && folded < OPENS, "%g", folded);
}

Test(noise, what_is_folded_at_the_end_is_told_and_delivered)
{
    const char *path = test_path("secret"), *config = test_path("agent.yaml"),
               *file = test_path("alerts.json");
    write_file(path, "");
    write_file(config, format_text("noise: {window: 1h}\nspool: {directory: %s}\n"
                                   "outputs: [{type: file, path: %s}]\n",
                                   test_path("spool"), file));
    struct agent *agent = agent_start(rule_for(path), "--config", config, NULL);
    open_often(path);
    for (time_t deadline = time(NULL) + DEADLINE_S; time(NULL) < deadline; pause_briefly())
        if (agent_metric(agent, "inferscope_alerts_folded_total", "reason", "duplicate", NULL) == OPENS - 1)
            break;
    agent_stop(agent);
    _cleanup_free_ char *text = read_whole_file(file);
    char *second = text ? strchr(text, '\n') : NULL;
    cr_assert(second, "nothing was delivered");
    json_t *alert = json_loads(text, JSON_DISABLE_EOF_CHECK, NULL), *summary = json_loads(second, 0, NULL);
    cr_assert(alert && summary, "%s", text);
    const json_t *fields = json_object_get(summary, "output_fields");
    cr_expect_null(json_object_get(json_object_get(alert, "output_fields"), "folded"));
    cr_expect_eq(json_integer_value(json_object_get(fields, "folded")), OPENS - 1);
    cr_expect(json_is_string(json_object_get(summary, "uuid")));
    cr_expect_eq(json_integer_value(json_object_get(summary, "sequence")),
                 json_integer_value(json_object_get(alert, "sequence")) + 1);
    json_decref(alert);
    json_decref(summary);
}
