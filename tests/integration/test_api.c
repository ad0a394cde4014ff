// Source `api`: requests to inference servers, whatever calls move their bytes.
#include "api_moves.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct agent *agent;
static const char *own_pid;

static void setup(void)
{
    test_setup();
    own_pid = format_text("%d", getpid());
    agent = agent_start(API_RULES, "--inference", NULL);
}

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    test_teardown();
}

TestSuite(api, .init = setup, .fini = teardown);

// What was measured lies between what the test can say from outside: it looks at its clock before and after
// the calls. The head and an event without text are no token.
Test(api, a_stream_and_its_times)
{
    struct pair pair = open_pair();
    uint64_t before_request = now_ns();
    ask(&pair, request_to("/v1/chat/completions", "", CHAT_BODY));
    uint64_t after_request = now_ns();
    answer(&pair, HEAD);
    answer(&pair, chunk(ROLE));
    uint64_t before_token = now_ns();
    answer(&pair, chunk(TOKEN));
    uint64_t after_token = now_ns();
    answer(&pair, chunk(TOKEN TOKEN));
    answer(&pair, chunk(LAST));
    answer(&pair, chunk(USAGE DONE));
    uint64_t before_end = now_ns();
    answer(&pair, "0\r\n\r\n");
    uint64_t after_end = now_ns();
    expect_stream(agent, &pair);
    const json_t *alert = agent_wait_alert(agent, "infer", "fd.cport", pair.cport, NULL);
    uint64_t first = strtoull(alert_field(alert, "infer.ttft"), NULL, 10);
    uint64_t whole = strtoull(alert_field(alert, "infer.duration"), NULL, 10);
    cr_expect(first >= before_token - after_request && first <= after_token - before_request, "%ju", first);
    cr_expect(whole >= before_end - after_request && whole <= after_end - before_request, "%ju", whole);
    cr_expect_eq(agent_count_alerts(agent, "infer", "fd.cport", pair.cport, NULL), 1,
                 "both ends are here, and only the server counts");
    close_pair(&pair);
}

// As on a node that is busy with other things: nothing is lost of what is soon told.
Test(api, streams_while_the_agent_does_not_run)
{
    enum { STREAMS = 40, TOKENS = 40 };
    struct pair pair = open_pair();
    halt(agent_pid(agent));
    for (int i = 0; i < STREAMS; i++) {
        ask(&pair, request_to("/v1/chat/completions", "", CHAT_BODY));
        answer(&pair, HEAD);
        for (int token = 0; token < TOKENS; token++)
            answer(&pair, chunk(TOKEN));
        answer(&pair, chunk(USAGE DONE));
        answer(&pair, "0\r\n\r\n");
    }
    kill(agent_pid(agent), SIGCONT);
    agent_wait_count(agent, "infer", STREAMS);
    cr_expect_eq(agent_count_alerts(agent, "infer", "fd.cport", pair.cport, "infer.status", "200",
                                    "infer.tokens.input", "24", "infer.abandoned", "false", NULL),
                 STREAMS);
    close_pair(&pair);
}

Test(api, every_call_and_pieces_of_any_size)
{
    for (size_t i = 0; i < MOVES; i++) {
        for (size_t piece = 1; piece < 2048; piece *= 5) {
            struct pair pair = open_pair();
            serve_stream(&pair, i, piece);
            expect_stream(agent, &pair);
            close_pair(&pair);
        }
    }
}

Test(api, requests_one_after_the_other_and_ahead)
{
    struct pair pair = open_pair();
    for (int i = 1; i <= 3; i++) {
        ask(&pair, request_to("/v1/completions", "", format_text("{\"model\":\"m%d\"}", i)));
        answer(&pair, json_answer(200, format_text("{\"usage\":{\"completion_tokens\":%d}}", i)));
    }
    ask(&pair, format_text("%s%s", request_to("/v1/completions", "", "{\"model\":\"m4\"}"),
                           request_to("/v1/embeddings", "", "{\"model\":\"m5\"}")));
    answer(&pair, format_text("%s%s", json_answer(200, "{\"usage\":{\"completion_tokens\":4}}"),
                              json_answer(200, "{\"usage\":{\"completion_tokens\":5}}")));
    for (int i = 1; i <= 5; i++)
        agent_wait_alert(agent, "infer", "fd.cport", pair.cport, "infer.model", format_text("m%d", i),
                         "infer.tokens.output", format_text("%d", i), "infer.stream", "false", "infer.ttft",
                         "-", "infer.operation", i < 5 ? "text_completion" : "embeddings", NULL);
    cr_expect_eq(agent_count_alerts(agent, "infer", "fd.cport", pair.cport, NULL), 5);
    close_pair(&pair);
}

Test(api, ipv6_and_ipv4_inside_of_it)
{
    static const char *const addresses[][2] = {{"::1", "::1"}, {"::ffff:127.0.0.1", "127.0.0.1"}};
    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
        struct pair pair = open_pair_v6(addresses[i][0]);
        ask(&pair, request_to("/v1/completions", "", "{\"model\":\"six\"}"));
        answer(&pair, json_answer(200, "{}"));
        agent_wait_alert(agent, "infer", "fd.cport", pair.cport, "fd.sport", pair.sport, "infer.model", "six",
                         "fd.sip", addresses[i][1], "fd.cip", addresses[i][1], NULL);
        close_pair(&pair);
    }
}

// As OpenAI's Python client writes it: the name of the model behind all of the prompt.
Test(api, a_long_prompt_before_the_model)
{
    enum { SIZE = 300000, PART = 20000 };
    static char body[SIZE + 1];
    memset(body, 'x', SIZE);
    static const char begin[] = "{\"messages\":[{\"content\":\"",
                      end[] = "\"}],\"model\":\"behind\",\"n\":1}";
    static const char escaped[] = "\\\"model\\\":\\\"wrong\\\",\\n";
    memcpy(body, begin, sizeof(begin) - 1);
    for (size_t i = 100; i < SIZE - 100; i += 80)
        memcpy(body + i, escaped, sizeof(escaped) - 1);
    memcpy(body + SIZE - (sizeof(end) - 1), end, sizeof(end) - 1);
    struct pair pair = open_pair();
    const char *request = request_to("/v1/chat/completions", "", body);
    for (size_t at = 0; at < strlen(request); at += PART)
        ask(&pair, format_text("%.*s", PART, request + at));
    answer(&pair, json_answer(200, "{}"));
    agent_wait_alert(agent, "infer", "fd.cport", pair.cport, "infer.model", "behind", NULL);
    close_pair(&pair);
}

Test(api, errors)
{
    struct pair pair = open_pair();
    const char *trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    ask(&pair, request_to("/v1/chat/completions", format_text("TraceParent: %s\r\n", trace), "{bad"));
    answer(&pair, json_answer(404, "{\"error\":{\"code\":404}}"));
    agent_wait_alert(agent, "infer", "fd.cport", pair.cport, "infer.status", "404", "infer.error", "404",
                     "infer.traceparent", trace, "infer.model", "-", NULL);
    cr_expect_eq(wait_metric(agent, "inferscope_inference_requests_total", pair.sport, 1), 1);
    cr_expect_eq(agent_metric(agent, "gen_ai_server_request_duration_seconds_count", "server_port",
                              pair.sport, "error_type", "404", "gen_ai_operation_name", "chat", NULL),
                 1);
    close_pair(&pair);
}

Test(api, a_client_that_goes_away)
{
    struct pair pair = open_pair();
    ask(&pair, request_to("/v1/chat/completions", "", CHAT_BODY));
    answer(&pair, HEAD);
    answer(&pair, chunk(ROLE TOKEN));
    answer(&pair, chunk(TOKEN));
    close(pair.client);
    const char *more = chunk(TOKEN);
    // Until the reset is here, the server goes on.
    while (send(pair.server, more, strlen(more), MSG_NOSIGNAL) > 0)
        ;
    close(pair.server);
    const json_t *alert =
        agent_wait_alert(agent, "infer", "fd.cport", pair.cport, "infer.abandoned", "true", "infer.error",
                         "client_gone", "infer.status", "200", "infer.tokens.source", "events", NULL);
    cr_expect_geq(atoi(alert_field(alert, "infer.tokens.output")), 2);
    cr_expect_eq(wait_metric(agent, "inferscope_inference_abandoned_requests_total", pair.sport, 1), 1);
    cr_expect_eq(agent_metric(agent, "inferscope_inference_abandoned_tokens_total", "server_port", pair.sport,
                              "token_source", "events", NULL),
                 atoi(alert_field(alert, "infer.tokens.output")));
}

Test(api, a_server_that_breaks_off)
{
    struct pair pair = open_pair();
    ask(&pair, request_to("/v1/chat/completions", "", CHAT_BODY));
    answer(&pair, HEAD);
    answer(&pair, chunk(TOKEN));
    close(pair.server);
    close(pair.client);
    agent_wait_alert(agent, "infer", "fd.cport", pair.cport, "infer.abandoned", "false", "infer.error",
                     "server_closed", "infer.tokens.output", "1", NULL);
}

Test(api, an_answer_that_ends_with_the_connection)
{
    struct pair pair = open_pair();
    ask(&pair, request_to("/v1/chat/completions", "", CHAT_BODY));
    answer(&pair, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n");
    answer(&pair, ROLE TOKEN);
    answer(&pair, TOKEN TOKEN USAGE);
    close(pair.server);
    close(pair.client);
    expect_stream(agent, &pair);
}

// Other routes are timed where inference was asked for, and nowhere else.
Test(api, other_routes_and_other_servers)
{
    _cleanup_close_ int listener = listen_here();
    struct pair pair = api_connect(listener), other = open_pair();
    ask(&other, "GET /health HTTP/1.1\r\n\r\n");
    answer(&other, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    ask(&other, request_to("/v1/chat/unknown", "", "{}"));
    answer(&other, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    ask(&pair, request_to("/v1/completions", "", "{\"model\":\"m\"}"));
    answer(&pair, json_answer(200, "{}"));
    // There it is user space that finds that the server has granted something.
    if (!kernel_at_least(5, 17))
        agent_wait_alert(agent, "infer", "fd.cport", pair.cport, NULL);
    struct pair second = api_connect(listener);
    ask(&second, "GET /v1/models HTTP/1.1\r\n\r\n");
    answer(&second, json_answer(200, "{}"));
    ask(&second, "DELETE /private/4711 HTTP/1.1\r\n\r\n");
    answer(&second, json_answer(500, "{}"));
    agent_wait_alert(agent, "http", "fd.cport", second.cport, "http.route", "/v1/models", "http.method",
                     "GET", "http.status", "200", "http.error", "-", "proc.pid", own_pid, NULL);
    agent_wait_alert(agent, "http", "fd.cport", second.cport, "http.route", "-", "http.method", "DELETE",
                     "http.error", "500", NULL);
    cr_expect_eq(agent_count_alerts(agent, "http", "fd.sport", other.sport, NULL), 0);
    cr_expect_eq(agent_count_alerts(agent, "infer", "fd.sport", other.sport, NULL), 0);
    cr_expect_eq(agent_metric(agent, "http_server_request_duration_seconds_count", "server_port", pair.sport,
                              "http_route", "other", "http_response_status_class", "5xx", NULL),
                 1);
    close_pair(&pair);
    close_pair(&other);
    close_pair(&second);
}

static void stream_once(const struct pair *pair)
{
    ask(pair, request_to("/v1/chat/completions", "", CHAT_BODY));
    answer(pair, HEAD);
    answer(pair, chunk(ROLE));
    for (size_t i = 0; i < 3; i++)
        answer(pair, chunk(TOKEN));
    answer(pair, chunk(LAST));
    answer(pair, chunk(USAGE DONE));
    answer(pair, "0\r\n\r\n");
}

Test(api, what_stands_before_the_first_request)
{
    static const char *const before[] = {
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "\r\n\r\n\r\n\r\n\r\n",
        "PROPFIND /v1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "{}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
        struct pair pair = open_pair();
        ask(&pair, before[i]);
        stream_once(&pair);
        expect_stream(agent, &pair);
        close_pair(&pair);
    }
}

// A connection of another protocol is not looked at any more. A later one's socket can lie in its memory.
Test(api, a_connection_of_another_protocol)
{
    if (!kernel_at_least(5, 17))
        cr_skip_test("before Linux 5.17 a request counts wherever it begins");
    for (size_t i = 0; i < 50; i++) {
        struct pair other = open_pair();
        ask(&other, "\x16\x03\x01\x02\x01\x01\x01\x01\xfc");
        stream_once(&other);
        answer(&other, "not looked at, either");
        close_pair(&other);
        struct pair pair = open_pair();
        stream_once(&pair);
        expect_stream(agent, &pair);
        cr_expect_eq(
            agent_count_alerts(agent, "infer", "fd.cport", other.cport, "fd.sport", other.sport, NULL), 0);
        close_pair(&pair);
    }
}

Test(api, under_way_and_silent)
{
    struct pair pair = open_pair();
    ask(&pair, request_to("/v1/chat/completions", "", CHAT_BODY));
    uint64_t asked = now_ns();
    cr_expect_eq(wait_metric(agent, "inferscope_inference_requests_in_flight", pair.sport, 1), 1);
    uint64_t looked = now_ns();
    double silent =
        agent_metric(agent, "inferscope_inference_silence_seconds", "server_port", pair.sport, NULL);
    cr_expect(silent >= (double)(looked - asked) / 1e9, "%f", silent);
    answer(&pair, json_answer(200, "{}"));
    cr_expect_eq(wait_metric(agent, "inferscope_inference_requests_in_flight", pair.sport, 0), 0);
    cr_expect_eq(agent_metric(agent, "inferscope_inference_silence_seconds", "server_port", pair.sport, NULL),
                 0);
    close_pair(&pair);
}

Test(api, what_turns_out_to_be_no_http_is_counted)
{
    struct pair pair = open_pair();
    ask(&pair, request_to("/v1/completions", "", "{}"));
    answer(&pair, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
    answer(&pair, "anything");
    ask(&pair, "anything");
    cr_expect_eq(
        wait_metric_of(agent, "inferscope_inference_connections_unfollowed_total", "reason", "not_http", 1),
        1);
    cr_expect_eq(
        agent_metric(agent, "inferscope_inference_requests_in_flight", "server_port", pair.sport, NULL) > 0,
        false);
    // A new request is understood again.
    ask(&pair, request_to("/v1/completions", "", "{\"model\":\"again\"}"));
    answer(&pair, json_answer(200, "{}"));
    agent_wait_alert(agent, "infer", "fd.cport", pair.cport, "infer.model", "again", NULL);
    close_pair(&pair);
}
