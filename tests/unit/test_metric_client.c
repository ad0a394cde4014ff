#include "inference_fixture.h"

static struct wire_api_call call;

static void set_models(const char *asked, const char *answered)
{
    exchange_set_models(&call.api.exchange, asked, answered);
}

static void set_host(const char *host, uint16_t port)
{
    memset(call.host, 0, sizeof(call.host));
    memcpy(call.host, host, strlen(host));
    call.host_port = port;
}

// A stream whose first event came after 20 ms.
static void setup(void)
{
    inference_stop();
    cr_assert_eq(inference_start(), 0);
    call = (struct wire_api_call){.api = {.family = 4, .server_port = 443}};
    call.api.header.type = WIRE_API_CALL;
    call.api.exchange = (struct wire_api_exchange){
        .start_ns = 1000000000,
        .first_event_ns = 1020000000,
        .first_content_ns = 1030000000,
        .last_content_ns = 1100000000,
        .end_ns = 1100000000,
        .content_events = 4,
        .input_tokens = 17,
        .output_tokens = 5,
        .flags = WIRE_API_STREAMED | WIRE_API_HAS_INPUT | WIRE_API_HAS_OUTPUT | WIRE_API_INFERENCE |
                 WIRE_API_CLIENT,
        .status = 200,
        .method = WIRE_API_POST,
        .route = route_of("*/chat/completions"),
        .server = "cloudflare",
    };
    set_models("asked", "answered");
    set_host("api.openai.com", 0);
    process = (struct process){.name = "python3"};
    contained = false;
}

static void teardown(void)
{
    inference_stop();
}

TestSuite(metric_client, .init = setup, .fini = teardown);

static void count(void)
{
    count_record(&call.api.header);
}

#define LABELS_AT(host, port, provider)                                                     \
    "{server_port=\"" port "\",server_address=\"" host "\",gen_ai_operation_name=\"chat\"," \
    "gen_ai_provider_name=\"" provider                                                      \
    "\",gen_ai_request_model=\"asked\",gen_ai_response_model=\"answered\""
#define LABELS LABELS_AT("api.openai.com", "443", "openai")

Test(metric_client, a_stream_that_went_well)
{
    count();
    cr_expect(page_has("\ngen_ai_client_operation_duration_seconds_bucket" LABELS ",le=\"0.08\"} 0\n"));
    cr_expect(page_has("\ngen_ai_client_operation_duration_seconds_bucket" LABELS ",le=\"0.16\"} 1\n"));
    cr_expect(page_has("\ngen_ai_client_operation_duration_seconds_sum" LABELS "} 0.1\n"));
    cr_expect(page_has("\ngen_ai_client_operation_time_to_first_chunk_seconds_sum" LABELS "} 0.02\n"));
    cr_expect(page_has("\ngen_ai_client_token_usage_sum" LABELS
                       ",gen_ai_token_type=\"input\",token_source=\"usage\"} 17\n"));
    cr_expect(page_has("\ngen_ai_client_token_usage_sum" LABELS
                       ",gen_ai_token_type=\"output\",token_source=\"usage\"} 5\n"));
    cr_expect_not(page_has("inferscope_inference_calls_usage_unknown_total{"));
}

// Nor the other way round: what a server answered is no call.
Test(metric_client, a_call_counts_for_no_server)
{
    count();
    cr_expect_not(page_has("\ngen_ai_server_"));
    cr_expect_not(page_has("\ninferscope_inference_requests_total{"));
    cr_expect_not(page_has("\ninferscope_inference_requests_in_flight{"));
    setup();
    call.api.header.type = WIRE_API_INFER;
    struct event event = {.type = &api_types[WIRE_API_INFER], .wire = &call.api.header, .process = &process};
    inference_event(&event);
    cr_expect(page_has("\ngen_ai_server_request_duration_seconds_count{"));
    cr_expect_not(page_has("\ngen_ai_client_"));
}

Test(metric_client, who_called_and_whom)
{
    container = (struct container){.pod_namespace = "shop", .pod_name = "web-1", .name = "web"};
    contained = true;
    set_host("vllm.internal", 8443);
    count();
    cr_expect(page_has("\ngen_ai_client_operation_duration_seconds_count{server_port=\"8443\","
                       "k8s_namespace_name=\"shop\",k8s_pod_name=\"web-1\",k8s_container_name=\"web\","
                       "server_address=\"vllm.internal\",gen_ai_operation_name=\"chat\","
                       "gen_ai_provider_name=\"_OTHER\","));
    contained = false;
    set_host("api.openai.com.", 0);
    count();
    cr_expect(page_has("\ngen_ai_client_operation_duration_seconds_count" LABELS "} 1\n"), "no other host");
    set_host("", 0);
    count();
    cr_expect(page_has("\ngen_ai_client_operation_duration_seconds_count{gen_ai_operation_name=\"chat\","));
}

Test(metric_client, failures)
{
    call.api.exchange.status = 429;
    call.api.exchange.flags = WIRE_API_INFERENCE | WIRE_API_CLIENT;
    count();
    call.api.exchange.status = 200;
    call.api.exchange.end = WIRE_API_CLIENT_GONE;
    count();
    cr_expect(page_has("\ngen_ai_client_operation_duration_seconds_count" LABELS ",error_type=\"429\"} 1\n"));
    cr_expect(page_has("\ngen_ai_client_operation_duration_seconds_count" LABELS
                       ",error_type=\"client_gone\"} 1\n"));
    cr_expect_not(page_has("\ngen_ai_client_token_usage_sum{"));
    cr_expect_not(page_has("\ngen_ai_client_operation_time_to_first_chunk_seconds_sum{"));
}

Test(metric_client, tokens_that_nobody_knows)
{
    call.api.exchange.flags = WIRE_API_INFERENCE | WIRE_API_CLIENT | WIRE_API_PACKED | WIRE_API_MIDDLE_UNSEEN;
    call.api.exchange.content_events = 0;
    call.api.exchange.first_event_ns = 0;
    count();
    call.api.exchange.flags = WIRE_API_INFERENCE | WIRE_API_CLIENT | WIRE_API_MIDDLE_UNSEEN;
    count();
    call.api.exchange.flags = WIRE_API_INFERENCE | WIRE_API_CLIENT;
    call.api.exchange.content_events = 3;
    count();
    cr_expect(
        page_has("\ninferscope_inference_calls_usage_unknown_total" LABELS ",reason=\"compressed\"} 1\n"));
    cr_expect(page_has("\ninferscope_inference_calls_usage_unknown_total" LABELS ",reason=\"unread\"} 1\n"));
    cr_expect(
        page_has("\ninferscope_inference_calls_usage_unknown_total" LABELS ",reason=\"not_told\"} 1\n"));
    cr_expect(page_has("\ngen_ai_client_token_usage_sum" LABELS
                       ",gen_ai_token_type=\"output\",token_source=\"events\"} 3\n"));
    cr_expect_not(page_has("token_source=\"usage\""), "never guessed");
}

Test(metric_client, other_apis_have_such_paths_too)
{
    set_host("api.mail.example", 0);
    set_models("", "");
    call.api.exchange.flags = WIRE_API_INFERENCE | WIRE_API_CLIENT;
    call.api.exchange.content_events = 0;
    count();
    cr_expect_not(page_has("\ngen_ai_client_"));
    cr_expect(page_has("\ninferscope_inference_calls_unrecognised_total 1\n"));
    set_host("api.anthropic.com", 0);
    count();
    cr_expect(page_has("gen_ai_provider_name=\"anthropic\""));
}

Test(metric_client, a_program_cannot_fill_the_table)
{
    for (unsigned i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%u", i);
        set_models(name, "");
        count();
    }
    cr_expect(page_has("\ngen_ai_client_operation_duration_seconds_count{gen_ai_request_model=\"other\","
                       "gen_ai_response_model=\"other\"} 700\n"));
    cr_expect(page_has("\ninferscope_inference_calls_folded_total 700\n"));
}

static void count_at(unsigned seconds, const char *model)
{
    call.api.header.time_ns = seconds * UINT64_C(1000000000);
    set_models(model, "answered");
    count();
}

Test(metric_client, series_that_nobody_touches_give_their_place)
{
    char model[32];
    for (int i = 0; i < 300; i++) {
        snprintf(model, sizeof(model), "model-%d", i);
        count_at(i < 2 ? 1000 : 1400, model);
    }
    count_at(1500, "too-early");
    cr_expect_not(page_has("too-early"));
    cr_expect(page_has("\ninferscope_inference_calls_folded_total 1\n"));
    cr_expect(page_has("\ninferscope_inference_calls_evicted_total 0\n"));
    // The oldest two are idle for ten minutes by now, and the one that takes the rest stays.
    count_at(1601, "in-time");
    count_at(1601, "in-time-2");
    cr_expect(page_has("\ninferscope_inference_calls_evicted_total 2\n"));
    cr_expect(page_has("\"in-time\"") && page_has("\"in-time-2\"") && page_has("\"model-2\""));
    cr_expect_not(page_has("\"model-0\"") || page_has("\"model-1\""));
    count_at(1602, "too-late");
    cr_expect_not(page_has("too-late"));
    cr_expect(page_has("\ngen_ai_client_operation_duration_seconds_count{gen_ai_request_model=\"other\","
                       "gen_ai_response_model=\"other\"} 2\n"));
}
