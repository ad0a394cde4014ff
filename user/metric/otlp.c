// All metrics as OpenTelemetry's protocol has them in JSON: counters and histograms cumulative since the
// agent started. What follows OpenTelemetry's conventions has its own name back, with dots and without the
// unit; the rest keeps the name that Prometheus knows.
#include "base/cleanup.h"
#include "base/clock.h"
#include "families.h"
#include "metric.h"
#include "self.h"
#include "version.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct otlp {
    struct families families; // first
    uint64_t start_ns, now_ns;
};

static struct counter left_out = {
    .name = "inferscope_otlp_points_left_out_total",
    .help = "Points of metrics that were not sent over OTLP because there was no room or they are no numbers",
};

// --- Names ---

static const char *metric_name(const char *name)
{
    static const char *const names[][2] = {
        {"gen_ai_server_request_duration_seconds", "gen_ai.server.request.duration"},
        {"gen_ai_server_time_to_first_token_seconds", "gen_ai.server.time_to_first_token"},
        {"gen_ai_server_time_per_output_token_seconds", "gen_ai.server.time_per_output_token"},
        {"gen_ai_client_operation_duration_seconds", "gen_ai.client.operation.duration"},
        {"gen_ai_client_token_usage", "gen_ai.client.token.usage"},
        {"http_server_request_duration_seconds", "http.server.request.duration"},
        {"http_client_request_duration_seconds", "http.client.request.duration"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(name, names[i][0]) == 0)
            return names[i][1];
    return name;
}

static const char *attribute_name(const char *label)
{
    static const char *const names[][2] = {
        {"gen_ai_operation_name", "gen_ai.operation.name"},
        {"gen_ai_provider_name", "gen_ai.provider.name"},
        {"gen_ai_request_model", "gen_ai.request.model"},
        {"gen_ai_response_model", "gen_ai.response.model"},
        {"gen_ai_token_type", "gen_ai.token.type"},
        {"server_address", "server.address"},
        {"server_port", "server.port"},
        {"error_type", "error.type"},
        {"http_request_method", "http.request.method"},
        {"http_response_status_code", "http.response.status_code"},
        {"http_route", "http.route"},
        {"k8s_namespace_name", "k8s.namespace.name"},
        {"k8s_pod_name", "k8s.pod.name"},
        {"k8s_container_name", "k8s.container.name"},
        {"container_name", "container.name"},
        {"container_image_name", "container.image.name"},
        {"host_name", "host.name"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(label, names[i][0]) == 0)
            return names[i][1];
    return label;
}

static const char *unit_name(const char *unit)
{
    return !unit ? NULL : strcmp(unit, "seconds") == 0 ? "s" : strcmp(unit, "bytes") == 0 ? "By" : unit;
}

// --- Families ---

static void add_string_member(struct text *text, const char *name, const char *value)
{
    text_addf(text, ",\"%s\":", name);
    text_add_json(text, value, strlen(value));
}

static void add_header(const struct families *families, struct family *family,
                       const struct series_family *declared)
{
    static const char *const kinds[] = {"sum", "gauge", "histogram"};
    struct text *body = &family->body;
    const char *name = metric_name(declared->name), *unit = unit_name(declared->unit);
    text_add(body, "{\"name\":");
    text_add_json(body, name, strlen(name));
    add_string_member(body, "description", declared->help);
    if (unit)
        add_string_member(body, "unit", unit);
    text_addf(body, ",\"%s\":{", kinds[declared->type]);
    if (declared->type != SERIES_GAUGE)
        text_add(body, "\"aggregationTemporality\":2,");
    if (declared->type == SERIES_COUNTER)
        text_add(body, "\"isMonotonic\":true,");
    text_add(body, "\"dataPoints\":[");
}

// --- Points ---

static void add_number(struct text *text, double value)
{
    char digits[32];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof(digits), "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    text_add(text, digits);
}

// NULL where the point has no place.
static struct text *point_begin(struct otlp *otlp, const struct label *labels, size_t count, bool histogram,
                                bool is_number)
{
    if (!is_number) {
        left_out.value++;
        return NULL;
    }
    struct text *body = families_begin(&otlp->families, histogram);
    if (!body)
        return NULL;
    text_add(body, otlp->families.current->any ? ",{\"attributes\":[" : "{\"attributes\":[");
    for (size_t i = 0; i < count; i++) {
        const char *name = attribute_name(labels[i].name), *value = labels[i].value;
        text_add(body, i ? ",{\"key\":" : "{\"key\":");
        text_add_json(body, name, strlen(name));
        text_add(body, ",\"value\":{\"stringValue\":");
        text_add_json(body, value, strlen(value));
        text_add(body, "}}");
    }
    text_addf(body, "],\"startTimeUnixNano\":\"%" PRIu64 "\",\"timeUnixNano\":\"%" PRIu64 "\"",
              otlp->start_ns, otlp->now_ns);
    return body;
}

static void write_number(struct series_writer *writer, const struct label *labels, size_t count, double value)
{
    struct otlp *otlp = (struct otlp *)writer;
    struct text *body = point_begin(otlp, labels, count, false, isfinite(value));
    if (!body)
        return;
    text_add(body, ",\"asDouble\":");
    add_number(body, value);
    text_add_char(body, '}');
    families_end(&otlp->families);
}

static void write_histogram(struct series_writer *writer, const struct label *labels, size_t count,
                            const struct series_histogram *histogram)
{
    struct otlp *otlp = (struct otlp *)writer;
    struct text *body = point_begin(otlp, labels, count, true, isfinite(histogram->sum));
    if (!body)
        return;
    uint64_t total = 0;
    for (size_t i = 0; i <= histogram->buckets; i++)
        total += histogram->counts[i];
    text_addf(body, ",\"count\":\"%" PRIu64 "\",\"sum\":", total);
    add_number(body, histogram->sum);
    text_add(body, ",\"bucketCounts\":[");
    for (size_t i = 0; i <= histogram->buckets; i++)
        text_addf(body, "%s\"%" PRIu64 "\"", i ? "," : "", histogram->counts[i]);
    text_add(body, "],\"explicitBounds\":[");
    for (size_t i = 0; i < histogram->buckets; i++) {
        text_add(body, i ? "," : "");
        add_number(body, histogram->bounds[i]);
    }
    text_add(body, "]}");
    families_end(&otlp->families);
}

// --- The whole ---

void metric_render_otlp(struct text *text)
{
    // The names behind the families' bodies, and the frame around all.
    enum { CLOSING = sizeof("]}},") };
    counter_register(&left_out);
    _cleanup_free_ struct otlp *otlp = calloc(1, sizeof(*otlp));
    if (!otlp) {
        text->truncated = true;
        return;
    }
    text_addf(text,
              "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
              "{\"stringValue\":\"inferscope\"}},{\"key\":\"service.version\",\"value\":{\"stringValue\":"
              "\"%s\"}}]},\"scopeMetrics\":[{\"scope\":{\"name\":\"inferscope\"},\"metrics\":[",
              INFERSCOPE_VERSION);
    size_t reserved = text->length + sizeof("]}]}]}") + (size_t)FAMILIES_MAX * CLOSING;
    struct families *families = &otlp->families;
    *families = (struct families){.writer = {families_open, write_number, write_histogram},
                                  .room = text->max > reserved ? text->max - reserved : 0,
                                  .left_out = &left_out,
                                  .head = add_header};
    otlp->now_ns = clock_ns(CLOCK_REALTIME);
    double start = metric_start_time();
    otlp->start_ns = start > 0 ? (uint64_t)(start * 1e9) : otlp->now_ns;
    if (otlp->start_ns > otlp->now_ns)
        otlp->start_ns = otlp->now_ns;

    series_collect(&families->writer);
    bool any = false;
    for (size_t i = 0; i < families->count; i++) {
        const struct family *family = families->at[i];
        if (!family->any)
            continue;
        text_add(text, any ? "," : "");
        text_add_bytes(text, family->body.data, family->body.length);
        text_add(text, "]}}");
        any = true;
    }
    families_free(families);
    text_add(text, "]}]}]}");
}
