#include "inference_client.h"

#include "base/cleanup.h"
#include "gen_ai.h"
#include "histogram.h"
#include "served_by.h"

#include <stdio.h>
#include <string.h>
#include <uthash.h>

enum { SERIES_MAX = 300, LABELS_MAX = SERVED_BY_LABELS + 8 };

// Zero-filled.
struct key {
    char operation[24];
    char provider[24];
    char request_model[WIRE_API_MODEL_MAX + 1];
    char response_model[WIRE_API_MODEL_MAX + 1];
    char host[WIRE_API_HOST_MAX];
    char error[16];
    struct served_by called_by; // with the server's port
};

// Why nobody knows how many tokens an answer took.
enum unknown { UNKNOWN_COMPRESSED, UNKNOWN_UNREAD, UNKNOWN_NOT_TOLD, UNKNOWN_COUNT };

struct call_series {
    struct key key;
    UT_hash_handle hh;
    uint64_t seen_ns; // the latest call's end
    struct histogram duration;
    struct gen_ai_usage usage;
    uint64_t unknown[UNKNOWN_COUNT];
};

static struct call_series *table;

static struct counter folded = {
    .name = "inferscope_inference_calls_folded_total",
    .help = "Calls of model APIs counted under the model \"other\" because there were too many series",
};
static struct counter evicted = {
    .name = "inferscope_inference_calls_evicted_total",
    .help = "Series of calls of model APIs that gave their place to others after ten minutes without a call",
};
static struct counter dropped = {
    .name = "inferscope_inference_calls_uncounted_total",
    .help = "Calls of model APIs that no series could be made for",
};
static struct counter strange = {
    .name = "inferscope_inference_calls_unrecognised_total",
    .help =
        "Calls left out because neither their host nor a model, tokens or generated text show that a model "
        "was called: other APIs have such paths, too",
};

// --- Counting ---

static void key_fill(const struct event *event, const struct wire_api *record, struct key *ret_key)
{
    const struct wire_api_exchange *exchange = &record->exchange;
    const struct api_route *route = api_route_at(exchange->route);
    size_t host_length;
    const char *host = api_host(record, &host_length);
    char text[16];
    memset(ret_key, 0, sizeof(*ret_key));
    snprintf(ret_key->operation, sizeof(ret_key->operation), "%s",
             route && route->operation ? route->operation : "inference");
    snprintf(ret_key->provider, sizeof(ret_key->provider), "%s", api_provider_of(host, host_length));
    gen_ai_name_fill(exchange->request_model, exchange->request_model_length, ret_key->request_model);
    gen_ai_name_fill(exchange->response_model, exchange->response_model_length, ret_key->response_model);
    memcpy(ret_key->host, host, host_length);
    snprintf(ret_key->error, sizeof(ret_key->error), "%s", api_error_type(record, text));
    // A host without a port has that of HTTPS.
    uint16_t port = api_host_port(record) || !host_length ? api_host_port(record) : 443;
    served_by_event(event, port, &ret_key->called_by);
    if (!port)
        ret_key->called_by.port[0] = '\0';
}

static struct call_series *series_add(const struct key *key)
{
    struct call_series *series = calloc(1, sizeof(*series));
    if (!series)
        return NULL;
    series->key = *key;
    HASH_ADD(hh, table, key, sizeof(series->key), series);
    return series;
}

static void series_free(struct call_series *series)
{
    HASH_DEL(table, series);
    free(series);
}

// Makes room for one more where none was added to for long. The one that takes the rest has no operation.
static bool series_evict(uint64_t now_ns)
{
    struct call_series *oldest = NULL;
    for (struct call_series *series = table; series; series = series->hh.next)
        if (series->key.operation[0] && (!oldest || series->seen_ns < oldest->seen_ns))
            oldest = series;
    if (!oldest || oldest->seen_ns + GEN_AI_IDLE_NS > now_ns)
        return false;
    series_free(oldest);
    evicted.value++;
    return true;
}

static struct call_series *series_of(struct key *key, uint64_t now_ns)
{
    struct call_series *series;
    HASH_FIND(hh, table, key, sizeof(*key), series);
    if (series)
        return series;
    if (HASH_COUNT(table) < SERIES_MAX || series_evict(now_ns))
        return series_add(key);
    // A program chooses what it calls a model or a host.
    folded.value++;
    memset(key, 0, sizeof(*key));
    strcpy(key->request_model, "other");
    strcpy(key->response_model, "other");
    HASH_FIND(hh, table, key, sizeof(*key), series);
    return series ? series : series_add(key);
}

// A path alone is no proof, and mails are sent to a /v1/messages, too.
static bool is_model_call(const struct key *key, const struct wire_api *record)
{
    const struct wire_api_exchange *exchange = &record->exchange;
    return strcmp(key->provider, API_PROVIDER_OTHER) != 0 || key->request_model[0] ||
           key->response_model[0] || exchange->flags & (WIRE_API_HAS_INPUT | WIRE_API_HAS_OUTPUT) ||
           exchange->content_events;
}

static void count_success(struct call_series *series, const struct wire_api *record)
{
    const struct wire_api_exchange *exchange = &record->exchange;
    gen_ai_usage_add(&series->usage, record, exchange->first_event_ns);
    if (exchange->flags & (WIRE_API_HAS_INPUT | WIRE_API_HAS_OUTPUT))
        return;
    series->unknown[exchange->flags & WIRE_API_PACKED          ? UNKNOWN_COMPRESSED
                    : exchange->flags & WIRE_API_MIDDLE_UNSEEN ? UNKNOWN_UNREAD
                                                               : UNKNOWN_NOT_TOLD]++;
}

void inference_client_event(const struct event *event, const struct wire_api *record)
{
    struct key key;
    key_fill(event, record, &key);
    if (!is_model_call(&key, record)) {
        strange.value++;
        return;
    }
    struct call_series *series = series_of(&key, record->header.time_ns);
    if (!series) {
        dropped.value++;
        return;
    }
    series->seen_ns = record->header.time_ns;
    histogram_add(&series->duration, gen_ai_duration_bounds, GEN_AI_DURATION_BOUNDS,
                  gen_ai_seconds(record->exchange.start_ns, record->exchange.end_ns));
    // One that stands for many has calls of both kinds.
    char text[16];
    if (!api_error_type(record, text)[0])
        count_success(series, record);
}

// --- Showing ---

#define CALL_LABELS                                                                                         \
    SERVED_BY_LABEL_NAMES                                                                                   \
    " server_address gen_ai_operation_name gen_ai_provider_name gen_ai_request_model gen_ai_response_model" \
    " error_type"

static size_t labels_of(const struct call_series *series, struct label *labels)
{
    const struct key *key = &series->key;
    size_t count = served_by_labels(&key->called_by, labels);
    count = label_append(labels, count, "server_address", key->host);
    count = label_append(labels, count, "gen_ai_operation_name", key->operation);
    count = label_append(labels, count, "gen_ai_provider_name", key->provider);
    count = label_append(labels, count, "gen_ai_request_model", key->request_model);
    count = label_append(labels, count, "gen_ai_response_model", key->response_model);
    return label_append(labels, count, "error_type", key->error);
}

static void collect_durations(struct series_writer *writer)
{
    static const struct series_family duration = {
        .name = "gen_ai_client_operation_duration_seconds",
        .labels = CALL_LABELS,
        .type = SERIES_HISTOGRAM,
        .unit = "seconds",
        .help = "From the first byte that a process wrote of a call of a model API to the last that it read"};
    static const struct series_family first = {
        .name = "gen_ai_client_operation_time_to_first_chunk_seconds",
        .labels = CALL_LABELS,
        .type = SERIES_HISTOGRAM,
        .unit = "seconds",
        .help =
            "From the first byte of such a call to the first event of the answer's stream; successes only"};
    struct label labels[LABELS_MAX];
    writer->family(writer, &duration);
    for (const struct call_series *series = table; series; series = series->hh.next)
        histogram_write(&series->duration, gen_ai_duration_bounds, GEN_AI_DURATION_BOUNDS, writer, labels,
                        labels_of(series, labels));
    writer->family(writer, &first);
    for (const struct call_series *series = table; series; series = series->hh.next)
        gen_ai_first_write(&series->usage, writer, labels, labels_of(series, labels));
}

static void collect_tokens(struct series_writer *writer)
{
    static const struct series_family usage = {
        .name = "gen_ai_client_token_usage",
        .labels = CALL_LABELS " gen_ai_token_type token_source",
        .type = SERIES_HISTOGRAM,
        .help = "Tokens of a call; successes only. token_source is \"usage\" where the API said how many, "
                "\"events\" where the events of its stream that have text were counted"};
    struct label labels[LABELS_MAX];
    writer->family(writer, &usage);
    for (const struct call_series *series = table; series; series = series->hh.next)
        gen_ai_usage_write(&series->usage, writer, labels, labels_of(series, labels));
}

static void collect_unknown(struct series_writer *writer)
{
    static const struct series_family family = {
        .name = "inferscope_inference_calls_usage_unknown_total",
        .labels = CALL_LABELS " reason",
        .type = SERIES_COUNTER,
        .help =
            "Successful calls of which nobody knows how many tokens they took: the answer was compressed, "
            "some of it could not be read, or it did not tell"};
    static const char *const reasons[UNKNOWN_COUNT] = {"compressed", "unread", "not_told"};
    struct label labels[LABELS_MAX];
    writer->family(writer, &family);
    for (const struct call_series *series = table; series; series = series->hh.next) {
        size_t count = labels_of(series, labels);
        for (size_t i = 0; i < UNKNOWN_COUNT; i++)
            if (series->unknown[i])
                writer->number(writer, labels, label_append(labels, count, "reason", reasons[i]),
                               (double)series->unknown[i]);
    }
}

void inference_client_collect(struct series_writer *writer)
{
    collect_durations(writer);
    collect_tokens(writer);
    collect_unknown(writer);
}

void inference_client_start(void)
{
    counter_register(&folded);
    counter_register(&evicted);
    counter_register(&dropped);
    counter_register(&strange);
}

void inference_client_stop(void)
{
    struct call_series *series, *next;
    HASH_ITER (hh, table, series, next)
        series_free(series);
}
