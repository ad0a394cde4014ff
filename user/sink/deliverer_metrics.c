// What the deliverer says of its outputs, for a scrape. It is another process: nothing that it writes is
// trusted to be more than numbers; the outputs' names are the agent's own.
#include "base/series.h"
#include "deliverer_private.h"

#include <stddef.h>
#include <string.h>

static const struct deliverer *shown; // NULL: there is none
static bool registered;

struct output_family {
    struct series_family family;
    size_t offset;
};

#define OUTPUT_FAMILY(member, metric, kind, text)                          \
    {                                                                      \
        {.name = "inferscope_output_" metric, .type = kind, .help = text}, \
            offsetof(struct delivery_output, member)                       \
    }

static const struct output_family families[] = {
    OUTPUT_FAMILY(delivered, "delivered_total", SERIES_COUNTER, "Records that the receiver has taken"),
    OUTPUT_FAMILY(rejected, "rejected_total", SERIES_COUNTER,
                  "Records that the receiver has refused for good, or that cannot be sent to it"),
    OUTPUT_FAMILY(retried, "retried_total", SERIES_COUNTER, "Records that were to be sent once more"),
    OUTPUT_FAMILY(filtered, "filtered_total", SERIES_COUNTER,
                  "Alerts that this output does not want by its priority, rules and tags"),
    OUTPUT_FAMILY(cut, "cut_total", SERIES_COUNTER,
                  "Messages that were too long for a datagram and lost their end"),
    OUTPUT_FAMILY(
        dropped, "dropped_total", SERIES_COUNTER,
        "Records that had gone from the spool, or were damaged, before this output could have them, "
        "since the deliverer was started"),
    OUTPUT_FAMILY(last_success_time, "last_success_timestamp_seconds", SERIES_GAUGE,
                  "When the receiver last took something, since the Unix epoch; 0: not yet"),
    OUTPUT_FAMILY(up, "up", SERIES_GAUGE, "Whether the last request to the receiver went well"),
};

static void collect_family(struct series_writer *writer, const struct output_family *described)
{
    writer->family(writer, &described->family);
    for (size_t i = 0; i < CONFIG_OUTPUTS_MAX; i++) {
        const struct delivery_output *output = &shown->stats->outputs[i];
        const char *name = shown->names.at[i];
        if (!name[0])
            continue;
        const uint64_t *number = (const uint64_t *)((const char *)output + described->offset);
        struct label label = {"output", name};
        writer->number(writer, &label, 1, (double)__atomic_load_n(number, __ATOMIC_RELAXED));
    }
}

static void collect(struct series_writer *writer, void *context)
{
    static const struct series_family up = {.name = "inferscope_deliverer_up",
                                            .type = SERIES_GAUGE,
                                            .help = "Whether the process that delivers alerts runs"};
    static const struct series_family restarts = {
        .name = "inferscope_deliverer_restarts_total",
        .type = SERIES_COUNTER,
        .help = "Times the process that delivers alerts was started again",
    };
    if (!shown)
        return;
    writer->family(writer, &up);
    writer->number(writer, NULL, 0, shown->pid > 0);
    writer->family(writer, &restarts);
    writer->number(writer, NULL, 0, (double)shown->restarts);
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        collect_family(writer, &families[i]);
}

int deliverer_export(const struct deliverer *deliverer)
{
    shown = deliverer;
    int error = registered ? 0 : series_register(collect, NULL);
    registered = registered || !error;
    return error;
}

void deliverer_unexport(const struct deliverer *deliverer)
{
    if (shown == deliverer)
        shown = NULL;
}
