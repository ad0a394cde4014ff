#include "http_requests.h"

#include "base/cleanup.h"
#include "histogram.h"
#include "served_by.h"

#include <stdio.h>
#include <string.h>
#include <uthash.h>

static const double bounds[] = {.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10};

enum { SERIES_MAX = 500, LABELS_MAX = SERVED_BY_LABELS + 4 };
// What was counted last has been scraped by then.
static const uint64_t idle_after_ns = UINT64_C(600) * 1000000000;

// Zero-filled.
struct key {
    uint16_t route; // 0: one that is not in the list, all of them together
    uint8_t method;
    uint8_t class; // first digit of the status; 0: no answer
    char error[16];
    struct served_by served_by;
};

struct route_series {
    struct key key;
    UT_hash_handle hh;
    uint64_t seen_ns; // the latest request's end
    struct histogram duration;
};

static struct route_series *table;

static struct counter uncounted = {
    .name = "inferscope_http_requests_uncounted_total",
    .help = "Requests to other routes of inference servers that were left out: too many series",
};

static struct counter evicted = {
    .name = "inferscope_http_series_evicted_total",
    .help = "Series of such requests that gave their place to others after ten minutes without a request",
};

// Makes room for one more where none was added to for long.
static bool series_evict(uint64_t now_ns)
{
    struct route_series *oldest = table;
    for (struct route_series *series = table; series; series = series->hh.next)
        if (series->seen_ns < oldest->seen_ns)
            oldest = series;
    if (!oldest || oldest->seen_ns + idle_after_ns > now_ns)
        return false;
    HASH_DEL(table, oldest);
    free(oldest);
    counter_register(&evicted);
    evicted.value++;
    return true;
}

void http_requests_event(const struct event *event, const struct wire_api *record)
{
    const struct wire_api_exchange *exchange = &record->exchange;
    struct key key;
    struct route_series *series;
    memset(&key, 0, sizeof(key));
    key.route = exchange->route;
    key.method = exchange->method;
    key.class = (uint8_t)(exchange->status / 100);
    char text[16];
    const char *error = api_error_type(record, text);
    snprintf(key.error, sizeof(key.error), "%s", error);
    served_by_event(event, record->server_port, &key.served_by);
    HASH_FIND(hh, table, &key, sizeof(key), series);
    if (!series) {
        bool room = HASH_COUNT(table) < SERIES_MAX || series_evict(record->header.time_ns);
        series = room ? calloc(1, sizeof(*series)) : NULL;
        if (!series) {
            counter_register(&uncounted);
            uncounted.value++;
            return;
        }
        series->key = key;
        HASH_ADD(hh, table, key, sizeof(series->key), series);
    }
    series->seen_ns = record->header.time_ns;
    uint64_t duration = exchange->end_ns > exchange->start_ns ? exchange->end_ns - exchange->start_ns : 0;
    histogram_add(&series->duration, bounds, ARRAY_SIZE(bounds), (double)duration / 1e9);
}

void http_requests_collect(struct series_writer *writer)
{
    static const struct series_family family = {
        .name = "http_server_request_duration_seconds",
        .labels = "server_port " SERVED_BY_LABEL_NAMES
                  " http_request_method http_route http_response_status_class error_type",
        .type = SERIES_HISTOGRAM,
        .unit = "seconds",
        .help = "HTTP requests to inference servers that are not for inference"};
    writer->family(writer, &family);
    for (const struct route_series *series = table; series; series = series->hh.next) {
        const struct key *key = &series->key;
        const struct api_route *route = api_route_at(key->route);
        char class[4] = "";
        if (key->class)
            snprintf(class, sizeof(class), "%uxx", key->class % 10);
        struct label labels[LABELS_MAX];
        size_t count = served_by_labels(&key->served_by, labels);
        count = label_append(labels, count, "http_request_method", api_method_name(key->method));
        count = label_append(labels, count, "http_route", route ? route->pattern : "other");
        count = label_append(labels, count, "http_response_status_class", class);
        count = label_append(labels, count, "error_type", key->error);
        histogram_write(&series->duration, bounds, ARRAY_SIZE(bounds), writer, labels, count);
    }
}

void http_requests_stop(void)
{
    struct route_series *series, *next;
    HASH_ITER (hh, table, series, next) {
        HASH_DEL(table, series);
        free(series);
    }
}
