// Source `llama`: what the agent says of llama.cpp is what programs that use it count themselves.
#include "llama_client.h"
#include "pod.h"
#include "servers.h"

#include <math.h>
#include <poll.h>
#include <string.h>
#include <sys/personality.h>
#include <time.h>

TestSuite(llama, POD_SUITE);

enum { ROUNDS_MAX = 5 };

static struct agent *watch(const char *rules)
{
    struct agent *agent = agent_start(rules, "--inference", NULL);
    if (agent_metric(agent, "inferscope_source_up", "source", "llama", NULL) == 1) {
        agent_wait_looked(agent);
        return agent;
    }
    const char *reason = strstr(agent_stderr(agent), "source llama is down: ");
    const char *words = format_text("%.*s", reason ? (int)strcspn(reason, "\n") : 0, reason ? reason : "");
    agent_stop(agent);
    cr_skip_test("this kernel cannot probe programs: %s", words);
    return NULL;
}

// Also where there is no llama.cpp.
Test(llama, kernel_takes_the_probes)
{
    _cleanup_agent_ struct agent *agent = watch(NULL);
    cr_expect_eq(agent_metric(agent, "inferscope_probe_files_left_total", "reason", "refused", NULL), 0);
}

// --- What the agent has measured in the box ---

struct measured {
    double prefills, decodes, mixed, unknown;
    double prompt_tokens, decode_tokens, generated;
    double prefill_s, decode_s;
    double errors, loads;
};

static struct measured measure(struct agent *agent)
{
    _cleanup_free_ char *text = http_get(agent_port(agent), "/metrics");
    static const char calls[] = "inferscope_llama_batch_duration_seconds_count",
                      times[] = "inferscope_llama_batch_duration_seconds_sum",
                      tokens[] = "inferscope_llama_tokens_processed_total";
    return (struct measured){
        .prefills = llama_metric(text, calls, "phase", "prefill"),
        .decodes = llama_metric(text, calls, "phase", "decode"),
        .mixed = llama_metric(text, calls, "phase", "mixed"),
        .unknown = llama_metric(text, calls, "phase", "unknown"),
        .prompt_tokens = llama_metric(text, tokens, "phase", "prefill"),
        .decode_tokens = llama_metric(text, tokens, "phase", "decode"),
        .generated = llama_metric(text, "inferscope_llama_tokens_generated_total", NULL, NULL),
        .prefill_s = llama_metric(text, times, "phase", "prefill"),
        .decode_s = llama_metric(text, times, "phase", "decode"),
        .errors = llama_metric(text, "inferscope_llama_batch_errors_total", NULL, NULL),
        .loads = llama_metric(text, "inferscope_llama_model_load_duration_seconds_count", NULL, NULL),
    };
}

// Nothing is missing that came before a call that has been seen; so the last of it is waited for, no longer.
static struct measured wait_measured(struct agent *agent, double generated)
{
    time_t until = time(NULL) + DEADLINE_S;
    struct measured now = measure(agent);
    while (now.generated < generated) {
        cr_assert_lt(time(NULL), until, "%g tokens were generated and %g seen", generated, now.generated);
        poll(NULL, 0, 50); // there is nothing that could wake us
        now = measure(agent);
    }
    return now;
}

// Runs again and again until the agent has probed the library and knows whose it is, and that of each round
// adds up.
static struct measured wait_probed(struct agent *agent, struct llama_client *client)
{
    time_t until = time(NULL) + DEADLINE_S;
    struct llama_sum prefill, decode;
    for (;;) {
        cr_assert_lt(time(NULL), until, "the library is not probed");
        double before = measure(agent).generated;
        llama_run(client, 4, 1, 1, &prefill, &decode);
        poll(NULL, 0, 50);
        struct measured now = measure(agent);
        if (before > 0 && now.generated == before + 2)
            return now;
    }
}

// What a client did since then is what was measured, to the last token.
static void expect_counted(const struct measured *now, const struct measured *before,
                           const struct llama_sum *prefill, const struct llama_sum *decode)
{
    cr_expect_eq(now->prefills - before->prefills, (double)prefill->calls);
    cr_expect_eq(now->decodes - before->decodes, (double)decode->calls);
    cr_expect_eq(now->mixed - before->mixed, 0);
    cr_expect_eq(now->unknown - before->unknown, 0);
    cr_expect_eq(now->prompt_tokens - before->prompt_tokens, (double)prefill->tokens);
    cr_expect_eq(now->decode_tokens - before->decode_tokens, (double)decode->tokens);
}

static void expect_run(struct agent *agent, struct llama_client *client, int prompt, int steps, int sequences)
{
    struct llama_sum prefill, decode;
    struct measured before = measure(agent);
    llama_run(client, prompt, steps, sequences, &prefill, &decode);
    struct measured now = wait_measured(agent, before.generated + sequences * (steps + 1));
    expect_counted(&now, &before, &prefill, &decode);
    cr_expect_eq(now.generated - before.generated, sequences * (steps + 1));
}

static void expect_runs(struct agent *agent, struct llama_client *client)
{
    expect_run(agent, client, 100, 30, 1);
    expect_run(agent, client, 100, 30, 8); // longer than what is looked at of it
    expect_run(agent, client, 3, 30, 4);
    expect_run(agent, client, 1, 30, 4); // prompts of one token are no prompts
}

// --- A client that was there before, came after, opens the library late; with and without a root ---

static void expect_client_seen(enum llama_kind kind, bool before, bool late)
{
    struct llama_client *client = before ? llama_start(kind, late ? "" : "open,load") : NULL;
    _cleanup_agent_ struct agent *agent = watch(NULL);
    if (!before)
        client = llama_start(kind, late ? "" : "open,load");
    if (late) {
        cr_expect_str_eq(llama_ask(client, "open"), "opened");
        cr_expect_str_eq(llama_ask(client, "load"), "loaded");
    }
    wait_probed(agent, client);
    expect_runs(agent, client);
    llama_end(client);
}

Test(llama, client_was_there_before)
{
    expect_client_seen(LLAMA_DEBIAN, true, false);
}

Test(llama, client_starts_later)
{
    expect_client_seen(LLAMA_DEBIAN, false, false);
}

Test(llama, client_opens_the_library_late)
{
    expect_client_seen(LLAMA_DEBIAN, true, true);
}

Test(llama, client_of_another_library)
{
    expect_client_seen(LLAMA_NODE, true, false);
}

Test(llama, client_opens_another_library_late)
{
    expect_client_seen(LLAMA_NODE, true, true);
}

// --- Times ---

static double off_by(double agent_s, uint64_t client_ns)
{
    return fabs(agent_s - (double)client_ns / 1e9) / ((double)client_ns / 1e9);
}

// The scheduler may come between two clocks that are read one after the other; it does not always.
static void expect_times(enum llama_kind kind)
{
    struct llama_client *client = llama_start(kind, "open,load");
    _cleanup_agent_ struct agent *agent = watch(NULL);
    struct measured before = wait_probed(agent, client);
    struct llama_sum prefill, decode;
    double prefill_off = 1, decode_off = 1;
    for (int i = 0; i < ROUNDS_MAX && (prefill_off > 0.05 || decode_off > 0.05); i++) {
        llama_run(client, 100, 50, 8, &prefill, &decode);
        struct measured now = wait_measured(agent, before.generated + 8 * 51);
        prefill_off = off_by(now.prefill_s - before.prefill_s, prefill.time_ns);
        decode_off = off_by(now.decode_s - before.decode_s, decode.time_ns);
        before = now;
    }
    cr_expect_lt(prefill_off, 0.05);
    cr_expect_lt(decode_off, 0.05);
    llama_end(client);
}

Test(llama, times_are_those_of_the_client)
{
    expect_times(LLAMA_DEBIAN);
}

Test(llama, times_are_those_of_another_librarys_client)
{
    expect_times(LLAMA_NODE);
}

// --- Failures ---

Test(llama, a_batch_that_fails)
{
    struct llama_client *client = llama_start(LLAMA_DEBIAN, "open,load");
    _cleanup_agent_ struct agent *agent = watch(NULL);
    struct measured before = wait_probed(agent, client);
    cr_expect_str_eq(llama_ask(client, "fail"), "-1");
    expect_run(agent, client, 10, 3, 1);
    struct measured now = measure(agent);
    cr_expect_eq(now.errors - before.errors, 1);
    cr_expect_eq(now.prefills - before.prefills, 1);
    llama_end(client);
}

Test(llama, a_client_is_killed_inside_of_a_call)
{
    struct llama_client *client = llama_start(LLAMA_DEBIAN, "open,load");
    _cleanup_agent_ struct agent *agent = watch(NULL);
    wait_probed(agent, client);
    for (int i = 0; i < 5; i++) {
        double before = measure(agent).generated;
        struct llama_client *killed = llama_start(LLAMA_DEBIAN, "open,load,forever");
        wait_measured(agent, before + 20);
        llama_kill(killed);
    }
    expect_runs(agent, client);
    llama_end(client);
}

// What one that was killed inside of a call has left behind does not hide the calls of who gets its number,
// though they lie deeper on its stack, as calls inside of that call would.
Test(llama, a_killed_clients_number_is_used_again)
{
    struct llama_client *client = llama_start(LLAMA_DEBIAN, "open,load");
    _cleanup_agent_ struct agent *agent = watch(NULL);
    char deeper[65536];
    memset(deeper, 'x', sizeof(deeper));
    deeper[sizeof(deeper) - 1] = '\0';
    wait_probed(agent, client);
    cr_assert_geq(personality(ADDR_NO_RANDOMIZE), 0);
    for (int i = 0; i < 3; i++) {
        double before = measure(agent).generated;
        struct llama_client *killed = llama_start(LLAMA_DEBIAN, "open,load,forever");
        pid_t number = killed->pid;
        wait_measured(agent, before + 20);
        llama_kill(killed);
        cr_assert_eq(setenv("DEEPER", deeper, 1), 0);
        struct llama_client *next = llama_start_as(number, LLAMA_DEBIAN, "open,load");
        cr_assert_eq(next->pid, number);
        expect_run(agent, next, 100, 30, 1);
        llama_end(next);
        unsetenv("DEEPER");
    }
    llama_end(client);
}

Test(llama, many_short_lived_clients, .timeout = 300)
{
    enum { CLIENTS = 200 };
    struct llama_client *client = llama_start(LLAMA_DEBIAN, "open,load");
    _cleanup_agent_ struct agent *agent = watch(NULL);
    struct measured before = wait_probed(agent, client);
    // A probe is a descriptor.
    size_t open = agent_descriptors(agent);
    struct llama_sum prefills = {}, decodes = {}, prefill, decode;
    for (int i = 0; i < CLIENTS; i++) {
        struct llama_client *other = llama_start(LLAMA_DEBIAN, "open,load");
        llama_run(other, 5, 2, 1, &prefill, &decode);
        llama_end(other);
        prefills.calls += prefill.calls;
        prefills.tokens += prefill.tokens;
        decodes.calls += decode.calls;
        decodes.tokens += decode.tokens;
    }
    struct measured now = wait_measured(agent, before.generated + 3 * CLIENTS);
    expect_counted(&now, &before, &prefills, &decodes);
    cr_expect_eq(now.loads - before.loads, CLIENTS);
    // What else is probed meanwhile is not known, but it is not one for each of them.
    cr_expect_lt(agent_descriptors(agent), open + CLIENTS / 2);
    llama_end(client);
}

// --- Models ---

Test(llama, models_that_are_loaded)
{
    struct llama_client *client = llama_start(LLAMA_DEBIAN, "open,load");
    _cleanup_agent_ struct agent *agent =
        watch(format_text("- rule: loaded\n"
                          "  desc: a program of the test has loaded a model, or tried to\n"
                          "  condition: evt.type = llama_load and proc.name = %s\n"
                          "  output: \"%%model.path %%model.path.raw %%model.loaded %%model.load_time\n"
                          "    %%container.name\"\n"
                          "  priority: NOTICE\n",
                          llama_name()));
    wait_probed(agent, client);
    cr_expect_str_eq(llama_ask(client, "load"), "loaded");
    // As the node sees it: the root is that of a folder.
    char root[4096];
    cr_assert(realpath(servers_root(), root));
    json_t *alert = agent_wait_alert(agent, "loaded", "model.path", format_text("%s/mnt/tiny.gguf", root),
                                     "model.path.raw", "/mnt/tiny.gguf", "model.loaded", "true",
                                     "container.name", "*", NULL);
    cr_expect_gt(strtoull(alert_field(alert, "model.load_time"), NULL, 10), 0);
    cr_assert_eq(remove(test_path("tiny.gguf")), 0);
    cr_expect_str_eq(llama_ask(client, "load"), "not loaded");
    agent_wait_alert(agent, "loaded", "model.path.raw", "/mnt/tiny.gguf", "model.loaded", "false", NULL);
    cr_expect_eq(agent_count_alerts(agent, "loaded", NULL), 2);
    llama_end(client);
}
