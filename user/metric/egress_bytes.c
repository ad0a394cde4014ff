#include "egress_bytes.h"

#include "base/series.h"
#include "egress.h"
#include "owners.h"
#include "served_by.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { NAME_SIZE = 254, LABELS_MAX = SERVED_BY_LABELS + 2 };

// Zero-filled.
struct key {
    struct served_by who;
    char name[NAME_SIZE];   // "" where the destination has none
    const char *peer_class; // static
};

// During a scrape, of which egress.h bounds the number: the destinations with the same labels together.
struct destination_series {
    struct key key;
    UT_hash_handle hh;
    uint64_t bytes, connections;
};

static struct destination_series *table;

static struct destination_series *series_of(const struct key *key)
{
    struct destination_series *series;
    HASH_FIND(hh, table, key, sizeof(*key), series);
    if (series)
        return series;
    series = calloc(1, sizeof(*series));
    if (!series)
        return NULL;
    series->key = *key;
    HASH_ADD(hh, table, key, sizeof(series->key), series);
    return series;
}

static void add(const struct egress_total *total, void *context)
{
    const struct served_by *who = owner_of(total->cgroup_id, total->pid, false);
    struct key key;
    if (!who)
        return;
    memset(&key, 0, sizeof(key));
    key.who = *who;
    key.peer_class = total->peer_class;
    if (total->name)
        snprintf(key.name, sizeof(key.name), "%s", total->name);
    struct destination_series *series = series_of(&key);
    if (!series)
        return;
    series->bytes += total->bytes;
    series->connections += total->connections;
}

static void learn_owner(const struct egress_total *total, void *context)
{
    owner_of(total->cgroup_id, total->pid, true);
}

void egress_bytes_tick(void)
{
    egress_visit(learn_owner, NULL);
}

static void collect(struct series_writer *writer, void *context)
{
    static const struct series_family families[] = {
        {.name = "inferscope_egress_bytes_total",
         .type = SERIES_COUNTER,
         .unit = "bytes",
         .help = "Bytes that left the node, without headers; server_address is the name by which the "
                 "destination was "
                 "asked for, where that is known",
         .labels = SERVED_BY_LABEL_NAMES " server_address peer_class"},
        {.name = "inferscope_egress_connections_total",
         .type = SERIES_COUNTER,
         .help = "TCP connections asked for, and UDP sockets used, to other machines",
         .labels = SERVED_BY_LABEL_NAMES " server_address peer_class"}};
    struct label labels[LABELS_MAX];
    egress_visit(add, NULL);
    for (size_t i = 0; i < 2; i++) {
        writer->family(writer, &families[i]);
        for (const struct destination_series *series = table; series; series = series->hh.next) {
            size_t count = served_by_labels(&series->key.who, labels);
            count = label_append(labels, count, "server_address", series->key.name);
            count = label_append(labels, count, "peer_class", series->key.peer_class);
            writer->number(writer, labels, count, (double)(i == 0 ? series->bytes : series->connections));
        }
    }
    struct destination_series *series, *next;
    HASH_ITER (hh, table, series, next) {
        HASH_DEL(table, series);
        free(series);
    }
}

int egress_bytes_start(void)
{
    return series_register(collect, NULL);
}
