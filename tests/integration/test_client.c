// Calls of hosted model APIs over TLS by real clients, against a server of the test that stands in for the
// hosts.
#include "harness.h"
#include "servers.h"
#include "tls.h"

#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

TestSuite(client, TEST_SUITE, .timeout = 600);

#define OPENAI "api.openai.com"

static const char chat[] = "/v1/chat/completions";

// --- Clients ---

enum client_kind { CLIENT_PYTHON, CLIENT_NODE, CLIENTS };

// It answers line by line (tests/servers/client.py).
struct client {
    pid_t pid;
    FILE *to, *from;
};

static json_t *client_read(struct client *client)
{
    char line[1024];
    cr_assert(fgets(line, sizeof(line), client->from), "the client says nothing");
    json_t *said = json_loads(line, 0, NULL);
    cr_assert(said, "%s", line);
    return said;
}

// Started before the agent, which then finds the library that it has mapped.
static struct client client_start(enum client_kind kind, const struct server *server)
{
    static const char *const interpreters[CLIENTS] = {"/usr/bin/python3", "/usr/bin/node"};
    static const char *const scripts[CLIENTS] = {"client.py", "client.js"};
    const char *port = format_text("%u", server_port(server));
    char path[PATH_MAX];
    int to[2], from[2];
    if (access(interpreters[kind], X_OK) || !realpath(format_text("tests/servers/%s", scripts[kind]), path))
        cr_skip_test("%s is not installed, or its script is not here", interpreters[kind]);
    cr_assert(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
    struct client client = {.pid = fork()};
    if (client.pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execl(interpreters[kind], interpreters[kind], path, port, NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    client.to = fdopen(to[1], "w");
    client.from = fdopen(from[0], "r");
    json_decref(client_read(&client));
    return client;
}

static void client_write(struct client *client, const char *job)
{
    fprintf(client->to, "%s\n", job);
    fflush(client->to);
}

static json_t *client_ask(struct client *client, const char *job)
{
    client_write(client, job);
    return client_read(client);
}

static void client_end(struct client *client)
{
    fclose(client->to);
    fclose(client->from);
    cr_expect_eq(wait_for_exit(client->pid), 0);
}

// --- Requests ---

// A name that no other test's request has.
static const char *model_of(const char *what)
{
    return format_text("%s-%d", what, getpid());
}

static const char *body_of(const char *model, const char *words, unsigned tokens, bool stream)
{
    return format_text(
        "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}],\"max_tokens\":%u%s,\"model\":\"%s\"}", words,
        tokens, stream ? ",\"stream\":true,\"stream_options\":{\"include_usage\":true}" : "", model);
}

static const char *job_of(const char *host, const char *path, const char *more, const char *body)
{
    return format_text("{\"host\":\"%s\",\"path\":\"%s\",%s\"body\":%s}", host, path, more, body);
}

static uint64_t number(const json_t *said, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(said, key));
}

// --- The agent ---

// Reports calls of one process, or to one server.
static struct agent *watch(pid_t pid, const struct server *server, const char *option)
{
    struct agent *agent = agent_start(
        format_text(
            "- rule: call\n"
            "  desc: a call of a model API\n"
            "  condition: evt.type = infer_call and (proc.pid = %d or fd.sport = %u)\n"
            "  output: \"%%proc.name %%proc.pid %%infer.provider %%infer.host %%infer.route %%infer.model\n"
            "    %%infer.response.model %%infer.status %%infer.error %%infer.abandoned %%infer.stream\n"
            "    %%infer.tokens.input %%infer.tokens.output %%infer.tokens.source %%infer.duration\n"
            "    %%infer.ttft %%fd.sip %%fd.sport %%fd.cip %%fd.cport\"\n"
            "  priority: NOTICE\n",
            pid, server_port(server)),
        "--inference", option, NULL);
    if (agent_metric(agent, "inferscope_source_up", "source", "tls", NULL) != 1) {
        agent_stop(agent);
        cr_skip_test("this kernel cannot follow requests that are encrypted");
    }
    agent_wait_looked(agent);
    return agent;
}

static double metric_at(const char *text, const char *name, const char *model, const char *label,
                        const char *value)
{
    double found = label ? metric_of(text, name, "gen_ai_request_model", model, label, value, NULL)
                         : metric_of(text, name, "gen_ai_request_model", model, NULL);
    return isnan(found) ? 0 : found;
}

// The exact tokens and the number of what a client has asked of a model.
static void expect_counted(struct agent *agent, const char *host, const char *model, size_t calls,
                           uint64_t prompt, uint64_t output)
{
    _cleanup_free_ char *text = http_get(agent_port(agent), "/metrics");
    cr_expect_eq(
        metric_at(text, "gen_ai_client_operation_duration_seconds_count", model, "server_address", host),
        calls);
    cr_expect_eq(metric_at(text, "gen_ai_client_token_usage_sum", model, "gen_ai_token_type", "input"),
                 prompt);
    cr_expect_eq(metric_at(text, "gen_ai_client_token_usage_sum", model, "gen_ai_token_type", "output"),
                 output);
    cr_expect_eq(metric_at(text, "gen_ai_client_token_usage_sum", model, "token_source", "usage"),
                 prompt + output);
}

// --- What all clients do ---

struct way {
    const char *host, *path, *more, *route, *provider;
    bool stream;
};

// Several models over connections that are kept.
static void expect_calls(enum client_kind client_kind, enum server_kind server_kind, const struct way *way)
{
    enum { MODELS = 3, CALLS = 4 };
    _cleanup_server_ struct server *server = server_start_tls(server_kind);
    struct client client = client_start(client_kind, server);
    _cleanup_agent_ struct agent *agent = watch(client.pid, server, NULL);
    const char *models[MODELS] = {model_of("one"), model_of("two"), model_of("three")};
    struct {
        uint64_t prompt, output;
    } said[MODELS] = {};
    struct tally before = server_tally(server);
    uint64_t longest = 0, prompt = 0, output = 0;
    for (unsigned i = 0; i < MODELS * CALLS; i++) {
        const char *body = body_of(models[i % MODELS], "some words and more", 3 + i, way->stream);
        json_t *answer = client_ask(&client, job_of(way->host, way->path, way->more, body));
        cr_assert_eq(number(answer, "status"), 200);
        cr_assert_gt(number(answer, "output"), 0);
        prompt += number(answer, "prompt");
        output += number(answer, "output");
        said[i % MODELS].prompt += number(answer, "prompt");
        said[i % MODELS].output += number(answer, "output");
        longest = number(answer, "ns") > longest ? number(answer, "ns") : longest;
        json_decref(answer);
    }
    agent_wait_count(agent, "call", (size_t)MODELS * CALLS);
    struct tally after = server_tally(server);
    cr_expect_eq(after.prompt_tokens - before.prompt_tokens, prompt, "the server's own account");
    cr_expect_eq(after.output_tokens - before.output_tokens, output);
    for (size_t i = 0; i < MODELS; i++)
        expect_counted(agent, way->host, models[i], CALLS, said[i].prompt, said[i].output);
    json_t *alerts = agent_alerts(agent, "call");
    for (size_t i = 0; i < json_array_size(alerts); i++) {
        const json_t *alert = json_array_get(alerts, i);
        cr_expect_str_eq(alert_field(alert, "infer.host"), way->host);
        cr_expect_str_eq(alert_field(alert, "infer.provider"), way->provider);
        cr_expect_str_eq(alert_field(alert, "infer.route"), way->route);
        cr_expect_str_eq(alert_field(alert, "infer.model"), models[i % MODELS]);
        cr_expect_str_eq(alert_field(alert, "infer.status"), "200");
        cr_expect_str_eq(alert_field(alert, "infer.error"), "");
        cr_expect_str_eq(alert_field(alert, "infer.stream"), way->stream ? "true" : "false");
        cr_expect_eq(*alert_field(alert, "infer.ttft") != '\0', way->stream);
        cr_expect_eq(strtol(alert_field(alert, "proc.pid"), NULL, 10), client.pid);
        // The client looked at its clock before and after.
        cr_expect_leq(strtoull(alert_field(alert, "infer.duration"), NULL, 10), longest);
        // Node encrypts in memory.
        if (client_kind == CLIENT_PYTHON)
            cr_expect_eq(strtoul(alert_field(alert, "fd.sport"), NULL, 10), server_port(server));
    }
    json_decref(alerts);
    client_end(&client);
}

Test(client, python)
{
    expect_calls(CLIENT_PYTHON, SERVER_PYTHON, &(struct way){OPENAI, chat, "", chat, "openai", false});
}

Test(client, python_stream)
{
    expect_calls(CLIENT_PYTHON, SERVER_PYTHON, &(struct way){OPENAI, chat, "", chat, "openai", true});
}

Test(client, node)
{
    expect_calls(CLIENT_NODE, SERVER_PYTHON, &(struct way){OPENAI, chat, "", chat, "openai", false});
}

Test(client, node_stream)
{
    expect_calls(CLIENT_NODE, SERVER_PYTHON, &(struct way){OPENAI, chat, "", chat, "openai", true});
}

Test(client, behind_a_prefix)
{
    const struct way way = {
        "api.groq.com", "/openai/v1/chat/completions?x=/y", "", "*/chat/completions", "groq", true};
    expect_calls(CLIENT_PYTHON, SERVER_PYTHON, &way);
}

Test(client, of_an_own_llama_server)
{
    expect_calls(CLIENT_PYTHON, SERVER_LLAMA,
                 &(struct way){"llama.internal", chat, "", chat, "_OTHER", false});
}

// After each stream it closes the connection, whoever would keep it.
Test(client, of_an_own_llama_server_stream)
{
    static const char once[] = "\"headers\":{\"Connection\":\"close\"},";
    expect_calls(CLIENT_NODE, SERVER_LLAMA,
                 &(struct way){"llama.internal", chat, once, chat, "_OTHER", true});
}

Test(client, curl)
{
    if (access("/usr/bin/curl", X_OK))
        cr_skip_test("there is no curl");
    _cleanup_server_ struct server *server = server_start_tls(SERVER_PYTHON);
    _cleanup_agent_ struct agent *agent = watch(0, server, NULL);
    const char *model = model_of("curl");
    const char *port = format_text("%u", server_port(server));
    for (int stream = 0; stream < 2; stream++) {
        _cleanup_free_ char *said = NULL;
        cr_assert_eq(run_captured(&said, "/usr/bin/curl", "-sk", "--http1.1", "--resolve",
                                  format_text("*:%s:127.0.0.1", port), "-H", "Content-Type: application/json",
                                  "-d", body_of(model, "two words", 5, stream),
                                  format_text("https://api.mistral.ai:%s%s", port, chat), NULL),
                     0);
        cr_expect(strstr(said, "\"completion_tokens\": 5"), "%s", said);
    }
    agent_wait_count(agent, "call", 2);
    expect_counted(agent, "api.mistral.ai", model, 2, 4, 10);
    agent_wait_alert(agent, "call", "proc.name", "curl", "infer.provider", "mistral_ai", "infer.host",
                     "api.mistral.ai", "fd.sport", port, "fd.sip", "127.0.0.1", "fd.cip", "127.0.0.1",
                     "infer.stream", "true", "infer.error", "-", NULL);
    _cleanup_free_ char *text = http_get(agent_port(agent), "/metrics");
    cr_expect_eq(metric_of(text, "gen_ai_client_operation_duration_seconds_count", "gen_ai_request_model",
                           model, "server_port", port, NULL),
                 2, "the port that the client named");
    cr_expect_eq(
        metric_at(text, "gen_ai_client_operation_time_to_first_chunk_seconds_count", model, NULL, NULL), 1,
        "of the stream");
}

// Works where neither Python nor curl is: the test itself calls, by OpenSSL in memory.
Test(client, this_test)
{
    enum { CALLS = 8 };
    tls_make_certificate(test_path("cert.pem"), test_path("key.pem"));
    const char *arguments[] = {program_beside("tls-server"), test_path("cert.pem"), test_path("key.pem"),
                               NULL};
    _cleanup_server_ struct server *server = server_start_program("tls-server", arguments);
    _cleanup_agent_ struct agent *agent = watch(getpid(), server, NULL);
    const char *model = model_of("mine"), *bodies[] = {body_of(model, "x", 1, false), NULL};
    struct load load = {.port = server_port(server),
                        .tls = true,
                        .route = chat,
                        .bodies = bodies,
                        .requests = CALLS,
                        .at_once = 1};
    answers_free(load_run(&load), CALLS);
    agent_wait_count(agent, "call", CALLS);
    expect_counted(agent, "127.0.0.1", model, CALLS, 3 * CALLS, 5 * CALLS);
    cr_expect_eq(agent_count_alerts(agent, "call", "infer.model", model, "infer.response.model", "tiny",
                                    "infer.provider", "_OTHER", "infer.host", "127.0.0.1",
                                    "infer.tokens.input", "3", "infer.tokens.output", "5", "fd.sip", "-",
                                    NULL),
                 CALLS);
}

// --- What is different ---

// As OpenAI's Python and Node's fetch() ask for it.
static void expect_compressed(enum client_kind kind, const char *more)
{
    _cleanup_server_ struct server *server = server_start_tls(SERVER_PYTHON);
    struct client client = client_start(kind, server);
    _cleanup_agent_ struct agent *agent = watch(client.pid, server, NULL);
    const char *model = model_of("packed");
    json_t *answer = client_ask(&client, job_of(OPENAI, chat, more, body_of(model, "a b", 4, false)));
    cr_expect_eq(number(answer, "output"), 4);
    json_decref(answer);
    agent_wait_alert(agent, "call", "infer.model", model, "infer.status", "200", "infer.tokens.input", "-",
                     "infer.tokens.output", "-", "infer.response.model", "-", "infer.host", OPENAI, NULL);
    _cleanup_free_ char *text = http_get(agent_port(agent), "/metrics");
    cr_expect_eq(
        metric_at(text, "inferscope_inference_calls_usage_unknown_total", model, "reason", "compressed"), 1);
    cr_expect_eq(metric_at(text, "gen_ai_client_operation_duration_seconds_count", model, NULL, NULL), 1);
    cr_expect_eq(metric_at(text, "gen_ai_client_token_usage_count", model, NULL, NULL), 0);
    client_end(&client);
}

Test(client, compressed_answers)
{
    expect_compressed(CLIENT_PYTHON, "\"headers\":{\"Accept-Encoding\":\"gzip, deflate\"},");
}

Test(client, compressed_answers_to_fetch)
{
    expect_compressed(CLIENT_NODE, "\"fetch\":true,");
}

Test(client, failures)
{
    _cleanup_server_ struct server *server = server_start_tls(SERVER_PYTHON);
    struct client client = client_start(CLIENT_PYTHON, server);
    _cleanup_agent_ struct agent *agent = watch(client.pid, server, NULL);
    static const char *const statuses[] = {"429", "500"};
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
        const char *model = format_text("status-%d-%s", getpid(), statuses[i]);
        json_t *answer = client_ask(&client, job_of(OPENAI, chat, "", body_of(model, "x", 1, false)));
        cr_expect_eq(number(answer, "status"), strtoul(statuses[i], NULL, 10));
        json_decref(answer);
        agent_wait_alert(agent, "call", "infer.model", model, "infer.status", statuses[i], "infer.error",
                         statuses[i], "infer.abandoned", "false", NULL);
        _cleanup_free_ char *text = http_get(agent_port(agent), "/metrics");
        cr_expect_eq(metric_at(text, "gen_ai_client_operation_duration_seconds_count", model, "error_type",
                               statuses[i]),
                     1);
    }
    client_end(&client);
}

Test(client, killed_in_the_middle_of_a_stream)
{
    _cleanup_server_ struct server *server = server_start_tls(SERVER_PYTHON);
    struct client client = client_start(CLIENT_PYTHON, server);
    _cleanup_agent_ struct agent *agent = watch(client.pid, server, NULL);
    const char *model = model_of("left");
    // The first event has no text.
    client_write(&client,
                 job_of(OPENAI, chat, "\"leave\":true,", body_of(model, "x", 10 * 1000 * 1000, true)));
    for (int i = 0; i < 5; i++)
        json_decref(client_read(&client));
    kill(client.pid, SIGKILL);
    cr_assert_eq(wait_for_exit(client.pid), 128 + SIGKILL);
    agent_wait_alert(agent, "call", "infer.model", model, "infer.error", "client_gone", "infer.abandoned",
                     "true", "infer.tokens.source", "events", "infer.status", "200", NULL);
    _cleanup_free_ char *text = http_get(agent_port(agent), "/metrics");
    cr_expect_eq(
        metric_at(text, "gen_ai_client_operation_duration_seconds_count", model, "error_type", "client_gone"),
        1);
    fclose(client.to);
    fclose(client.from);
}

// A client can have its answer before the server is back from the call that sent it.
static void expect_served(struct agent *agent, const struct server *server, const char *model,
                          double requests)
{
    static const char count[] = "gen_ai_server_request_duration_seconds_count";
    const char *port = format_text("%u", server_port(server));
    double seen = 0;
    for (time_t until = time(NULL) + DEADLINE_S; seen < requests && time(NULL) < until; poll(NULL, 0, 20)) {
        _cleanup_free_ char *text = http_get(agent_port(agent), "/metrics");
        seen = metric_at(text, count, model, "server_port", port);
    }
    cr_expect_eq(seen, requests, "%g of %g requests to %s", seen, requests, server_name(server));
}

// The client's call counts at the client, the server's request at the server, each once.
Test(client, both_ends_count_for_themselves)
{
    enum { CALLS = 5 };
    _cleanup_server_ struct server *server = server_start(SERVER_PYTHON);
    _cleanup_server_ struct server *proxy = server_start_tls_proxy(server);
    struct client client = client_start(CLIENT_PYTHON, proxy);
    _cleanup_agent_ struct agent *agent = watch(client.pid, proxy, NULL);
    const char *model = model_of("both");
    for (int i = 0; i < CALLS; i++)
        json_decref(client_ask(&client, job_of(OPENAI, chat, "", body_of(model, "x", 2, false))));
    agent_wait_count(agent, "call", CALLS);
    expect_served(agent, proxy, model, CALLS);
    expect_served(agent, server, model, CALLS);
    _cleanup_free_ char *text = http_get(agent_port(agent), "/metrics");
    cr_expect_eq(metric_at(text, "gen_ai_client_operation_duration_seconds_count", model, NULL, NULL), CALLS);
    cr_expect_eq(metric_at(text, "gen_ai_server_request_duration_seconds_count", model, NULL, NULL),
                 2 * CALLS);
    client_end(&client);
}

// What else a client asks of whomever is nobody's business, also between calls on the same connection.
Test(client, other_requests_are_not_told)
{
    _cleanup_server_ struct server *server = server_start_tls(SERVER_PYTHON);
    struct client client = client_start(CLIENT_PYTHON, server);
    _cleanup_agent_ struct agent *agent = watch(client.pid, server, NULL);
    const char *body = body_of(model_of("only"), "x", 1, false);
    static const char *const paths[] = {"/secret", "/v1/chat/completions", "/v1/files",
                                        "/v1/chat/completions"};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        client_write(&client, job_of("shop.example", paths[i], "", body));
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        json_decref(client_read(&client));
    agent_wait_count(agent, "call", 2);
    _cleanup_free_ char *text = http_get(agent_port(agent), "/metrics");
    cr_expect_eq(
        metric_at(text, "gen_ai_client_operation_duration_seconds_count", model_of("only"), NULL, NULL), 2);
    cr_expect_null(strstr(text, "/secret"));
    client_end(&client);
}

// --- What must not leave the kernel ---

// Looks through all that a process has in memory, which is what a core dump would hold.
static bool is_in_memory(pid_t pid, const char *text)
{
    char line[512];
    bool found = false;
    _cleanup_fclose_ FILE *maps = fopen(format_text("/proc/%d/maps", pid), "re");
    _cleanup_close_ int memory = open(format_text("/proc/%d/mem", pid), O_RDONLY | O_CLOEXEC);
    cr_assert(maps && memory >= 0);
    while (!found && fgets(line, sizeof(line), maps)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx r", &from, &to) != 2 || to - from > (256UL << 20))
            continue;
        _cleanup_free_ char *copy = malloc(to - from);
        ssize_t length = pread(memory, copy, to - from, (off_t)from);
        found = length > 0 && memmem(copy, (size_t)length, text, strlen(text));
    }
    return found;
}

enum { SECRETS = 5 };

static void expect_secret(enum client_kind kind, bool stream)
{
    // Put together here, so that they are in no memory but the test's and the client's: what is asked and
    // answered, and keys as the APIs want them, in heads and in the query.
    const char *secrets[SECRETS];
    for (int i = 0; i < SECRETS; i++)
        secrets[i] = format_text("%s-%d-%s", "Xyzzy", 4711 + i, "plugh");
    _cleanup_server_ struct server *server = server_start_tls(SERVER_PYTHON);
    struct client client = client_start(kind, server);
    _cleanup_agent_ struct agent *agent = watch(client.pid, server, NULL);
    const char *model = model_of("no-secret");
    const char *headers = format_text("\"headers\":{\"Authorization\":\"Bearer %s\",\"x-api-key\":\"%s\","
                                      "\"api-key\":\"%s\"},",
                                      secrets[0], secrets[1], secrets[2]);
    const char *path = format_text("%s?key=%s", chat, secrets[3]);
    for (int i = 0; i < 4; i++) {
        json_t *said = client_ask(
            &client, job_of(OPENAI, path, headers,
                            body_of(model, format_text("%s and %s", secrets[4], secrets[4]), 9, stream)));
        cr_expect_eq(number(said, "output"), 9, "the answer repeats it");
        json_decref(said);
    }
    agent_wait_count(agent, "call", 4);
    _cleanup_free_ char *metrics = http_get(agent_port(agent), "/metrics");
    json_t *alerts = agent_alerts(agent, "call");
    _cleanup_free_ char *output = json_dumps(alerts, JSON_COMPACT);
    cr_expect(strstr(metrics, model) && strstr(output, model));
    cr_expect(is_in_memory(agent_pid(agent), model), "the search itself works");
    cr_expect(is_in_memory(agent_pid(agent), OPENAI));
    for (int i = 0; i < SECRETS; i++) {
        cr_expect_null(strstr(metrics, secrets[i]), "%d", i);
        cr_expect_null(strstr(output, secrets[i]), "%d", i);
        cr_expect_null(strstr(agent_stderr(agent), secrets[i]), "%d", i);
        cr_expect_not(is_in_memory(agent_pid(agent), secrets[i]), "%d", i);
    }
    json_decref(alerts);
    client_end(&client);
}

Test(client, keys_and_prompts_stay_secret)
{
    expect_secret(CLIENT_PYTHON, false);
}

Test(client, keys_and_streams_stay_secret)
{
    expect_secret(CLIENT_NODE, true);
}
