// Source `api` against real servers: what the agent says of requests is what servers count and clients
// measure.
#include "harness.h"
#include "servers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

// Before others, as times are held against each other that are taken at either end.
static void setup(void)
{
    test_setup();
    setpriority(PRIO_PROCESS, 0, -20);
}

TestSuite(inference, .init = setup, .fini = test_teardown);

enum { TOKENS = 32, REQUESTS = 24, ROUNDS_MAX = 5 };

static const char chat[] = "/v1/chat/completions", completions[] = "/v1/completions";

static void require_source(struct agent *agent)
{
    if (agent_metric(agent, "inferscope_source_up", "source", "api", NULL) == 1)
        return;
    agent_stop(agent);
    cr_skip_test("this kernel cannot follow requests");
}

// An agent that reports the requests to two servers only, so that whatever else the machine serves is
// nobody's business.
static struct agent *watch(const struct server *server, const struct server *other)
{
    struct agent *agent = agent_start(
        format_text(
            "- rule: infer\n"
            "  desc: a request to a server of the test\n"
            "  condition: evt.type = infer and (fd.sport in (%u, %u) or proc.pid in (%d, %d))\n"
            "  output: \"%%fd.sport %%fd.cport %%proc.name %%infer.route %%infer.method %%infer.status\n"
            "    %%infer.error %%infer.model %%infer.response.model %%infer.stream\n"
            "    %%infer.duration %%infer.ttft %%infer.tokens.input %%infer.tokens.output\n"
            "    %%infer.tokens.source %%infer.abandoned\"\n"
            "  priority: NOTICE\n",
            server_port(server), server_port(other), server_pid(server), server_pid(other)),
        NULL);
    require_source(agent);
    agent_wait_looked(agent);
    return agent;
}

static uint64_t number(const json_t *alert, const char *field)
{
    return strtoull(alert_field(alert, field), NULL, 10);
}

// The alert of an answer: the first that is left of its connection, whose requests follow one another.
static json_t *take_alert(json_t *alerts, const struct answer *answer)
{
    for (size_t i = 0; i < json_array_size(alerts); i++) {
        json_t *alert = json_array_get(alerts, i);
        // Where the server encrypts in memory, the socket is not known.
        if (*alert_field(alert, "fd.cport") && number(alert, "fd.cport") != answer->client_port)
            continue;
        json_incref(alert);
        json_array_remove(alerts, i);
        return alert;
    }
    cr_assert_fail("no alert of the request from port %u", answer->client_port);
    return NULL;
}

// --- Times ---

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_doubles);
    return values[count / 2];
}

// How far off the agent is, in parts of what is allowed: 2 ms or 5 %, whichever is more.
static double distance(uint64_t agent_ns, uint64_t client_ns)
{
    double allowed = fmax(2e6, 0.05 * (double)client_ns);
    return fabs((double)agent_ns - (double)client_ns) / allowed;
}

// --- Against one server ---

struct asked {
    const char *route;
    bool stream;
    size_t at_once;
    bool compare_times;
    bool port_known;
};

static void expect_fields(const json_t *alert, const struct answer *answer, const struct asked *asked)
{
    cr_expect_eq(answer->status, 200, "%s", answer->body);
    cr_expect_str_eq(alert_field(alert, "infer.route"), asked->route);
    cr_expect_str_eq(alert_field(alert, "infer.method"), "POST");
    cr_expect_str_eq(alert_field(alert, "infer.status"), "200");
    cr_expect_str_eq(alert_field(alert, "infer.error"), "");
    cr_expect_str_eq(alert_field(alert, "infer.model"), "tiny");
    cr_expect_str_eq(alert_field(alert, "infer.response.model"), "tiny");
    cr_expect_str_eq(alert_field(alert, "infer.stream"), asked->stream ? "true" : "false");
    cr_expect_str_eq(alert_field(alert, "infer.abandoned"), "false");
    cr_expect_str_eq(alert_field(alert, "infer.tokens.source"), "usage");
    cr_expect_eq(number(alert, "infer.tokens.input"), answer->prompt_tokens);
    cr_expect_eq(number(alert, "infer.tokens.output"), answer->output_tokens);
}

// How far off the agent is, in parts of what is allowed; 0 where that is not asked.
struct distances {
    double duration;
    double first_token;
};

// The scheduler may keep any one of them waiting, on either side of a clock; it does not do so to most.
static struct distances distances_of(double *durations, double *first_tokens, const struct asked *asked)
{
    struct distances distances = {};
    if (asked->compare_times)
        distances.duration = median(durations, REQUESTS);
    if (asked->compare_times && asked->stream)
        distances.first_token = median(first_tokens, REQUESTS);
    return distances;
}

static struct distances expect_seen(struct agent *agent, const struct answer *answers,
                                    const struct asked *asked)
{
    double durations[REQUESTS], first_tokens[REQUESTS];
    agent_wait_count(agent, "infer", REQUESTS);
    json_t *alerts = agent_alerts(agent, "infer");
    cr_expect_eq(json_array_size(alerts), REQUESTS);
    for (size_t i = 0; i < REQUESTS; i++) {
        json_t *alert = take_alert(alerts, &answers[i]);
        expect_fields(alert, &answers[i], asked);
        durations[i] = distance(number(alert, "infer.duration"), answers[i].end_ns - answers[i].sent_ns);
        first_tokens[i] = distance(number(alert, "infer.ttft"), answers[i].first_ns - answers[i].sent_ns);
        json_decref(alert);
    }
    json_decref(alerts);
    return distances_of(durations, first_tokens, asked);
}

static void expect_tokens(const char *text, const char *port, const struct tally *said)
{
    cr_expect_eq(metric_of(text, "gen_ai_server_token_usage_sum", "server_port", port, "gen_ai_token_type",
                           "input", NULL),
                 said->prompt_tokens);
    cr_expect_eq(metric_of(text, "gen_ai_server_token_usage_sum", "server_port", port, "gen_ai_token_type",
                           "output", NULL),
                 said->output_tokens);
    cr_expect_eq(metric_of(text, "inferscope_records_lost_total", "source", "api", NULL), 0);
}

// The same in sums, as Prometheus has them.
static void expect_metrics(struct agent *agent, const struct server *server, const struct tally *said,
                           bool stream)
{
    const char *port = format_text("%u", server_port(server));
    _cleanup_free_ char *text = http_get(agent_port(agent), "/metrics");
    cr_expect_eq(metric_of(text, "inferscope_inference_requests_total", "server_port", port,
                           "http_response_status_code", "200", "gen_ai_request_model", "tiny", NULL),
                 REQUESTS);
    cr_expect_eq(metric_of(text, "gen_ai_server_request_duration_seconds_count", "server_port", port, NULL),
                 REQUESTS);
    expect_tokens(text, port, said);
    double first =
        metric_of(text, "gen_ai_server_time_to_first_token_seconds_count", "server_port", port, NULL);
    cr_expect_eq(isnan(first) ? 0 : first, stream ? REQUESTS : 0);
}

// Asks, and holds the agent against the client, and the client against the server.
static struct distances expect_counts(const struct server *server, const struct asked *asked)
{
    const char *(*body)(bool, const char *, unsigned) =
        asked->route == completions ? completion_body : chat_body;
    const char *bodies[] = {body(asked->stream, "one", TOKENS), body(asked->stream, "one two three", TOKENS),
                            body(asked->stream, "a somewhat longer question than the others are", TOKENS),
                            NULL};
    struct load load = {.port = server_port(server),
                        .tls = server_is_tls(server),
                        .route = asked->route,
                        .bodies = bodies,
                        .requests = REQUESTS,
                        .at_once = asked->at_once};
    _cleanup_agent_ struct agent *agent = watch(server, server);
    struct tally before = server_tally(server);
    struct answer *answers = load_run(&load);
    struct tally after = server_tally(server), said = answers_tally(answers, REQUESTS);
    cr_expect_eq(said.output_tokens, REQUESTS * TOKENS);
    cr_expect_eq(after.prompt_tokens - before.prompt_tokens, said.prompt_tokens);
    cr_expect_eq(after.output_tokens - before.output_tokens, said.output_tokens);
    struct distances distances = expect_seen(agent, answers, asked);
    if (asked->port_known)
        expect_metrics(agent, server, &said, asked->stream);
    answers_free(answers, REQUESTS);
    return distances;
}

// A machine that is busy with other things keeps most of a round waiting, too; then another round tells.
static void expect_agreement(const struct server *server, const struct asked *asked)
{
    struct distances distances;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        distances = expect_counts(server, asked);
        if (distances.duration <= 1 && distances.first_token <= 1)
            return;
    }
    cr_expect_fail("durations are %.2f times as far off as they may be, times to the first token %.2f times",
                   distances.duration, distances.first_token);
}

static void expect_agreement_of(enum server_kind kind, const char *route, bool stream)
{
    _cleanup_server_ struct server *server = server_start(kind);
    // llama-server reads all requests at once. The others keep some waiting before they read them, where only
    // the client's clock runs.
    struct asked one = {route, stream, 1, true, true}, eight = {route, stream, 8, kind == SERVER_LLAMA, true};
    expect_agreement(server, &one);
    expect_agreement(server, &eight);
}

Test(inference, llama)
{
    expect_agreement_of(SERVER_LLAMA, chat, false);
}

Test(inference, llama_stream)
{
    expect_agreement_of(SERVER_LLAMA, chat, true);
}

Test(inference, completions_of_llama)
{
    expect_agreement_of(SERVER_LLAMA, completions, false);
}

Test(inference, completions_of_llama_stream)
{
    expect_agreement_of(SERVER_LLAMA, completions, true);
}

Test(inference, node)
{
    expect_agreement_of(SERVER_NODE, chat, false);
}

Test(inference, node_stream)
{
    expect_agreement_of(SERVER_NODE, chat, true);
}

Test(inference, python)
{
    expect_agreement_of(SERVER_PYTHON, chat, false);
}

Test(inference, python_stream)
{
    expect_agreement_of(SERVER_PYTHON, chat, true);
}

Test(inference, plain)
{
    expect_agreement_of(SERVER_PLAIN, chat, false);
}

Test(inference, plain_stream)
{
    expect_agreement_of(SERVER_PLAIN, chat, true);
}

// --- Encrypted ---

// Node encrypts in memory: then nobody knows by which socket, nor by which of several connections.
static void expect_agreement_of_tls(enum server_kind kind, bool stream)
{
    _cleanup_server_ struct server *server = server_start_tls(kind);
    bool socket_known = kind != SERVER_NODE;
    struct asked one = {chat, stream, 1, true, socket_known}, eight = {chat, stream, 8, false, true};
    expect_agreement(server, &one);
    if (socket_known)
        expect_agreement(server, &eight);
}

Test(inference, llama_tls)
{
    expect_agreement_of_tls(SERVER_LLAMA, false);
}

Test(inference, llama_tls_stream)
{
    expect_agreement_of_tls(SERVER_LLAMA, true);
}

Test(inference, node_tls)
{
    expect_agreement_of_tls(SERVER_NODE, false);
}

Test(inference, node_tls_stream)
{
    expect_agreement_of_tls(SERVER_NODE, true);
}

Test(inference, python_tls)
{
    expect_agreement_of_tls(SERVER_PYTHON, false);
}

Test(inference, python_tls_stream)
{
    expect_agreement_of_tls(SERVER_PYTHON, true);
}

// --- Through a proxy ---

// Each request is seen twice, at the proxy and at the server behind it, with the same tokens.
static void expect_both(enum server_kind kind, bool stream, bool tls)
{
    _cleanup_server_ struct server *server = server_start(kind);
    _cleanup_server_ struct server *proxy = tls ? server_start_tls_proxy(server) : server_start_proxy(server);
    _cleanup_agent_ struct agent *agent = watch(server, proxy);
    const char *bodies[] = {chat_body(stream, "through a proxy", TOKENS), NULL};
    struct load load = {.port = server_port(proxy),
                        .tls = tls,
                        .route = chat,
                        .bodies = bodies,
                        .requests = REQUESTS,
                        .at_once = 4};
    struct answer *answers = load_run(&load);
    struct tally said = answers_tally(answers, REQUESTS);
    agent_wait_count(agent, "infer", (size_t)2 * REQUESTS);
    const struct server *both[] = {server, proxy};
    for (size_t i = 0; i < 2; i++) {
        const char *port = format_text("%u", server_port(both[i]));
        cr_expect_eq(agent_count_alerts(agent, "infer", "fd.sport", port, "infer.status", "200",
                                        "infer.tokens.source", "usage", "infer.tokens.output",
                                        format_text("%d", TOKENS), "infer.tokens.input",
                                        format_text("%" PRIu64, said.prompt_tokens / REQUESTS), NULL),
                     REQUESTS, "%s", server_name(both[i]));
    }
    cr_expect_eq(agent_count_alerts(agent, "infer", NULL), 2 * REQUESTS);
    answers_free(answers, REQUESTS);
}

Test(inference, nginx_before_llama)
{
    expect_both(SERVER_LLAMA, false, false);
}

Test(inference, nginx_before_llama_stream)
{
    expect_both(SERVER_LLAMA, true, false);
}

Test(inference, nginx_before_node)
{
    expect_both(SERVER_NODE, false, false);
}

Test(inference, nginx_before_node_stream)
{
    expect_both(SERVER_NODE, true, false);
}

// nginx's own side of it is plaintext.
Test(inference, nginx_tls_before_llama)
{
    expect_both(SERVER_LLAMA, false, true);
}

Test(inference, nginx_tls_before_llama_stream)
{
    expect_both(SERVER_LLAMA, true, true);
}

// --- What does not go well ---

Test(inference, error_of_llama)
{
    _cleanup_server_ struct server *server = server_start(SERVER_LLAMA);
    _cleanup_agent_ struct agent *agent = watch(server, server);
    const char *bodies[] = {"{broken", NULL};
    struct load load = {
        .port = server_port(server), .route = chat, .bodies = bodies, .requests = 1, .at_once = 1};
    answers_free(load_run(&load), 1);
    agent_wait_alert(agent, "infer", "infer.status", "400", "infer.error", "400", "infer.tokens.input", "-",
                     "infer.tokens.output", "-", "infer.ttft", "-", "infer.abandoned", "false", NULL);
}

// llama-server notices that nobody listens and stops; what it had generated by then was for nobody.
Test(inference, client_leaves_llama)
{
    _cleanup_server_ struct server *server = server_start(SERVER_LLAMA);
    _cleanup_agent_ struct agent *agent = watch(server, server);
    const char *bodies[] = {chat_body(true, "a long answer", 400), NULL};
    struct load load = {.port = server_port(server),
                        .route = chat,
                        .bodies = bodies,
                        .requests = 1,
                        .at_once = 1,
                        .leave_after = 5};
    struct answer *answers = load_run(&load);
    const json_t *alert = agent_wait_alert(agent, "infer", "infer.abandoned", "true", "infer.error",
                                           "client_gone", "infer.tokens.source", "events", NULL);
    cr_expect_geq(number(alert, "infer.tokens.output"), answers[0].events);
    cr_expect_lt(number(alert, "infer.tokens.output"), 400);
    answers_free(answers, 1);
}

// --- Many ---

// How many requests to a server have been counted; waits until so many have.
static double wait_counted(struct agent *agent, const char *port, double all)
{
    double counted = 0;
    for (time_t until = time(NULL) + DEADLINE_S; counted < all && time(NULL) < until;) {
        poll(NULL, 0, 20); // there is nothing that could wake us
        counted = agent_metric(agent, "inferscope_inference_requests_total", "server_port", port, NULL);
        counted = isnan(counted) ? 0 : counted;
    }
    return counted;
}

// Without rules, as on a node where only metrics are wanted: alerts would be ten thousand lines a second. All
// records find room in the ring, so that nobody needs to be fast.
static void expect_none_lost(enum server_kind kind)
{
    enum { MANY = 10000, CONNECTIONS = 64 };
    _cleanup_server_ struct server *server = server_start(kind);
    const char *port = format_text("%u", server_port(server));
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--inference", "--ring-size", "16", NULL);
    require_source(agent);
    const char *bodies[] = {chat_body(false, "x", 1), chat_body(true, "x y", 3), NULL};
    struct load load = {.port = server_port(server),
                        .route = chat,
                        .bodies = bodies,
                        .requests = MANY,
                        .at_once = CONNECTIONS};
    struct answer *answers = load_run(&load);
    struct tally said = answers_tally(answers, MANY);
    cr_expect_eq(said.output_tokens, 2 * MANY);
    cr_expect_eq(wait_counted(agent, port, MANY), MANY);
    _cleanup_free_ char *text = http_get(agent_port(agent), "/metrics");
    cr_expect_eq(metric_of(text, "inferscope_inference_requests_total", "server_port", port,
                           "http_response_status_code", "200", NULL),
                 MANY);
    expect_tokens(text, port, &said);
    answers_free(answers, MANY);
}

Test(inference, none_of_many_is_lost)
{
    expect_none_lost(SERVER_PLAIN);
}

Test(inference, none_of_many_is_lost_on_node)
{
    expect_none_lost(SERVER_NODE);
}

// --- What must not leave the kernel ---

// Looks through all that the agent has in memory, which is what a core dump would hold. A string that it does
// have shows that the search finds.
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
        char *copy = malloc(to - from);
        ssize_t length = pread(memory, copy, to - from, (off_t)from);
        found = length > 0 && memmem(copy, (size_t)length, text, strlen(text));
        free(copy);
    }
    return found;
}

// The server of the test repeats the last word of the prompt. The model's name is no secret, and as it gets
// to the agent, it shows that the search in memory finds what came that way.
static void expect_secret(enum server_kind kind, bool stream, bool tls)
{
    static const char marker[] = "Xyzzy-4711-plugh", model[] = "Frotz-0815-model";
    _cleanup_server_ struct server *server = tls ? server_start_tls(kind) : server_start(kind);
    _cleanup_agent_ struct agent *agent = watch(server, server);
    const char *bodies[] = {format_text("{\"messages\":[{\"role\":\"user\",\"content\":\"%s and %s\"}],"
                                        "\"model\":\"%s\",\"max_tokens\":%d%s}",
                                        marker, marker, model, TOKENS, stream ? ",\"stream\":true" : ""),
                            NULL};
    struct load load = {.port = server_port(server),
                        .tls = tls,
                        .route = chat,
                        .bodies = bodies,
                        .requests = REQUESTS,
                        .at_once = 4};
    struct answer *answers = load_run(&load);
    cr_expect(kind != SERVER_NODE || strstr(answers[0].body, marker));
    agent_wait_count(agent, "infer", REQUESTS);
    _cleanup_free_ char *metrics = http_get(agent_port(agent), "/metrics");
    json_t *alerts = agent_alerts(agent, "infer");
    _cleanup_free_ char *output = json_dumps(alerts, JSON_COMPACT);
    cr_expect_null(strstr(metrics, marker));
    cr_expect_null(strstr(output, marker));
    cr_expect_null(strstr(agent_stderr(agent), marker));
    cr_expect(is_in_memory(agent_pid(agent), model));
    cr_expect_not(is_in_memory(agent_pid(agent), marker));
    json_decref(alerts);
    answers_free(answers, REQUESTS);
}

Test(inference, prompts_and_answers_stay_secret)
{
    expect_secret(SERVER_NODE, false, false);
}

Test(inference, prompts_and_streams_stay_secret)
{
    expect_secret(SERVER_NODE, true, false);
}

Test(inference, prompts_to_llama_stay_secret)
{
    expect_secret(SERVER_LLAMA, true, false);
}

Test(inference, encrypted_prompts_stay_secret)
{
    expect_secret(SERVER_NODE, true, true);
}
