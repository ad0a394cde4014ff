#include "base/cleanup.h"
#include "base/series.h"
#include "metric.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void collect(struct series_writer *writer, void *context)
{
    static const double bounds[] = {0.5, 1};
    static const uint64_t counts[] = {3, 0, 2};
    struct series_family duration = {.name = "gen_ai_server_request_duration_seconds",
                                     .type = SERIES_HISTOGRAM,
                                     .unit = "seconds",
                                     .help = "how \"long\""};
    struct series_family gauge = {
        .name = "otlp_test_size_bytes", .type = SERIES_GAUGE, .unit = "bytes", .help = "g"};
    struct series_family empty = {.name = "otlp_test_empty", .type = SERIES_GAUGE, .help = "e"};
    struct label labels[] = {{"gen_ai_request_model", "q\"w\n"}, {"error_type", "500"}};
    struct series_histogram histogram = {.buckets = 2, .bounds = bounds, .counts = counts, .sum = 4.25};
    writer->family(writer, &duration);
    writer->histogram(writer, labels, 2, &histogram);
    writer->family(writer, &gauge);
    writer->number(writer, NULL, 0, 0.1);
    writer->number(writer, labels, 1, NAN);
    writer->family(writer, &empty);
    // Once more: the points belong together.
    writer->family(writer, &duration);
    writer->histogram(writer, labels, 1, &histogram);
}

static struct counter counter = {
    .name = "otlp_test_things_total", .help = "things", .label = "kind", .label_value = "a", .value = 7};

static json_t *render(size_t max)
{
    _cleanup_text_ struct text text = TEXT_INIT(max);
    metric_render_otlp(&text);
    cr_assert_not(text.truncated);
    json_error_t error;
    json_t *request = json_loads(text_string(&text), JSON_REJECT_DUPLICATES, &error);
    cr_assert(request, "%s: %s", error.text, text_string(&text));
    return request;
}

static const json_t *metrics_of(const json_t *request)
{
    const json_t *resource = json_array_get(json_object_get(request, "resourceMetrics"), 0);
    return json_object_get(json_array_get(json_object_get(resource, "scopeMetrics"), 0), "metrics");
}

// The one metric of that name.
static const json_t *find(const json_t *request, const char *name)
{
    const json_t *metrics = metrics_of(request), *found = NULL;
    for (size_t i = 0; i < json_array_size(metrics); i++) {
        const json_t *metric = json_array_get(metrics, i);
        if (strcmp(json_string_value(json_object_get(metric, "name")), name) != 0)
            continue;
        cr_assert_null(found, "%s is there twice", name);
        found = metric;
    }
    return found;
}

static const json_t *point(const json_t *metric, const char *kind, size_t index)
{
    return json_array_get(json_object_get(json_object_get(metric, kind), "dataPoints"), index);
}

Test(metric_otlp, all_kinds_of_metrics_have_their_shape)
{
    counter_register(&counter);
    cr_assert_eq(series_register(collect, NULL), 0);
    json_t *request = render(1 << 20);

    const json_t *duration = find(request, "gen_ai.server.request.duration");
    cr_expect_str_eq(json_string_value(json_object_get(duration, "unit")), "s");
    cr_expect_str_eq(json_string_value(json_object_get(duration, "description")), "how \"long\"");
    const json_t *histogram = json_object_get(duration, "histogram");
    cr_expect_eq(json_integer_value(json_object_get(histogram, "aggregationTemporality")), 2);
    cr_assert_eq(json_array_size(json_object_get(histogram, "dataPoints")), 2);
    const json_t *first = point(duration, "histogram", 0);
    cr_expect_str_eq(json_string_value(json_object_get(first, "count")), "5");
    cr_expect_eq(json_real_value(json_object_get(first, "sum")), 4.25);
    cr_expect_str_eq(json_string_value(json_array_get(json_object_get(first, "bucketCounts"), 2)), "2");
    cr_expect_eq(json_array_size(json_object_get(first, "explicitBounds")), 2);
    const json_t *attribute = json_array_get(json_object_get(first, "attributes"), 0);
    cr_expect_str_eq(json_string_value(json_object_get(attribute, "key")), "gen_ai.request.model");
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(attribute, "value"), "stringValue")),
                     "q\"w\n");
    unsigned long long start =
        strtoull(json_string_value(json_object_get(first, "startTimeUnixNano")), NULL, 10);
    unsigned long long time = strtoull(json_string_value(json_object_get(first, "timeUnixNano")), NULL, 10);
    cr_expect_gt(start, 1500000000ull * 1000000000);
    cr_expect_leq(start, time);

    const json_t *sum = find(request, "otlp_test_things_total");
    cr_expect_eq(json_object_get(json_object_get(sum, "sum"), "isMonotonic"), json_true());
    cr_expect_eq(json_number_value(json_object_get(point(sum, "sum", 0), "asDouble")), 7);

    // What is no number is left out, and so is a family without a point.
    const json_t *gauge = find(request, "otlp_test_size_bytes");
    cr_expect_str_eq(json_string_value(json_object_get(gauge, "unit")), "By");
    cr_expect_eq(json_real_value(json_object_get(point(gauge, "gauge", 0), "asDouble")), 0.1);
    cr_expect_null(point(gauge, "gauge", 1));
    cr_expect_null(find(request, "otlp_test_empty"));
    json_decref(request);
}

Test(metric_otlp, what_has_no_room_is_left_out_as_a_whole)
{
    counter_register(&counter);
    cr_assert_eq(series_register(collect, NULL), 0);
    json_t *whole = render(1 << 20);
    size_t all = json_array_size(metrics_of(whole)), before = 0;
    json_decref(whole);
    for (size_t max = 12000; max < 20000; max += 97) {
        json_t *request = render(max);
        size_t count = json_array_size(metrics_of(request));
        cr_expect_leq(before, count + 1);
        before = count;
        json_decref(request);
    }
    cr_expect_geq(before, 1);
    cr_expect_leq(before, all);
}
