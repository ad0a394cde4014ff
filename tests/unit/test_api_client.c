// Calls of hosted model APIs as their clients see them: the APIs' own documentation written out as
// transcripts, cut at every byte.
#include "api_wire.h"

#include "base/cleanup.h"

static size_t transcript_read(const char *name, const char *suffix, char ret_data[16384])
{
    char path[256];
    snprintf(path, sizeof(path), "tests/data/api/%s.%s", name, suffix);
    _cleanup_fclose_ FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    return fread(ret_data, 1, 16384, file);
}

#define ASKED WIRE_API_STREAM_ASKED
#define STREAM WIRE_API_STREAMED
#define USAGE (WIRE_API_HAS_INPUT | WIRE_API_HAS_OUTPUT)

static const struct expected {
    const char *name;
    const char *route;
    const char *host;
    const char *asked, *answered;
    unsigned events, contents, input, output, flags;
    unsigned port, status; // of 200, if 0
} transcripts[] = {
    {"openai-chat", "/v1/chat/completions", "api.openai.com", "gpt-4o-mini", "gpt-4o-mini-2024-07-18", 0, 0,
     19, 10, USAGE, 0, 0},
    {"openai-chat-stream", "/v1/chat/completions", "api.openai.com", "gpt-4o-mini", "gpt-4o-mini-2024-07-18",
     6, 2, 19, 2, ASKED | STREAM | USAGE, 443, 0},
    {"openai-chat-gzip", "/v1/chat/completions", "api.openai.com", "gpt-4o-mini", "", 0, 0, 0, 0,
     WIRE_API_PACKED | WIRE_API_MIDDLE_UNSEEN, 0, 0},
    {"openai-responses-stream", "/v1/responses", "api.openai.com", "gpt-4.1", "gpt-4.1-2025-04-14", 7, 2, 37,
     11, ASKED | STREAM | USAGE, 0, 0},
    {"openai-embeddings", "/v1/embeddings", "api.openai.com", "text-embedding-3-small",
     "text-embedding-3-small", 0, 0, 5, 0, WIRE_API_HAS_INPUT, 0, 0},
    {"openai-429", "/v1/chat/completions", "api.openai.com", "gpt-4o-mini", "", 0, 0, 0, 0, 0, 0, 429},
    // Of the prompt, what came from the cache and what went into it counts, too.
    {"anthropic-messages", "/v1/messages", "api.anthropic.com", "claude-sonnet-4-5",
     "claude-sonnet-4-5-20250929", 0, 0, 2125, 15, USAGE, 0, 0},
    {"anthropic-stream", "/v1/messages", "api.anthropic.com", "claude-sonnet-4-5",
     "claude-sonnet-4-5-20250929", 8, 2, 2125, 15, ASKED | STREAM | USAGE, 0, 0},
    // Of the answer, the thoughts do.
    {"gemini", "*:generateContent", "generativelanguage.googleapis.com", "gemini-2.5-flash",
     "gemini-2.5-flash", 0, 0, 4, 42, USAGE, 0, 0},
    {"gemini-stream", "*:streamGenerateContent", "generativelanguage.googleapis.com", "gemini-2.5-flash",
     "gemini-2.5-flash", 3, 3, 4, 42, STREAM | USAGE, 0, 0},
    {"gemini-array", "*:streamGenerateContent", "generativelanguage.googleapis.com", "gemini-2.5-flash",
     "gemini-2.5-flash", 0, 0, 4, 42, USAGE, 0, 0},
    {"vertex-claude", "*:rawPredict", "us-east5-aiplatform.googleapis.com", "claude-sonnet-4@20250514",
     "claude-sonnet-4-20250514", 0, 0, 8, 2, USAGE, 0, 0},
    {"azure-chat", "/openai/deployments/*/chat/completions", "contoso.openai.azure.com", "my-gpt",
     "gpt-4o-2024-11-20", 0, 0, 9, 3, USAGE, 0, 0},
    {"bedrock-invoke", "/model/*/invoke", "bedrock-runtime.us-east-1.amazonaws.com",
     "meta.llama3-8b-instruct-v1:0", "", 0, 0, 31, 6, USAGE, 0, 0},
    {"bedrock-converse", "/model/*/converse", "bedrock-runtime.us-east-1.amazonaws.com",
     "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0", "", 0, 0, 530, 60, USAGE, 0,
     0},
    // Frames of bytes, which are not read.
    {"bedrock-converse-stream", "/model/*/converse-stream", "bedrock-runtime.us-east-1.amazonaws.com",
     "amazon.nova-lite-v1:0", "", 0, 0, 0, 0, 0, 0, 0},
    // What Cohere bills.
    {"cohere-chat", "*/v2/chat", "api.cohere.com", "command-a-03-2025", "", 0, 0, 5, 41, USAGE, 0, 0},
    {"cohere-stream", "*/v2/chat", "api.cohere.com", "command-a-03-2025", "", 7, 2, 5, 41,
     ASKED | STREAM | USAGE, 0, 0},
    {"groq-stream", "*/chat/completions", "api.groq.com", "llama-3.3-70b-versatile",
     "llama-3.3-70b-versatile", 4, 1, 36, 2, ASKED | STREAM | USAGE, 0, 0},
    {"openrouter-stream", "*/chat/completions", "openrouter.ai", "deepseek/deepseek-r1",
     "deepseek/deepseek-r1", 3, 1, 7, 9, ASKED | STREAM | USAGE, 0, 0},
    {"ollama-chat-stream", "/api/chat", "[::1]", "llama3.2", "llama3.2", 3, 2, 26, 2, STREAM | USAGE, 11434,
     0},
};

static void expect(const struct expected *expected, const char *how, size_t where)
{
    cr_assert_eq(finished_count, 1, "%s %s %zu: %zu exchanges", expected->name, how, where, finished_count);
    const struct wire_api_exchange *got = &finished[0];
    const struct http_message *requests = &connection.messages[EXCHANGE_REQUESTS];
    bool same = strcmp(api_route_at(got->route)->pattern, expected->route) == 0 &&
                got->status == (expected->status ? expected->status : 200) &&
                got->events == expected->events && got->content_events == expected->contents &&
                got->input_tokens == expected->input && got->output_tokens == expected->output &&
                got->flags == (expected->flags | WIRE_API_INFERENCE | WIRE_API_CLIENT) &&
                got->end == WIRE_API_COMPLETE && (got->first_content_ns != 0) == (expected->contents != 0) &&
                (got->first_event_ns != 0) == (expected->events != 0) &&
                got->first_event_ns <= got->first_content_ns && strcmp(requests->host, expected->host) == 0 &&
                requests->host_port == expected->port &&
                strcmp(wire_model(got->request_model, got->request_model_length), expected->asked) == 0 &&
                strcmp(wire_model(got->response_model, got->response_model_length), expected->answered) == 0;
    cr_assert(same,
              "%s %s %zu: route %s status %u events %u contents %u input %u output %u flags %x models \"%s\" "
              "\"%s\" host \"%s\" %u",
              expected->name, how, where, api_route_at(got->route)->pattern, got->status, got->events,
              got->content_events, got->input_tokens, got->output_tokens, got->flags,
              wire_model(got->request_model, got->request_model_length),
              wire_model(got->response_model, got->response_model_length), requests->host,
              requests->host_port);
}

static void in_two(enum exchange_side side, const char *data, size_t length, size_t cut)
{
    wire_feed(side, data, cut);
    wire_feed(side, data + cut, length - cut);
}

static void in_pieces(enum exchange_side side, const char *data, size_t length, size_t size)
{
    for (size_t pos = 0; pos < length; pos += size)
        wire_feed(side, data + pos, length - pos < size ? length - pos : size);
}

Test(api_client, any_cut_gives_the_same)
{
    static char request[16384], answer[16384];
    for (size_t i = 0; i < ARRAY_SIZE(transcripts); i++) {
        const struct expected *expected = &transcripts[i];
        size_t asked = transcript_read(expected->name, "request", request);
        size_t answered = transcript_read(expected->name, "response", answer);
        for (size_t cut = 0; cut <= asked; cut++) {
            wire_begin_as(EXCHANGE_CLIENT, true);
            in_two(EXCHANGE_REQUESTS, request, asked, cut);
            wire_feed(EXCHANGE_ANSWERS, answer, answered);
            expect(expected, "request cut at", cut);
        }
        for (size_t cut = 0; cut <= answered; cut++) {
            wire_begin_as(EXCHANGE_CLIENT, true);
            wire_feed(EXCHANGE_REQUESTS, request, asked);
            in_two(EXCHANGE_ANSWERS, answer, answered, cut);
            expect(expected, "answer cut at", cut);
        }
        for (size_t size = 1; size <= 70; size++) {
            wire_begin_as(EXCHANGE_CLIENT, true);
            in_pieces(EXCHANGE_REQUESTS, request, asked, size);
            in_pieces(EXCHANGE_ANSWERS, answer, answered, size);
            expect(expected, "in pieces of", size);
        }
    }
}

// Bytes that are compressed or frames can look like anything.
Test(api_client, what_is_not_text_gives_no_values)
{
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Type: application/json\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: zstd\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: deflate\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n",
    };
    static const char body[] =
        "data: {\"model\":\"SECRET\",\"usage\":{\"prompt_tokens\":1},\"text\":\"x\"}\n\n";
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
        wire_begin_as(EXCHANGE_CLIENT, true);
        wire_request("POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}");
        wire_answer(heads[i]);
        wire_answer("Transfer-Encoding: chunked\r\n\r\n");
        char size[16];
        snprintf(size, sizeof(size), "%zx\r\n", sizeof(body) - 1);
        wire_answer(size);
        wire_answer(body);
        wire_answer("\r\n0\r\n\r\n");
        cr_assert_eq(finished_count, 1);
        cr_expect_eq(finished[0].response_model_length, 0);
        cr_expect_eq(finished[0].events, 0);
        cr_expect_not(finished[0].flags & (WIRE_API_HAS_INPUT | WIRE_API_HAS_OUTPUT));
        cr_expect_eq((finished[0].flags & WIRE_API_PACKED) != 0, i < 4);
    }
}

static const struct wire_api_exchange *call(const char *request)
{
    wire_begin_as(EXCHANGE_CLIENT, true);
    wire_request(request);
    wire_answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    return finished_count ? &finished[0] : NULL;
}

static const char *host_of(const char *header)
{
    static char request[512];
    snprintf(request, sizeof(request), "POST /v1/completions HTTP/1.1\r\n%s\r\n\r\n", header);
    cr_assert_not_null(call(request));
    return connection.messages[EXCHANGE_REQUESTS].host;
}

static unsigned port(void)
{
    return connection.messages[EXCHANGE_REQUESTS].host_port;
}

Test(api_client, hosts)
{
    static char header[256], name[128];
    cr_expect_str_eq(host_of("Host: Api.Example.COM"), "api.example.com");
    cr_expect_eq(port(), 0);
    cr_expect_str_eq(host_of("host:a.example:8443  "), "a.example");
    cr_expect_eq(port(), 8443);
    cr_expect_str_eq(host_of("Host: 10.0.0.1:1"), "10.0.0.1");
    cr_expect_str_eq(host_of("Host: [fe80::1]:65535"), "[fe80::1]");
    cr_expect_eq(port(), 65535);
    cr_expect_str_eq(host_of("Host: a_b-c.example. "), "a_b-c.example.");
    cr_expect_str_eq(host_of("Host: a.example:"), "a.example");
    cr_expect_str_eq(host_of("Host: first.example\r\nHost: second.example"), "first.example");
    static const char *const wrong[] = {
        "Host:",          "Host: ",          "Host: a b",    "Host: a.example:65536",
        "Host: a:1:2",    "Host: a:b",       "Host: a/b",    "Host: a\"b",
        "Host: [::1",     "Host: ::1",       "Host: [a[b]]", "Host: \xc3\xa4.example",
        "Host: user@x.y", "Hostt: a.example"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        cr_expect_str_eq(host_of(wrong[i]), "", "%s", wrong[i]);
        cr_expect_eq(port(), 0, "%s", wrong[i]);
    }
    memset(name, 'a', WIRE_API_HOST_MAX);
    snprintf(header, sizeof(header), "Host: %.*s", WIRE_API_HOST_MAX - 1, name);
    cr_expect_eq(strlen(host_of(header)), WIRE_API_HOST_MAX - 1);
    snprintf(header, sizeof(header), "Host: %.*s", WIRE_API_HOST_MAX, name);
    cr_expect_str_eq(host_of(header), "");
}

// No request takes over what another said.
Test(api_client, a_request_without_a_host_has_none)
{
    host_of("Host: a.example:9");
    wire_request("POST /v1/completions HTTP/1.1\r\n\r\n");
    cr_expect_str_eq(connection.messages[EXCHANGE_REQUESTS].host, "");
    cr_expect_eq(port(), 0);
}

Test(api_client, only_calls_of_inference_routes_are_told)
{
    static const char *const others[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "POST /v1/forms/7/responses HTTP/1.1\r\n\r\n",
        "POST /api/embeddings/x HTTP/1.1\r\n\r\n",
        "GET /v1/models HTTP/1.1\r\n\r\n",
        "POST /x?next=/v1/chat/completions HTTP/1.1\r\n\r\n",
        "POST /v1/models/m:generateContent/x HTTP/1.1\r\n\r\n",
        "POST /xv1/messages HTTP/1.1\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        cr_expect_null(call(others[i]), "%s", others[i]);
    cr_expect_not_null(call("POST /v1/messages HTTP/1.1\r\n\r\n"));
    cr_expect_not_null(call("POST /any/where/v1/messages HTTP/1.1\r\n\r\n"));
    // To a server, what stands before a path matters.
    wire_begin();
    wire_request("POST /any/where/v1/messages HTTP/1.1\r\n\r\n");
    wire_answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    cr_assert_eq(finished_count, 1);
    cr_expect_eq(finished[0].flags, 0);
}

static void expect_path_model(const char *path, const char *model)
{
    static char request[512];
    snprintf(request, sizeof(request), "POST %s HTTP/1.1\r\n\r\n", path);
    const struct wire_api_exchange *exchange = call(request);
    cr_assert_not_null(exchange, "%s", path);
    const char *got = wire_model(exchange->request_model, exchange->request_model_length);
    cr_expect_str_eq(got, model, "%s gives \"%s\"", path, got);
}

Test(api_client, models_in_paths)
{
    static char path[256], name[128];
    expect_path_model("/v1beta/models/gemini-2:generateContent", "gemini-2");
    expect_path_model("/v1beta/models/a:generateContent?x=y:z", "a");
    expect_path_model("/v1beta/tunedModels/mine-1:generateContent", "mine-1");
    expect_path_model("/v1/projects/models/locations/x/publishers/google/models/m:rawPredict", "m");
    expect_path_model("/model/a.b-v1:0/invoke", "a.b-v1:0");
    expect_path_model("/model/a%3a0%2Fb/invoke", "a:0/b");
    expect_path_model("/model/a%00%0a%zzb/invoke", "a???b");
    expect_path_model("/openai/deployments/model/embeddings", "model");
    // A name that is none is not told: only some routes have one.
    expect_path_model("/models/x/v1/chat/completions", "");
    memset(name, 'm', WIRE_API_MODEL_MAX + 4);
    snprintf(path, sizeof(path), "/model/%.*s/invoke", WIRE_API_MODEL_MAX + 4, name);
    name[WIRE_API_MODEL_MAX] = '\0';
    expect_path_model(path, name);
    cr_expect(finished[0].flags & WIRE_API_LONG_MODEL);
    // The body's own name is the later word.
    const struct wire_api_exchange *exchange =
        call("POST /openai/deployments/d/chat/completions HTTP/1.1\r\nContent-Length: "
             "13\r\n\r\n{\"model\":\"m\"}");
    cr_expect_str_eq(wire_model(exchange->request_model, exchange->request_model_length), "m");
    wire_begin_as(EXCHANGE_CLIENT, false);
    wire_request("POST /model/secret/invoke HTTP/1.1\r\n\r\n");
    wire_answer("HTTP/1.1 200 OK\r\nX-Amzn-Bedrock-Input-Token-Count: 31\r\nContent-Length: 0\r\n\r\n");
    cr_expect_eq(finished[0].request_model_length, 0, "where values are switched off");
    cr_expect_not(finished[0].flags & WIRE_API_HAS_INPUT);
}

// A proxy in front of vLLM, say, counts all of the prompt and tells beside it what came from a cache.
Test(api_client, cached_tokens_are_not_counted_twice)
{
    static const char body[] = "{\"usage\":{\"prompt_tokens\":120,\"cache_read_input_tokens\":100,"
                               "\"cache_creation_input_tokens\":20,\"completion_tokens\":3}}";
    wire_begin_as(EXCHANGE_CLIENT, true);
    wire_request("POST /v1/completions HTTP/1.1\r\n\r\n");
    wire_answer("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n");
    wire_answer(body);
    exchange_closed(&connection, clock_ns, true);
    cr_assert_eq(finished_count, 1);
    cr_expect_eq(finished[0].end, WIRE_API_COMPLETE);
    cr_expect_eq(finished[0].input_tokens, 120);
    cr_expect_eq(finished[0].output_tokens, 3);
}

Test(api_client, one_that_is_killed_is_gone)
{
    wire_begin_as(EXCHANGE_CLIENT, true);
    wire_request("POST /v1/completions HTTP/1.1\r\nHost: a.example\r\n\r\n");
    wire_answer("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {\"text\":\"x\"}\n\n");
    exchange_closed(&connection, clock_ns, false);
    cr_assert_eq(finished_count, 1);
    cr_expect_eq(finished[0].end, WIRE_API_CLIENT_GONE);
    cr_expect_eq(finished[0].content_events, 1);
}

static const char *provider(const char *host)
{
    return api_provider_of(host, strlen(host));
}

Test(api_client, providers)
{
    static const char *const known[][2] = {
        {"api.openai.com", "openai"},
        {"eu.api.openai.com", "openai"},
        {"contoso.openai.azure.com", "azure.ai.openai"},
        {"x.services.ai.azure.com", "azure.ai.inference"},
        {"api.anthropic.com", "anthropic"},
        {"generativelanguage.googleapis.com", "gcp.gemini"},
        {"aiplatform.googleapis.com", "gcp.vertex_ai"},
        {"europe-west4-aiplatform.googleapis.com", "gcp.vertex_ai"},
        {"bedrock-runtime.us-east-1.amazonaws.com", "aws.bedrock"},
        {"bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "aws.bedrock"},
        {"bedrock-runtime.cn-north-1.amazonaws.com.cn", "aws.bedrock"},
        {"vpce-0a1-x.bedrock-runtime.us-east-1.vpce.amazonaws.com", "aws.bedrock"},
        {"api.mistral.ai", "mistral_ai"},
        {"api.cohere.com", "cohere"},
        {"api.groq.com", "groq"},
        {"api.together.xyz", "together_ai"},
        {"api.deepseek.com", "deepseek"},
        {"openrouter.ai", "openrouter"},
        {"api.x.ai", "x_ai"},
        {"api.perplexity.ai", "perplexity"},
        {"api.fireworks.ai", "fireworks_ai"},
        {"us-south.ml.cloud.ibm.com", "ibm.watsonx.ai"},
    };
    static const char *const unknown[] = {"",
                                          "localhost",
                                          "10.0.0.1",
                                          "openai.com",
                                          "api.openai.com.evil.example",
                                          "xapi.openai.com",
                                          ".openai.azure.com",
                                          "bedrock-runtime.evil.example",
                                          "bedrock-runtime.amazonaws.com",
                                          "s3.us-east-1.amazonaws.com",
                                          "notopenrouter.ai"};
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        cr_expect_str_eq(provider(known[i][0]), known[i][1], "%s", known[i][0]);
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
        cr_expect_str_eq(provider(unknown[i]), "_OTHER", "%s", unknown[i]);
}
