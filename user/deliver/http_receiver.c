#include "http_receiver.h"
#include "receivers.h"

#include "base/cleanup.h"
#include "loop.h"

#include <errno.h>
#include <string.h>

// More than the data of a batch, which the queue limits, becomes in any format.
enum { BODY_MAX = 32 << 20 };

struct http_receiver;

// A post under way.
struct request {
    struct http_receiver *receiver;
    bool busy;
    struct http_batch batch;
    const struct item **items; // owned
    struct text body;
};

struct http_receiver {
    const struct http_kind *kind;
    const struct config_output *output;
    struct receiver_env env;
    struct http *http;
    unsigned memory;
    struct loop_timer timer;

    const struct item *items; // the queue's batch; NULL: none
    size_t count;
    enum verdict *verdicts; // owned
    bool *posted;           // owned
    size_t next;            // all before it were posted
    bool failed;            // some are to be sent again
    unsigned retry_after;
    char why[256];
    struct request requests[HTTP_AT_ONCE];
};

// --- Judging ---

void http_judge_all(const struct http_batch *batch, struct http_judgement *judgement, enum verdict verdict)
{
    for (size_t i = 0; i < batch->count; i++)
        judgement->verdicts[i] = verdict;
}

static bool is_for_a_person(unsigned status)
{
    return (status >= 300 && status < 400) || status == 401 || status == 403 || status == 404 ||
           status == 405;
}

void http_judge_status(const struct http_batch *batch, const struct http_answer *answer,
                       struct http_judgement *judgement)
{
    unsigned status = answer->status;
    enum verdict verdict = VERDICT_RETRY;
    if (status >= 200 && status < 300)
        verdict = VERDICT_DELIVERED;
    else if (status == 400 || status == 413 || status == 422)
        verdict = batch->count > 1 ? VERDICT_SPLIT : VERDICT_REFUSED;
    http_judge_all(batch, judgement, verdict);
    judgement->retry_after = answer->retry_after;
    if (is_for_a_person(status) && judgement->retry_after < batch->output->retry_max)
        judgement->retry_after = batch->output->retry_max;
    snprintf(judgement->why, sizeof(judgement->why), "%s",
             verdict == VERDICT_DELIVERED || !answer->why ? "" : answer->why);
}

// --- Posting ---

static void report(void *context)
{
    struct http_receiver *receiver = context;
    const struct outcome outcome = {
        .verdicts = receiver->verdicts, .retry_after = receiver->retry_after, .why = receiver->why};
    receiver->items = NULL;
    receiver->env.done(&outcome, receiver->env.context);
}

static void request_end(struct request *request)
{
    request->busy = false;
    free(request->items);
    request->items = NULL;
    text_free(&request->body);
}

static void note(struct http_receiver *receiver, const struct http_batch *batch,
                 const struct http_judgement *judgement)
{
    for (size_t i = 0; i < batch->count; i++) {
        receiver->verdicts[batch->items[i] - receiver->items] = judgement->verdicts[i];
        receiver->failed |= judgement->verdicts[i] == VERDICT_RETRY;
    }
    if (judgement->retry_after > receiver->retry_after)
        receiver->retry_after = judgement->retry_after;
    if (!receiver->why[0])
        strcpy(receiver->why, judgement->why);
}

static void note_all(struct http_receiver *receiver, const struct http_batch *batch, enum verdict verdict,
                     const char *why)
{
    for (size_t i = 0; i < batch->count; i++)
        receiver->verdicts[batch->items[i] - receiver->items] = verdict;
    if (!receiver->why[0])
        snprintf(receiver->why, sizeof(receiver->why), "%s", why);
}

static void post_more(struct http_receiver *receiver);

static void on_answer(const struct http_answer *answer, void *context)
{
    struct request *request = context;
    struct http_receiver *receiver = request->receiver;
    struct http_judgement judgement = {.verdicts = calloc(request->batch.count, sizeof(enum verdict))};
    if (judgement.verdicts) {
        http_judge_status(&request->batch, answer, &judgement);
        if (receiver->kind->judge)
            receiver->kind->judge(&request->batch, answer, &judgement);
        note(receiver, &request->batch, &judgement);
        free(judgement.verdicts);
    } else {
        note_all(receiver, &request->batch, VERDICT_RETRY, strerror(ENOMEM));
    }
    request_end(request);
    post_more(receiver);
}

// Gathers the items of the first group that was not posted yet. False: all were, or memory is short.
static bool gather(struct http_receiver *receiver, struct request *request)
{
    const struct http_kind *kind = receiver->kind;
    struct http_batch *batch = &request->batch;
    while (receiver->next < receiver->count && receiver->posted[receiver->next])
        receiver->next++;
    size_t first = receiver->next, end = kind->alone ? first + 1 : receiver->count;
    request->items = first < receiver->count ? calloc(end - first, sizeof(*request->items)) : NULL;
    if (!request->items)
        return false;
    *batch = (struct http_batch){.output = receiver->output,
                                 .hostname = receiver->env.hostname,
                                 .items = request->items,
                                 .group = kind->group ? kind->group(&receiver->items[first]) : 0,
                                 .memory = &receiver->memory};
    for (size_t i = first; i < end; i++) {
        if (receiver->posted[i] || (kind->group && kind->group(&receiver->items[i]) != batch->group))
            continue;
        request->items[batch->count++] = &receiver->items[i];
        receiver->posted[i] = true;
    }
    return true;
}

static void post(struct http_receiver *receiver, struct request *request)
{
    const struct http_kind *kind = receiver->kind;
    const struct http_batch *batch = &request->batch;
    request->body = (struct text)TEXT_INIT(BODY_MAX);
    int error = kind->build(batch, &request->body);
    if (!error && request->body.truncated)
        error = -EMSGSIZE;
    if (error) {
        note_all(receiver, batch, batch->count > 1 ? VERDICT_SPLIT : VERDICT_REJECTED,
                 "the alert cannot be written in its format");
        request_end(request);
        return;
    }
    const struct http_post wanted = {
        .path = kind->path_of ? kind->path_of(batch->group) : NULL,
        .body = text_string(&request->body),
        .length = request->body.length,
        .idempotency_key = kind->alone ? batch->items[0]->record.uuid : NULL,
        .done = on_answer,
        .context = request,
    };
    request->busy = true;
    error = http_post(receiver->http, &wanted);
    if (error) {
        note_all(receiver, batch, VERDICT_RETRY, strerror(-error));
        request_end(request);
    }
}

static void post_more(struct http_receiver *receiver)
{
    bool alone = receiver->kind->alone, ends = receiver->failed && alone, under_way = false;
    for (size_t i = 0; i < (alone ? HTTP_AT_ONCE : 1); i++) {
        struct request *request = &receiver->requests[i];
        while (!request->busy && !ends && gather(receiver, request))
            post(receiver, request);
        under_way |= request->busy;
    }
    // What was not posted has its first verdict, to be tried again.
    if (!under_way)
        loop_timer_set(receiver->env.loop, &receiver->timer, 0, report, receiver);
}

// --- The type of receiver ---

const struct http_kind *http_kind_of(enum config_output_type type)
{
    static const struct http_kind *const kinds[OUTPUT_TYPES] = {
        [OUTPUT_WEBHOOK] = &webhook_kind,
        [OUTPUT_SPLUNK] = &splunk_kind,
        [OUTPUT_ELASTICSEARCH] = &elasticsearch_kind,
        [OUTPUT_LOKI] = &loki_kind,
        [OUTPUT_ALERTMANAGER] = &alertmanager_kind,
        [OUTPUT_OTLP] = &otlp_kind,
    };
    return type < OUTPUT_TYPES ? kinds[type] : NULL;
}

static void receiver_close(void *context)
{
    struct http_receiver *receiver = context;
    loop_timer_stop(receiver->env.loop, &receiver->timer);
    http_close(&receiver->http);
    for (size_t i = 0; i < HTTP_AT_ONCE; i++)
        request_end(&receiver->requests[i]);
    free(receiver->verdicts);
    free(receiver->posted);
    free(receiver);
}

static int receiver_open(const struct config_output *output, const struct receiver_env *env,
                         void **ret_receiver)
{
    const struct http_kind *kind = http_kind_of(output->type);
    struct http_receiver *receiver = kind ? calloc(1, sizeof(*receiver)) : NULL;
    if (!receiver)
        return kind ? -ENOMEM : -EINVAL;
    receiver->kind = kind;
    receiver->output = output;
    receiver->env = *env;
    receiver->verdicts = calloc(output->batch, sizeof(*receiver->verdicts));
    receiver->posted = calloc(output->batch, sizeof(*receiver->posted));
    for (size_t i = 0; i < HTTP_AT_ONCE; i++)
        receiver->requests[i].receiver = receiver;
    bool text = kind->text_type && (output->format == FORMAT_TEXT || output->format == FORMAT_CEF);
    const struct http_options options = {.loop = env->loop,
                                         .output = output,
                                         .path = kind->path,
                                         .query = kind->query,
                                         .content_type = text ? kind->text_type : kind->content_type,
                                         .token_scheme = kind->token_scheme};
    int error = receiver->verdicts && receiver->posted ? 0 : -ENOMEM;
    if (!error)
        error = http_open(&options, &receiver->http);
    if (error) {
        receiver_close(receiver);
        return error;
    }
    *ret_receiver = receiver;
    return 0;
}

static void receiver_reopen(void *context)
{
    struct http_receiver *receiver = context;
    http_reopen(receiver->http);
}

static void receiver_send(void *context, const struct item *items, size_t count)
{
    struct http_receiver *receiver = context;
    receiver->items = items;
    receiver->count = count;
    receiver->next = 0;
    receiver->failed = false;
    receiver->retry_after = 0;
    receiver->why[0] = '\0';
    memset(receiver->posted, 0, count * sizeof(*receiver->posted));
    for (size_t i = 0; i < count; i++)
        receiver->verdicts[i] = VERDICT_RETRY;
    post_more(receiver);
}

const struct receiver_type http_receiver = {
    .open = receiver_open, .close = receiver_close, .send = receiver_send, .reopen = receiver_reopen};
