// HTTP and JSON as other servers write them, and as nobody should.
#include "api_wire.h"

#include "base/cleanup.h"

#include <errno.h>

#define CHAT "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

static void setup(void)
{
    wire_begin();
}

TestSuite(api_http, .init = setup);

static void request_with_body(const char *path, const char *body)
{
    char head[256];
    snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", path,
             strlen(body));
    wire_request(head);
    wire_request(body);
}

static void json_answer(const char *body)
{
    char head[256];
    snprintf(head, sizeof(head),
             "HTTP/1.1 200 OK\r\ncontent-type:application/json\r\nCONTENT-LENGTH:%zu\r\n\r\n", strlen(body));
    wire_answer(head);
    wire_answer(body);
}

static const char *route_of(const char *path)
{
    static char request[512];
    wire_begin();
    snprintf(request, sizeof(request), "POST %s HTTP/1.1\r\nContent-Length: 0\r\n\r\n", path);
    wire_request(request);
    wire_answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    const struct api_route *route = api_route_at(wire_only()->route);
    return route ? route->pattern : "";
}

Test(api_http, routes)
{
    cr_expect_str_eq(route_of("/v1/chat/completions"), "/v1/chat/completions");
    cr_expect_str_eq(route_of("/v1/chat/completions?api-version=1"), "/v1/chat/completions");
    cr_expect_str_eq(route_of("/v1/chat/completions/"), "");
    cr_expect_str_eq(route_of("/v1/chat/completion"), "");
    cr_expect_str_eq(route_of("/v2/models/llama/infer"), "/v2/models/*/infer");
    cr_expect_str_eq(route_of("/v2/models/llama/x/infer"), "");
    cr_expect_str_eq(route_of("/v2/models/llama"), "/v2/models/*");
    cr_expect_str_eq(route_of("/predictions/resnet"), "/predictions/*");
    cr_expect_str_eq(route_of("/predictions/resnet/1.0"), "");
    cr_expect_str_eq(route_of("/openai/deployments/gpt/chat/completions"),
                     "/openai/deployments/*/chat/completions");
    cr_expect_str_eq(route_of("/"), "/");
    cr_expect_str_eq(route_of("/secret/4711"), "");
}

Test(api_http, added_routes)
{
    cr_expect_eq(api_route_add("llm", 3), -EINVAL);
    cr_expect_eq(api_route_add("/l*m", 4), -EINVAL);
    cr_expect_eq(api_route_add("/*/x", 4), -EINVAL);
    cr_expect_eq(api_route_add("/a/*/*", 6), -EINVAL);
    cr_expect_eq(api_route_add("/a b", 4), -EINVAL);
    cr_expect_eq(api_route_add("/llm/v1/chat/completions,", 24), 0);
    cr_expect_eq(api_route_add("/tenants/*/ask", 14), 0);
    cr_expect_str_eq(route_of("/llm/v1/chat/completions"), "/llm/v1/chat/completions");
    cr_expect_str_eq(api_route_at(wire_only()->route)->operation, "chat");
    cr_expect_str_eq(route_of("/tenants/seven/ask"), "/tenants/*/ask");
    cr_expect_str_eq(api_route_at(wire_only()->route)->operation, "inference");
}

static void expect_model(const char *body, const char *model)
{
    wire_begin();
    request_with_body("/v1/completions", body);
    wire_answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    const char *got = wire_model(wire_only()->request_model, wire_only()->request_model_length);
    cr_expect_str_eq(got, model, "%s gives \"%s\"", body, got);
}

Test(api_http, the_model_is_that_of_the_outermost_object)
{
    expect_model("{\"model\":\"a\"}", "a");
    expect_model(" { \"model\" : \"a/b-c:7b\" , \"x\":1}", "a/b-c:7b");
    expect_model("{\"model\":\"org\\/name\"}", "org/name");
    expect_model("{\"messages\":[{\"content\":\"say \\\"model\\\":\\\"evil\\\"\"}],\"model\":\"good\"}",
                 "good");
    expect_model("{\"prompt\":\"\\\\\",\"model\":\"good\"}", "good");
    expect_model("{\"tools\":[{\"model\":\"inner\"}],\"model\":\"outer\"}", "outer");
    expect_model("{\"metadata\":{\"model\":\"inner\"}}", "");
    expect_model("{\"x\":\"model\",\"y\":\"b\"}", "");
    expect_model("{\"model\":null,\"y\":\"b\"}", "");
    expect_model("{\"model\":{\"a\":\"b\"},\"y\":\"b\"}", "");
    expect_model("{\"mod\\u0065l\":\"a\"}", "");
    expect_model("{\"model\":\"first\",\"model\":\"second\"}", "second");
    expect_model("{\"model\":\"first\",\"x\":{\"model\":\"inner\"}}", "first");
    expect_model("not json at all", "");
}

// A name that a prompt holds must never be told, and behind a gap it looks the same at first.
Test(api_http, a_name_behind_a_gap_counts_where_it_proves_to_be_outermost)
{
#define TOOL "\"},{\"content\":[{\"input\":{\"model\":\"SECRET\"}}]}]"
    static char text[60001], body[70000];
    static const struct {
        const char *head, *tail, *model;
    } cases[] = {
        {"{\"messages\":[{\"content\":\"", TOOL ",\"model\":\"real\"}", "real"},
        {"{\"messages\":[{\"content\":\"", TOOL "}", ""},
        {"{\"messages\":[{\"content\":\"", TOOL "}\n", ""},
        {"{\"model\":\"real\",\"messages\":[{\"content\":\"", TOOL "}", "real"},
        {"{\"model\":\"one\",\"messages\":[{\"content\":\"", TOOL ",\"model\":\"two\"}", "two"},
        {"{\"messages\":[{\"content\":\"", "\"}],\"model\":\"real\",\"x\":{\"model\":\"SECRET\"}}", "real"},
    };
    memset(text, 'x', sizeof(text) - 1);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        snprintf(body, sizeof(body), "%s%s%s", cases[i].head, text, cases[i].tail);
        expect_model(body, cases[i].model);
        wire_begin();
        wire_request(CHAT);
        json_answer(body);
        const char *got = wire_model(wire_only()->response_model, wire_only()->response_model_length);
        cr_expect_str_neq(got, "SECRET", "answer %zu", i);
    }
}

Test(api_http, a_text_too_deep_gives_no_more_names)
{
    static char body[1024], deep[301], back[301];
    memset(deep, '[', 300);
    memset(back, ']', 300);
    snprintf(body, sizeof(body), "{\"x\":[%s%s,{\"model\":\"SECRET\"}],\"model\":\"real\"}", deep, back);
    expect_model(body, "");
}

static int output_tokens(const char *number)
{
    char body[256];
    wire_begin();
    wire_request(CHAT);
    snprintf(body, sizeof(body), "{\"usage\":{\"completion_tokens\":%s,\"prompt_tokens\":3}}", number);
    json_answer(body);
    cr_expect_eq(wire_only()->input_tokens, 3);
    return wire_only()->flags & WIRE_API_HAS_OUTPUT ? (int)wire_only()->output_tokens : -1;
}

Test(api_http, only_a_plain_number_is_one_of_tokens)
{
    cr_expect_eq(output_tokens("25"), 25);
    cr_expect_eq(output_tokens("-5"), -1);
    cr_expect_eq(output_tokens("1e3"), -1);
    cr_expect_eq(output_tokens("1E+3"), -1);
    cr_expect_eq(output_tokens("1.5"), -1);
}

static bool is_error(const char *value)
{
    char answer[512];
    wire_begin();
    wire_request(CHAT);
    snprintf(answer, sizeof(answer), STREAM "data: {\"error\":%s,\"content\":\"a\"}\n\n", value);
    wire_answer(answer);
    exchange_closed(&connection, 9, true);
    return wire_only()->flags & WIRE_API_ERROR_EVENT;
}

Test(api_http, an_empty_error_is_none)
{
    cr_expect_not(is_error("null"));
    cr_expect_not(is_error("\"\""));
    cr_expect_not(is_error("{}"));
    cr_expect_not(is_error("{ }"));
    cr_expect_not(is_error("[]"));
    cr_expect(is_error("\"no\""));
    cr_expect(is_error("\"a text that is longer than any key can be\""));
    cr_expect(is_error("{\"code\":5}"));
    cr_expect(is_error("[ 5]"));
}

Test(api_http, white_space_and_lists_in_headers)
{
    static const char *const heads[] = {"Transfer-Encoding: chunked \r\n\r\n11\r\n",
                                        "Transfer-Encoding: gzip,  chunked\t \r\n\r\n11\r\n",
                                        "Content-Length: 17, 17\r\n\r\n", "Content-Length: 17 \r\n\r\n",
                                        "Content-Encoding: identity \r\nContent-Length: 17\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
        wire_begin();
        wire_request("POST /v1/completions HTTP/1.1\r\n");
        wire_request(heads[i]);
        wire_request("{\"model\":\"abcde\"}");
        if (i < 2)
            wire_request("\r\n0\r\n\r\n");
        wire_answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        cr_expect_neq(wire_only()->request_end_ns, 0, "%zu", i);
        cr_expect_str_eq(wire_model(wire_only()->request_model, wire_only()->request_model_length), "abcde",
                         "%zu", i);
    }
}

Test(api_http, a_long_name_is_cut_and_says_so)
{
    char body[512], name[200];
    memset(name, 'n', sizeof(name));
    snprintf(body, sizeof(body), "{\"model\":\"%.150s\"}", name);
    request_with_body("/v1/completions", body);
    wire_answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    cr_expect_eq(wire_only()->request_model_length, WIRE_API_MODEL_MAX);
    cr_expect(wire_only()->flags & WIRE_API_LONG_MODEL);
}

// A prompt of a megabyte comes first, with quotes of all kinds, so that the tail begins at any place of it.
Test(api_http, the_model_behind_a_long_prompt)
{
    static char body[1 << 20];
    for (size_t shift = 0; shift < 64; shift++) {
        size_t used =
            (size_t)snprintf(body, sizeof(body), "{\"messages\":[{\"role\":\"user\",\"content\":\"%.*s",
                             (int)shift, "################################################################");
        static const char text[] = "he said \\\"model\\\": \\\"evil\\\", {not} [json] \\\\ at all, or: ";
        while (used < sizeof(body) - 256) {
            memcpy(body + used, text, sizeof(text) - 1);
            used += sizeof(text) - 1;
        }
        strcpy(body + used, "\"},{\"role\":\"user\",\"content\":\"x\"}],\"model\":\"good\",\"stream\":true}");
        wire_begin();
        request_with_body("/v1/chat/completions", body);
        wire_answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        cr_assert_str_eq(wire_model(wire_only()->request_model, wire_only()->request_model_length), "good");
        cr_assert(wire_only()->flags & WIRE_API_STREAM_ASKED);
        cr_assert_eq(connection.messages[0].scanned < HTTP_HEAD_SCAN + HTTP_TAIL_SCAN + 64, true);
    }
}

Test(api_http, the_model_behind_a_long_prompt_in_one_chunk)
{
    static char body[100000];
    memset(body, 'x', sizeof(body));
    memcpy(body, "{\"prompt\":\"", 11);
    strcpy(body + sizeof(body) - 100, "\",\"model\":\"good\"}");
    wire_request("POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    char size[16];
    snprintf(size, sizeof(size), "%zx\r\n", strlen(body));
    wire_request(size);
    wire_request(body);
    wire_request("\r\n0\r\n\r\n");
    wire_answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    cr_assert_str_eq(wire_model(wire_only()->request_model, wire_only()->request_model_length), "good");
    cr_assert_lt(connection.messages[0].scanned, HTTP_HEAD_SCAN + HTTP_TAIL_SCAN + 2 * SCAN_RUN);
}

Test(api_http, usage_behind_a_long_answer)
{
    static char body[200000];
    size_t used = (size_t)snprintf(body, sizeof(body), "{\"model\":\"m\",\"choices\":[{\"text\":\"");
    while (used < sizeof(body) - 256)
        used += (size_t)snprintf(body + used, sizeof(body) - used, "\\\"completion_tokens\\\":99,\\n");
    strcpy(body + used,
           "\"}],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":34,\"details\":{\"x\":1}}}");
    wire_request(CHAT);
    json_answer(body);
    cr_expect_eq(wire_only()->input_tokens, 12);
    cr_expect_eq(wire_only()->output_tokens, 34);
}

Test(api_http, numbers_of_tokens_count_only_where_a_server_puts_them)
{
    wire_request(CHAT);
    json_answer("{\"choices\":[{\"message\":{\"completion_tokens\":7,\"content\":\"\\\"usage\\\":{\"}}],"
                "\"completion_tokens\":8,\"usage\":null}");
    cr_expect_eq(wire_only()->flags & (WIRE_API_HAS_INPUT | WIRE_API_HAS_OUTPUT), 0);
}

static void expect_stream(const char *path, const char *type, const char *body, unsigned events,
                          unsigned contents, int input, int output, const char *model)
{
    char head[256];
    wire_begin();
    request_with_body(path, "{}");
    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", type,
             strlen(body));
    wire_answer(head);
    wire_answer(body);
    const struct wire_api_exchange *got = wire_only();
    cr_expect_eq(got->events, events, "%s: %u events", path, got->events);
    cr_expect_eq(got->content_events, contents, "%s: %u with content", path, got->content_events);
    cr_expect_eq(got->flags & WIRE_API_HAS_INPUT ? (int)got->input_tokens : -1, input, "%s", path);
    cr_expect_eq(got->flags & WIRE_API_HAS_OUTPUT ? (int)got->output_tokens : -1, output, "%s", path);
    cr_expect_str_eq(wire_model(got->response_model, got->response_model_length), model, "%s", path);
}

#define SSE "text/event-stream; charset=utf-8"

Test(api_http, streams_of_other_servers)
{
    // vLLM: an empty text beside the role, usage in every chunk
    expect_stream(
        "/v1/chat/completions", SSE,
        "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
        "\"content\":\"\"},\"finish_reason\":null}]}\n\n"
        "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"Hi\"}}],"
        "\"usage\":{\"prompt_tokens\":5,\"total_tokens\":6,\"completion_tokens\":1}}\n\n"
        ": keep-alive\n\n"
        "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"delta\":{\"reasoning_content\":\"Hm\"}}],"
        "\"usage\":{\"prompt_tokens\":5,\"total_tokens\":7,\"completion_tokens\":2}}\n\n"
        "data: [DONE]\n\n",
        4, 2, 5, 2, "m");
    // Anthropic's messages: named events, with CRLF
    expect_stream("/v1/messages", SSE,
                  "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"c\","
                  "\"content\":[],\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\r\n\r\n"
                  "event: content_block_start\r\ndata: {\"type\":\"content_block_start\",\"index\":0,"
                  "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\r\n\r\n"
                  "event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
                  "\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\r\n\r\n"
                  "event: message_delta\r\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
                  "\"end_turn\"},\"usage\":{\"output_tokens\":15}}\r\n\r\n"
                  "event: message_stop\r\ndata: {\"type\":\"message_stop\"}\r\n\r\n",
                  5, 1, 25, 15, "c");
    // OpenAI's responses: each text comes again when it is done
    expect_stream(
        "/v1/responses", SSE,
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"model\":\"g\","
        "\"output\":[],\"usage\":null}}\n\n"
        "data: {\"type\":\"response.output_text.delta\",\"delta\":\"In\"}\n\n"
        "data: {\"type\":\"response.output_text.done\",\"text\":\"In\"}\n\n"
        "data: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"content\":[{\"text\":"
        "\"In\"}]}],\"usage\":{\"input_tokens\":37,\"input_tokens_details\":{\"cached_tokens\":3},"
        "\"output_tokens\":11}}}\n\n",
        4, 1, 37, 11, "g");
    // Ollama: a line of JSON each
    expect_stream("/api/chat", "application/x-ndjson",
                  "{\"model\":\"q\",\"message\":{\"role\":\"assistant\",\"content\":\"a\"},\"done\":false}\n"
                  "{\"model\":\"q\",\"message\":{\"role\":\"assistant\",\"content\":\"b\"},\"done\":false}\n"
                  "{\"model\":\"q\",\"message\":{\"content\":\"\"},\"done\":true,\"prompt_eval_count\":26,"
                  "\"eval_count\":2}\n",
                  3, 2, 26, 2, "q");
    expect_stream(
        "/api/generate", "application/x-ndjson",
        "{\"model\":\"q\",\"response\":\"a\",\"done\":false}\n"
        "{\"model\":\"q\",\"response\":\"\",\"done\":true,\"prompt_eval_count\":6,\"eval_count\":1}",
        2, 1, 6, 1, "q");
    // TGI
    expect_stream("/generate_stream", SSE,
                  "data:{\"index\":1,\"token\":{\"id\":7,\"text\":\" a\",\"special\":false},"
                  "\"generated_text\":null,\"details\":null}\n\n"
                  "data:{\"index\":2,\"token\":{\"id\":8,\"text\":\" b\"},\"generated_text\":\" a b\"}\n\n",
                  2, 2, -1, -1, "");
    // A call of a tool, and the last event without a line end
    expect_stream(
        "/v1/chat/completions", SSE,
        "data: {\"choices\":[{\"delta\":{\"content\":null,\"tool_calls\":[{\"function\":{\"name\":"
        "\"f\",\"arguments\":\"\"}}]}}]}\n\n"
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"{\\\"\"}}]}}]}",
        2, 1, -1, -1, "");
}

Test(api_http, an_error_inside_of_a_stream)
{
    wire_request(CHAT);
    wire_answer(STREAM "data: {\"error\":{\"message\":\"out of memory\"}}\n\n");
    exchange_closed(&connection, 9, true);
    cr_expect(wire_only()->flags & WIRE_API_ERROR_EVENT);
    cr_expect_eq(wire_only()->content_events, 0);
}

Test(api_http, the_end_of_the_connection_ends_an_answer_of_unknown_length)
{
    wire_request(CHAT);
    wire_answer(STREAM "data: {\"content\":\"a\"}\n\n");
    cr_expect_eq(finished_count, 0);
    exchange_closed(&connection, 9, true);
    cr_expect_eq(wire_only()->end, WIRE_API_COMPLETE);
    cr_expect_eq(wire_only()->content_events, 1);
    cr_expect_eq(wire_only()->end_ns, 9);
}

Test(api_http, a_client_that_goes_away)
{
    wire_request(CHAT);
    wire_answer("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                "18\r\ndata: {\"content\":\"a\"}\n\n\r\n18\r\ndata: {\"content\":\"a\"}\n\n\r\n");
    exchange_closed(&connection, 9, false);
    cr_expect_eq(wire_only()->end, WIRE_API_CLIENT_GONE);
    cr_expect_eq(wire_only()->content_events, 2);
    cr_expect_eq(wire_only()->status, 200);
}

Test(api_http, a_client_that_does_not_wait_for_any_answer)
{
    wire_request(CHAT CHAT);
    exchange_closed(&connection, 9, false);
    cr_expect_eq(finished_count, 2);
    cr_expect_eq(finished[1].end, WIRE_API_CLIENT_GONE);
    cr_expect_eq(finished[1].status, 0);
}

Test(api_http, interim_answers_and_heads_without_body)
{
    wire_request("POST /v1/completions HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    wire_answer("HTTP/1.1 100 Continue\r\n\r\n");
    wire_request("{}");
    wire_answer("HTTP/1.1 204 No Content\r\n\r\n");
    wire_request("HEAD /health HTTP/1.1\r\n\r\n");
    wire_answer("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
    wire_request(CHAT);
    wire_answer("HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n");
    cr_assert_eq(finished_count, 3);
    cr_expect_eq(finished[0].status, 204);
    cr_expect_eq(finished[1].status, 200);
    cr_expect_eq(finished[1].method, WIRE_API_HEAD);
    cr_expect_eq(finished[2].status, 404);
}

Test(api_http, an_answer_before_the_request_has_ended)
{
    wire_request("POST /v1/completions HTTP/1.1\r\nContent-Length: 100\r\n\r\n{\"model\"");
    wire_answer("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    cr_expect_eq(wire_only()->status, 413);
    wire_feed(EXCHANGE_REQUESTS,
              "############################################################################"
              "#############################",
              92);
    wire_request(CHAT);
    wire_answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    cr_expect_eq(finished_count, 2);
    cr_expect_eq(finished[1].status, 200);
}

Test(api_http, chunked_request_with_extension_and_trailer)
{
    wire_request("POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n"
                 "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n"
                 "4;name=value\r\n{\"mo\r\n0A \r\ndel\":\"abc\"\r\n1\r\n}\r\n0\r\nX-Sum: 1\r\n\r\n");
    wire_answer("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
    cr_expect_str_eq(wire_model(wire_only()->request_model, wire_only()->request_model_length), "abc");
    cr_expect_str_eq(wire_only()->traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    cr_expect_neq(wire_only()->request_end_ns, 0);
}

Test(api_http, compressed_answers_are_not_read)
{
    wire_request(CHAT);
    wire_answer("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
                "Content-Length: 25\r\n\r\n{\"model\":\"not to be read\"}");
    cr_expect_eq(wire_only()->response_model_length, 0);
    cr_expect(wire_only()->flags & WIRE_API_MIDDLE_UNSEEN);
}

Test(api_http, nothing_is_taken_where_body_values_are_switched_off)
{
    exchange_begin(&connection, EXCHANGE_SERVER, false);
    request_with_body("/v1/completions", "{\"model\":\"a\",\"stream\":true}");
    wire_answer("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 83\r\n\r\n"
                "data: {\"model\":\"a\",\"choices\":[{\"text\":\"x\"}],\"usage\":{\"completion_tokens\":3}}  "
                "   \n\n");
    const struct wire_api_exchange *got = wire_only();
    cr_expect_eq(got->request_model_length, 0);
    cr_expect_eq(got->response_model_length, 0);
    cr_expect_eq(got->flags, WIRE_API_STREAMED | WIRE_API_INFERENCE);
    cr_expect_eq(got->content_events, 1);
}

Test(api_http, what_is_not_http_is_given_up)
{
    static const char *const wrong[] = {
        "\x16\x03\x01\x02",
        "PRI * HTTP/2.0\r\n\r\n",
        "GET /\n",
        "GET / HTTP/3\r\n",
        "SSH-2.0-x\r\n",
        "POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        wire_begin();
        wire_request(wrong[i]);
        cr_expect(connection.lost, "%zu", i);
    }
    wire_begin();
    wire_request(CHAT CHAT CHAT CHAT);
    cr_expect_not(connection.lost);
    wire_request(CHAT);
    cr_expect(connection.lost, "too many sent ahead");
    wire_begin();
    wire_request(CHAT);
    wire_answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
    cr_expect(connection.lost);
    wire_begin();
    wire_answer("HTTP/1.1 200 OK\r\n");
    cr_expect(connection.lost, "an answer to nothing");
}

// Any bytes at all: nothing is read or written where it should not be (the sanitizers watch).
Test(api_http, random_bytes)
{
    static const char *const words[] = {"POST /v1/chat/completions HTTP/1.1\r\n",
                                        "HTTP/1.1 200 OK\r\n",
                                        "\r\n",
                                        "Content-Length: ",
                                        "Transfer-Encoding: chunked\r\n",
                                        "data: ",
                                        "\n\n",
                                        "{\"model\":\"",
                                        "\"",
                                        "\\",
                                        "{",
                                        "}",
                                        "[",
                                        "]",
                                        ":",
                                        ",",
                                        "usage",
                                        "Content-Type: text/event-stream\r\n",
                                        "7",
                                        "ffff",
                                        "0\r\n\r\n"};
    srand(1);
    for (int round = 0; round < 20000; round++) {
        wire_begin();
        wire_request(round % 2 ? CHAT : "POST /v1/completions HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n");
        for (int i = 0; i < 40 && !connection.lost && finished_count < FINISHED_MAX - 4; i++) {
            char noise[8];
            enum exchange_side side = rand() % 2 ? EXCHANGE_REQUESTS : EXCHANGE_ANSWERS;
            if (rand() % 4) {
                const char *word = words[(size_t)rand() % ARRAY_SIZE(words)];
                wire_feed(side, word, strlen(word));
            } else {
                for (size_t k = 0; k < sizeof(noise); k++)
                    noise[k] = (char)rand();
                wire_feed(side, noise, (size_t)rand() % sizeof(noise));
            }
        }
        exchange_closed(&connection, 9, rand() % 2);
        for (size_t i = 0; i < finished_count; i++)
            cr_assert(finished[i].request_model_length <= WIRE_API_MODEL_MAX &&
                      finished[i].response_model_length <= WIRE_API_MODEL_MAX);
    }
}
