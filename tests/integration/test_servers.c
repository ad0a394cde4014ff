// The servers and the client that other tests build on do what those tests take for granted.
#include "harness.h"
#include "servers.h"
#include "tests/servers/root.h"

#include <string.h>
#include <sys/stat.h>

TestSuite(servers, TEST_SUITE);

static const char chat[] = "/v1/chat/completions";

// Every answer came and what the client read of `usage` is the server's own account.
static void expect_served(const struct server *asked, const struct server *account)
{
    enum { REQUESTS = 24, TOKENS = 5 };
    const char *bodies[] = {chat_body(true, "one two three", TOKENS), chat_body(false, "one two", TOKENS),
                            NULL};
    struct tally before = server_tally(account);
    struct load load = {
        .port = server_port(asked), .route = chat, .bodies = bodies, .requests = REQUESTS, .at_once = 4};
    struct answer *answers = load_run(&load);
    for (size_t i = 0; i < REQUESTS; i++) {
        const struct answer *answer = &answers[i];
        bool stream = i % 2 == 0;
        cr_expect_eq(answer->status, 200, "%s: %s", server_name(asked), answer->body);
        cr_expect_eq(answer->output_tokens, TOKENS);
        cr_expect_eq(answer->events, stream ? TOKENS : 0, "%s: %zu events: %s", server_name(asked),
                     answer->events, answer->body);
        cr_expect_gt(answer->end_ns, answer->sent_ns);
        cr_expect(!stream || (answer->first_ns > answer->sent_ns && answer->first_ns <= answer->end_ns));
    }
    struct tally said = answers_tally(answers, REQUESTS), after = server_tally(account);
    cr_expect_eq(said.output_tokens, REQUESTS * TOKENS);
    cr_expect_gt(said.prompt_tokens, 0);
    cr_expect_eq(after.output_tokens - before.output_tokens, said.output_tokens);
    cr_expect_eq(after.prompt_tokens - before.prompt_tokens, said.prompt_tokens);
    answers_free(answers, REQUESTS);
}

static void expect_kind_serves(enum server_kind kind)
{
    _cleanup_server_ struct server *server = server_start(kind);
    expect_served(server, server);
}

Test(servers, llama)
{
    expect_kind_serves(SERVER_LLAMA);
}

Test(servers, node)
{
    expect_kind_serves(SERVER_NODE);
}

Test(servers, python)
{
    expect_kind_serves(SERVER_PYTHON);
}

Test(servers, plain)
{
    expect_kind_serves(SERVER_PLAIN);
}

Test(servers, nginx_before_node)
{
    _cleanup_server_ struct server *server = server_start(SERVER_NODE);
    _cleanup_server_ struct server *proxy = server_start_proxy(server);
    expect_served(proxy, server);
}

Test(servers, nginx_before_llama)
{
    _cleanup_server_ struct server *server = server_start(SERVER_LLAMA);
    _cleanup_server_ struct server *proxy = server_start_proxy(server);
    expect_served(proxy, server);
}

Test(servers, errors_are_answers)
{
    _cleanup_server_ struct server *server = server_start(SERVER_LLAMA);
    const char *bodies[] = {"{broken", NULL};
    struct load load = {
        .port = server_port(server), .route = chat, .bodies = bodies, .requests = 2, .at_once = 1};
    struct answer *answers = load_run(&load);
    cr_expect_eq(answers[0].status, 400);
    cr_expect_eq(answers[1].status, 400);
    cr_expect_eq(answers[1].output_tokens, 0);
    answers_free(answers, 2);
}

// A client may go away in the middle; the next one is served.
Test(servers, client_leaves)
{
    _cleanup_server_ struct server *server = server_start(SERVER_LLAMA);
    const char *bodies[] = {chat_body(true, "a long answer", 200), NULL};
    struct load load = {.port = server_port(server),
                        .route = chat,
                        .bodies = bodies,
                        .requests = 2,
                        .at_once = 1,
                        .leave_after = 3};
    struct answer *answers = load_run(&load);
    cr_expect_geq(answers[1].events, 3);
    cr_expect_eq(answers[1].output_tokens, 0);
    answers_free(answers, 2);
}

Test(servers, many_requests)
{
    enum { REQUESTS = 10000 };
    _cleanup_server_ struct server *server = server_start(SERVER_PLAIN);
    const char *bodies[] = {chat_body(false, "x", 1), NULL};
    struct load load = {
        .port = server_port(server), .route = chat, .bodies = bodies, .requests = REQUESTS, .at_once = 64};
    struct answer *answers = load_run(&load);
    cr_expect_eq(answers_tally(answers, REQUESTS).output_tokens, REQUESTS);
    cr_expect_eq(server_tally(server).output_tokens, REQUESTS);
    answers_free(answers, REQUESTS);
}

Test(servers, model_is_the_same_each_time)
{
    const char *first = test_path("first.gguf"), *second = test_path("second.gguf");
    struct stat status;
    cr_assert_eq(root_write_model(first), 0);
    cr_assert_eq(root_write_model(second), 0);
    cr_assert_eq(stat(first, &status), 0);
    cr_expect_lt(status.st_size, 4000000);
    cr_expect_eq(run_program("cmp", first, second, NULL), 0);
}
