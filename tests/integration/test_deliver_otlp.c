// An agent that watches a server sends spans of its requests, and metrics, to an OTLP receiver that is
// strict.
#include "deliver.h"
#include "servers.h"

#include <string.h>
#include <time.h>

TestSuite(deliver_otlp, TEST_SUITE);

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define UNRECORDED "1bf7651916cd43dd8448eb211c80319d"

// The first body at the path that has the text; owned. Asserts that nothing was wrong with any request, and
// that none has what is never sent: other servers of the machine are watched, too, so how many bodies there
// are says nothing.
static char *wait_body(const char *path, const char *text, const char *never)
{
    for (time_t deadline = time(NULL) + DEADLINE_S; time(NULL) < deadline; pause_briefly()) {
        json_t *state = receivers_state();
        const json_t *bodies = json_object_get(json_object_get(state, "bodies"), path);
        const json_t *problem = json_array_get(json_object_get(state, "problems"), 0);
        cr_assert_null(problem, "%s", json_string_value(problem));
        char *found = NULL;
        for (size_t i = 0; i < json_array_size(bodies); i++) {
            const char *body = json_string_value(json_array_get(bodies, i));
            cr_expect_null(strstr(body, never), "%s", body);
            if (!found && strstr(body, text))
                found = strdup(body);
        }
        json_decref(state);
        if (found)
            return found;
    }
    cr_assert_fail("%s: no request has %s", path, text);
    return NULL;
}

static void ask(const struct server *server, const char *head)
{
    static const char *const bodies[] = {"{\"model\":\"otlp-test\",\"messages\":[]}", NULL};
    const struct load load = {.port = server_port(server),
                              .route = "/v1/chat/completions",
                              .head = head,
                              .bodies = bodies,
                              .requests = 1,
                              .at_once = 1};
    answers_free(load_run(&load), 1);
}

Test(deliver_otlp, spans_are_children_of_their_traceparent_and_metrics_come_by_interval)
{
    _cleanup_server_ struct server *server = server_start(SERVER_PLAIN);
    unsigned port = receivers_start();
    write_file(
        test_path("agent.yaml"),
        format_text(
            "inference: {enabled: true}\n"
            "spool: {directory: \"%s\"}\n"
            "otlp: {metrics_interval: 1s}\n"
            "outputs:\n"
            "- {type: otlp, url: \"http://127.0.0.1:%u\", signals: [metrics, traces], batch_wait: 0s}\n",
            test_path("spool"), port));
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--config", test_path("agent.yaml"), NULL);
    // Nobody records the first trace, so there is no span of that request.
    ask(server, "traceparent: 00-" UNRECORDED "-b7ad6b7169203332-00\r\n");
    ask(server, "traceparent: 00-" TRACE "-b7ad6b7169203331-01\r\n");
    _cleanup_free_ char *traces =
        wait_body("/v1/traces", "\"parentSpanId\":\"b7ad6b7169203331\"", UNRECORDED);
    cr_expect(strstr(traces, "\"traceId\":\"" TRACE "\""), "%s", traces);
    cr_expect(strstr(traces, "\"name\":\"chat otlp-test\""), "%s", traces);
    cr_expect(strstr(traces, "\"host.name\""), "%s", traces);

    _cleanup_free_ char *metrics = wait_body("/v1/metrics", "\"stringValue\":\"otlp-test\"", UNRECORDED);
    cr_expect(strstr(metrics, "\"name\":\"gen_ai.server.request.duration\""), "%.2000s", metrics);
    cr_expect(strstr(metrics, "\"isMonotonic\":true"));
}
