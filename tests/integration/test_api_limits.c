// Source `api`: what does not make an inference server, and what happens when there are too many connections.
#include "api_pair.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct agent *agent;

static void setup(void)
{
    test_setup();
    if (!kernel_at_least(5, 17))
        cr_skip_test("needs Linux 5.17");
    // As many requests as can be under way may end before the agent runs: all of the records find room.
    agent = agent_start(API_RULES, "--inference", "--ring-size", "8", NULL);
}

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    test_teardown();
}

TestSuite(api_limits, .init = setup, .fini = teardown);

static void get_health(const struct pair *pair)
{
    ask(pair, "GET /health HTTP/1.1\r\n\r\n");
    answer(pair, json_answer(200, "{}"));
}

// Somebody who looks for inference servers must not have all requests to a web server measured.
Test(api_limits, a_server_that_refuses_inference_is_none)
{
    static const unsigned refusals[] = {301, 401, 403, 404, 405, 500, 501, 503};
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        _cleanup_close_ int listener = listen_here();
        struct pair pair = api_connect(listener), other = api_connect(listener);
        ask(&pair, request_to("/v1/chat/completions", "", "{\"model\":\"m\"}"));
        answer(&pair, json_answer(refusals[i], "{}"));
        get_health(&pair);
        get_health(&other);
        // The request itself is one of inference, also on the same connection, and nothing else is told.
        ask(&pair, request_to("/v1/completions", "", "{\"model\":\"m\"}"));
        answer(&pair, json_answer(refusals[i], "{}"));
        agent_wait_alert(agent, "infer", "fd.cport", pair.cport, "infer.route", "/v1/completions", NULL);
        cr_expect_eq(agent_count_alerts(agent, "infer", "fd.sport", pair.sport, NULL), 2);
        cr_expect_eq(agent_count_alerts(agent, "http", "fd.sport", pair.sport, NULL), 0, "%u", refusals[i]);
        // Until it grants one.
        ask(&pair, request_to("/v1/completions", "", "{\"model\":\"m\"}"));
        answer(&pair, json_answer(200, "{}"));
        get_health(&pair);
        get_health(&other);
        agent_wait_alert(agent, "http", "fd.cport", pair.cport, "http.route", "/health", NULL);
        agent_wait_alert(agent, "http", "fd.cport", other.cport, "http.route", "/health", NULL);
        cr_expect_eq(agent_count_alerts(agent, "http", "fd.sport", pair.sport, NULL), 2);
        close_pair(&pair);
        close_pair(&other);
    }
}

// Sent ahead behind one that is granted, it is one to an inference server.
Test(api_limits, another_request_ahead_of_the_answer)
{
    struct pair pair = open_pair(), refused = open_pair();
    const char *both = format_text("%s%s", request_to("/v1/completions", "", "{\"model\":\"m\"}"),
                                   "GET /health HTTP/1.1\r\n\r\n");
    ask(&refused, both);
    answer(&refused, format_text("%s%s", json_answer(404, "{}"), json_answer(200, "{}")));
    ask(&pair, both);
    answer(&pair, format_text("%s%s", json_answer(200, "{}"), json_answer(200, "{}")));
    agent_wait_alert(agent, "infer", "fd.cport", refused.cport, "infer.status", "404", NULL);
    agent_wait_alert(agent, "infer", "fd.cport", pair.cport, "infer.status", "200", NULL);
    agent_wait_alert(agent, "http", "fd.cport", pair.cport, "http.route", "/health", NULL);
    cr_expect_eq(agent_count_alerts(agent, "http", "fd.cport", refused.cport, NULL), 0);
    close_pair(&pair);
    close_pair(&refused);
}

// --- Too many connections ---

enum { TABLE = 8192, WAITING = 512, FOREIGN = 500, TOO_MANY = TABLE + 500 };
static struct pair pairs[TOO_MANY];

static void open_many(int listener)
{
    struct rlimit limit;
    const rlim_t needed = 2 * TOO_MANY + 500;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = needed;
    limit.rlim_max = limit.rlim_max > needed ? limit.rlim_max : needed;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        cr_skip_test("may not have as many descriptors");
    for (size_t i = 0; i < TOO_MANY; i++)
        pairs[i] = api_connect(listener);
}

static void close_many(void)
{
    for (size_t i = 0; i < TOO_MANY; i++)
        close_pair(&pairs[i]);
}

static double too_many(void)
{
    return agent_metric(agent, "inferscope_inference_connections_unfollowed_total", "reason", "too_many",
                        NULL);
}

// Whoever begins requests and goes no further takes nobody's place.
Test(api_limits, heads_that_never_end)
{
    _cleanup_close_ int listener = listen_here();
    open_many(listener);
    for (size_t i = 0; i < TOO_MANY; i++)
        ask(&pairs[i], i % 2 ? "P" : "POST /v1/completions HTTP/1.1\r\n");
    cr_expect_geq(too_many(), TOO_MANY - WAITING, "none is forgotten without being counted");
    struct pair pair = open_pair();
    ask(&pair, request_to("/v1/completions", "", "{\"model\":\"whole\"}"));
    answer(&pair, json_answer(200, "{}"));
    agent_wait_alert(agent, "infer", "fd.cport", pair.cport, "infer.model", "whole", NULL);
    ask(&pair, request_to("/v1/completions", "", "{\"model\":\"next\"}"));
    answer(&pair, json_answer(200, "{}"));
    agent_wait_alert(agent, "infer", "fd.cport", pair.cport, "infer.model", "next", NULL);
    struct pair slow = open_pair();
    const char *request = request_to("/v1/completions", "", "{\"model\":\"in pieces\"}");
    for (const char *c = request; *c; c++)
        ask(&slow, format_text("%c", *c));
    answer(&slow, json_answer(200, "{}"));
    agent_wait_alert(agent, "infer", "fd.cport", slow.cport, "infer.model", "in pieces", NULL);
    close_pair(&pair);
    close_pair(&slow);
    close_many();
}

// A head that has begun, and neither side goes on: no request.
Test(api_limits, a_head_that_never_ends_is_no_request)
{
    struct pair pair = open_pair(), other = open_pair();
    ask(&pair, "POST /v1/completions HTTP/1.1\r\nX: ");
    ask(&other, "P");
    cr_expect_not(
        agent_metric(agent, "inferscope_inference_requests_in_flight", "server_port", pair.sport, NULL) > 0);
    close_pair(&pair);
    close_pair(&other);
    struct pair last = open_pair();
    ask(&last, request_to("/v1/completions", "", "{\"model\":\"last\"}"));
    answer(&last, json_answer(200, "{}"));
    agent_wait_alert(agent, "infer", "fd.cport", last.cport, "infer.model", "last", NULL);
    cr_expect_eq(agent_count_alerts(agent, "infer", "fd.sport", pair.sport, NULL), 0);
    cr_expect_eq(agent_count_alerts(agent, "http", "fd.sport", other.sport, NULL), 0);
    close_pair(&last);
}

// Those that there is room for are followed to their end; the others are counted. (Others' connections may
// have taken some of the places.)
Test(api_limits, more_requests_at_a_time_than_there_is_room_for)
{
    _cleanup_close_ int listener = listen_here();
    const char *request = request_to("/v1/completions", "", "{\"model\":\"many\"}");
    const char *said = json_answer(200, "{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}");
    open_many(listener);
    for (size_t i = 0; i < TOO_MANY; i++)
        ask(&pairs[i], request);
    double followed =
        agent_metric(agent, "inferscope_inference_requests_in_flight", "server_port", pairs[0].sport, NULL);
    cr_expect(followed > TABLE - FOREIGN && followed <= TABLE, "%f", followed);
    cr_expect_geq(too_many(), TOO_MANY - followed);
    for (size_t i = 0; i < TOO_MANY; i++)
        answer(&pairs[i], said);
    cr_expect_eq(wait_metric(agent, "inferscope_inference_requests_total", pairs[0].sport, followed),
                 followed);
    cr_expect_eq(agent_metric(agent, "gen_ai_server_token_usage_sum", "server_port", pairs[0].sport,
                              "gen_ai_token_type", "input", NULL),
                 3 * followed);
    close_many();
    struct pair pair = open_pair();
    ask(&pair, request_to("/v1/completions", "", "{\"model\":\"after\"}"));
    answer(&pair, json_answer(200, "{}"));
    agent_wait_alert(agent, "infer", "fd.cport", pair.cport, "infer.model", "after", NULL);
    close_pair(&pair);
}
