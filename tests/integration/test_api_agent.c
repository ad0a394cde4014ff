// Source `api`: when the agent starts, what it is told, and what never leaves the kernel.
#include "api_pair.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct agent *agent;

static void setup(void)
{
    test_setup();
}

static void teardown(void)
{
    if (agent)
        agent_stop(TAKE_PTR(agent));
    test_teardown();
}

TestSuite(api_agent, .init = setup, .fini = teardown);

// The connection is older than the agent.
Test(api_agent, a_connection_from_before)
{
    struct pair pair = open_pair();
    ask(&pair, request_to("/v1/chat/completions", "", CHAT_BODY));
    answer(&pair, HEAD);
    agent = agent_start(API_RULES, "--inference", NULL);
    answer(&pair, chunk(TOKEN));
    answer(&pair, "0\r\n\r\n");
    ask(&pair, request_to("/v1/completions", "", "{\"model\":\"second\"}"));
    answer(&pair, json_answer(200, "{}"));
    agent_wait_alert(agent, "infer", "fd.cport", pair.cport, "infer.model", "second", NULL);
    cr_expect_eq(agent_count_alerts(agent, "infer", "fd.cport", pair.cport, NULL), 1);
    close_pair(&pair);
}

Test(api_agent, a_model_that_is_not_on_the_list)
{
    agent =
        agent_start("- list: allowed\n"
                    "  items: [good, better]\n"
                    "- rule: unlisted\n"
                    "  desc: a model that is not on the list was served\n"
                    "  condition: evt.type = infer and infer.model exists and not infer.model in (allowed)\n"
                    "  output: \"%infer.model %fd.cport\"\n"
                    "  priority: WARNING\n",
                    NULL);
    struct pair pair = open_pair();
    ask(&pair, request_to("/v1/completions", "", "{\"model\":\"good\"}"));
    answer(&pair, json_answer(200, "{}"));
    ask(&pair, request_to("/v1/completions", "", "{\"model\":\"bad\"}"));
    answer(&pair, json_answer(200, "{}"));
    agent_wait_alert(agent, "unlisted", "fd.cport", pair.cport, "infer.model", "bad", NULL);
    cr_expect_eq(agent_count_alerts(agent, "unlisted", "fd.cport", pair.cport, NULL), 1);
    close_pair(&pair);
}

Test(api_agent, own_routes_and_no_values)
{
    agent = agent_start(API_RULES, "--inference-routes", "/tenants/*/v1/chat/completions,/ask",
                        "--no-body-values", NULL);
    struct pair pair = open_pair();
    ask(&pair, request_to("/tenants/seven/v1/chat/completions", "", CHAT_BODY));
    answer(&pair, HEAD);
    answer(&pair, chunk(ROLE TOKEN TOKEN USAGE));
    answer(&pair, "0\r\n\r\n");
    agent_wait_alert(agent, "infer", "fd.cport", pair.cport, "infer.route", "/tenants/*/v1/chat/completions",
                     "infer.operation", "chat", "infer.model", "-", "infer.response.model", "-",
                     "infer.tokens.input", "-", "infer.tokens.output", "2", "infer.tokens.source", "events",
                     "infer.ttft", "*", NULL);
    close_pair(&pair);
}

Test(api_agent, routes_that_are_none)
{
    static const char *const wrong[] = {"chat", "/*/chat", "/a/b*", "/a/*/*", "/a,b"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        _cleanup_free_ char *output = NULL;
        cr_expect_eq(run_captured(&output, agent_path(), "--inference-routes", wrong[i], NULL), 2, "%s",
                     wrong[i]);
        cr_expect(strstr(output, "is no path"), "%s", output);
    }
}

// --- Many at a time ---

enum { CONNECTIONS = 64, THREADS = 8, REQUESTS = 10000 };
_Static_assert(REQUESTS % THREADS == 0 && CONNECTIONS % THREADS == 0, "each thread has as many");

struct part {
    struct pair pairs[CONNECTIONS / THREADS];
    const char *request, *said;
    int failed; // calls that moved less than they should
};

static void move_all(struct part *part, int from, int to, const char *text)
{
    char buffer[1024];
    ssize_t length = (ssize_t)strlen(text);
    part->failed += write(from, text, (size_t)length) != length;
    part->failed += recv(to, buffer, (size_t)length, MSG_WAITALL) != length;
}

// All of its connections have a request under way at a time, and the last is answered first.
static void *serve_part(void *context)
{
    struct part *part = context;
    for (size_t left = REQUESTS / THREADS; left;) {
        size_t count = left < ARRAY_SIZE(part->pairs) ? left : ARRAY_SIZE(part->pairs);
        for (size_t i = 0; i < count; i++)
            move_all(part, part->pairs[i].client, part->pairs[i].server, part->request);
        for (size_t i = count; i-- > 0;)
            move_all(part, part->pairs[i].server, part->pairs[i].client, part->said);
        left -= count;
    }
    return NULL;
}

// The number of those that were seen to their end. Before 5.17 there are so many pieces of memory to hand
// messages over in, so a slow machine may not see all, but counts the rest. (Others may have some of these.)
static double wait_for_all(const char *port)
{
    if (kernel_at_least(5, 17)) {
        cr_expect_eq(wait_metric(agent, "inferscope_inference_requests_total", port, REQUESTS), REQUESTS);
        return REQUESTS;
    }
    double seen = 0, unread = 0;
    for (uint64_t until = now_ns() + DEADLINE_S * UINT64_C(1000000000);
         now_ns() < until && !(seen + unread >= REQUESTS);) {
        unread = agent_metric(agent, "inferscope_inference_connections_unfollowed_total", "reason", "unread",
                              NULL);
        seen = agent_metric(agent, "inferscope_inference_requests_total", "server_port", port, NULL);
    }
    cr_log_info("%.0f of %d requests were seen to their end", seen, REQUESTS);
    cr_expect_gt(seen, 0);
    cr_expect_geq(seen + unread, REQUESTS);
    return seen;
}

Test(api_agent, none_of_ten_thousand_is_lost)
{
    static struct part parts[THREADS];
    pthread_t threads[THREADS];
    _cleanup_close_ int listener = listen_here();
    // Nobody needs to be fast: all of the records find room.
    agent = agent_start("- rule: none\n"
                        "  desc: no request\n"
                        "  condition: evt.type = infer and infer.model = none\n"
                        "  output: none\n"
                        "  priority: NOTICE\n",
                        "--inference", "--ring-size", "8", NULL);
    for (size_t i = 0; i < THREADS; i++) {
        parts[i].request = request_to("/v1/completions", "", "{\"model\":\"many\"}");
        parts[i].said = json_answer(200, "{\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1}}");
        for (size_t k = 0; k < ARRAY_SIZE(parts[i].pairs); k++)
            parts[i].pairs[k] = api_connect(listener);
    }
    for (size_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, serve_part, &parts[i]), 0);
    for (size_t i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_eq(parts[i].failed, 0);
    }
    const char *port = parts[0].pairs[0].sport;
    double seen = wait_for_all(port);
    cr_expect_eq(agent_metric(agent, "gen_ai_server_token_usage_sum", "server_port", port,
                              "gen_ai_token_type", "input", NULL),
                 2 * seen);
    cr_expect_eq(agent_metric(agent, "gen_ai_server_request_duration_seconds_count", "gen_ai_request_model",
                              "many", "server_port", port, NULL),
                 seen);
    cr_expect_eq(agent_metric(agent, "inferscope_inference_requests_in_flight", "server_port", port, NULL),
                 0);
    cr_expect_eq(agent_metric(agent, "inferscope_records_lost_total", "source", "api", NULL), 0);
    for (size_t i = 0; i < CONNECTIONS; i++)
        close_pair(&parts[i % THREADS].pairs[i / THREADS]);
}

// --- Nothing of a prompt or an answer ---

static bool memory_has(const char *memory, size_t size, const char *marker)
{
    return memmem(memory, size, marker, strlen(marker)) != NULL;
}

// Looks through all of a process' memory that it can write, as a core dump would have it.
static bool process_has(pid_t pid, const char *marker)
{
    _cleanup_fclose_ FILE *maps = fopen(format_text("/proc/%d/maps", pid), "r");
    _cleanup_fclose_ FILE *memory = fopen(format_text("/proc/%d/mem", pid), "r");
    cr_assert(maps && memory);
    setvbuf(memory, NULL, _IONBF, 0);
    bool found = false;
    char line[512];
    while (fgets(line, sizeof(line), maps)) {
        unsigned long from, to;
        char rights[5];
        cr_assert_eq(sscanf(line, "%lx-%lx %4s", &from, &to, rights), 3);
        // AddressSanitizer reserves terabytes.
        if (rights[0] != 'r' || to - from > (256UL << 20))
            continue;
        _cleanup_free_ char *copy = malloc(to - from);
        cr_assert_not_null(copy);
        if (fseeko(memory, (off_t)from, SEEK_SET))
            continue;
        size_t size = fread(copy, 1, to - from, memory);
        found = found || memory_has(copy, size, marker);
    }
    return found;
}

Test(api_agent, a_prompt_and_its_answer_are_nowhere)
{
    // Put together here, so that it is in no memory but the test's.
    const char *prompt = format_text("%s-%s", "confidential", "prompt");
    const char *reply = format_text("%s-%s", "confidential", "reply");
    agent = agent_start(API_RULES, "--inference", NULL);
    struct pair pair = open_pair();
    ask(&pair, request_to("/v1/chat/completions", "",
                          format_text("{\"messages\":[{\"content\":\"%s\"}],\"prompt\":\"%s\",\"%s\":1,"
                                      "\"model\":\"to-be-found\"}",
                                      prompt, prompt, prompt)));
    answer(&pair, HEAD);
    answer(&pair, chunk(format_text("data: {\"choices\":[{\"delta\":{\"content\":\"%s\"}}]}\n\n", reply)));
    answer(&pair, "0\r\n\r\n");
    agent_wait_alert(agent, "infer", "fd.cport", pair.cport, "infer.model", "to-be-found", NULL);
    _cleanup_free_ char *page = http_get(agent_port(agent), "/metrics");
    cr_expect_not(strstr(page, prompt) || strstr(page, reply));
    cr_expect_not(strstr(agent_stderr(agent), prompt) || strstr(agent_stderr(agent), reply));
    const json_t *alert = agent_wait_alert(agent, "infer", "fd.cport", pair.cport, NULL);
    _cleanup_free_ char *text = json_dumps(alert, 0);
    cr_expect_not(strstr(text, prompt) || strstr(text, reply));
    cr_expect(process_has(agent_pid(agent), "to-be-found"), "the search itself works");
    cr_expect_not(process_has(agent_pid(agent), prompt));
    cr_expect_not(process_has(agent_pid(agent), reply));
    close_pair(&pair);
}
