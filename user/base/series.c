#include "base/series.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { COLLECTORS_MAX = 64 };

static struct counter *counters;
static struct {
    series_collect_fn collect;
    void *context;
} collectors[COLLECTORS_MAX];
static size_t collectors_count;

void counter_register(struct counter *counter)
{
    // Kept sorted by name, so that a family's counters lie together.
    struct counter **link = &counters;
    for (; *link; link = &(*link)->next) {
        if (*link == counter)
            return;
        if (strcmp((*link)->name, counter->name) > 0)
            break;
    }
    for (const struct counter *other = *link; other; other = other->next)
        if (other == counter)
            return;
    counter->next = *link;
    *link = counter;
}

int series_register(series_collect_fn collect, void *context)
{
    if (collectors_count == COLLECTORS_MAX)
        return -ENOSPC;
    collectors[collectors_count].collect = collect;
    collectors[collectors_count].context = context;
    collectors_count++;
    return 0;
}

void series_collect(struct series_writer *writer)
{
    const char *family_name = NULL;
    for (const struct counter *counter = counters; counter; counter = counter->next) {
        if (!family_name || strcmp(family_name, counter->name) != 0) {
            struct series_family family = {
                .name = counter->name, .type = SERIES_COUNTER, .help = counter->help};
            writer->family(writer, &family);
            family_name = counter->name;
        }
        struct label label = {counter->label, counter->label_value};
        writer->number(writer, &label, counter->label ? 1 : 0, (double)counter->value);
    }
    for (size_t i = 0; i < collectors_count; i++)
        collectors[i].collect(writer, collectors[i].context);
}
