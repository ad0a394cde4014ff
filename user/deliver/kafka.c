// A topic of a Kafka cluster. An alert counts as delivered when librdkafka reports that all replicas in sync
// have it; key is the host's name, so that a host's alerts stay in order in one partition, and the header
// "uuid" tells repeats apart.
#include "base/cleanup.h"
#include "base/log.h"
#include "format.h"
#include "kafka_client.h"
#include "loop.h"
#include "multi.h"
#include "receivers.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum {
    WHY_SIZE = 256,
    EVENTS_MAX = 256,   // of one turn of the loop
    PATIENCE_MS = 1000, // at the end of the process
};

struct kafka {
    const struct config_output *output;
    struct receiver_env env;
    rd_kafka_t *client;
    rd_kafka_queue_t *events;
    int wake_fd;                // readable when there are events
    struct kafka_ending ending; // of the client before
    bool stale;                 // the client is to be replaced before the next batch

    enum verdict *verdicts; // of the batch under way
    size_t count, waiting;  // items, and those without a report
    unsigned retry_after;
    char why[WHY_SIZE];     // not all of the batch was delivered
    char trouble[WHY_SIZE]; // what was last said of connections
    struct text line;
    struct loop_timer timer; // done() is never called from within send()
};

// --- What became of a message ---

static bool is_for_a_person(rd_kafka_resp_err_t error)
{
    switch (error) {
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
        return true;
    default:
        return false;
    }
}

// The content is at fault, perhaps that of another message that travelled with it.
static bool is_for_the_content(rd_kafka_resp_err_t error)
{
    return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || error == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
           error == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

static void settle(struct kafka *kafka, enum verdict *verdict, rd_kafka_resp_err_t error)
{
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        *verdict = VERDICT_DELIVERED;
        kafka->trouble[0] = '\0';
        return;
    }
    *verdict = is_for_the_content(error) ? VERDICT_SPLIT : VERDICT_RETRY;
    if (is_for_a_person(error))
        kafka->retry_after = kafka->output->retry_max;
    // That it took too long, or was taken back, says less than why.
    bool vague = error == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT || error == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
                 error == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT || error == RD_KAFKA_RESP_ERR__FATAL;
    snprintf(kafka->why, sizeof(kafka->why), "%s",
             vague && kafka->trouble[0] ? kafka->trouble : rd_kafka_err2str(error));
}

static void report(void *context)
{
    struct kafka *kafka = context;
    const struct outcome outcome = {.verdicts = kafka->verdicts,
                                    .retry_after = kafka->retry_after,
                                    .why = kafka->why[0] ? kafka->why : NULL};
    kafka->count = 0;
    // Whoever is told may send the next batch.
    kafka->env.done(&outcome, kafka->env.context);
}

static void report_if_complete(struct kafka *kafka)
{
    if (kafka->count && kafka->waiting == 0)
        loop_timer_set(kafka->env.loop, &kafka->timer, 0, report, kafka);
}

// --- What librdkafka says ---

static void on_reports(struct kafka *kafka, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *message;
    while ((message = rd_kafka_event_message_next(event))) {
        settle(kafka, message->_private, message->err);
        kafka->waiting--;
    }
    report_if_complete(kafka);
}

// Nothing of the batch gets through by this client: it is reported now, and not when its time is over.
static void give_up(struct kafka *kafka, const char *why)
{
    snprintf(kafka->trouble, sizeof(kafka->trouble), "%s", why);
    kafka->retry_after = kafka->output->retry_max;
    kafka->stale = true;
    rd_kafka_purge(kafka->client,
                   RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

static void on_error(struct kafka *kafka, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t error = rd_kafka_event_error(event);
    char ignored[16];
    // With credentials, what the broker says of them is in the text, and may be anything.
    if (error == RD_KAFKA_RESP_ERR__AUTHENTICATION || error == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED) {
        give_up(kafka, "it does not accept the credentials, or this mechanism");
    } else if (rd_kafka_event_error_is_fatal(event)) {
        error = rd_kafka_fatal_error(kafka->client, ignored, sizeof(ignored));
        give_up(kafka, rd_kafka_err2str(error));
    } else if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || !kafka->trouble[0]) {
        // That all are down is said after why the last one is.
        snprintf(kafka->trouble, sizeof(kafka->trouble), "%s", rd_kafka_event_error_string(event));
        multi_make_printable(kafka->trouble);
    }
}

static void on_log(struct kafka *kafka, rd_kafka_event_t *event)
{
    const char *facility, *text;
    int level;
    if (!log_enabled(LOG_LEVEL_DEBUG) || rd_kafka_event_log(event, &facility, &text, &level))
        return;
    // As above: a broker may quote the password.
    if (kafka->output->user && strcasestr(text, "auth"))
        return;
    char line[WHY_SIZE];
    snprintf(line, sizeof(line), "%s: %s", facility, text);
    multi_make_printable(line);
    log_debug("output %s: librdkafka: %s", kafka->output->name, line);
}

// --- The client ---

// From here on its threads do not write to the descriptor.
static void leave_events(struct kafka *kafka)
{
    if (!kafka->events)
        return;
    rd_kafka_queue_io_event_enable(kafka->events, -1, NULL, 0);
    rd_kafka_queue_destroy(kafka->events);
    kafka->events = NULL;
}

// False: the one before it does not end.
static bool drop_client(struct kafka *kafka)
{
    if (!kafka_ending_is_over(&kafka->ending))
        return false;
    leave_events(kafka);
    kafka_client_end(&kafka->client, &kafka->ending);
    return true;
}

static int make_client(struct kafka *kafka)
{
    static const eventfd_t one = 1;
    int error = kafka_client_new(kafka->output, &kafka->client);
    if (error)
        return error;
    kafka->events = rd_kafka_queue_get_main(kafka->client);
    // From its threads: a write that does not wait, as the descriptor is non-blocking.
    rd_kafka_queue_io_event_enable(kafka->events, kafka->wake_fd, &one, sizeof(one));
    // What it had said before.
    eventfd_write(kafka->wake_fd, 1);
    kafka->stale = false;
    return 0;
}

// Credentials, certificates and what made an error fatal may be other ones by now.
static int renew(struct kafka *kafka)
{
    if (kafka->client && !kafka->stale)
        return 0;
    if (!drop_client(kafka))
        return -EBUSY;
    kafka->trouble[0] = '\0';
    return make_client(kafka);
}

static void on_wake(uint32_t events, void *context)
{
    struct kafka *kafka = context;
    rd_kafka_event_t *event = NULL;
    eventfd_t ignored;
    eventfd_read(kafka->wake_fd, &ignored);
    for (size_t i = 0; kafka->events && i < EVENTS_MAX && (event = rd_kafka_queue_poll(kafka->events, 0));
         i++) {
        switch (rd_kafka_event_type(event)) {
        case RD_KAFKA_EVENT_DR:
            on_reports(kafka, event);
            break;
        case RD_KAFKA_EVENT_ERROR:
            on_error(kafka, event);
            break;
        case RD_KAFKA_EVENT_LOG:
            on_log(kafka, event);
            break;
        }
        rd_kafka_event_destroy(event);
    }
    // It wakes only whoever has emptied the queue.
    if (event)
        eventfd_write(kafka->wake_fd, 1);
    // One that is of no more use would go on showing its credentials.
    if (kafka->stale && kafka->waiting == 0)
        drop_client(kafka);
}

// --- For the queue ---

static void kafka_close(void *receiver)
{
    struct kafka *kafka = receiver;
    loop_timer_stop(kafka->env.loop, &kafka->timer);
    loop_unwatch(kafka->env.loop, kafka->wake_fd);
    leave_events(kafka);
    // What does not end in that time ends with the process.
    if (kafka_ending_wait(&kafka->ending, PATIENCE_MS)) {
        kafka_client_end(&kafka->client, &kafka->ending);
        kafka_ending_wait(&kafka->ending, PATIENCE_MS);
    }
    cleanup_close(&kafka->wake_fd);
    text_free(&kafka->line);
    free(kafka->verdicts);
    free(kafka);
}

static int kafka_open(const struct config_output *output, const struct receiver_env *env, void **ret_receiver)
{
    struct kafka *kafka = calloc(1, sizeof(*kafka));
    if (!kafka)
        return -ENOMEM;
    kafka->output = output;
    kafka->env = *env;
    kafka->line = (struct text)TEXT_INIT(KAFKA_MESSAGE_MAX);
    kafka->verdicts = calloc(output->batch, sizeof(*kafka->verdicts));
    kafka->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = !kafka->verdicts ? -ENOMEM : kafka->wake_fd < 0 ? -errno : 0;
    if (!error)
        error = loop_watch(env->loop, kafka->wake_fd, EPOLLIN, on_wake, kafka);
    if (!error)
        error = make_client(kafka);
    if (error)
        kafka_close(kafka);
    else
        *ret_receiver = kafka;
    return error;
}

// 0: a report comes. Otherwise its verdict is known.
static int produce(struct kafka *kafka, const struct item *item, enum verdict *verdict)
{
    const char *host = json_string_value(json_object_get(item->json, "hostname"));
    host = host ? host : kafka->env.hostname;
    text_reset(&kafka->line);
    int error = format_alert(kafka->output->format, item, kafka->env.hostname, &kafka->line);
    if (error) {
        *verdict = error == -EMSGSIZE ? VERDICT_REJECTED : VERDICT_RETRY;
        snprintf(kafka->why, sizeof(kafka->why), "%s",
                 error == -EMSGSIZE ? "an alert is too long to be written" : "memory is short");
        return error;
    }
    // Headers of our own: those that rd_kafka_produceva() makes itself it frees twice where the topic has
    // just gone (2.0.2).
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    rd_kafka_header_add(headers, "uuid", -1, item->record.uuid, -1);
    // Without a time: the broker's limits on how old a message may be, and the topic's retention, are about
    // when it arrives.
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = kafka->output->topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = (void *)host, .size = strlen(host)}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = kafka->line.data, .size = kafka->line.length}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = verdict},
    };
    rd_kafka_error_t *refusal = rd_kafka_produceva(kafka->client, parts, sizeof(parts) / sizeof(parts[0]));
    if (!refusal)
        return 0;
    rd_kafka_headers_destroy(headers);
    settle(kafka, verdict, rd_kafka_error_code(refusal));
    kafka->stale |= rd_kafka_error_code(refusal) == RD_KAFKA_RESP_ERR__FATAL;
    rd_kafka_error_destroy(refusal);
    return -EIO;
}

static void kafka_send(void *receiver, const struct item *items, size_t count)
{
    struct kafka *kafka = receiver;
    kafka->count = count;
    kafka->waiting = 0;
    kafka->retry_after = 0;
    kafka->why[0] = '\0';
    int error = renew(kafka);
    if (error && error != -EBUSY)
        kafka->retry_after = kafka->output->retry_max;
    if (error)
        snprintf(kafka->why, sizeof(kafka->why), "%s",
                 error == -EBUSY ? "its last connections do not end" : "its client cannot be made anew");
    for (size_t i = 0; i < count; i++) {
        kafka->verdicts[i] = VERDICT_RETRY;
        if (!error && produce(kafka, &items[i], &kafka->verdicts[i]) == 0)
            kafka->waiting++;
    }
    report_if_complete(kafka);
}

static void kafka_reopen(void *receiver)
{
    struct kafka *kafka = receiver;
    kafka->stale = true;
}

const struct receiver_type kafka_receiver = {.type = OUTPUT_KAFKA,
                                             .open = kafka_open,
                                             .close = kafka_close,
                                             .send = kafka_send,
                                             .reopen = kafka_reopen};
