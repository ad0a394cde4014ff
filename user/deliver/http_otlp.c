// OpenTelemetry's protocol over HTTP with JSON: https://opentelemetry.io/docs/specs/otlp/. Alerts are log
// records. Spans and metrics were written by the agent as complete requests (user/sink/span.c,
// user/metric/otlp.c); here their parts are put into one, and what they come from is added.
#include "base/cleanup.h"
#include "base/traceparent.h"
#include "format.h"
#include "format_map.h"
#include "http_receiver.h"
#include "version.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

// The groups of a batch, by the kind of record.
static const struct {
    const char *path;
    const char *resources; // the member of a request that has all
    const char *rejected;  // of the answer's partialSuccess
} groups[] = {
    [SPOOL_ALERT] = {"/v1/logs", "resourceLogs", "rejectedLogRecords"},
    [SPOOL_SPAN] = {"/v1/traces", "resourceSpans", "rejectedSpans"},
    [SPOOL_METRICS] = {"/v1/metrics", "resourceMetrics", "rejectedDataPoints"},
};

static unsigned group(const struct item *item)
{
    return item->record.kind;
}

static const char *path_of(unsigned number)
{
    return groups[number].path;
}

// --- Attributes ---

static int add_attribute(json_t *attributes, const char *key, size_t key_length, json_t *value)
{
    json_t *attribute = value ? json_pack("{s:s%, s:o}", "key", key, key_length, "value", value) : NULL;
    return json_array_append_new(attributes, attribute) ? -ENOMEM : 0;
}

static int add_string(json_t *attributes, const char *key, const char *value)
{
    return value[0] ? add_attribute(attributes, key, strlen(key), json_pack("{s:s}", "stringValue", value))
                    : 0;
}

// A value of JSON as AnyValue. NULL: there is none for it, or no memory.
static json_t *any_value(const json_t *value)
{
    char digits[24];
    switch (json_typeof(value)) {
    case JSON_STRING:
        return json_pack("{s:O}", "stringValue", value);
    case JSON_INTEGER:
        snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return json_pack("{s:s}", "intValue", digits);
    case JSON_REAL:
        return json_pack("{s:O}", "doubleValue", value);
    case JSON_TRUE:
    case JSON_FALSE:
        return json_pack("{s:O}", "boolValue", value);
    default:
        return NULL;
    }
}

static int add_tags(json_t *attributes, const json_t *tags)
{
    if (json_array_size(tags) == 0)
        return 0;
    json_t *values = json_array();
    for (size_t i = 0; i < json_array_size(tags); i++)
        if (json_array_append_new(values, any_value(json_array_get(tags, i)))) {
            json_decref(values);
            return -ENOMEM;
        }
    return add_attribute(attributes, "tags", strlen("tags"),
                         json_pack("{s:{s:o}}", "arrayValue", "values", values));
}

// The keys of a resource are unique, so what has the key already gives way.
static int set_string(json_t *attributes, const char *key, size_t key_length, const char *string)
{
    json_t *value = json_pack("{s:s}", "stringValue", string);
    for (size_t i = 0; i < json_array_size(attributes); i++) {
        json_t *attribute = json_array_get(attributes, i);
        const char *own = format_string(attribute, "key");
        if (strlen(own) == key_length && memcmp(own, key, key_length) == 0)
            return json_object_set_new(attribute, "value", value) ? -ENOMEM : 0;
    }
    return add_attribute(attributes, key, key_length, value);
}

// What all records of this agent come from.
static int add_origin(const struct http_batch *batch, json_t *attributes)
{
    const struct config_strings *labels = &batch->output->labels;
    const char *host = format_name_of_host(batch->hostname);
    int error = add_string(attributes, "host.name", host);
    // Where metrics become Prometheus', this is all that tells the agents of several hosts from each other. A
    // span's service is not the agent.
    if (!error && batch->group != SPOOL_SPAN)
        error = add_string(attributes, "service.instance.id", host);
    for (size_t i = 0; !error && i < labels->count; i++) {
        const char *label = labels->items[i], *equals = strchr(label, '=');
        if (equals)
            error = set_string(attributes, label, (size_t)(equals - label), equals + 1);
    }
    return error;
}

// --- Logs ---

// As the data model maps the severities of syslog.
static int severity_number(enum priority priority)
{
    static const int numbers[] = {
        [PRIORITY_EMERGENCY] = 21,    // FATAL
        [PRIORITY_ALERT] = 19,        // ERROR3
        [PRIORITY_CRITICAL] = 18,     // ERROR2
        [PRIORITY_ERROR] = 17,        // ERROR
        [PRIORITY_WARNING] = 13,      // WARN
        [PRIORITY_NOTICE] = 10,       // INFO2
        [PRIORITY_INFORMATIONAL] = 9, // INFO
        [PRIORITY_DEBUG] = 5,         // DEBUG
    };
    return (size_t)priority < ARRAY_SIZE(numbers) ? numbers[priority] : 0;
}

static int add_fields(json_t *attributes, const struct item *item)
{
    const char *name;
    json_t *value;
    json_t *fields = (json_t *)format_fields(item);
    json_object_foreach(fields, name, value)
    {
        if (json_is_null(value) || json_is_array(value) || json_is_object(value))
            continue;
        if (add_attribute(attributes, name, strlen(name), any_value(value)))
            return -ENOMEM;
    }
    return 0;
}

static int add_trace(json_t *record, const struct item *item)
{
    static const char *const names[] = {"infer.traceparent", "http.traceparent", "call.traceparent"};
    struct traceparent trace;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *text = format_string(format_fields(item), names[i]);
        if (traceparent_parse(text, strlen(text), &trace))
            continue;
        json_t *members = json_pack("{s:s, s:s, s:i}", "traceId", trace.trace_id, "spanId", trace.span_id,
                                    "flags", (int)trace.flags);
        int error = json_object_update(record, members);
        json_decref(members);
        return error ? -ENOMEM : 0;
    }
    return 0;
}

static int add_log(json_t *records, const struct http_batch *batch, const struct item *item)
{
    char time[24], observed[24], sequence[24];
    snprintf(time, sizeof(time), "%" PRIu64, format_time_ns(item));
    snprintf(observed, sizeof(observed), "%" PRIu64, item->record.time_ns);
    snprintf(sequence, sizeof(sequence), "%" PRIu64, item->record.sequence);
    json_t *attributes = json_array();
    int error = add_string(attributes, "log.record.uid", item->record.uuid);
    error = error ? error : add_string(attributes, "rule", format_string(item->json, "rule"));
    error = error ? error : add_string(attributes, "source", format_string(item->json, "source"));
    error = error ? error : add_string(attributes, "hostname", format_hostname(item, batch->hostname));
    error = error ? error
                  : add_attribute(attributes, "sequence", strlen("sequence"),
                                  json_pack("{s:s}", "intValue", sequence));
    error = error ? error : add_tags(attributes, json_object_get(item->json, "tags"));
    error = error ? error : add_fields(attributes, item);
    _cleanup_text_ struct text body = TEXT_INIT(SPOOL_DATA_MAX * 2);
    error = error ? error : format_alert(FORMAT_TEXT, item, batch->hostname, &body);
    json_t *record =
        json_pack("{s:s, s:s, s:i, s:s, s:{s:s%}, s:o}", "timeUnixNano", time, "observedTimeUnixNano",
                  observed, "severityNumber", severity_number(item->record.priority), "severityText",
                  priority_name(item->record.priority), "body", "stringValue", text_string(&body),
                  body.length, "attributes", attributes);
    error = error ? error : add_trace(record, item);
    return json_array_append_new(records, record) || error ? -ENOMEM : 0;
}

static int add_logs(json_t *resources, const struct http_batch *batch)
{
    json_t *records = json_array();
    json_t *resource = json_pack("{s:{s:[{s:s, s:{s:s}}, {s:s, s:{s:s}}]}, s:[{s:{s:s}, s:o}]}", "resource",
                                 "attributes", "key", "service.name", "value", "stringValue", "inferscope",
                                 "key", "service.version", "value", "stringValue", INFERSCOPE_VERSION,
                                 "scopeLogs", "scope", "name", "inferscope", "logRecords", records);
    if (json_array_append_new(resources, resource))
        return -ENOMEM;
    int error = 0;
    for (size_t i = 0; !error && i < batch->count; i++)
        error = add_log(records, batch, batch->items[i]);
    return error ? error : add_origin(batch, format_get(resource, "resource.attributes"));
}

// --- Spans and metrics ---

static int add_resources(json_t *resources, const struct http_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const json_t *own = json_object_get(batch->items[i]->json, groups[batch->group].resources);
        for (size_t j = 0; j < json_array_size(own); j++) {
            // A copy: the item may be written again.
            json_t *resource = json_copy(json_array_get(own, j));
            json_t *attributes = json_deep_copy(format_get(resource, "resource.attributes"));
            int error = json_is_array(attributes) ? add_origin(batch, attributes) : -EBADMSG;
            if (!error)
                error =
                    json_object_set_new(resource, "resource", json_pack("{s:O}", "attributes", attributes));
            json_decref(attributes);
            if (json_array_append_new(resources, resource) || error)
                return -EBADMSG;
        }
    }
    return 0;
}

static int build(const struct http_batch *batch, struct text *body)
{
    json_t *resources = json_array();
    json_t *request = json_pack("{s:O}", groups[batch->group].resources, resources);
    int error = !request                      ? -ENOMEM
                : batch->group == SPOOL_ALERT ? add_logs(resources, batch)
                                              : add_resources(resources, batch);
    json_decref(resources);
    error = error ? error : format_add_json(request, body);
    json_decref(request);
    return error;
}

// --- Answers ---

// 64 bits are a string in JSON, but not everybody writes them so.
static size_t number_of(const json_t *value)
{
    long long number = json_is_string(value) ? strtoll(json_string_value(value), NULL, 10)
                                             : (long long)json_integer_value(value);
    return number > 0 ? (size_t)number : 0;
}

// What is rejected must not be sent again. Which records these are is not said, so the last ones are counted.
static void judge(const struct http_batch *batch, const struct http_answer *answer,
                  struct http_judgement *judgement)
{
    if (answer->status < 200 || answer->status >= 300)
        return;
    json_t *body = json_loadb(answer->body, answer->length, 0, NULL);
    const json_t *partial = json_object_get(body, "partialSuccess");
    size_t rejected = number_of(json_object_get(partial, groups[batch->group].rejected));
    if (rejected && batch->group == SPOOL_METRICS) {
        // Of all the points of a record some were taken.
        judgement->verdicts[0] = VERDICT_REJECTED;
        snprintf(judgement->why, sizeof(judgement->why), "it rejects %zu points of the metrics", rejected);
    } else if (rejected) {
        size_t count = rejected < batch->count ? rejected : batch->count;
        for (size_t i = batch->count - count; i < batch->count; i++)
            judgement->verdicts[i] = VERDICT_REJECTED;
        snprintf(judgement->why, sizeof(judgement->why), "it rejects %zu of %zu records", rejected,
                 batch->count);
    }
    json_decref(body);
}

const struct http_kind otlp_kind = {
    .path = "",
    .content_type = "application/json",
    .group = group,
    .path_of = path_of,
    .build = build,
    .judge = judge,
};
