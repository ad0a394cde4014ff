#include "api_fields.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

#define GETTER(name)                                                                     \
    static bool name(const struct event *event, const struct field_arg *arg, size_t nth, \
                     struct value *ret_value)

static const struct wire_api *record_of(const struct event *event)
{
    return (const struct wire_api *)event->wire;
}

static bool set_copy(const struct event *event, const char *text, size_t length, struct value *ret_value)
{
    char *copy = length ? event_alloc(event, length + 1) : NULL;
    if (!copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return value_set_bytes(ret_value, copy, length);
}

static bool set_duration(struct value *ret_value, uint64_t from_ns, uint64_t to_ns)
{
    ret_value->type = FIELD_DURATION;
    ret_value->u = to_ns > from_ns ? to_ns - from_ns : 0;
    return from_ns && to_ns;
}

static bool set_ip(struct value *ret_value, uint8_t family, const uint8_t *bytes)
{
    ret_value->type = FIELD_IP;
    ret_value->ip = (struct ip){.family = family};
    memcpy(ret_value->ip.bytes, bytes, family == 4 ? 4 : 16);
    return family != 0;
}

// --- What both types have ---

GETTER(get_route)
{
    const struct api_route *route = api_route_at(record_of(event)->exchange.route);
    return route && value_set_string(ret_value, route->pattern);
}

GETTER(get_method)
{
    return value_set_string(ret_value, api_method_name(record_of(event)->exchange.method));
}

GETTER(get_status)
{
    uint16_t status = record_of(event)->exchange.status;
    return status && value_set_uint(ret_value, status);
}

GETTER(get_duration)
{
    const struct wire_api_exchange *exchange = &record_of(event)->exchange;
    return set_duration(ret_value, exchange->start_ns, exchange->end_ns);
}

GETTER(get_abandoned)
{
    return value_set_bool(ret_value, record_of(event)->exchange.end == WIRE_API_CLIENT_GONE);
}

GETTER(get_error)
{
    char text[16];
    const char *error = api_error_type(record_of(event), text);
    return set_copy(event, error, strlen(error), ret_value);
}

GETTER(get_traceparent)
{
    const char *trace = record_of(event)->exchange.traceparent;
    return set_copy(event, trace, strnlen(trace, WIRE_API_TRACEPARENT_MAX), ret_value);
}

GETTER(get_server_ip)
{
    return set_ip(ret_value, record_of(event)->family, record_of(event)->server_addr);
}

GETTER(get_client_ip)
{
    return set_ip(ret_value, record_of(event)->family, record_of(event)->client_addr);
}

GETTER(get_server_port)
{
    return record_of(event)->family && value_set_uint(ret_value, record_of(event)->server_port);
}

GETTER(get_client_port)
{
    return record_of(event)->family && value_set_uint(ret_value, record_of(event)->client_port);
}

// --- Inference only ---

GETTER(get_operation)
{
    const struct api_route *route = api_route_at(record_of(event)->exchange.route);
    return route && value_set_string(ret_value, route->operation);
}

GETTER(get_model)
{
    size_t length;
    const char *model = api_model(record_of(event), &length);
    return set_copy(event, model, length, ret_value);
}

GETTER(get_response_model)
{
    const struct wire_api_exchange *exchange = &record_of(event)->exchange;
    return set_copy(event, exchange->response_model, exchange->response_model_length, ret_value);
}

GETTER(get_stream)
{
    return value_set_bool(ret_value, record_of(event)->exchange.flags & WIRE_API_STREAMED);
}

GETTER(get_ttft)
{
    const struct wire_api_exchange *exchange = &record_of(event)->exchange;
    return set_duration(ret_value, exchange->start_ns, exchange->first_content_ns);
}

GETTER(get_input_tokens)
{
    const struct wire_api_exchange *exchange = &record_of(event)->exchange;
    return exchange->flags & WIRE_API_HAS_INPUT && value_set_uint(ret_value, exchange->input_tokens);
}

GETTER(get_output_tokens)
{
    const struct wire_api *record = record_of(event);
    return api_output_source(record) != API_TOKENS_UNKNOWN &&
           value_set_uint(ret_value, api_output_tokens(record));
}

GETTER(get_token_source)
{
    static const char *const names[] = {NULL, "usage", "events"};
    return value_set_string(ret_value, names[api_output_source(record_of(event))]);
}

// --- What the server computed meanwhile ---

static bool set_work(const struct event *event, uint32_t flag, uint64_t time_ns, struct value *ret_value)
{
    ret_value->type = FIELD_DURATION;
    ret_value->u = time_ns;
    return record_of(event)->exchange.work.flags & flag;
}

GETTER(get_prefill_time)
{
    return set_work(event, WIRE_API_WORK_PREFILL, record_of(event)->exchange.work.prefill_ns, ret_value);
}

GETTER(get_decode_time)
{
    return set_work(event, WIRE_API_WORK_DECODE, record_of(event)->exchange.work.decode_ns, ret_value);
}

GETTER(get_run_time)
{
    return set_work(event, WIRE_API_WORK_RUN, record_of(event)->exchange.work.run_ns, ret_value);
}

GETTER(get_run_queue_time)
{
    uint64_t time_ns = (uint64_t)record_of(event)->exchange.run_queue_us * 1000;
    return set_work(event, WIRE_API_WORK_RUN_QUEUE, time_ns, ret_value);
}

GETTER(get_decode_steps)
{
    const struct wire_api_work *work = &record_of(event)->exchange.work;
    return work->flags & WIRE_API_WORK_DECODE && value_set_uint(ret_value, work->decodes);
}

GETTER(get_batch)
{
    const struct wire_api_work *work = &record_of(event)->exchange.work;
    return work->flags & WIRE_API_WORK_DECODE &&
           value_set_uint(ret_value, (work->sequences + work->decodes / 2) / work->decodes);
}

// --- Calls only ---

GETTER(get_host)
{
    size_t length;
    const char *host = api_host(record_of(event), &length);
    return set_copy(event, host, length, ret_value);
}

GETTER(get_provider)
{
    size_t length;
    const char *host = api_host(record_of(event), &length);
    return value_set_string(ret_value, api_provider_of(host, length));
}

#define COMMON_FIELDS(prefix)                                                                          \
    {.name = prefix ".route",                                                                          \
     .type = FIELD_STRING,                                                                             \
     .help = "The path, as the list of routes has it; missing for a path that is not there",           \
     .get = get_route},                                                                                \
        {.name = prefix ".method", .type = FIELD_STRING, .help = "GET, POST, …", .get = get_method},   \
        {.name = prefix ".status",                                                                     \
         .type = FIELD_UINT,                                                                           \
         .help = "Status of the answer; missing where none came",                                      \
         .get = get_status},                                                                           \
        {.name = prefix ".duration",                                                                   \
         .type = FIELD_DURATION,                                                                       \
         .unit = "ns",                                                                                 \
         .help = "From the first byte of the request to the last of the answer, at this end",          \
         .get = get_duration},                                                                         \
        {.name = prefix ".abandoned",                                                                  \
         .type = FIELD_BOOL,                                                                           \
         .help = "Whether the client went away before it had the whole answer",                        \
         .get = get_abandoned},                                                                        \
        {.name = prefix ".error",                                                                      \
         .type = FIELD_STRING,                                                                         \
         .help = "What went wrong: a status from 400, `client_gone`, `server_closed`, `stream_error`", \
         .get = get_error},                                                                            \
        {.name = prefix ".traceparent",                                                                \
         .type = FIELD_STRING,                                                                         \
         .help = "The request's W3C trace context",                                                    \
         .get = get_traceparent},                                                                      \
        {.name = "fd.sip", .type = FIELD_IP, .help = "The server's address", .get = get_server_ip},    \
        {.name = "fd.sport", .type = FIELD_UINT, .help = "The server's port", .get = get_server_port}, \
        {.name = "fd.cip", .type = FIELD_IP, .help = "The client's address", .get = get_client_ip},    \
    {                                                                                                  \
        .name = "fd.cport", .type = FIELD_UINT, .help = "The client's port", .get = get_client_port    \
    }

#define INFERENCE_FIELDS                                                                                  \
    COMMON_FIELDS("infer"),                                                                               \
        {.name = "infer.operation",                                                                       \
         .type = FIELD_STRING,                                                                            \
         .help = "What the route is for: `chat`, `text_completion`, `generate_content`, `embeddings`, "   \
                 "`rerank`, `inference`",                                                                 \
         .get = get_operation},                                                                           \
        {.name = "infer.model",                                                                           \
         .type = FIELD_STRING,                                                                            \
         .help = "The model that was asked for or, where the request names none, that answered",          \
         .get = get_model},                                                                               \
        {.name = "infer.response.model",                                                                  \
         .type = FIELD_STRING,                                                                            \
         .help = "The model that the answer names",                                                       \
         .get = get_response_model},                                                                      \
        {.name = "infer.stream",                                                                          \
         .type = FIELD_BOOL,                                                                              \
         .help = "Whether the answer came as a stream of events",                                         \
         .get = get_stream},                                                                              \
        {.name = "infer.ttft",                                                                            \
         .type = FIELD_DURATION,                                                                          \
         .unit = "ns",                                                                                    \
         .help = "Until the first event with generated text; missing where there was no such event",      \
         .get = get_ttft},                                                                                \
        {.name = "infer.tokens.input",                                                                    \
         .type = FIELD_UINT,                                                                              \
         .help = "Tokens of the prompt, as the server said",                                              \
         .get = get_input_tokens},                                                                        \
        {.name = "infer.tokens.output",                                                                   \
         .type = FIELD_UINT,                                                                              \
         .help = "Tokens of the answer, see infer.tokens.source; missing where they are not known",       \
         .get = get_output_tokens},                                                                       \
    {                                                                                                     \
        .name = "infer.tokens.source", .type = FIELD_STRING,                                              \
        .help = "`usage`: the server said how many; `events`: those events of the stream that have text", \
        .get = get_token_source                                                                           \
    }

static const struct field infer_fields[] = {
    INFERENCE_FIELDS,
    {.name = "infer.prefill_time",
     .type = FIELD_DURATION,
     .unit = "ns",
     .help = "Time that llama.cpp took for the batches that held the prompt; missing where another request "
             "to the process waited for its first text meanwhile, as its prompt may have been in them",
     .get = get_prefill_time},
    {.name = "infer.decode_time",
     .type = FIELD_DURATION,
     .unit = "ns",
     .help = "Time that llama.cpp took for decode steps: of a stream, those from its first text to its end, "
             "which are also those of all other requests under way; else missing unless the process answered "
             "no other request meanwhile",
     .get = get_decode_time},
    {.name = "infer.decode_steps",
     .type = FIELD_UINT,
     .help = "How many those were",
     .get = get_decode_steps},
    {.name = "infer.batch",
     .type = FIELD_UINT,
     .help = "How many sequences such a step was for, the mean of all rounded: the batch that the request "
             "shared",
     .get = get_batch},
    {.name = "infer.run_time",
     .type = FIELD_DURATION,
     .unit = "ns",
     .help = "Time that a runtime which knows no such steps took to run models; missing unless the process "
             "answered no other request meanwhile",
     .get = get_run_time},
    {.name = "infer.run_queue_time",
     .type = FIELD_DURATION,
     .unit = "ns",
     .help =
         "How long the process's threads together were ready to run and waited for a CPU, of waits that "
         "ended "
         "while the request was under way; missing where the source sched did not measure the process yet "
         "when it began, and before Linux 5.17",
     .get = get_run_queue_time},
};

static const struct field call_fields[] = {
    INFERENCE_FIELDS,
    {.name = "infer.provider",
     .type = FIELD_STRING,
     .help = "Whose the host is, as OpenTelemetry's `gen_ai.provider.name`: `openai`, `anthropic`, …; "
             "`_OTHER` for "
             "a host that is none of the known ones",
     .get = get_provider},
    {.name = "infer.host",
     .type = FIELD_STRING,
     .help =
         "The host that the client named in its request (`Host`), in lower case and without the port; the "
         "client's word, see fd.sip for where the connection went",
     .get = get_host},
};

static const struct field http_fields[] = {
    COMMON_FIELDS("http"),
};

const struct event_type api_types[WIRE_API_TYPES] = {
    [WIRE_API_INFER] = {.name = "infer",
                        .help = "A request to an inference server has ended",
                        .fields = infer_fields,
                        .fields_count = ARRAY_SIZE(infer_fields)},
    [WIRE_API_HTTP] = {.name = "http",
                       .help = "A request to another route of an inference server has ended",
                       .fields = http_fields,
                       .fields_count = ARRAY_SIZE(http_fields)},
    [WIRE_API_CALL] =
        {.name = "infer_call",
         .help = "A call of an inference server, hosted or not, by a process of this node has ended",
         .fields = call_fields,
         .fields_count = ARRAY_SIZE(call_fields)},
};

// --- For the stages behind ---

const struct wire_api *api_record(const struct event *event)
{
    bool ours = event->type >= api_types && event->type < api_types + WIRE_API_TYPES;
    return ours ? record_of(event) : NULL;
}

enum api_token_source api_output_source(const struct wire_api *record)
{
    const struct wire_api_exchange *exchange = &record->exchange;
    if (exchange->flags & WIRE_API_HAS_OUTPUT)
        return API_TOKENS_USAGE;
    return exchange->content_events ? API_TOKENS_EVENTS : API_TOKENS_UNKNOWN;
}

uint32_t api_output_tokens(const struct wire_api *record)
{
    const struct wire_api_exchange *exchange = &record->exchange;
    return exchange->flags & WIRE_API_HAS_OUTPUT ? exchange->output_tokens : exchange->content_events;
}

const char *api_error_type(const struct wire_api *record, char ret_text[16])
{
    const struct wire_api_exchange *exchange = &record->exchange;
    if (exchange->status >= 400) {
        snprintf(ret_text, 16, "%u", exchange->status);
        return ret_text;
    }
    if (exchange->end == WIRE_API_CLIENT_GONE)
        return "client_gone";
    if (exchange->end == WIRE_API_SERVER_CLOSED)
        return "server_closed";
    return exchange->flags & WIRE_API_ERROR_EVENT ? "stream_error" : "";
}

const char *api_method_name(uint8_t method)
{
    static const char *const names[WIRE_API_METHODS] = {"_OTHER", "GET",  "POST",    "PUT",
                                                        "DELETE", "HEAD", "OPTIONS", "PATCH"};
    return names[method < WIRE_API_METHODS ? method : 0];
}

const char *api_model(const struct wire_api *record, size_t *ret_length)
{
    const struct wire_api_exchange *exchange = &record->exchange;
    bool asked = exchange->request_model_length;
    *ret_length = asked ? exchange->request_model_length : exchange->response_model_length;
    return asked ? exchange->request_model : exchange->response_model;
}
