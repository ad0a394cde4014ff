// All metrics as OpenTelemetry's protocol has them in JSON: counters and histograms cumulative since the
// agent started. What follows OpenTelemetry's conventions has its own name back, with dots and without the
// unit; the rest keeps the name that Prometheus knows.
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/series.h"
#include "metric.h"
#include "self.h"
#include "version.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FAMILIES_MAX = 1024 };

struct family {
    char *name; // as registered
    enum series_type type;
    bool any; // points in the body
    struct text body;
};

struct otlp {
    struct series_writer writer; // first: the collectors know only this part
    struct family *families[FAMILIES_MAX];
    size_t families_count;
    struct family *current; // NULL: points that come now belong nowhere
    size_t room;            // bytes that may still be gathered
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

static void family_free(struct family *family)
{
    text_free(&family->body);
    free(family->name);
    free(family);
}

static void add_string_member(struct text *text, const char *name, const char *value)
{
    text_addf(text, ",\"%s\":", name);
    text_add_json(text, value, strlen(value));
}

static void add_header(struct family *family, const struct series_family *declared)
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

static struct family *family_new(struct otlp *otlp, const struct series_family *declared)
{
    if (otlp->families_count == FAMILIES_MAX)
        return NULL;
    struct family *family = calloc(1, sizeof(*family));
    char *name = strdup(declared->name);
    if (!family || !name) {
        free(family);
        free(name);
        return NULL;
    }
    family->name = name;
    family->type = declared->type;
    family->body.max = otlp->room;
    add_header(family, declared);
    if (family->body.truncated) {
        family_free(family);
        return NULL;
    }
    otlp->room -= family->body.length;
    otlp->families[otlp->families_count++] = family;
    return family;
}

static void write_family(struct series_writer *writer, const struct series_family *declared)
{
    struct otlp *otlp = (struct otlp *)writer;
    for (size_t i = 0; i < otlp->families_count; i++) {
        struct family *family = otlp->families[i];
        if (strcmp(family->name, declared->name) == 0) {
            otlp->current = family->type == declared->type ? family : NULL;
            return;
        }
    }
    otlp->current = family_new(otlp, declared);
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
    struct family *family = otlp->current;
    if (!family || !is_number || (family->type == SERIES_HISTOGRAM) != histogram) {
        left_out.value++;
        return NULL;
    }
    struct text *body = &family->body;
    body->max = body->length + otlp->room;
    text_add(body, family->any ? ",{\"attributes\":[" : "{\"attributes\":[");
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

// Takes back what did not fit as a whole.
static void point_end(struct otlp *otlp, struct text *body, size_t length_before)
{
    text_add_char(body, '}');
    if (body->truncated) {
        left_out.value++;
        body->length = length_before;
        body->truncated = false;
        return;
    }
    otlp->current->any = true;
    otlp->room -= body->length - length_before;
}

static void write_number(struct series_writer *writer, const struct label *labels, size_t count, double value)
{
    struct otlp *otlp = (struct otlp *)writer;
    size_t before = otlp->current ? otlp->current->body.length : 0;
    struct text *body = point_begin(otlp, labels, count, false, isfinite(value));
    if (!body)
        return;
    text_add(body, ",\"asDouble\":");
    add_number(body, value);
    point_end(otlp, body, before);
}

static void write_histogram(struct series_writer *writer, const struct label *labels, size_t count,
                            const struct series_histogram *histogram)
{
    struct otlp *otlp = (struct otlp *)writer;
    size_t before = otlp->current ? otlp->current->body.length : 0;
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
    text_add_char(body, ']');
    point_end(otlp, body, before);
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
    otlp->writer = (struct series_writer){write_family, write_number, write_histogram};
    otlp->room = text->max > reserved ? text->max - reserved : 0;
    otlp->now_ns = clock_ns(CLOCK_REALTIME);
    double start = metric_start_time();
    otlp->start_ns = start > 0 ? (uint64_t)(start * 1e9) : otlp->now_ns;
    if (otlp->start_ns > otlp->now_ns)
        otlp->start_ns = otlp->now_ns;

    series_collect(&otlp->writer);
    bool any = false;
    for (size_t i = 0; i < otlp->families_count; i++) {
        struct family *family = otlp->families[i];
        if (family->any) {
            text_add(text, any ? "," : "");
            text_add_bytes(text, family->body.data, family->body.length);
            text_add(text, "]}}");
            any = true;
        }
        family_free(family);
    }
    text_add(text, "]}]}]}");
}
