#include "span.h"

#include "api.h"
#include "base/traceparent.h"
#include "process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { NS_PER_SECOND = 1000000000, KIND_SERVER = 2, KIND_CLIENT = 3, STATUS_ERROR = 2 };

// --- Attributes ---

struct attributes {
    struct text *text;
    bool any;
};

static void begin_attribute(struct attributes *attributes, const char *key)
{
    text_addf(attributes->text, "%s{\"key\":\"%s\",\"value\":", attributes->any ? "," : "", key);
    attributes->any = true;
}

static void add_bytes(struct attributes *attributes, const char *key, const char *bytes, size_t length)
{
    if (length == 0)
        return;
    begin_attribute(attributes, key);
    text_add(attributes->text, "{\"stringValue\":");
    text_add_json(attributes->text, bytes, length);
    text_add(attributes->text, "}}");
}

static void add_string(struct attributes *attributes, const char *key, const char *string)
{
    if (string)
        add_bytes(attributes, key, string, strlen(string));
}

static void add_number(struct attributes *attributes, const char *key, uint64_t number)
{
    begin_attribute(attributes, key);
    text_addf(attributes->text, "{\"intValue\":\"%" PRIu64 "\"}}", number);
}

static void add_duration(struct attributes *attributes, const char *key, uint64_t ns)
{
    begin_attribute(attributes, key);
    text_addf(attributes->text, "{\"doubleValue\":%" PRIu64 ".%09" PRIu64 "}}", ns / NS_PER_SECOND,
              ns % NS_PER_SECOND);
}

static void add_seconds(struct attributes *attributes, const char *key, uint64_t from_ns, uint64_t to_ns)
{
    if (from_ns && to_ns >= from_ns)
        add_duration(attributes, key, to_ns - from_ns);
}

static void add_address(struct attributes *attributes, const char *key, const struct wire_api *record,
                        const uint8_t *bytes)
{
    char address[INET6_ADDRSTRLEN];
    if (record->family &&
        inet_ntop(record->family == 4 ? AF_INET : AF_INET6, bytes, address, sizeof(address)))
        add_string(attributes, key, address);
}

// Who it is that serves, or calls: a container or, outside of any, a program.
static void add_resource(const struct event *event, struct text *text)
{
    struct attributes attributes = {.text = text};
    const struct container *container = event->container;
    const struct process *process = event->process;
    const char *name = container && container->name ? container->name : process ? process->name : "";
    add_string(&attributes, "service.name", name[0] ? name : "unknown");
    if (container) {
        bool in_pod = container->pod_name != NULL;
        add_string(&attributes, "container.id", container->id);
        add_string(&attributes, "container.image.name", container->image_repository);
        add_string(&attributes, in_pod ? "k8s.container.name" : "container.name", container->name);
        add_string(&attributes, "k8s.namespace.name", container->pod_namespace);
        add_string(&attributes, "k8s.pod.name", container->pod_name);
    }
    if (process) {
        add_number(&attributes, "process.pid", (uint64_t)process->pid);
        add_string(&attributes, "process.executable.name", process->name);
    }
}

// What the server computed for it, where that is known.
static void add_work(struct attributes *attributes, const struct wire_api_exchange *exchange)
{
    const struct wire_api_work *work = &exchange->work;
    if (work->flags & WIRE_API_WORK_PREFILL)
        add_duration(attributes, "inferscope.prefill_time", work->prefill_ns);
    if (work->flags & WIRE_API_WORK_DECODE) {
        add_duration(attributes, "inferscope.decode_time", work->decode_ns);
        add_number(attributes, "inferscope.decode_steps", work->decodes);
        add_number(attributes, "inferscope.batch", (work->sequences + work->decodes / 2) / work->decodes);
    }
    if (work->flags & WIRE_API_WORK_RUN)
        add_duration(attributes, "inferscope.run_time", work->run_ns);
    if (work->flags & WIRE_API_WORK_RUN_QUEUE)
        add_duration(attributes, "inferscope.run_queue_time", (uint64_t)exchange->run_queue_us * 1000);
}

static void add_request(const struct wire_api *record, const char *operation, const char *provider,
                        struct text *text)
{
    const struct wire_api_exchange *exchange = &record->exchange;
    const struct api_route *route = api_route_at(exchange->route);
    struct attributes attributes = {.text = text};
    char error[16];
    add_string(&attributes, "gen_ai.operation.name", operation);
    add_string(&attributes, "gen_ai.provider.name", provider);
    add_bytes(&attributes, "gen_ai.request.model", exchange->request_model, exchange->request_model_length);
    add_bytes(&attributes, "gen_ai.response.model", exchange->response_model,
              exchange->response_model_length);
    if (exchange->flags & WIRE_API_HAS_INPUT)
        add_number(&attributes, "gen_ai.usage.input_tokens", exchange->input_tokens);
    if (api_output_source(record) == API_TOKENS_USAGE)
        add_number(&attributes, "gen_ai.usage.output_tokens", api_output_tokens(record));
    if (exchange->first_content_ns)
        add_seconds(&attributes, "inferscope.time_to_first_token", exchange->start_ns,
                    exchange->first_content_ns);
    if (exchange->content_events)
        add_number(&attributes, "inferscope.content_events", exchange->content_events);
    add_work(&attributes, exchange);
    add_string(&attributes, "http.request.method", api_method_name(exchange->method));
    add_string(&attributes, "http.route", route ? route->pattern : NULL);
    if (exchange->status)
        add_number(&attributes, "http.response.status_code", exchange->status);
    add_string(&attributes, "error.type", api_error_type(record, error));
    add_address(&attributes, "server.address", record, record->server_addr);
    if (record->server_port)
        add_number(&attributes, "server.port", record->server_port);
    add_address(&attributes, "client.address", record, record->client_addr);
    if (record->client_port)
        add_number(&attributes, "client.port", record->client_port);
}

// --- The span ---

// FNV-1a, then mixed once more, because few bits of a record differ from those of the next. Never 0.
static uint64_t hash_record(const struct event *event, const struct wire_api *record, uint64_t seed)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ seed ^ event->time_ns;
    const uint8_t *bytes = (const uint8_t *)record;
    for (size_t i = 0; i < sizeof(*record); i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    hash = (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ hash >> 27) * UINT64_C(0x94d049bb133111eb);
    hash ^= hash >> 31;
    return hash ? hash : 1;
}

static void add_ids(const struct event *event, const struct wire_api *record,
                    const struct traceparent *parent, struct text *text)
{
    if (parent)
        text_addf(text, "\"traceId\":\"%s\"", parent->trace_id);
    else
        text_addf(text, "\"traceId\":\"%016" PRIx64 "%016" PRIx64 "\"", hash_record(event, record, 1),
                  hash_record(event, record, 2));
    text_addf(text, ",\"spanId\":\"%016" PRIx64 "\"", hash_record(event, record, 3));
    if (parent)
        text_addf(text, ",\"parentSpanId\":\"%s\"", parent->span_id);
    text_addf(text, ",\"flags\":%u", parent ? parent->flags : TRACEPARENT_SAMPLED);
}

static void add_name(const struct wire_api *record, const char *operation, struct text *text)
{
    size_t length;
    const char *model = api_model(record, &length);
    _cleanup_text_ struct text name = TEXT_INIT(256);
    text_add(&name, operation);
    if (length) {
        text_add_char(&name, ' ');
        text_add_bytes(&name, model, length);
    }
    text_add(text, ",\"name\":");
    text_add_json(text, text_string(&name), name.length);
}

int span_format(const struct event *event, const char *provider, struct text *text)
{
    const struct wire_api *record = api_record(event);
    if (!record || strncmp(event->type->name, "infer", strlen("infer")) != 0)
        return 0;
    const struct wire_api_exchange *exchange = &record->exchange;
    struct traceparent parent;
    bool has_parent =
        traceparent_parse(exchange->traceparent, strnlen(exchange->traceparent, WIRE_API_TRACEPARENT_MAX),
                          &parent) == 0;
    if (has_parent && !(parent.flags & TRACEPARENT_SAMPLED))
        return 0;
    const struct api_route *route = api_route_at(exchange->route);
    const char *operation = route && route->operation ? route->operation : "inference";
    char error_text[16];
    const char *error = api_error_type(record, error_text);
    uint64_t length_ns = exchange->end_ns > exchange->start_ns ? exchange->end_ns - exchange->start_ns : 0;
    // The record's time is that of the end, which the event has by the clock of the world.
    uint64_t end_ns = event->time_ns, start_ns = end_ns > length_ns ? end_ns - length_ns : 1;

    text_add(text, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    add_resource(event, text);
    text_add(text, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"inferscope\"},\"spans\":[{");
    add_ids(event, record, has_parent ? &parent : NULL, text);
    add_name(record, operation, text);
    text_addf(text,
              ",\"kind\":%d,\"startTimeUnixNano\":\"%" PRIu64 "\",\"endTimeUnixNano\":\"%" PRIu64
              "\",\"attributes\":[",
              strcmp(event->type->name, "infer") == 0 ? KIND_SERVER : KIND_CLIENT, start_ns, end_ns);
    add_request(record, operation, provider, text);
    text_add(text, "],\"status\":{");
    if (error[0])
        text_addf(text, "\"code\":%d", STATUS_ERROR);
    text_add(text, "}}]}]}]}");
    return text->truncated ? -EMSGSIZE : 1;
}
