#include "inference.h"

#include "api.h"
#include "base/cleanup.h"
#include "gen_ai.h"
#include "histogram.h"
#include "http_requests.h"
#include "inference_client.h"
#include "process.h"
#include "served_by.h"
#include "under_way.h"

#include <stdio.h>
#include <string.h>
#include <uthash.h>

// Finer below 10 ms than OpenTelemetry's.
static const double per_token_bounds[] = {.0005, .001, .0025, .005, .01, .025, .05, .075, .1,
                                          .15,   .2,   .3,    .4,   .5,  .75,  1,   2.5};

enum { SERIES_MAX = 200, OUTCOMES_MAX = 16, LABELS_MAX = SERVED_BY_LABELS + 6 };

// Zero-filled.
struct key {
    char operation[24];
    char provider[16];
    char request_model[WIRE_API_MODEL_MAX + 1];
    char response_model[WIRE_API_MODEL_MAX + 1];
    struct served_by served_by;
};

// Requests that ended in one way.
struct outcome {
    unsigned status; // 0: no answer
    char error[16];  // error.type; "" for none
    struct histogram duration;
};

struct model_series {
    struct key key;
    UT_hash_handle hh;
    uint64_t seen_ns;         // the latest request's end
    struct outcome *outcomes; // owned
    size_t outcomes_count;
    struct gen_ai_usage usage;
    struct histogram per_token[GEN_AI_SOURCES];
    uint64_t abandoned;
    uint64_t abandoned_tokens[GEN_AI_SOURCES];
};

static struct model_series *table;

static struct counter folded = {
    .name = "inferscope_inference_series_folded_total",
    .help = "Inference requests counted under the model \"other\" because there were too many series",
};
static struct counter unconfirmed = {
    .name = "inferscope_inference_models_unconfirmed_total",
    .help =
        "Failed inference requests counted under the model \"other\" of their server because nothing shows "
        "that the model they asked for exists",
};
static struct counter evicted = {
    .name = "inferscope_inference_series_evicted_total",
    .help =
        "Series of inference requests that gave their place to others after ten minutes without a request",
};
static struct counter dropped = {
    .name = "inferscope_inference_requests_uncounted_total",
    .help = "Inference requests that no series could be made for",
};

// --- Whose request it was ---

// The serving software, by what it says of itself or what its process is called.
static const char *provider_of(const struct event *event, const struct wire_api *record)
{
    static const struct {
        const char *mark;
        const char *name;
    } known[] = {
        {"llama.cpp", "llama.cpp"}, {"llama-server", "llama.cpp"}, {"vllm", "vllm"},
        {"sglang", "sglang"},       {"ollama", "ollama"},          {"text-generation", "tgi"},
        {"triton", "triton"},       {"torchserve", "torchserve"},  {"lmdeploy", "lmdeploy"},
        {"mlx_lm", "mlx"},
    };
    const struct process *process = event->process;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strstr(record->exchange.server, known[i].mark))
            return known[i].name;
    for (size_t i = 0; process && i < ARRAY_SIZE(known); i++) {
        size_t length = strlen(known[i].mark);
        if (strstr(process->name, known[i].mark) ||
            (process->args && memmem(process->args, process->args_size, known[i].mark, length)))
            return known[i].name;
    }
    return "unknown";
}

const char *inference_provider(const struct event *event)
{
    const struct wire_api *record = api_record(event);
    return record ? provider_of(event, record) : NULL;
}

static void key_fill(const struct event *event, const struct wire_api *record, struct key *ret_key)
{
    const struct wire_api_exchange *exchange = &record->exchange;
    const struct api_route *route = api_route_at(exchange->route);
    memset(ret_key, 0, sizeof(*ret_key));
    snprintf(ret_key->operation, sizeof(ret_key->operation), "%s",
             route && route->operation ? route->operation : "inference");
    snprintf(ret_key->provider, sizeof(ret_key->provider), "%s", provider_of(event, record));
    gen_ai_name_fill(exchange->request_model, exchange->request_model_length, ret_key->request_model);
    gen_ai_name_fill(exchange->response_model, exchange->response_model_length, ret_key->response_model);
    served_by_event(event, record->server_port, &ret_key->served_by);
}

static const char other_model[] = "other";

// A client chooses what it calls a model: a name is one where the server has not refused it, or names one in
// its answer, or did either before.
static bool model_exists(const struct key *key, const struct wire_api_exchange *exchange)
{
    if ((exchange->status >= 200 && exchange->status < 300) || key->response_model[0])
        return true;
    for (const struct model_series *series = table; series; series = series->hh.next)
        if (strcmp(series->key.request_model, key->request_model) == 0 &&
            memcmp(&series->key.served_by, &key->served_by, sizeof(key->served_by)) == 0)
            return true;
    return false;
}

static void confirm_model(struct key *key, const struct wire_api_exchange *exchange)
{
    if (!key->request_model[0] || model_exists(key, exchange))
        return;
    unconfirmed.value++;
    memset(key->request_model, 0, sizeof(key->request_model));
    strcpy(key->request_model, other_model);
}

static void series_free(struct model_series *series)
{
    HASH_DEL(table, series);
    free(series->outcomes);
    free(series);
}

static struct model_series *series_add(const struct key *key)
{
    struct model_series *series = calloc(1, sizeof(*series));
    if (!series)
        return NULL;
    series->key = *key;
    HASH_ADD(hh, table, key, sizeof(series->key), series);
    return series;
}

// Makes room for one more where none was added to for long. The one that takes the rest has no server.
static bool series_evict(uint64_t now_ns)
{
    struct model_series *oldest = NULL;
    for (struct model_series *series = table; series; series = series->hh.next)
        if (series->key.served_by.port[0] && (!oldest || series->seen_ns < oldest->seen_ns))
            oldest = series;
    if (!oldest || oldest->seen_ns + GEN_AI_IDLE_NS > now_ns)
        return false;
    series_free(oldest);
    evicted.value++;
    return true;
}

static struct model_series *series_of(struct key *key, uint64_t now_ns)
{
    struct model_series *series;
    HASH_FIND(hh, table, key, sizeof(*key), series);
    if (series)
        return series;
    if (HASH_COUNT(table) < SERIES_MAX || series_evict(now_ns))
        return series_add(key);
    // One series takes the rest: a client chooses what it calls a model, and there may be many of them.
    folded.value++;
    memset(key, 0, sizeof(*key));
    strcpy(key->request_model, other_model);
    strcpy(key->response_model, other_model);
    HASH_FIND(hh, table, key, sizeof(*key), series);
    return series ? series : series_add(key);
}

static struct outcome *outcome_of(struct model_series *series, unsigned status, const char *error)
{
    for (size_t i = 0; i < series->outcomes_count; i++)
        if (series->outcomes[i].status == status && strcmp(series->outcomes[i].error, error) == 0)
            return &series->outcomes[i];
    if (series->outcomes_count == OUTCOMES_MAX)
        return &series->outcomes[OUTCOMES_MAX - 1];
    // The last one takes all the rest, whatever their status.
    bool rest = series->outcomes_count == OUTCOMES_MAX - 1;
    struct outcome *more =
        reallocarray(series->outcomes, series->outcomes_count + 1, sizeof(*series->outcomes));
    if (!more)
        return NULL;
    series->outcomes = more;
    struct outcome *outcome = &more[series->outcomes_count++];
    *outcome = (struct outcome){.status = rest ? 0 : status};
    snprintf(outcome->error, sizeof(outcome->error), "%s", rest ? "_OTHER" : error);
    return outcome;
}

// --- Counting ---

static void count_success(struct model_series *series, const struct wire_api *record)
{
    const struct wire_api_exchange *exchange = &record->exchange;
    enum api_token_source source = api_output_source(record);
    uint32_t tokens = api_output_tokens(record);
    gen_ai_usage_add(&series->usage, record, exchange->first_content_ns);
    if (source != API_TOKENS_UNKNOWN && exchange->first_content_ns && tokens > 1)
        histogram_add(&series->per_token[source - 1], per_token_bounds, ARRAY_SIZE(per_token_bounds),
                      gen_ai_seconds(exchange->first_content_ns, exchange->end_ns) / (tokens - 1));
}

void inference_event(const struct event *event)
{
    const struct wire_api *record = api_record(event);
    if (!record)
        return;
    if (record->header.type == WIRE_API_HTTP) {
        http_requests_event(event, record);
        return;
    }
    if (record->header.type == WIRE_API_CALL) {
        inference_client_event(event, record);
        return;
    }
    const struct wire_api_exchange *exchange = &record->exchange;
    struct key key;
    key_fill(event, record, &key);
    under_way_learn(record, &key.served_by);
    char text[16];
    const char *error = api_error_type(record, text);
    confirm_model(&key, exchange);
    struct model_series *series = series_of(&key, record->header.time_ns);
    struct outcome *outcome = series ? outcome_of(series, exchange->status, error) : NULL;
    if (!outcome) {
        dropped.value++;
        return;
    }
    series->seen_ns = record->header.time_ns;
    histogram_add(&outcome->duration, gen_ai_duration_bounds, GEN_AI_DURATION_BOUNDS,
                  gen_ai_seconds(exchange->start_ns, exchange->end_ns));
    if (exchange->end == WIRE_API_CLIENT_GONE) {
        enum api_token_source source = api_output_source(record);
        series->abandoned++;
        if (source != API_TOKENS_UNKNOWN)
            series->abandoned_tokens[source - 1] += api_output_tokens(record);
    }
    if (!error[0])
        count_success(series, record);
}

// --- Showing ---

#define MODEL_LABELS                     \
    "server_port " SERVED_BY_LABEL_NAMES \
    " gen_ai_operation_name gen_ai_provider_name gen_ai_request_model gen_ai_response_model"

static size_t labels_of(const struct model_series *series, struct label *labels)
{
    const struct key *key = &series->key;
    size_t count = served_by_labels(&key->served_by, labels);
    count = label_append(labels, count, "gen_ai_operation_name", key->operation);
    count = label_append(labels, count, "gen_ai_provider_name", key->provider);
    count = label_append(labels, count, "gen_ai_request_model", key->request_model);
    return label_append(labels, count, "gen_ai_response_model", key->response_model);
}

static void collect_durations(struct series_writer *writer)
{
    static const struct series_family family = {.name = "gen_ai_server_request_duration_seconds",
                                                .labels = MODEL_LABELS " error_type",
                                                .type = SERIES_HISTOGRAM,
                                                .unit = "seconds",
                                                .help =
                                                    "From the first byte of an inference request that the "
                                                    "server read to the last of its answer"};
    struct label labels[LABELS_MAX];
    writer->family(writer, &family);
    for (const struct model_series *series = table; series; series = series->hh.next) {
        size_t count = labels_of(series, labels);
        for (size_t i = 0; i < series->outcomes_count; i++) {
            // Statuses of one error.type together, at the first of them.
            struct histogram sum = {};
            bool first = true;
            for (size_t k = 0; k < series->outcomes_count; k++) {
                bool same = strcmp(series->outcomes[k].error, series->outcomes[i].error) == 0;
                first = first && !(same && k < i);
                if (same)
                    histogram_merge(&sum, &series->outcomes[k].duration);
            }
            size_t all = label_append(labels, count, "error_type", series->outcomes[i].error);
            if (first)
                histogram_write(&sum, gen_ai_duration_bounds, GEN_AI_DURATION_BOUNDS, writer, labels, all);
        }
    }
}

static void collect_requests(struct series_writer *writer)
{
    static const struct series_family family = {
        .name = "inferscope_inference_requests_total",
        .labels = MODEL_LABELS " http_response_status_code error_type",
        .type = SERIES_COUNTER,
        .help = "Inference requests that have ended, by status and error"};
    struct label labels[LABELS_MAX];
    writer->family(writer, &family);
    for (const struct model_series *series = table; series; series = series->hh.next) {
        size_t count = labels_of(series, labels);
        for (size_t i = 0; i < series->outcomes_count; i++) {
            const struct outcome *outcome = &series->outcomes[i];
            char status[12] = "";
            if (outcome->status)
                snprintf(status, sizeof(status), "%u", outcome->status);
            size_t all = label_append(labels, count, "http_response_status_code", status);
            all = label_append(labels, all, "error_type", outcome->error);
            writer->number(writer, labels, all, (double)outcome->duration.total);
        }
    }
}

static void collect_tokens(struct series_writer *writer)
{
    static const struct series_family first = {
        .name = "gen_ai_server_time_to_first_token_seconds",
        .labels = MODEL_LABELS,
        .type = SERIES_HISTOGRAM,
        .unit = "seconds",
        .help = "From the first byte of a request to its first event with generated text; successes only"};
    static const struct series_family per_token = {
        .name = "gen_ai_server_time_per_output_token_seconds",
        .labels = MODEL_LABELS " token_source",
        .type = SERIES_HISTOGRAM,
        .unit = "seconds",
        .help = "Time after the first token by number of further tokens; successes only. token_source: see "
                "gen_ai_server_token_usage"};
    static const struct series_family usage = {
        .name = "gen_ai_server_token_usage",
        .labels = MODEL_LABELS " gen_ai_token_type token_source",
        .type = SERIES_HISTOGRAM,
        .help = "Tokens of a request; successes only. token_source is \"usage\" where the server said how "
                "many, \"events\" where the events of its stream that have text were counted"};
    struct label labels[LABELS_MAX];
    writer->family(writer, &first);
    for (const struct model_series *series = table; series; series = series->hh.next)
        gen_ai_first_write(&series->usage, writer, labels, labels_of(series, labels));
    writer->family(writer, &per_token);
    for (const struct model_series *series = table; series; series = series->hh.next) {
        size_t count = labels_of(series, labels);
        for (size_t i = 0; i < GEN_AI_SOURCES; i++)
            histogram_write(&series->per_token[i], per_token_bounds, ARRAY_SIZE(per_token_bounds), writer,
                            labels, label_append(labels, count, "token_source", gen_ai_source_names[i]));
    }
    writer->family(writer, &usage);
    for (const struct model_series *series = table; series; series = series->hh.next)
        gen_ai_usage_write(&series->usage, writer, labels, labels_of(series, labels));
}

static void collect_abandoned(struct series_writer *writer)
{
    static const struct series_family requests = {
        .name = "inferscope_inference_abandoned_requests_total",
        .labels = MODEL_LABELS,
        .type = SERIES_COUNTER,
        .help = "Inference requests whose client went away before it had the whole answer"};
    static const struct series_family tokens = {
        .name = "inferscope_inference_abandoned_tokens_total",
        .labels = MODEL_LABELS " token_source",
        .type = SERIES_COUNTER,
        .help = "Tokens that were generated for such requests and sent, as far as they are known"};
    struct label labels[LABELS_MAX];
    writer->family(writer, &requests);
    for (const struct model_series *series = table; series; series = series->hh.next)
        writer->number(writer, labels, labels_of(series, labels), (double)series->abandoned);
    writer->family(writer, &tokens);
    for (const struct model_series *series = table; series; series = series->hh.next) {
        size_t count = labels_of(series, labels);
        for (size_t i = 0; i < GEN_AI_SOURCES; i++)
            if (series->abandoned_tokens[i])
                writer->number(writer, labels,
                               label_append(labels, count, "token_source", gen_ai_source_names[i]),
                               (double)series->abandoned_tokens[i]);
    }
}

static void collect(struct series_writer *writer, void *context)
{
    collect_durations(writer);
    collect_requests(writer);
    collect_tokens(writer);
    collect_abandoned(writer);
    under_way_collect(writer);
    inference_client_collect(writer);
    http_requests_collect(writer);
}

int inference_start(void)
{
    static bool registered;
    counter_register(&folded);
    counter_register(&unconfirmed);
    counter_register(&evicted);
    counter_register(&dropped);
    inference_client_start();
    int error = registered ? 0 : series_register(collect, NULL);
    registered = registered || !error;
    return error;
}

void inference_stop(void)
{
    struct model_series *series, *next;
    HASH_ITER (hh, table, series, next)
        series_free(series);
    under_way_stop();
    inference_client_stop();
    http_requests_stop();
}
