#include "base/series.h"
#include "metric.h"
#include "version.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void collect_jobs(struct series_writer *writer, void *context)
{
    struct series_family jobs = {
        .name = "jobs_total", .type = SERIES_COUNTER, .help = "Says \"why\" in C:\\dir\nand more."};
    struct label labels[] = {{"path", "a\\b\"c\nd"}, {"bytes", "\xff\xc3\xa9"}};
    writer->family(writer, &jobs);
    writer->number(writer, labels, 2, 12);
}

static void collect_latency(struct series_writer *writer, void *context)
{
    static const double bounds[] = {0.01, 1, 1e7};
    static const uint64_t counts[] = {2, 0, 3, 1};
    struct series_family family = {
        .name = "latency_seconds", .type = SERIES_HISTOGRAM, .unit = "seconds", .help = "Latency."};
    struct series_histogram histogram = {3, bounds, counts, 7.25};
    struct label label = {"model", "m"};
    writer->family(writer, &family);
    writer->histogram(writer, &label, 1, &histogram);
    writer->histogram(writer, NULL, 0, &histogram);
}

static const char *render(enum metric_format format)
{
    static struct text text = TEXT_INIT(1 << 20);
    text_reset(&text);
    metric_render(format, &text);
    cr_assert_not(text.truncated);
    return text_string(&text);
}

// The page without what metric_render() itself exports.
static const char *render_mine(enum metric_format format)
{
    static char page[1 << 16];
    const char *from = render(format);
    size_t length = 0;
    for (const char *end; *from; from = end) {
        end = strchr(from, '\n') + 1;
        if (memmem(from, (size_t)(end - from), "inferscope_metric_", 18))
            continue;
        memcpy(page + length, from, (size_t)(end - from));
        length += (size_t)(end - from);
    }
    page[length] = '\0';
    return page;
}

Test(exposition, prometheus_text)
{
    series_register(collect_latency, NULL);
    series_register(collect_jobs, NULL);
    cr_assert_str_eq(render_mine(METRIC_PROMETHEUS),
                     "# TYPE jobs_total counter\n"
                     "# HELP jobs_total Says \"why\" in C:\\\\dir\\nand more.\n"
                     "jobs_total{path=\"a\\\\b\\\"c\\nd\",bytes=\"\xef\xbf\xbd\xc3\xa9\"} 12\n"
                     "# TYPE latency_seconds histogram\n"
                     "# HELP latency_seconds Latency.\n"
                     "latency_seconds_bucket{model=\"m\",le=\"0.01\"} 2\n"
                     "latency_seconds_bucket{model=\"m\",le=\"1.0\"} 2\n"
                     "latency_seconds_bucket{model=\"m\",le=\"10000000.0\"} 5\n"
                     "latency_seconds_bucket{model=\"m\",le=\"+Inf\"} 6\n"
                     "latency_seconds_sum{model=\"m\"} 7.25\n"
                     "latency_seconds_count{model=\"m\"} 6\n"
                     "latency_seconds_bucket{le=\"0.01\"} 2\n"
                     "latency_seconds_bucket{le=\"1.0\"} 2\n"
                     "latency_seconds_bucket{le=\"10000000.0\"} 5\n"
                     "latency_seconds_bucket{le=\"+Inf\"} 6\n"
                     "latency_seconds_sum 7.25\n"
                     "latency_seconds_count 6\n");
}

Test(exposition, openmetrics)
{
    static struct counter plain = {.name = "plain_total", .help = "Plain."};
    counter_register(&plain);
    series_register(collect_latency, NULL);
    series_register(collect_jobs, NULL);
    const char *page = render_mine(METRIC_OPENMETRICS);
    static const char begin[] = "# TYPE jobs counter\n"
                                "# HELP jobs Says \\\"why\\\" in C:\\\\dir\\nand more.\n"
                                "jobs_total{path=\"a\\\\b\\\"c\\nd\",bytes=\"\xef\xbf\xbd\xc3\xa9\"} 12\n"
                                "# TYPE latency_seconds histogram\n"
                                "# UNIT latency_seconds seconds\n"
                                "# HELP latency_seconds Latency.\n";
    static const char end[] = "latency_seconds_count 6\n"
                              "# TYPE plain counter\n"
                              "# HELP plain Plain.\n"
                              "plain_total 0\n"
                              "# EOF\n";
    cr_assert_eq(strncmp(page, begin, strlen(begin)), 0, "%s", page);
    cr_assert_str_eq(page + strlen(page) - strlen(end), end);
}

static void collect_half(struct series_writer *writer, void *context)
{
    struct series_family family = {
        .name = "shared_bytes", .type = SERIES_GAUGE, .unit = "bytes", .help = "Shared."};
    struct label label = {"from", context};
    writer->family(writer, &family);
    writer->number(writer, &label, 1, 1);
}

static void collect_other_type(struct series_writer *writer, void *context)
{
    struct series_family family = {.name = "shared_bytes", .type = SERIES_HISTOGRAM, .help = "Clash."};
    static const uint64_t counts[] = {1};
    struct series_histogram histogram = {0, NULL, counts, 1};
    writer->family(writer, &family);
    writer->histogram(writer, NULL, 0, &histogram);
    writer->number(writer, NULL, 0, 1);
}

Test(exposition, two_collectors_of_one_family_share_its_header)
{
    char one[] = "one", two[] = "two";
    series_register(collect_half, one);
    series_register(collect_jobs, NULL);
    series_register(collect_half, two);
    series_register(collect_other_type, NULL);
    const char *page = render(METRIC_PROMETHEUS);
    static const char shared[] = "# TYPE shared_bytes gauge\n"
                                 "# HELP shared_bytes Shared.\n"
                                 "shared_bytes{from=\"one\"} 1\n"
                                 "shared_bytes{from=\"two\"} 1\n";
    cr_assert(strstr(page, shared), "%s", page);
    cr_assert_null(strstr(page, "histogram"));
    // What had to be left out shows at the next scrape.
    cr_assert(strstr(render(METRIC_PROMETHEUS), "\ninferscope_metric_samples_left_out_total 2\n"));
}

static void collect_wrong_unit(struct series_writer *writer, void *context)
{
    struct series_family family = {
        .name = "kiloseconds", .type = SERIES_GAUGE, .unit = "seconds", .help = "k"};
    writer->family(writer, &family);
    writer->number(writer, NULL, 0, 1);
    family.name = "empty";
    writer->family(writer, &family);
}

Test(exposition, no_unit_that_the_name_does_not_say_and_no_empty_family)
{
    series_register(collect_wrong_unit, NULL);
    const char *page = render(METRIC_OPENMETRICS);
    cr_assert(strstr(page, "# TYPE kiloseconds gauge\n"));
    cr_assert_null(strstr(page, "# UNIT"));
    cr_assert_null(strstr(page, "empty"));
}

static const double numbers[] = {0,
                                 1,
                                 -1,
                                 0.1,
                                 1.0 / 3,
                                 1e15,
                                 123456789012345,
                                 1e300,
                                 DBL_MAX,
                                 DBL_MIN,
                                 DBL_TRUE_MIN,
                                 2.5e-9,
                                 -0.3,
                                 9007199254740992,
                                 1e21,
                                 NAN,
                                 INFINITY,
                                 -INFINITY,
                                 1700000000.123456789};

static void collect_numbers(struct series_writer *writer, void *context)
{
    struct series_family family = {.name = "n", .type = SERIES_GAUGE, .help = "n"};
    writer->family(writer, &family);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        writer->number(writer, NULL, 0, numbers[i]);
}

Test(exposition, numbers_read_back_as_they_were)
{
    series_register(collect_numbers, NULL);
    const char *line = strstr(render(METRIC_PROMETHEUS), "\nn ");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        cr_assert(line);
        double back = strtod(line + 3, NULL);
        cr_expect(isnan(numbers[i]) ? isnan(back) : back == numbers[i], "%zu: %.40s", i, line);
        line = strstr(line + 1, "\nn ");
    }
    const char *page = render(METRIC_PROMETHEUS);
    static const char *const spelled[] = {"\nn 0\n",
                                          "\nn 0.1\n",
                                          "\nn 1e+21\n",
                                          "\nn NaN\n",
                                          "\nn +Inf\n",
                                          "\nn -Inf\n",
                                          "\nn 0.3333333333333333\n"};
    for (size_t i = 0; i < sizeof(spelled) / sizeof(spelled[0]); i++)
        cr_expect(strstr(page, spelled[i]), "%s", spelled[i]);
}

static void collect_many(struct series_writer *writer, void *context)
{
    struct series_family family = {.name = "many", .type = SERIES_GAUGE, .help = "m"};
    char number[16];
    struct label label = {"n", number};
    writer->family(writer, &family);
    for (int i = 0; i < 1000; i++) {
        snprintf(number, sizeof(number), "%d", i);
        writer->number(writer, &label, 1, i);
    }
}

Test(exposition, a_full_page_ends_with_a_whole_sample)
{
    series_register(collect_many, NULL);
    for (size_t max = 0; max < 1500; max++) {
        _cleanup_text_ struct text text = TEXT_INIT(max);
        metric_render(METRIC_OPENMETRICS, &text);
        const char *page = text_string(&text);
        cr_assert_leq(text.length, max);
        if (text.truncated)
            continue;
        cr_assert(text.length >= 6 && strcmp(page + text.length - 6, "# EOF\n") == 0, "%zu: %s", max, page);
        for (const char *line = page; *line; line = strchr(line, '\n') + 1) {
            int n, value, used = 0;
            bool sample = sscanf(line, "many{n=\"%d\"} %d%n", &n, &value, &used) == 2;
            cr_assert(*line == '#' || (sample && n == value && line[used] == '\n') ||
                          strncmp(line, "inferscope_", 11) == 0,
                      "%zu: %s", max, line);
        }
    }
}

static void collect_families(struct series_writer *writer, void *context)
{
    char name[32];
    struct series_family family = {.name = name, .type = SERIES_GAUGE, .help = "f"};
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "family_%d", i);
        writer->family(writer, &family);
        writer->number(writer, NULL, 0, i);
    }
}

Test(exposition, families_are_limited_and_counted)
{
    series_register(collect_families, NULL);
    const char *page = render(METRIC_PROMETHEUS);
    size_t count = 0;
    for (const char *at = page; (at = strstr(at, "# TYPE family_")); at++)
        count++;
    cr_assert(count > 500 && count <= 1024, "%zu", count);
    char expected[64];
    snprintf(expected, sizeof(expected), "left_out_total %zu\n", 5000 - count);
    cr_assert(strstr(render(METRIC_PROMETHEUS), expected));
}

Test(exposition, the_agent_describes_itself)
{
    cr_assert_eq(metric_register_self(), 0);
    const char *page = render(METRIC_PROMETHEUS);
    cr_assert(strstr(page, "\ninferscope_build_info{version=\"" INFERSCOPE_VERSION "\"} 1\n"), "%s", page);
    static const char *const names[] = {"process_cpu_seconds_total",
                                        "process_resident_memory_bytes",
                                        "process_virtual_memory_bytes",
                                        "process_start_time_seconds",
                                        "process_open_fds",
                                        "process_max_fds"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char start[64];
        snprintf(start, sizeof(start), "\n%s ", names[i]);
        const char *sample = strstr(page, start);
        cr_assert(sample, "%s", names[i]);
        cr_expect_gt(strtod(sample + strlen(start), NULL), 0, "%s", names[i]);
    }
    double began = strtod(strstr(page, "\nprocess_start_time_seconds ") + 28, NULL);
    double now = (double)time(NULL);
    cr_assert(began > now - 3600 && began < now + 2, "started at %f, now is %f", began, now);

    int fds[2];
    double before = strtod(strstr(page, "\nprocess_open_fds ") + 18, NULL);
    cr_assert_eq(pipe(fds), 0);
    double after = strtod(strstr(render(METRIC_PROMETHEUS), "\nprocess_open_fds ") + 18, NULL);
    cr_assert_float_eq(after, before + 2, 0.1);
}

static void collect_gauge(struct series_writer *writer, void *context)
{
    struct series_family family = {.name = "temperature_celsius", .type = SERIES_GAUGE, .help = "Warmth."};
    struct label label = {"where", "x\xfe\"\\\n\r\x01"};
    writer->family(writer, &family);
    writer->number(writer, &label, 1, NAN);
}

Test(exposition, promtool_has_no_complaints)
{
    if (system("command -v promtool >/dev/null") != 0)
        cr_skip_test("promtool is not installed");
    series_register(collect_latency, NULL);
    series_register(collect_jobs, NULL);
    series_register(collect_gauge, NULL);
    cr_assert_eq(metric_register_self(), 0);
    const char *page = render(METRIC_PROMETHEUS);

    FILE *promtool = popen("promtool check metrics 2>&1", "w");
    cr_assert(promtool);
    fputs(page, promtool);
    int status = pclose(promtool);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "promtool check metrics says %d about:\n%s",
              status, page);
}

Test(negotiate, by_accept_header)
{
    static const struct {
        const char *accept;
        enum metric_format format;
    } cases[] = {
        {NULL, METRIC_PROMETHEUS},
        {"", METRIC_PROMETHEUS},
        {"*/*", METRIC_PROMETHEUS},
        {"text/html,application/xhtml+xml,*/*;q=0.8", METRIC_PROMETHEUS},
        {"text/plain", METRIC_PROMETHEUS},
        {"application/openmetrics-text", METRIC_OPENMETRICS},
        {"Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8", METRIC_OPENMETRICS},
        {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
         "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         METRIC_OPENMETRICS},
        {"application/openmetrics-text; version=0.0.1", METRIC_PROMETHEUS},
        {"application/openmetrics-text;version=2.0.0,text/plain;q=0.1", METRIC_PROMETHEUS},
        {"application/openmetrics-text;q=0.3 , text/plain;q=0.7", METRIC_PROMETHEUS},
        {"application/openmetrics-text ; q=0.7,text/plain;q=0.699", METRIC_OPENMETRICS},
        {"application/openmetrics-text;q=0.5,*/*;q=0.9", METRIC_PROMETHEUS},
        {"application/openmetrics-text;q=0.5,text/plain;q=0.1,*/*", METRIC_OPENMETRICS},
        {"application/openmetrics-text;q=0", METRIC_PROMETHEUS},
        {"application/openmetrics-text;q=2", METRIC_PROMETHEUS},
        {"application/openmetrics-text;q=", METRIC_PROMETHEUS},
        {"application/openmetrics-text;q=1.001", METRIC_PROMETHEUS},
        {"application/openmetrics-texts", METRIC_PROMETHEUS},
        {",;=,;;q=1,=", METRIC_PROMETHEUS},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(metric_negotiate(cases[i].accept), cases[i].format, "case %zu", i);
    cr_assert_str_eq(metric_content_type(METRIC_PROMETHEUS), "text/plain; version=0.0.4; charset=utf-8");
    cr_assert_str_eq(metric_content_type(METRIC_OPENMETRICS),
                     "application/openmetrics-text; version=1.0.0; charset=utf-8");
}
