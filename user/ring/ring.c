#include "ring.h"

#include "base/cleanup.h"
#include "base/series.h"
#include "source.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

struct ring {
    int map_fd;
    int lost_fd;
    struct ring_buffer *buffer;
    ring_record_fn on_record;
    void *context;
    size_t size;
    size_t left; // of the batch under way
};

static const char *const lost_reasons[WIRE_LOST_COUNT] = {
    [WIRE_LOST_RING_FULL] = "ring_full",
    [WIRE_LOST_SCRATCH_BUSY] = "scratch_busy",
    [WIRE_LOST_STATE_FULL] = "state_full",
    [WIRE_LOST_OBJECT_GONE] = "object_gone",
};

static int on_sample(void *context, void *data, size_t size)
{
    struct ring *ring = context;
    ring->on_record(data, size, ring->context);
    // libbpf has taken the record by now; a negative value only ends its loop.
    return --ring->left ? 0 : -EAGAIN;
}

const char *ring_lost_reason(enum wire_lost reason)
{
    return lost_reasons[reason];
}

uint64_t ring_lost(const struct ring *ring, size_t source, enum wire_lost reason)
{
    int cpus = libbpf_num_possible_cpus();
    _cleanup_free_ uint64_t *values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
    uint32_t key = (uint32_t)source * WIRE_LOST_COUNT + reason;
    uint64_t total = 0;
    if (!values || bpf_map_lookup_elem(ring->lost_fd, &key, values))
        return 0;
    for (int cpu = 0; cpu < cpus; cpu++)
        total += values[cpu];
    return total;
}

static void lost_collect(struct series_writer *writer, void *context)
{
    const struct ring *ring = context;
    static const struct series_family family = {
        .name = "inferscope_records_lost_total",
        .type = SERIES_COUNTER,
        .help = "Records that the kernel side had to drop, by source and reason",
    };
    writer->family(writer, &family);
    for (size_t source = 0; source < source_count(); source++) {
        for (enum wire_lost reason = 0; reason < WIRE_LOST_COUNT; reason++) {
            struct label labels[] = {{"source", source_at(source)->name}, {"reason", lost_reasons[reason]}};
            writer->number(writer, labels, ARRAY_SIZE(labels), (double)ring_lost(ring, source, reason));
        }
    }

    static const struct series_family size_family = {
        .name = "inferscope_ring_size_bytes",
        .type = SERIES_GAUGE,
        .unit = "bytes",
        .help = "Room in the ring between the kernel and the agent",
    };
    writer->family(writer, &size_family);
    writer->number(writer, NULL, 0, (double)ring->size);
}

static size_t ring_round_size(size_t size)
{
    size_t rounded = (size_t)sysconf(_SC_PAGESIZE);
    while (rounded < size && rounded < (size_t)1 << 30)
        rounded *= 2;
    return rounded;
}

void ring_free(struct ring **ring)
{
    struct ring *gone = *ring;
    if (!gone)
        return;
    ring_buffer__free(gone->buffer);
    if (gone->lost_fd >= 0)
        close(gone->lost_fd);
    if (gone->map_fd >= 0)
        close(gone->map_fd);
    free(gone);
    *ring = NULL;
}

int ring_new(size_t size, ring_record_fn on_record, void *context, struct ring **ret_ring)
{
    _cleanup_(ring_free) struct ring *ring = calloc(1, sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    ring->map_fd = ring->lost_fd = -1;
    ring->on_record = on_record;
    ring->context = context;
    ring->size = ring_round_size(size);

    ring->map_fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "inferscope_ring", 0, 0, (uint32_t)ring->size, NULL);
    if (ring->map_fd < 0)
        return -errno;
    ring->lost_fd = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "inferscope_lost", sizeof(uint32_t),
                                   sizeof(uint64_t), WIRE_SOURCES_MAX * WIRE_LOST_COUNT, NULL);
    if (ring->lost_fd < 0)
        return -errno;
    ring->buffer = ring_buffer__new(ring->map_fd, on_sample, ring, NULL);
    if (!ring->buffer)
        return -errno;
    int error = series_register(lost_collect, ring);
    if (error)
        return error;
    *ret_ring = TAKE_PTR(ring);
    return 0;
}

int ring_map_fd(const struct ring *ring)
{
    return ring->map_fd;
}

int ring_lost_fd(const struct ring *ring)
{
    return ring->lost_fd;
}

int ring_epoll_fd(const struct ring *ring)
{
    return ring->map_fd; // readable while it holds a record
}

int ring_drain(struct ring *ring, size_t limit)
{
    ring->left = limit;
    int count = ring_buffer__consume(ring->buffer);
    if (count == -EAGAIN)
        return (int)limit;
    return count;
}
