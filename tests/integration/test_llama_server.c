// Source `llama` and what the source `api` makes of it, against a real llama-server: what the agent says is
// what the server counts, and a request has what was computed for it.
#include "llama_client.h"
#include "pod.h"
#include "servers.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

TestSuite(llama_server, POD_SUITE);

// A slot has room for 512. Where what sends the first of so many is kept waiting, most are still to come.
enum { TOKENS = 40, STREAM_TOKENS = 400, REQUESTS = 12 };

static const char chat[] = "/v1/chat/completions", completions[] = "/v1/completions";

static struct agent *watch(const struct server *server)
{
    struct agent *agent =
        agent_start(format_text("- rule: infer\n"
                                "  desc: a request to the server of the test\n"
                                "  condition: evt.type = infer and fd.sport = %u\n"
                                "  output: \"%%fd.cport %%infer.stream %%infer.duration %%infer.ttft\n"
                                "    %%infer.tokens.output %%infer.prefill_time %%infer.decode_time\n"
                                "    %%infer.decode_steps %%infer.batch %%infer.run_time\"\n"
                                "  priority: NOTICE\n",
                                server_port(server)),
                    "--inference", NULL);
    if (agent_metric(agent, "inferscope_source_up", "source", "llama", NULL) == 1) {
        agent_wait_looked(agent);
        return agent;
    }
    agent_stop(agent);
    cr_skip_test("this kernel cannot probe programs");
    return NULL;
}

static void ask(const struct server *server, const char *route, const char *const *bodies, size_t requests,
                size_t at_once)
{
    struct load load = {.port = server_port(server),
                        .route = route,
                        .bodies = bodies,
                        .requests = requests,
                        .at_once = at_once};
    answers_free(load_run(&load), requests);
}

// --- Counts ---

struct counts {
    double batches, prompt_tokens, generated, errors;
};

static struct counts own_counts(const struct server *server)
{
    _cleanup_free_ char *text = http_get(server_port(server), "/metrics");
    return (struct counts){
        .batches = metric_of(text, "llamacpp:n_decode_total", NULL),
        .prompt_tokens = metric_of(text, "llamacpp:prompt_tokens_total", NULL),
        .generated = metric_of(text, "llamacpp:tokens_predicted_total", NULL),
    };
}

static struct counts agent_counts(struct agent *agent)
{
    _cleanup_free_ char *text = http_get(agent_port(agent), "/metrics");
    return (struct counts){
        .batches = llama_metric(text, "inferscope_llama_batch_duration_seconds_count", NULL, NULL),
        .prompt_tokens = llama_metric(text, "inferscope_llama_tokens_processed_total", "phase", "prefill"),
        .generated = llama_metric(text, "inferscope_llama_tokens_generated_total", NULL, NULL),
        .errors = llama_metric(text, "inferscope_llama_batch_errors_total", NULL, NULL),
    };
}

// Since the first of both, until they agree.
static void expect_same(struct agent *agent, const struct server *server, const struct counts *agent_before,
                        const struct counts *own_before)
{
    struct counts own = own_counts(server), seen = agent_counts(agent);
    for (time_t until = time(NULL) + DEADLINE_S;
         seen.generated - agent_before->generated < own.generated - own_before->generated &&
         time(NULL) < until;) {
        poll(NULL, 0, 50); // there is nothing that could wake us
        seen = agent_counts(agent);
    }
    cr_expect_eq(seen.generated - agent_before->generated, own.generated - own_before->generated);
    cr_expect_eq(seen.batches - agent_before->batches, own.batches - own_before->batches);
    cr_expect_eq(seen.prompt_tokens - agent_before->prompt_tokens,
                 own.prompt_tokens - own_before->prompt_tokens, "%g prompt tokens seen, %g counted",
                 seen.prompt_tokens - agent_before->prompt_tokens,
                 own.prompt_tokens - own_before->prompt_tokens);
    cr_expect_eq(seen.errors, 0);
}

// Asks until the agent has probed the library and knows whose it is.
static void wait_probed(struct agent *agent, const struct server *server)
{
    const char *bodies[] = {completion_body(false, "to begin with", 4), NULL};
    time_t until = time(NULL) + DEADLINE_S;
    for (size_t asked = 0; agent_counts(agent).generated == 0; asked++) {
        cr_assert_lt(time(NULL), until, "the library is not probed");
        ask(server, completions, bodies, 1, 1);
        agent_wait_count(agent, "infer", asked + 1);
        poll(NULL, 0, 50);
    }
}

// Prompts that begin differently, as of one that the server has kept it computes but the last token, which
// then looks like any that is generated.
static void ask_mixed(const struct server *server, const char *name, size_t at_once)
{
    const char *bodies[REQUESTS + 1] = {};
    for (int i = 0; i < REQUESTS; i++)
        bodies[i] = chat_body(i % 3 > 0, format_text("%d %s %d, with some words behind it", i, name, i),
                              (unsigned)(TOKENS / 2 * (1 + i % 4)));
    ask(server, chat, bodies, REQUESTS, at_once);
}

static void expect_counts(struct agent *agent, const struct server *server)
{
    const char *probable[] = {"{\"prompt\":\"how likely is it\",\"max_tokens\":20,\"logprobs\":3}", NULL};
    wait_probed(agent, server);
    struct counts agent_before = agent_counts(agent), own_before = own_counts(server);
    ask_mixed(server, "one after another", 1);
    expect_same(agent, server, &agent_before, &own_before);
    ask_mixed(server, "some at once", 4);
    expect_same(agent, server, &agent_before, &own_before);
    ask(server, completions, probable, 1, 1);
    expect_same(agent, server, &agent_before, &own_before);
}

Test(llama_server, counts_are_its_own, .timeout = 180)
{
    _cleanup_server_ struct server *server = server_start(SERVER_LLAMA);
    _cleanup_agent_ struct agent *agent = watch(server);
    expect_counts(agent, server);
}

// --- What was computed for a request ---

static uint64_t number(const json_t *alert, const char *field)
{
    return strtoull(alert_field(alert, field), NULL, 10);
}

static bool known(const json_t *alert, const char *field)
{
    return *alert_field(alert, field) != '\0';
}

// The alerts that have come since there were so many.
static json_t *wait_alerts(struct agent *agent, size_t from, size_t count)
{
    agent_wait_count(agent, "infer", from + count);
    json_t *alerts = agent_alerts(agent, "infer");
    for (size_t i = 0; i < from; i++)
        json_array_remove(alerts, 0);
    cr_assert_eq(json_array_size(alerts), count);
    return alerts;
}

static void expect_alone(const json_t *alert, bool stream, unsigned tokens)
{
    uint64_t steps = number(alert, "infer.decode_steps");
    cr_assert(known(alert, "infer.prefill_time") && known(alert, "infer.decode_time"));
    // The first token is the prompt's. By the time that it is sent, a few steps may have been made.
    cr_expect(stream ? steps > tokens / 2 && steps < tokens : steps == tokens - 1, "%d steps", (int)steps);
    cr_expect_eq(number(alert, "infer.batch"), 1);
    cr_expect_leq(number(alert, "infer.prefill_time") + number(alert, "infer.decode_time"),
                  number(alert, "infer.duration"));
    cr_expect_gt(number(alert, "infer.prefill_time"), 0);
    if (stream)
        cr_expect_leq(number(alert, "infer.prefill_time"), number(alert, "infer.ttft"));
    cr_expect_not(known(alert, "infer.run_time"));
}

Test(llama_server, requests_one_after_another, .timeout = 180)
{
    _cleanup_server_ struct server *server = server_start(SERVER_LLAMA);
    _cleanup_agent_ struct agent *agent = watch(server);
    wait_probed(agent, server);
    for (int i = 0; i < 6; i++) {
        bool stream = i % 2 == 0;
        unsigned tokens = stream ? STREAM_TOKENS : TOKENS;
        const char *bodies[] = {chat_body(stream, format_text("request %d of some", i), tokens), NULL};
        size_t from = agent_count_alerts(agent, "infer", NULL);
        ask(server, chat, bodies, 1, 1);
        json_t *alerts = wait_alerts(agent, from, 1);
        const json_t *alert = json_array_get(alerts, 0);
        cr_expect_str_eq(alert_field(alert, "infer.stream"), stream ? "true" : "false");
        expect_alone(alert, stream, tokens);
        json_decref(alerts);
    }
}

// Of requests at the same time, what is not known is missing, and the batch is that of all.
Test(llama_server, requests_at_once, .timeout = 180)
{
    _cleanup_server_ struct server *server = server_start(SERVER_LLAMA);
    _cleanup_agent_ struct agent *agent = watch(server);
    wait_probed(agent, server);
    const char *bodies[] = {chat_body(true, "a stream of some length", STREAM_TOKENS),
                            chat_body(false, "an answer of some length", STREAM_TOKENS), NULL};
    size_t from = agent_count_alerts(agent, "infer", NULL), shared = 0;
    ask(server, chat, bodies, 4, 4);
    json_t *alerts = wait_alerts(agent, from, 4);
    for (size_t i = 0; i < 4; i++) {
        const json_t *alert = json_array_get(alerts, i);
        bool stream = strcmp(alert_field(alert, "infer.stream"), "true") == 0;
        cr_expect_eq(known(alert, "infer.decode_time"), stream);
        cr_expect_eq(known(alert, "infer.decode_steps"), stream);
        if (!stream)
            cr_expect_not(known(alert, "infer.prefill_time"));
        if (stream)
            cr_expect_leq(number(alert, "infer.decode_time"), number(alert, "infer.duration"));
        shared += number(alert, "infer.batch") >= 2;
    }
    cr_expect_eq(shared, 2);
    // And when they have ended, the next one is alone again.
    const char *next[] = {chat_body(false, "who comes behind them", TOKENS), NULL};
    ask(server, chat, next, 1, 1);
    json_t *last = wait_alerts(agent, from + 4, 1);
    expect_alone(json_array_get(last, 0), false, TOKENS);
    json_decref(last);
    json_decref(alerts);
}

// The server may go on for a client that has left, so nothing is known of who comes next.
Test(llama_server, request_behind_one_that_was_abandoned, .timeout = 180)
{
    _cleanup_server_ struct server *server = server_start(SERVER_LLAMA);
    _cleanup_agent_ struct agent *agent = watch(server);
    wait_probed(agent, server);
    const char *bodies[] = {chat_body(true, "who goes away", STREAM_TOKENS), NULL};
    size_t from = agent_count_alerts(agent, "infer", NULL);
    struct load load = {.port = server_port(server),
                        .route = chat,
                        .bodies = bodies,
                        .requests = 1,
                        .at_once = 1,
                        .leave_after = 2};
    answers_free(load_run(&load), 1);
    json_decref(wait_alerts(agent, from, 1));
    const char *next[] = {chat_body(false, "who comes behind it", TOKENS), NULL};
    ask(server, chat, next, 1, 1);
    json_t *alerts = wait_alerts(agent, from + 1, 1);
    cr_expect_not(known(json_array_get(alerts, 0), "infer.prefill_time"));
    cr_expect_not(known(json_array_get(alerts, 0), "infer.decode_time"));
    json_decref(alerts);
}
