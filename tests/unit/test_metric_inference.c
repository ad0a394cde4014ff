#include "inference_fixture.h"

#include <time.h>

static struct wire_api record;

static void set_models(const char *asked, const char *answered)
{
    exchange_set_models(&record.exchange, asked, answered);
}

// A stream of 5 tokens: the first after 20 ms, the last after 100 ms.
static void setup(void)
{
    inference_stop();
    cr_assert_eq(inference_start(), 0);
    record = (struct wire_api){.family = 4, .server_port = 8000};
    record.header.type = WIRE_API_INFER;
    record.exchange = (struct wire_api_exchange){
        .start_ns = 1000000000,
        .first_content_ns = 1020000000,
        .last_content_ns = 1100000000,
        .end_ns = 1100000000,
        .content_events = 4,
        .input_tokens = 17,
        .output_tokens = 5,
        .flags = WIRE_API_STREAMED | WIRE_API_HAS_INPUT | WIRE_API_HAS_OUTPUT | WIRE_API_INFERENCE,
        .status = 200,
        .method = WIRE_API_POST,
        .route = route_of("/v1/chat/completions"),
        .server = "llama.cpp",
    };
    set_models("asked", "answered");
    process = (struct process){.name = "server"};
    contained = false;
}

static void teardown(void)
{
    inference_stop();
}

TestSuite(metric_inference, .init = setup, .fini = teardown);

static void count(void)
{
    count_record(&record.header);
}

#define LABELS                                                                                 \
    "{server_port=\"8000\",gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"llama.cpp\"," \
    "gen_ai_request_model=\"asked\",gen_ai_response_model=\"answered\""

Test(metric_inference, a_stream_that_went_well)
{
    count();
    cr_expect(page_has("\ngen_ai_server_request_duration_seconds_bucket" LABELS ",le=\"0.08\"} 0\n"));
    cr_expect(page_has("\ngen_ai_server_request_duration_seconds_bucket" LABELS ",le=\"0.16\"} 1\n"));
    cr_expect(page_has("\ngen_ai_server_request_duration_seconds_sum" LABELS "} 0.1\n"));
    cr_expect(page_has("\ngen_ai_server_time_to_first_token_seconds_sum" LABELS "} 0.02\n"));
    // 80 ms for the four tokens behind the first
    cr_expect(page_has("\ngen_ai_server_time_per_output_token_seconds_sum" LABELS
                       ",token_source=\"usage\"} 0.02\n"));
    cr_expect(page_has("\ngen_ai_server_token_usage_sum" LABELS
                       ",gen_ai_token_type=\"input\",token_source=\"usage\"} 17\n"));
    cr_expect(page_has("\ngen_ai_server_token_usage_sum" LABELS
                       ",gen_ai_token_type=\"output\",token_source=\"usage\"} 5\n"));
    cr_expect(
        page_has("\ninferscope_inference_requests_total" LABELS ",http_response_status_code=\"200\"} 1\n"));
}

Test(metric_inference, tokens_are_counted_where_the_server_does_not_say)
{
    record.exchange.flags &= ~(__u32)(WIRE_API_HAS_INPUT | WIRE_API_HAS_OUTPUT);
    count();
    cr_expect(page_has("\ngen_ai_server_token_usage_sum" LABELS
                       ",gen_ai_token_type=\"output\",token_source=\"events\"} 4\n"));
    cr_expect_not(page_has("gen_ai_token_type=\"input\""), "never guessed");
    cr_expect_not(page_has("token_source=\"usage\""));
}

Test(metric_inference, failures_are_no_measure_of_tokens)
{
    record.exchange.status = 503;
    count();
    record.exchange.status = 200;
    record.exchange.end = WIRE_API_CLIENT_GONE;
    count();
    record.exchange.status = 0;
    count();
    cr_expect(page_has("\ngen_ai_server_request_duration_seconds_count" LABELS ",error_type=\"503\"} 1\n"));
    cr_expect(
        page_has("\ngen_ai_server_request_duration_seconds_count" LABELS ",error_type=\"client_gone\"} 2\n"));
    cr_expect(page_has("\ninferscope_inference_requests_total" LABELS ",error_type=\"client_gone\"} 1\n"));
    cr_expect(page_has("\ninferscope_inference_abandoned_requests_total" LABELS "} 2\n"));
    cr_expect(
        page_has("\ninferscope_inference_abandoned_tokens_total" LABELS ",token_source=\"usage\"} 10\n"));
    cr_expect_not(page_has("gen_ai_server_token_usage_sum"));
    cr_expect_not(page_has("gen_ai_server_time_to_first_token_seconds_sum"));
}

Test(metric_inference, the_server_is_known_by_its_process_and_pod)
{
    static char arguments[] = "python3\0-m\0vllm.entrypoints.openai.api_server";
    process = (struct process){.name = "python3", .args = arguments, .args_size = sizeof(arguments)};
    container = (struct container){
        .pod_namespace = (char *)"prod", .pod_name = (char *)"llm-0", .name = (char *)"srv"};
    contained = true;
    strcpy(record.exchange.server, "uvicorn");
    count();
    cr_expect(page_has("\ngen_ai_server_request_duration_seconds_count{server_port=\"8000\","
                       "k8s_namespace_name=\"prod\",k8s_pod_name=\"llm-0\",k8s_container_name=\"srv\","
                       "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"vllm\""));
    process = (struct process){.name = "python3"};
    contained = false;
    count();
    cr_expect(page_has("gen_ai_provider_name=\"unknown\""));
}

// A client chooses the names of models it asks for; it must not fill the agent's memory.
Test(metric_inference, too_many_models_are_counted_as_other)
{
    for (int i = 0; i < 1000; i++) {
        char name[24];
        snprintf(name, sizeof(name), "model-%d", i);
        record.exchange.request_model_length = 0;
        set_models(name, "");
        count();
    }
    cr_expect(page_has("gen_ai_request_model=\"model-199\""));
    cr_expect_not(page_has("gen_ai_request_model=\"model-200\""));
    cr_expect(page_has("\ngen_ai_server_request_duration_seconds_count{gen_ai_request_model=\"other\","
                       "gen_ai_response_model=\"other\"} 800\n"));
    cr_expect(page_has("\ninferscope_inference_series_folded_total 800\n"));
}

static void count_at(uint64_t second, const char *asked, const char *answered, unsigned status)
{
    record.header.time_ns = second * UINT64_C(1000000000);
    record.exchange.status = (uint16_t)status;
    set_models(asked, answered);
    count();
}

static void count_many(uint64_t second, unsigned from, unsigned to, unsigned status)
{
    for (unsigned i = from; i < to; i++) {
        char name[24];
        snprintf(name, sizeof(name), "model-%u", i);
        count_at(second, name, "", status);
    }
}

#define OF_SERVER "{server_port=\"8000\",gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"llama.cpp\","

// Anybody can ask for models that do not exist.
Test(metric_inference, names_of_failed_requests_take_no_place)
{
    count_many(1, 0, 500, 404);
    count_many(1, 500, 1000, 0);
    cr_expect(page_has("\ngen_ai_server_request_duration_seconds_count" OF_SERVER
                       "gen_ai_request_model=\"other\",error_type=\"404\"} 500\n"));
    cr_expect(page_has("\ninferscope_inference_models_unconfirmed_total 1000\n"));
    cr_expect_not(page_has("model-"));
    // One that has answered, or that an answer names, is real; its failures are its own from then on.
    count_at(1, "real", "real-1", 200);
    count_at(1, "real", "", 404);
    count_at(1, "busy", "busy", 503);
    cr_expect(page_has("\ngen_ai_server_request_duration_seconds_count" OF_SERVER
                       "gen_ai_request_model=\"real\",error_type=\"404\"} 1\n"));
    cr_expect(
        page_has("gen_ai_request_model=\"busy\",gen_ai_response_model=\"busy\",error_type=\"503\"} 1\n"));
    // But not at another server.
    record.server_port = 9000;
    count_at(1, "real", "", 404);
    cr_expect_not(page_has("server_port=\"9000\",gen_ai_operation_name=\"chat\",gen_ai_provider_name="
                           "\"llama.cpp\",gen_ai_request_model=\"real\""));
    cr_expect(page_has("\ninferscope_inference_models_unconfirmed_total 1001\n"));
}

Test(metric_inference, series_that_nobody_touches_give_their_place)
{
    count_many(1000, 0, 200, 200);
    count_many(1400, 0, 50, 200);
    count_at(1500, "too-early", "", 200);
    cr_expect_not(page_has("too-early"));
    cr_expect(page_has("\ninferscope_inference_series_folded_total 1\n"));
    cr_expect(page_has("\ninferscope_inference_series_evicted_total 0\n"));
    // The oldest 150 are idle for ten minutes by now; they go one by one.
    count_many(1601, 1000, 1150, 200);
    cr_expect(page_has("\ninferscope_inference_series_evicted_total 150\n"));
    cr_expect_not(page_has("\"model-50\""));
    cr_expect_not(page_has("\"model-199\""));
    cr_expect(page_has("\"model-49\""));
    cr_expect(page_has("\"model-1149\""));
    count_at(1602, "too-early", "", 200);
    cr_expect_not(page_has("too-early"));
    cr_expect(page_has("\ngen_ai_server_request_duration_seconds_count{gen_ai_request_model=\"other\","
                       "gen_ai_response_model=\"other\"} 2\n"));
    // Who comes again begins at 0.
    count_at(2300, "model-50", "", 200);
    cr_expect(page_has("gen_ai_request_model=\"model-50\"} 1\n"));
}

Test(metric_inference, routes_that_nobody_uses_give_their_place)
{
    record.header.type = WIRE_API_HTTP;
    for (uint16_t port = 10000; port < 10500; port++) {
        record.server_port = port;
        count_at(port < 10001 ? 1 : 500, "", "", 200);
    }
    record.server_port = 20000;
    count_at(600, "", "", 200);
    cr_expect_not(page_has("server_port=\"20000\",http_"));
    cr_expect(page_has("\ninferscope_http_requests_uncounted_total 1\n"));
    count_at(602, "", "", 200);
    cr_expect(page_has("server_port=\"20000\",http_"));
    cr_expect_not(page_has("server_port=\"10000\",http_"));
    cr_expect(page_has("\ninferscope_http_series_evicted_total 1\n"));
}

// Servers that have one process a request leave many behind.
Test(metric_inference, servers_that_have_nothing_to_do_give_their_place)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    for (uint32_t pid = 1; pid <= 1000; pid++) {
        record.header.pid = pid;
        record.server_port = pid == 1000 ? 4711 : 8000;
        count_at((uint64_t)now.tv_sec, "asked", "answered", 200);
    }
    cr_expect(page_has("\ninferscope_inference_requests_in_flight{server_port=\"4711\"} 0\n"));
    cr_expect_not(page_has("\ninferscope_inference_servers_left_out_total 1"));
}

static size_t times(const char *part)
{
    static struct text page = TEXT_INIT(16 << 20);
    size_t found = 0;
    text_reset(&page);
    metric_render(METRIC_PROMETHEUS, &page);
    for (const char *at = text_string(&page); (at = strstr(at, part)); at++)
        found++;
    return found;
}

// Prometheus refuses a page on which two series have the same labels.
Test(metric_inference, names_that_look_the_same_are_one_series)
{
    static const char *const names[] = {"a\xff", "a\xfe", "a\xef\xbf\xbd"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        set_models(names[i], "");
        count();
    }
    cr_expect_eq(times("\ninferscope_inference_abandoned_requests_total{"), 1);
    set_models("b", "");
    count();
    memcpy(record.exchange.request_model, "b\0c", 3);
    record.exchange.request_model_length = 3;
    count();
    cr_expect_eq(times("\ninferscope_inference_abandoned_requests_total{"), 2);
    memset(record.exchange.request_model, 'n', WIRE_API_MODEL_MAX);
    record.exchange.request_model[WIRE_API_MODEL_MAX - 1] = '\xc3';
    record.exchange.request_model_length = WIRE_API_MODEL_MAX;
    count();
    cr_expect_not(page_has("n\xef\xbf\xbd"), "half of a character");
}

Test(metric_inference, the_rest_of_the_outcomes_has_no_status)
{
    for (unsigned status = 400; status < 420; status++) {
        record.exchange.status = (uint16_t)status;
        count();
    }
    cr_expect(page_has("\ninferscope_inference_requests_total" LABELS ",error_type=\"_OTHER\"} 5\n"));
}

Test(metric_inference, other_routes)
{
    record.header.type = WIRE_API_HTTP;
    record.exchange.method = WIRE_API_GET;
    record.exchange.route = route_of("/v1/models");
    count();
    record.exchange.route = 0;
    record.exchange.status = 404;
    count();
    cr_expect(page_has(
        "\nhttp_server_request_duration_seconds_count{server_port=\"8000\",http_request_method=\"GET\","
        "http_route=\"/v1/models\",http_response_status_class=\"2xx\"} 1\n"));
    cr_expect(page_has("http_route=\"other\",http_response_status_class=\"4xx\",error_type=\"404\"} 1\n"));
    cr_expect_not(page_has("gen_ai_server_request_duration_seconds_count"));
}
