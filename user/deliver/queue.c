#include "queue.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "filter.h"
#include "loop.h"
#include "pace.h"
#include "trouble.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
    READS_MAX = 512,         // records read before other outputs have their turn
    BYTES_MAX = 1 << 20,     // of data in one request, unless one record alone has more
    PROBES = 8,              // records that are tried alone with a receiver that has taken nothing yet
    COMMIT_MS = 100,         // between two commits
    OPEN_AGAIN_MS = 60000,   // between tries to open a receiver, each of which says what is wrong
    RETRY_AFTER_MAX = 900000 // however long the receiver asks to be left alone
};

struct queue {
    struct queue_options options;
    struct spool_reader *reader;
    uint64_t missed;          // records, as far as they were counted
    void *receiver;           // NULL: it could not be opened
    struct loop_timer timer;  // the next thing to do
    struct loop_timer commit; // what is settled is written down
    bool committing;          // the timer `commit` is set

    // What was read and is not settled, oldest first.
    struct item *items;            // their data and JSON are owned
    struct spool_position *before; // the position in front of each item
    size_t count, capacity;
    uint64_t first_ms; // when the oldest of a batch in the making was read
    bool drained;      // the spool has no more
    uint64_t read_again_ms, open_again_ms;

    size_t sent_from, sent; // the items under way; none when `sent` is 0
    size_t limit;           // items in the next request, at most: halved when one is refused
    size_t skip;            // items before this one wait until the receiver is known to take anything
    bool trusted;           // it has taken something since this process started
    bool hurrying;

    struct bucket bucket;
    unsigned failures; // in a row
    uint64_t not_before_ms;
    struct trouble trouble;
};

static void advance(struct queue *queue);

static void on_timer(void *context)
{
    advance(context);
}

static void set_timer(struct queue *queue, unsigned delay_ms)
{
    loop_timer_set(queue->options.loop, &queue->timer, delay_ms, on_timer, queue);
}

// --- What is told ---

static void count(uint64_t *number, uint64_t more)
{
    __atomic_store_n(number, *number + more, __ATOMIC_RELAXED);
}

// The counters go on from where an earlier process left them.
static void publish(struct queue *queue)
{
    struct delivery_output *stats = queue->options.stats;
    uint64_t missed = spool_reader_missed(queue->reader);
    count(&stats->dropped, missed - queue->missed);
    queue->missed = missed;
}

static void settle_up(struct queue *queue, bool up)
{
    struct delivery_output *stats = queue->options.stats;
    __atomic_store_n(&stats->up, up, __ATOMIC_RELAXED);
    if (up)
        __atomic_store_n(&stats->last_success_time, (uint64_t)time(NULL), __ATOMIC_RELAXED);
}

// --- How far it is ---

static void commit_now(struct queue *queue)
{
    struct spool_position position = queue->count ? queue->before[0] : spool_reader_position(queue->reader);
    int error = spool_reader_commit(queue->reader, &position);
    if (error)
        trouble_say(&queue->trouble, "cannot write down how far it has come: %s", strerror(-error));
    publish(queue);
}

static void on_commit(void *context)
{
    struct queue *queue = context;
    queue->committing = false;
    commit_now(queue);
}

static void commit_soon(struct queue *queue)
{
    if (queue->committing)
        return;
    queue->committing = true;
    loop_timer_set(queue->options.loop, &queue->commit, COMMIT_MS, on_commit, queue);
}

// --- Reading ---

static void item_free(struct item *item)
{
    json_decref(item->json);
    free((char *)item->record.data);
}

static int copy_item(const struct spool_record *record, struct item *ret_item)
{
    char *data = malloc(record->size + 1);
    if (!data)
        return -ENOMEM;
    memcpy(data, record->data, record->size);
    data[record->size] = '\0';
    json_t *json = json_loadb(data, record->size, JSON_ALLOW_NUL, NULL);
    if (!json_is_object(json)) {
        json_decref(json);
        free(data);
        return -EBADMSG;
    }
    *ret_item = (struct item){.record = *record, .json = json};
    ret_item->record.data = data;
    return 0;
}

// Takes a record into the items, unless it is filtered out. 0, or -ENOMEM: it is to be read again.
static int take(struct queue *queue, const struct spool_record *record, const struct spool_position *before)
{
    const struct config_output *output = queue->options.output;
    struct delivery_output *stats = queue->options.stats;
    if (!filter_takes_kind(output, record->kind))
        return 0;
    if (record->kind == SPOOL_ALERT && record->priority > output->minimum_priority) {
        count(&stats->filtered, 1);
        return 0;
    }
    struct item item;
    int error = copy_item(record, &item);
    if (error == -EBADMSG) {
        count(&stats->rejected, 1);
        trouble_lost(&queue->trouble, 1, "the spool's record is no JSON");
        return 0;
    }
    if (error)
        return error;
    if (!filter_takes(output, &item)) {
        count(&stats->filtered, 1);
        item_free(&item);
        return 0;
    }
    if (queue->count == 0)
        queue->first_ms = loop_now_ms();
    queue->before[queue->count] = *before;
    queue->items[queue->count++] = item;
    return 0;
}

// Memory is short: all is read once more, later, from what is committed.
static void start_over(struct queue *queue, const struct spool_position *position)
{
    spool_reader_commit(queue->reader, queue->count ? &queue->before[0] : position);
    while (queue->count)
        item_free(&queue->items[--queue->count]);
    queue->skip = 0;
    spool_reader_rewind(queue->reader);
}

static void read_later(struct queue *queue, const char *what, int error)
{
    trouble_say(&queue->trouble, "%s: %s", what, strerror(-error));
    queue->read_again_ms = loop_now_ms() + 1000;
}

static size_t bytes_waiting(const struct queue *queue)
{
    size_t bytes = 0;
    for (size_t i = 0; i < queue->count; i++)
        bytes += queue->items[i].record.size;
    return bytes;
}

static bool is_full(const struct queue *queue)
{
    return queue->count - queue->skip >= queue->options.output->batch || queue->count == queue->capacity ||
           bytes_waiting(queue) >= BYTES_MAX;
}

// Reads until there is a batch, the spool has no more, or it is the turn of others.
static void fill(struct queue *queue)
{
    if (loop_now_ms() < queue->read_again_ms)
        return;
    for (size_t i = 0; i < READS_MAX && !is_full(queue); i++) {
        struct spool_position before = spool_reader_position(queue->reader);
        struct spool_record record;
        int result = spool_reader_next(queue->reader, &record);
        queue->drained = result == 0;
        if (result < 0)
            read_later(queue, "cannot read the spool", result);
        if (result <= 0)
            return;
        commit_soon(queue);
        result = take(queue, &record, &before);
        if (result) {
            start_over(queue, &before);
            read_later(queue, "cannot take in a record", result);
            return;
        }
    }
}

// --- Sending ---

static void item_settle(struct item *item)
{
    item_free(item);
    item->json = NULL;
}

static void remove_settled(struct queue *queue)
{
    size_t kept = 0;
    for (size_t i = 0; i < queue->count; i++) {
        if (!queue->items[i].json)
            continue;
        queue->items[kept] = queue->items[i];
        queue->before[kept++] = queue->before[i];
    }
    queue->count = kept;
}

// What is refused is the record's fault only with a receiver that takes others: a wrong address refuses
// everything, and that must cost no alert.
static enum verdict verdict_of(const struct queue *queue, enum verdict verdict)
{
    if (verdict == VERDICT_SPLIT && queue->sent == 1)
        verdict = VERDICT_REFUSED;
    if (verdict == VERDICT_REFUSED)
        return queue->trusted ? VERDICT_REJECTED : VERDICT_RETRY;
    return verdict;
}

static bool takes_something(const struct queue *queue, const struct outcome *outcome)
{
    for (size_t i = 0; i < queue->sent; i++)
        if (outcome->verdicts[i] == VERDICT_DELIVERED)
            return true;
    return false;
}

struct tally {
    size_t delivered, rejected, retried;
    bool split; // the next request is to be half as large
};

static struct tally judge(struct queue *queue, const struct outcome *outcome)
{
    struct tally tally = {};
    queue->trusted |= takes_something(queue, outcome);
    for (size_t i = 0; i < queue->sent; i++) {
        enum verdict verdict = verdict_of(queue, outcome->verdicts[i]);
        tally.delivered += verdict == VERDICT_DELIVERED;
        tally.rejected += verdict == VERDICT_REJECTED;
        tally.retried += verdict == VERDICT_RETRY;
        tally.split |= verdict == VERDICT_SPLIT;
        if (verdict == VERDICT_DELIVERED || verdict == VERDICT_REJECTED)
            item_settle(&queue->items[queue->sent_from + i]);
    }
    // One that was refused alone does not keep the next from being tried.
    if (tally.retried && queue->sent == 1 && outcome->verdicts[0] != VERDICT_RETRY)
        queue->skip++;
    return tally;
}

static void back_off(struct queue *queue, unsigned retry_after)
{
    const struct config_output *output = queue->options.output;
    uint32_t chance = 0;
    if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) < 0)
        chance = (uint32_t)loop_now_ms();
    queue->failures++;
    unsigned delay = backoff_ms(output->retry_initial, output->retry_max, queue->failures, chance);
    if (retry_after > RETRY_AFTER_MAX)
        retry_after = RETRY_AFTER_MAX;
    queue->not_before_ms = loop_now_ms() + (delay > retry_after ? delay : retry_after);
}

static void learn(struct queue *queue, const struct tally *tally, const struct outcome *outcome)
{
    const char *why = outcome->why ? outcome->why : "it does not take them";
    if (tally->delivered || tally->rejected) {
        queue->skip = 0;
        queue->failures = 0;
        settle_up(queue, true);
    }
    if (tally->rejected)
        trouble_lost(&queue->trouble, tally->rejected, why);
    if (tally->split)
        queue->limit = (queue->sent + 1) / 2;
    else if (tally->delivered)
        queue->limit = queue->limit > queue->capacity / 2 ? queue->capacity : queue->limit * 2;
    if (tally->retried) {
        back_off(queue, outcome->retry_after);
        trouble_failed(&queue->trouble, why);
        if (!tally->delivered && !tally->rejected)
            settle_up(queue, false);
    } else if (tally->delivered && !tally->split) {
        trouble_over(&queue->trouble);
    }
}

static void on_done(const struct outcome *outcome, void *context)
{
    struct queue *queue = context;
    struct delivery_output *stats = queue->options.stats;
    struct tally tally = judge(queue, outcome);
    count(&stats->delivered, tally.delivered);
    count(&stats->rejected, tally.rejected);
    count(&stats->retried, tally.retried);
    learn(queue, &tally, outcome);
    remove_settled(queue);
    queue->sent = 0;
    commit_soon(queue);
    advance(queue);
}

static bool open_receiver(struct queue *queue)
{
    const struct queue_options *options = &queue->options;
    const struct receiver_env env = {.loop = options->loop,
                                     .hostname = options->hostname,
                                     .cut = &options->stats->cut,
                                     .done = on_done,
                                     .context = queue};
    uint64_t now = loop_now_ms();
    if (queue->receiver)
        return true;
    if (now >= queue->open_again_ms) {
        if (options->type->open(options->output, &env, &queue->receiver) == 0)
            return true;
        queue->receiver = NULL;
        queue->open_again_ms = now + OPEN_AGAIN_MS;
        settle_up(queue, false);
    }
    set_timer(queue, (unsigned)(queue->open_again_ms - now));
    return false;
}

// How many of the items go into the next request, by number and size.
static size_t next_request(const struct queue *queue)
{
    size_t number = 0, bytes = 0, batch = queue->options.output->batch;
    while (queue->skip + number < queue->count && number < queue->limit && number < batch) {
        bytes += queue->items[queue->skip + number].record.size;
        if (number > 0 && bytes > BYTES_MAX)
            break;
        number++;
    }
    return number;
}

static void send(struct queue *queue)
{
    uint64_t now = loop_now_ms();
    size_t number = bucket_take(&queue->bucket, now, next_request(queue));
    if (number == 0) {
        set_timer(queue, bucket_wait(&queue->bucket, now));
        return;
    }
    queue->sent_from = queue->skip;
    queue->sent = number;
    queue->options.type->send(queue->receiver, queue->items + queue->skip, number);
}

// Does what is next, or sets the timer for when it can be done. Whoever changes something calls it.
static void advance(struct queue *queue)
{
    if (queue->sent || !open_receiver(queue))
        return;
    fill(queue);
    // All that can be tried alone was refused: from the oldest again.
    if (queue->skip == PROBES || (queue->skip && queue->skip == queue->count))
        queue->skip = 0;

    uint64_t now = loop_now_ms(), ready = queue->not_before_ms;
    bool reads_later = now < queue->read_again_ms;
    if (!is_full(queue) && !queue->drained && !reads_later) {
        set_timer(queue, 0);
        return;
    }
    uint64_t complete = queue->first_ms + queue->options.output->batch_wait;
    if (!is_full(queue) && !queue->hurrying && queue->failures == 0 && complete > ready)
        ready = complete;
    if (queue->count == 0)
        ready = reads_later ? queue->read_again_ms : UINT64_MAX;
    if (ready <= now)
        send(queue);
    else if (ready != UINT64_MAX)
        set_timer(queue, (unsigned)(ready - now));
}

// --- From outside ---

int queue_open(const struct queue_options *options, struct queue **ret_queue)
{
    const struct config_output *output = options->output;
    struct queue *queue = calloc(1, sizeof(*queue));
    if (!queue)
        return -ENOMEM;
    queue->options = *options;
    queue->capacity = output->batch + PROBES;
    queue->limit = queue->capacity;
    queue->bucket.rate = output->rate;
    queue->trouble.name = output->name;
    queue->items = calloc(queue->capacity, sizeof(*queue->items));
    queue->before = calloc(queue->capacity, sizeof(*queue->before));
    int error = queue->items && queue->before ? 0 : -ENOMEM;
    if (!error)
        error = spool_reader_open(options->spool_directory, output->name, &queue->reader);
    if (error) {
        queue_close(&queue);
        return error;
    }
    struct delivery_output *stats = options->stats;
    snprintf(stats->name, sizeof(stats->name), "%s", output->name);
    __atomic_store_n(&stats->up, 1, __ATOMIC_RELAXED);
    publish(queue);
    *ret_queue = queue;
    set_timer(queue, 0);
    return 0;
}

void queue_close(struct queue **queue)
{
    struct queue *closed = *queue;
    if (!closed)
        return;
    loop_timer_stop(closed->options.loop, &closed->timer);
    loop_timer_stop(closed->options.loop, &closed->commit);
    if (closed->receiver)
        closed->options.type->close(closed->receiver);
    if (closed->reader)
        commit_now(closed);
    spool_reader_close(&closed->reader);
    trouble_end(&closed->trouble);
    while (closed->count)
        item_free(&closed->items[--closed->count]);
    free(closed->items);
    free(closed->before);
    free(closed);
    *queue = NULL;
}

void queue_wake(struct queue *queue)
{
    queue->drained = false;
    advance(queue);
}

void queue_reopen(struct queue *queue)
{
    if (queue->receiver && queue->options.type->reopen)
        queue->options.type->reopen(queue->receiver);
    // Whoever asks may have mended something.
    queue->open_again_ms = queue->not_before_ms = 0;
    advance(queue);
}

void queue_hurry(struct queue *queue)
{
    queue->hurrying = true;
    queue_wake(queue);
}

bool queue_rests(const struct queue *queue)
{
    if (queue->sent)
        return false;
    return !queue->receiver || loop_now_ms() < queue->not_before_ms || (queue->drained && queue->count == 0);
}
