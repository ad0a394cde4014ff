#include "base/series.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

// Writes down what it is told, one line a call.
struct recorder {
    struct series_writer writer;
    char log[4096];
};

static void record(struct recorder *recorder, const char *line)
{
    cr_assert_lt(strlen(recorder->log) + strlen(line), sizeof(recorder->log));
    strcat(recorder->log, line);
}

static void record_family(struct series_writer *writer, const struct series_family *family)
{
    char line[256];
    snprintf(line, sizeof(line), "family %s %d\n", family->name, family->type);
    record((struct recorder *)writer, line);
}

static void record_number(struct series_writer *writer, const struct label *labels, size_t count,
                          double value)
{
    char line[256];
    snprintf(line, sizeof(line), "%s=%s %g\n", count ? labels[0].name : "", count ? labels[0].value : "",
             value);
    record((struct recorder *)writer, line);
}

static void record_histogram(struct series_writer *writer, const struct label *labels, size_t count,
                             const struct series_histogram *histogram)
{
    record((struct recorder *)writer, "histogram\n");
}

static struct recorder recorder = {.writer = {record_family, record_number, record_histogram}};

Test(series, counters_of_one_name_are_one_family)
{
    static struct counter zebra = {.name = "zebra_total", .help = "z", .value = 3};
    static struct counter cut = {
        .name = "lost_total", .help = "l", .label = "why", .label_value = "cut", .value = 1};
    static struct counter full = {
        .name = "lost_total", .help = "l", .label = "why", .label_value = "full", .value = 2};
    counter_register(&cut);
    counter_register(&zebra);
    counter_register(&full);
    series_collect(&recorder.writer);
    cr_assert_str_eq(recorder.log, "family lost_total 0\nwhy=cut 1\nwhy=full 2\nfamily zebra_total 0\n= 3\n");
}

Test(series, registering_a_counter_again_changes_nothing)
{
    static struct counter first = {.name = "same_total", .help = "s", .label = "n", .label_value = "1"};
    static struct counter second = {.name = "same_total", .help = "s", .label = "n", .label_value = "2"};
    for (int i = 0; i < 3; i++) {
        counter_register(&first);
        counter_register(&second);
    }
    series_collect(&recorder.writer);
    cr_assert_str_eq(recorder.log, "family same_total 0\nn=1 0\nn=2 0\n");
}

static void collect_gauge(struct series_writer *writer, void *context)
{
    struct series_family family = {.name = context, .type = SERIES_GAUGE, .help = "g"};
    writer->family(writer, &family);
    writer->number(writer, NULL, 0, 0.5);
}

Test(series, collectors_run_in_order_and_are_limited)
{
    char one[] = "one", two[] = "two";
    cr_assert_eq(series_register(collect_gauge, two), 0);
    cr_assert_eq(series_register(collect_gauge, one), 0);
    series_collect(&recorder.writer);
    cr_assert_str_eq(recorder.log, "family two 1\n= 0.5\nfamily one 1\n= 0.5\n");

    int error = 0;
    for (int i = 0; i < 1000 && !error; i++)
        error = series_register(collect_gauge, one);
    cr_assert_eq(error, -ENOSPC);
}
