#include "base/cleanup.h"
#include "families.h"
#include "metric.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_SIZE = 32 };

struct exposition {
    struct families families; // first
    enum metric_format format;
};

static struct counter left_out = {
    .name = "inferscope_metric_samples_left_out_total",
    .help = "Samples that were not exported because the page was full or their family was declared twice",
};

// Bytes that are not UTF-8 become U+FFFD: one such label would make Prometheus refuse the whole page.
static void add_escaped(struct text *text, const char *string, bool escape_quotes)
{
    size_t length = strlen(string);
    for (size_t i = 0; i < length;) {
        size_t sequence = text_utf8_length(string + i, length - i);
        if (sequence == 0)
            text_add(text, "\xef\xbf\xbd");
        else if (string[i] == '\\')
            text_add(text, "\\\\");
        else if (string[i] == '\n')
            text_add(text, "\\n");
        else if (string[i] == '"' && escape_quotes)
            text_add(text, "\\\"");
        else
            text_add_bytes(text, string + i, sequence);
        i += sequence ? sequence : 1;
    }
}

// The shortest digits that read back as the same number.
static void format_number(double value, char *ret_digits)
{
    if (isnan(value)) {
        strcpy(ret_digits, "NaN");
        return;
    }
    if (isinf(value)) {
        strcpy(ret_digits, value > 0 ? "+Inf" : "-Inf");
        return;
    }
    if (fabs(value) < 1e15 && value == (double)(long long)value) {
        snprintf(ret_digits, NUMBER_SIZE, "%lld", (long long)value);
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(ret_digits, NUMBER_SIZE, "%.*g", precision, value);
        if (strtod(ret_digits, NULL) == value)
            return;
    }
}

// A bucket's bound is a label: its spelling is part of the series' name, so it is OpenMetrics' canonical one
// (1.0, not 1) in both formats, and a change of format does not change the series.
static void format_bound(double value, char *ret_digits)
{
    format_number(value, ret_digits);
    if (isfinite(value) && !strpbrk(ret_digits, ".e"))
        strcat(ret_digits, ".0");
}

// Of the name, without a counter's _total.
static size_t base_length(const struct family *family)
{
    size_t length = strlen(family->name);
    size_t suffix = strlen("_total");
    bool ends = length > suffix && strcmp(family->name + length - suffix, "_total") == 0;
    return family->type == SERIES_COUNTER && ends ? length - suffix : length;
}

// OpenMetrics allows a unit only where the name says it too.
static bool name_has_unit(const char *name, size_t length, const char *unit)
{
    size_t unit_length = strlen(unit);
    return length > unit_length + 1 && name[length - unit_length - 1] == '_' &&
           memcmp(name + length - unit_length, unit, unit_length) == 0;
}

static void add_header(const struct families *families, struct family *family,
                       const struct series_family *declared)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    bool openmetrics = ((const struct exposition *)families)->format == METRIC_OPENMETRICS;
    const char *name = family->name;
    // Prometheus text names a counter's family with its _total, OpenMetrics without.
    const char *suffix = family->type == SERIES_COUNTER && !openmetrics ? "_total" : "";
    int length = (int)base_length(family);

    text_addf(&family->body, "# TYPE %.*s%s %s\n", length, name, suffix, types[family->type]);
    if (openmetrics && declared->unit && name_has_unit(name, (size_t)length, declared->unit))
        text_addf(&family->body, "# UNIT %.*s %s\n", length, name, declared->unit);
    text_addf(&family->body, "# HELP %.*s%s ", length, name, suffix);
    add_escaped(&family->body, declared->help, openmetrics);
    text_add_char(&family->body, '\n');
}

static void add_sample(struct family *family, const char *suffix, const struct label *labels, size_t count,
                       const char *bound, double value)
{
    struct text *text = &family->body;
    text_add_bytes(text, family->name, base_length(family));
    text_add(text, suffix);
    char separator = '{';
    for (size_t i = 0; i < count; i++) {
        text_add_char(text, separator);
        text_add(text, labels[i].name);
        text_add(text, "=\"");
        add_escaped(text, labels[i].value, true);
        text_add_char(text, '"');
        separator = ',';
    }
    if (bound)
        text_addf(text, "%cle=\"%s\"", separator, bound);
    if (bound || count)
        text_add_char(text, '}');

    char digits[NUMBER_SIZE];
    format_number(value, digits);
    text_add_char(text, ' ');
    text_add(text, digits);
    text_add_char(text, '\n');
}

static void write_number(struct series_writer *writer, const struct label *labels, size_t count, double value)
{
    struct families *families = (struct families *)writer;
    if (!families_begin(families, false))
        return;
    struct family *family = families->current;
    add_sample(family, family->type == SERIES_COUNTER ? "_total" : "", labels, count, NULL, value);
    families_end(families);
}

static void write_histogram(struct series_writer *writer, const struct label *labels, size_t count,
                            const struct series_histogram *histogram)
{
    struct families *families = (struct families *)writer;
    if (!families_begin(families, true))
        return;
    struct family *family = families->current;
    uint64_t total = 0;
    for (size_t i = 0; i <= histogram->buckets; i++) {
        char bound[NUMBER_SIZE + 2];
        format_bound(i < histogram->buckets ? histogram->bounds[i] : INFINITY, bound);
        total += histogram->counts[i];
        add_sample(family, "_bucket", labels, count, bound, (double)total);
    }
    add_sample(family, "_sum", labels, count, NULL, histogram->sum);
    add_sample(family, "_count", labels, count, NULL, (double)total);
    families_end(families);
}

static int compare_families(const void *left, const void *right)
{
    const struct family *const *a = left, *const *b = right;
    return strcmp((*a)->name, (*b)->name);
}

void metric_render(enum metric_format format, struct text *text)
{
    static const char end[] = "# EOF\n";
    counter_register(&left_out);
    size_t room = text->max > text->length ? text->max - text->length : 0;
    if (room < sizeof(end)) {
        text->truncated = true;
        return;
    }
    _cleanup_free_ struct exposition *exposition = calloc(1, sizeof(*exposition));
    if (!exposition) {
        text->truncated = true;
        return;
    }
    struct families *families = &exposition->families;
    *families = (struct families){.writer = {families_open, write_number, write_histogram},
                                  .room = room - sizeof(end),
                                  .left_out = &left_out,
                                  .head = add_header};
    exposition->format = format;

    series_collect(&families->writer);
    qsort(families->at, families->count, sizeof(families->at[0]), compare_families);
    for (size_t i = 0; i < families->count; i++)
        if (families->at[i]->any)
            text_add_bytes(text, families->at[i]->body.data, families->at[i]->body.length);
    families_free(families);
    if (format == METRIC_OPENMETRICS)
        text_add(text, end);
}
