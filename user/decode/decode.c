#include "decode.h"

#include "base/series.h"
#include "source.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static struct counter malformed = {
    .name = "inferscope_records_malformed_total",
    .help = "Records from the kernel that did not hold together and were dropped",
};

static int64_t boot_to_epoch_ns;
static uint64_t events_seen;

void decode_set_distance(int64_t distance_ns)
{
    boot_to_epoch_ns = distance_ns;
    counter_register(&malformed);
}

int64_t decode_set_clock(void)
{
    struct timespec boot, wall;
    clock_gettime(CLOCK_BOOTTIME, &boot);
    clock_gettime(CLOCK_REALTIME, &wall);
    decode_set_distance((wall.tv_sec - boot.tv_sec) * INT64_C(1000000000) +
                        ((int64_t)wall.tv_nsec - (int64_t)boot.tv_nsec));
    return boot_to_epoch_ns;
}

int decode_record(const struct wire_header *record, size_t size, struct scratch *scratch,
                  struct event *ret_event)
{
    const struct source *source = NULL;
    if (size >= sizeof(*record) && record->size <= size && record->size >= sizeof(*record))
        source = source_at(record->source);
    size_t types = source ? source_record_types(source) : 0;
    if (!source || record->type >= types || record->size < source->record_size(record->type) ||
        (source->record_valid && !source->record_valid(record))) {
        malformed.value++;
        return -EPROTO;
    }

    if (source->learn) {
        source->learn(record);
        return -ENOMSG;
    }
    scratch->used = 0;
    *ret_event = (struct event){
        .type = &source->types[record->type],
        .wire = record,
        .num = ++events_seen,
        .time_ns = record->time_ns + (uint64_t)boot_to_epoch_ns,
        .scratch = scratch,
        .names = source->record_names ? source->record_names(record) : 1,
        .adds_only = source->record_adds_only && source->record_adds_only(record),
    };
    return 0;
}
