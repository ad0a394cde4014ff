#include "base/clock.h"
#include "base/series.h"
#include "spool_private.h"

static const struct spool *shown; // NULL: none is open
static bool registered;

static const char *const reasons[DROPPED_REASONS] = {
    [DROPPED_SIZE] = "size",           [DROPPED_REFUSED] = "refused", [DROPPED_AGE] = "age",
    [DROPPED_DISK_FULL] = "disk_full", [DROPPED_ERROR] = "error",     [DROPPED_TOO_LARGE] = "too_large",
};

static uint64_t records_of(const struct shelf *shelf)
{
    return shelf->count ? shelf->next_ordinal - shelf->segments[0].first : 0;
}

static void collect_records(struct series_writer *writer)
{
    static const struct series_family bytes = {.name = "inferscope_spool_bytes",
                                               .type = SERIES_GAUGE,
                                               .unit = "bytes",
                                               .help = "Size of the spool on the disk"};
    static const struct series_family limit = {
        .name = "inferscope_spool_limit_bytes",
        .type = SERIES_GAUGE,
        .unit = "bytes",
        .help = "Size that the spool may have: spool.size of the configuration"};
    static const struct series_family records = {
        .name = "inferscope_spool_records",
        .type = SERIES_GAUGE,
        .help = "Records in the spool, delivered ones included whose segment is still there, by class of "
                "priority",
    };
    static const struct series_family age = {.name = "inferscope_spool_oldest_age_seconds",
                                             .type = SERIES_GAUGE,
                                             .unit = "seconds",
                                             .help = "Age of the oldest record in the spool"};
    uint64_t oldest_ns = UINT64_MAX;
    writer->family(writer, &bytes);
    writer->number(writer, NULL, 0, (double)shown->bytes);
    writer->family(writer, &limit);
    writer->number(writer, NULL, 0, (double)shown->options.size);
    writer->family(writer, &records);
    for (enum spool_class class = 0; class < SPOOL_CLASSES; class ++) {
        const struct shelf *shelf = &shown->shelves[class];
        struct label label = {"class", spool_class_name(class)};
        writer->number(writer, &label, 1, (double)records_of(shelf));
        if (records_of(shelf) && shelf->segments[0].oldest_ns < oldest_ns)
            oldest_ns = shelf->segments[0].oldest_ns;
    }
    double seconds = (double)clock_ns(CLOCK_REALTIME) / 1e9 - (double)oldest_ns / 1e9;
    writer->family(writer, &age);
    writer->number(writer, NULL, 0, seconds > 0 ? seconds : 0);
}

struct waiting {
    struct series_writer *writer;
    size_t outputs;
};

// By what is written down, which is there and true also while nobody delivers.
static void collect_waiting_of(const char *name, const struct spool_cursor *cursor, void *context)
{
    struct waiting *waiting = context;
    if (!cursor || waiting->outputs++ >= CONFIG_OUTPUTS_MAX)
        return;
    uint64_t records = 0;
    for (enum spool_class class = 0; class < SPOOL_CLASSES; class ++) {
        const struct shelf *shelf = &shown->shelves[class];
        uint64_t from = cursor->position.places[class].ordinal;
        if (shelf->count && from < shelf->segments[0].first)
            from = shelf->segments[0].first;
        records += from < shelf->next_ordinal ? shelf->next_ordinal - from : 0;
    }
    struct label label = {"output", name};
    waiting->writer->number(waiting->writer, &label, 1, (double)records);
}

static void collect_waiting(struct series_writer *writer)
{
    static const struct series_family family = {
        .name = "inferscope_output_waiting_records",
        .type = SERIES_GAUGE,
        .help = "Records in the spool that this output has not delivered yet",
    };
    struct waiting waiting = {.writer = writer};
    writer->family(writer, &family);
    spool_cursor_each(shown->directory_fd, collect_waiting_of, &waiting);
}

static void collect(struct series_writer *writer, void *context)
{
    static const struct series_family dropped = {
        .name = "inferscope_spool_dropped_total",
        .type = SERIES_COUNTER,
        .help = "Records that did not get into the spool, or left it before every output had read them",
    };
    static const struct series_family damaged = {
        .name = "inferscope_spool_damaged_total",
        .type = SERIES_COUNTER,
        .help = "Places in the spool that were damaged when it was opened; reason=\"torn\": at its end, as a "
                "power loss leaves it; \"unreadable\": the disk does not give it back",
    };
    static const struct series_family sync = {.name = "inferscope_spool_sync_errors_total",
                                              .type = SERIES_COUNTER,
                                              .help = "Times the spool could not be brought to the disk"};
    if (!shown)
        return;
    collect_records(writer);
    collect_waiting(writer);
    writer->family(writer, &dropped);
    for (size_t reason = 0; reason < DROPPED_REASONS; reason++)
        for (enum spool_class class = 0; class < SPOOL_CLASSES; class ++) {
            struct label labels[] = {{"class", spool_class_name(class)}, {"reason", reasons[reason]}};
            writer->number(writer, labels, 2, (double)shown->dropped[reason][class]);
        }
    writer->family(writer, &damaged);
    for (enum spool_class class = 0; class < SPOOL_CLASSES; class ++) {
        struct label labels[] = {{"class", spool_class_name(class)}, {"reason", "checksum"}};
        writer->number(writer, labels, 2, (double)shown->damaged[class]);
        labels[1].value = "torn";
        writer->number(writer, labels, 2, (double)shown->torn[class]);
        labels[1].value = "unreadable";
        writer->number(writer, labels, 2, (double)shown->unreadable[class]);
    }
    writer->family(writer, &sync);
    writer->number(writer, NULL, 0, (double)shown->sync_errors);
}

int spool_metrics_start(const struct spool *spool)
{
    shown = spool;
    int error = registered ? 0 : series_register(collect, NULL);
    registered = registered || !error;
    return error;
}

void spool_metrics_stop(const struct spool *spool)
{
    if (shown == spool)
        shown = NULL;
}
