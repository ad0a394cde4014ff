#include "../../user/sink/span.h"
#include "base/traceparent.h"
#include "inference_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>

#define PARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static struct wire_api record;
static struct event event;

static void setup(void)
{
    record = (struct wire_api){.family = 4, .server_port = 8000, .client_port = 50000};
    inet_pton(AF_INET, "10.0.0.1", record.server_addr);
    inet_pton(AF_INET, "10.0.0.2", record.client_addr);
    record.exchange = (struct wire_api_exchange){
        .start_ns = 1000000000,
        .first_content_ns = 1020000000,
        .end_ns = 1100000000,
        .content_events = 4,
        .input_tokens = 17,
        .output_tokens = 5,
        .flags = WIRE_API_HAS_INPUT | WIRE_API_HAS_OUTPUT,
        .status = 200,
        .method = WIRE_API_POST,
        .route = route_of("/v1/chat/completions"),
        .request_model_length = 4,
        .request_model = "qwen",
    };
    process = (struct process){.name = "llama-server", .pid = 42};
    event = (struct event){.type = &api_types[WIRE_API_INFER],
                           .wire = &record.header,
                           .time_ns = UINT64_C(1795248000123456789),
                           .process = &process};
}

TestSuite(sink_span, .init = setup);

// The one span, with the whole request in `ret_request`.
static const json_t *format(json_t **ret_request)
{
    _cleanup_text_ struct text text = TEXT_INIT(65536);
    cr_assert_eq(span_format(&event, "llama.cpp", &text), 1);
    json_error_t error;
    *ret_request = json_loads(text_string(&text), JSON_REJECT_DUPLICATES, &error);
    cr_assert(*ret_request, "%s: %s", error.text, text_string(&text));
    const json_t *resource = json_array_get(json_object_get(*ret_request, "resourceSpans"), 0);
    const json_t *scope = json_array_get(json_object_get(resource, "scopeSpans"), 0);
    cr_assert_eq(json_array_size(json_object_get(scope, "spans")), 1);
    return json_array_get(json_object_get(scope, "spans"), 0);
}

static const char *member(const json_t *object, const char *name)
{
    const char *string = json_string_value(json_object_get(object, name));
    return string ? string : "";
}

// The value of an attribute, whatever its type, as text; "" where there is none.
static const char *attribute(const json_t *owner, const char *key)
{
    static char text[64];
    const json_t *attributes = json_object_get(owner, "attributes");
    for (size_t i = 0; i < json_array_size(attributes); i++) {
        const json_t *each = json_array_get(attributes, i), *value = json_object_get(each, "value");
        if (strcmp(member(each, "key"), key) != 0)
            continue;
        if (json_object_get(value, "doubleValue")) {
            snprintf(text, sizeof(text), "%g", json_real_value(json_object_get(value, "doubleValue")));
            return text;
        }
        return *member(value, "intValue") ? member(value, "intValue") : member(value, "stringValue");
    }
    return "";
}

Test(sink_span, a_request_is_a_child_of_its_traceparent)
{
    strcpy(record.exchange.traceparent, PARENT);
    json_t *request;
    const json_t *span = format(&request);
    cr_expect_str_eq(member(span, "traceId"), "0af7651916cd43dd8448eb211c80319c");
    cr_expect_str_eq(member(span, "parentSpanId"), "b7ad6b7169203331");
    cr_expect_eq(strlen(member(span, "spanId")), 16);
    cr_expect_str_neq(member(span, "spanId"), "b7ad6b7169203331");
    cr_expect_str_eq(member(span, "name"), "chat qwen");
    cr_expect_eq(json_integer_value(json_object_get(span, "kind")), 2);
    cr_expect_str_eq(member(span, "startTimeUnixNano"), "1795248000023456789");
    cr_expect_str_eq(member(span, "endTimeUnixNano"), "1795248000123456789");
    cr_expect_eq(json_object_size(json_object_get(span, "status")), 0);
    cr_expect_str_eq(attribute(span, "gen_ai.operation.name"), "chat");
    cr_expect_str_eq(attribute(span, "gen_ai.provider.name"), "llama.cpp");
    cr_expect_str_eq(attribute(span, "gen_ai.request.model"), "qwen");
    cr_expect_str_eq(attribute(span, "gen_ai.usage.input_tokens"), "17");
    cr_expect_str_eq(attribute(span, "gen_ai.usage.output_tokens"), "5");
    cr_expect_str_eq(attribute(span, "inferscope.time_to_first_token"), "0.02");
    cr_expect_str_eq(attribute(span, "server.address"), "10.0.0.1");
    cr_expect_str_eq(attribute(span, "server.port"), "8000");
    cr_expect_str_eq(attribute(span, "http.route"), "/v1/chat/completions");
    cr_expect_str_eq(attribute(span, "error.type"), "");
    const json_t *resource = json_array_get(json_object_get(request, "resourceSpans"), 0);
    cr_expect_str_eq(attribute(json_object_get(resource, "resource"), "service.name"), "llama-server");
    json_decref(request);
}

Test(sink_span, what_was_computed_is_told_where_it_is_known)
{
    json_t *request;
    record.exchange.work = (struct wire_api_work){.prefill_ns = 20000000,
                                                  .decode_ns = 70000000,
                                                  .decodes = 4,
                                                  .sequences = 11,
                                                  .flags = WIRE_API_WORK_DECODE};
    const json_t *span = format(&request);
    cr_expect_str_eq(attribute(span, "inferscope.prefill_time"), "");
    cr_expect_str_eq(attribute(span, "inferscope.decode_time"), "0.07");
    cr_expect_str_eq(attribute(span, "inferscope.decode_steps"), "4");
    cr_expect_str_eq(attribute(span, "inferscope.batch"), "3");
    cr_expect_str_eq(attribute(span, "inferscope.run_time"), "");
    json_decref(request);
}

Test(sink_span, ids_are_the_same_each_time_and_others_for_another_request)
{
    json_t *first, *again, *other;
    const json_t *span = format(&first), *repeated = format(&again);
    cr_expect_str_eq(member(span, "spanId"), member(repeated, "spanId"));
    cr_expect_str_eq(member(span, "traceId"), member(repeated, "traceId"));
    cr_expect_eq(strlen(member(span, "traceId")), 32);
    cr_expect_str_eq(member(span, "parentSpanId"), "");
    record.client_port++;
    const json_t *next = format(&other);
    cr_expect_str_neq(member(span, "spanId"), member(next, "spanId"));
    cr_expect_str_neq(member(span, "traceId"), member(next, "traceId"));
    json_decref(first);
    json_decref(again);
    json_decref(other);
}

Test(sink_span, what_nobody_records_is_left_out)
{
    _cleanup_text_ struct text text = TEXT_INIT(65536), small = TEXT_INIT(100);
    strcpy(record.exchange.traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
    cr_expect_eq(span_format(&event, NULL, &text), 0);
    cr_expect_eq(text.length, 0);
    event.type = &api_types[WIRE_API_HTTP];
    strcpy(record.exchange.traceparent, PARENT);
    cr_expect_eq(span_format(&event, NULL, &text), 0);
    event.type = &api_types[WIRE_API_INFER];
    cr_expect_eq(span_format(&event, NULL, &small), -EMSGSIZE);
}

Test(sink_span, failures_have_a_status_and_containers_a_name)
{
    container = (struct container){
        .id = "c0ffee", .name = (char *)"model", .pod_name = (char *)"pod-1", .pod_namespace = (char *)"ai"};
    event.container = &container;
    record.exchange.status = 503;
    // A name that is no UTF-8 does no harm.
    memcpy(record.exchange.request_model, "\xff\"q\n", 4);
    json_t *request;
    const json_t *span = format(&request);
    cr_expect_eq(json_integer_value(json_object_get(json_object_get(span, "status"), "code")), 2);
    cr_expect_str_eq(attribute(span, "error.type"), "503");
    cr_expect_str_eq(attribute(span, "gen_ai.request.model"), "\xef\xbf\xbd\"q\n");
    const json_t *resource =
        json_object_get(json_array_get(json_object_get(request, "resourceSpans"), 0), "resource");
    cr_expect_str_eq(attribute(resource, "service.name"), "model");
    cr_expect_str_eq(attribute(resource, "k8s.pod.name"), "pod-1");
    cr_expect_str_eq(attribute(resource, "k8s.container.name"), "model");
    json_decref(request);
}

Test(base_traceparent, only_what_the_standard_allows_is_one)
{
    static const char *const bad[] = {
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    };
    struct traceparent found;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_expect_eq(traceparent_parse(bad[i], strlen(bad[i]), &found), -EINVAL, "%s", bad[i]);
    cr_expect_eq(traceparent_parse(PARENT, strlen(PARENT), &found), 0);
    cr_expect_eq(found.flags, TRACEPARENT_SAMPLED);
    const char *later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-what-there-will-be";
    cr_expect_eq(traceparent_parse(later, strlen(later), &found), 0);
    cr_expect_eq(found.flags, 3);
}
