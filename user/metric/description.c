// What metrics there are, from a real collection of all that is registered.
#include "base/cleanup.h"
#include "base/series.h"
#include "base/text.h"
#include "metric.h"

#include <stdlib.h>
#include <string.h>

enum { FAMILIES_MAX = 1024, LABELS_MAX = 512 };

struct described {
    const char *name;
    const char *help;
    enum series_type type;
    char labels[LABELS_MAX]; // separated by blanks, in the order in which they were first seen
};

struct describing {
    struct series_writer writer; // first
    struct described *families;
    size_t count;
    struct described *current;
};

static void add_label(struct described *family, const char *name, size_t length)
{
    char *labels = family->labels;
    size_t used = strlen(labels);
    for (const char *at = labels; *at; at += strcspn(at, " ")) {
        at += *at == ' ';
        if (strcspn(at, " ") == length && strncmp(at, name, length) == 0)
            return;
    }
    if (length && used + length + 2 < LABELS_MAX)
        snprintf(labels + used, LABELS_MAX - used, "%s%.*s", used ? " " : "", (int)length, name);
}

static void on_family(struct series_writer *writer, const struct series_family *family)
{
    struct describing *describing = (struct describing *)writer;
    struct described *found = NULL;
    for (size_t i = 0; i < describing->count && !found; i++)
        if (strcmp(describing->families[i].name, family->name) == 0)
            found = &describing->families[i];
    if (!found && describing->count < FAMILIES_MAX)
        found = &describing->families[describing->count++];
    describing->current = found;
    if (!found)
        return;
    found->name = family->name;
    found->help = family->help;
    found->type = family->type;
    for (const char *at = family->labels ? family->labels : ""; *at;) {
        size_t length = strcspn(at, " ");
        add_label(found, at, length);
        at += length + (at[length] == ' ');
    }
}

static void on_labels(struct series_writer *writer, const struct label *labels, size_t count)
{
    const struct describing *describing = (const struct describing *)writer;
    for (size_t i = 0; describing->current && i < count; i++)
        add_label(describing->current, labels[i].name, strlen(labels[i].name));
}

static void on_number(struct series_writer *writer, const struct label *labels, size_t count, double value)
{
    on_labels(writer, labels, count);
}

static void on_histogram(struct series_writer *writer, const struct label *labels, size_t count,
                         const struct series_histogram *histogram)
{
    on_labels(writer, labels, count);
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const struct described *)left)->name, ((const struct described *)right)->name);
}

void metric_describe(metric_describe_fn describe, void *context)
{
    static const char *const types[] = {
        [SERIES_COUNTER] = "counter", [SERIES_GAUGE] = "gauge", [SERIES_HISTOGRAM] = "histogram"};
    _cleanup_free_ struct described *families = calloc(FAMILIES_MAX, sizeof(*families));
    struct describing describing = {
        .writer = {.family = on_family, .number = on_number, .histogram = on_histogram},
        .families = families};
    if (!families)
        return;
    // What is rendered into no room at all registers the counters of rendering, and no more.
    struct text none _cleanup_(text_free) = {};
    metric_render(METRIC_PROMETHEUS, &none);
    metric_render_otlp(&none);
    series_collect(&describing.writer);
    qsort(families, describing.count, sizeof(*families), by_name);
    for (size_t i = 0; i < describing.count; i++)
        describe(families[i].name, types[families[i].type], families[i].labels, families[i].help, context);
}
