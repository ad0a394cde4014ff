#include "deliver/filter.h"
#include "deliver/loop.h"
#include "deliver/pace.h"
#include "deliver/queue.h"
#include "spool_fixture.h"

enum { REQUESTS_MAX = 400, LINE_SIZE = 200 };

// A receiver that does as it is told. It notes the numbers of the alerts in each request: "1 2 3".
static struct {
    struct receiver_env env;
    char requests[REQUESTS_MAX][LINE_SIZE];
    unsigned counts[REQUESTS_MAX];
    uint64_t times[REQUESTS_MAX];
    size_t requests_count;
    enum verdict (*judge)(unsigned number, size_t together);
    void (*after)(void); // each request
    unsigned retry_after;
    bool sending, closed_while_sending, silent;
    enum verdict verdicts[64];
    struct loop_timer answer;
    int open_error;
    unsigned opens, reopens;
    unsigned taken[1000]; // how often each alert was taken
} far;

static struct loop *loop;
static struct queue *queue;
static struct spool *spool;
static struct delivery_output stats;
static struct config_output output;
static struct loop_timer deadline;

static int far_open(const struct config_output *options, const struct receiver_env *env, void **ret_receiver)
{
    far.opens++;
    far.env = *env;
    *ret_receiver = &far;
    return far.open_error;
}

static void far_close(void *receiver)
{
    far.closed_while_sending = far.sending;
    loop_timer_stop(loop, &far.answer);
}

static void far_answer(void *context)
{
    struct outcome outcome = {
        .verdicts = far.verdicts, .retry_after = far.retry_after, .why = "it is a test"};
    far.sending = false;
    far.env.done(&outcome, far.env.context);
    if (far.after)
        far.after();
}

static void far_send(void *receiver, const struct item *items, size_t count)
{
    cr_assert_not(far.sending, "two requests at a time");
    cr_assert_lt(far.requests_count, (size_t)REQUESTS_MAX);
    cr_assert_leq(count, ARRAY_SIZE(far.verdicts));
    char *line = far.requests[far.requests_count];
    far.times[far.requests_count] = loop_now_ms();
    far.counts[far.requests_count++] = (unsigned)count;
    line[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        unsigned number = (unsigned)json_integer_value(json_object_get(items[i].json, "number"));
        size_t length = strlen(line);
        snprintf(line + length, LINE_SIZE - length, "%s%u", i ? " " : "", number);
        far.verdicts[i] = far.judge ? far.judge(number, count) : VERDICT_DELIVERED;
        far.taken[number] += far.verdicts[i] == VERDICT_DELIVERED;
    }
    far.sending = true;
    if (!far.silent)
        loop_timer_set(loop, &far.answer, 0, far_answer, NULL);
}

static void far_reopen(void *receiver)
{
    far.reopens++;
}

static const struct receiver_type far_type = {
    .open = far_open, .close = far_close, .send = far_send, .reopen = far_reopen};

// --- One test's queue ---

static void setup(void)
{
    spool_setup();
    memset(&far, 0, sizeof(far));
    memset(&stats, 0, sizeof(stats));
    output = (struct config_output){.name = (char *)"far",
                                    .minimum_priority = PRIORITY_DEBUG,
                                    .batch = 4,
                                    .retry_initial = 2,
                                    .retry_max = 10};
    spool = spool_start(1 << 22);
    cr_assert_eq(loop_new(&loop), 0);
}

static void teardown(void)
{
    queue_close(&queue);
    spool_close(&spool);
    loop_free(&loop);
    spool_teardown();
}

TestSuite(deliver_queue, .init = setup, .fini = teardown);

static void put(unsigned number, enum priority priority, const char *rule, const char *tag)
{
    char data[256];
    snprintf(data, sizeof(data), "{\"number\":%u,\"rule\":\"%s\",\"tags\":[\"%s\"],\"output_fields\":{}}",
             number, rule, tag);
    struct spool_record record = {.kind = SPOOL_ALERT,
                                  .priority = priority,
                                  .time_ns = spool_now_ns(),
                                  .data = data,
                                  .size = strlen(data)};
    cr_assert_eq(spool_append(spool, &record), 0);
}

static void put_many(unsigned from, unsigned to)
{
    for (unsigned number = from; number <= to; number++)
        put(number, PRIORITY_WARNING, "a rule", "a tag");
}

static void start(void)
{
    const struct queue_options options = {.loop = loop,
                                          .output = &output,
                                          .spool_directory = spool_dir,
                                          .hostname = "host",
                                          .type = &far_type,
                                          .stats = &stats};
    cr_assert_eq(queue_open(&options, &queue), 0);
}

static void on_deadline(void *context)
{
    cr_assert_fail("nothing more happens after %zu requests", far.requests_count);
}

static uint64_t wanted_settled;

static void stop_when_settled(void)
{
    if (stats.delivered + stats.rejected + stats.filtered >= wanted_settled)
        loop_stop(loop);
}

// Until so many records were delivered, rejected or filtered out.
static void run_until(uint64_t settled)
{
    wanted_settled = settled;
    far.after = stop_when_settled;
    loop_timer_set(loop, &deadline, 20000, on_deadline, NULL);
    cr_assert_eq(loop_run(loop), 0);
    loop_timer_stop(loop, &deadline);
}

// What another reader of that name begins with; -1: nothing is left.
static int first_left(void)
{
    queue_close(&queue);
    struct spool_reader *reader = spool_read("far");
    struct spool_record record;
    int result = spool_reader_next(reader, &record), number = -1;
    cr_assert_geq(result, 0);
    if (result) {
        json_t *json = json_loadb(record.data, record.size, 0, NULL);
        number = (int)json_integer_value(json_object_get(json, "number"));
        json_decref(json);
    }
    spool_reader_close(&reader);
    return number;
}

// --- Batches ---

Test(deliver_queue, sends_batches_in_order_and_commits_what_was_taken)
{
    put_many(1, 10);
    start();
    run_until(10);
    cr_expect_str_eq(far.requests[0], "1 2 3 4");
    cr_expect_str_eq(far.requests[1], "5 6 7 8");
    cr_expect_str_eq(far.requests[2], "9 10");
    cr_expect_eq(stats.delivered, 10);
    cr_expect_eq(stats.up, 1);
    cr_expect_gt(stats.last_success_time, 0);
    cr_expect_str_eq(stats.name, "far");
    cr_expect_eq(first_left(), -1);
}

Test(deliver_queue, a_batch_waits_for_more_but_not_when_in_a_hurry)
{
    output.batch_wait = 100000;
    put_many(1, 2);
    start();
    struct loop_timer hurry = {};
    loop_timer_set(loop, &hurry, 5, (loop_timer_fn)queue_hurry, queue);
    run_until(2);
    cr_expect_str_eq(far.requests[0], "1 2");
    cr_expect(queue_rests(queue));
}

static void put_rest(void *context)
{
    put_many(3, 4);
    queue_wake(queue);
}

Test(deliver_queue, a_batch_goes_as_soon_as_it_is_full)
{
    output.batch_wait = 100000;
    put_many(1, 2);
    start();
    struct loop_timer more = {};
    loop_timer_set(loop, &more, 5, put_rest, NULL);
    run_until(4);
    cr_expect_str_eq(far.requests[0], "1 2 3 4");
}

Test(deliver_queue, a_batch_is_limited_by_bytes)
{
    static char data[700000];
    for (unsigned number = 1; number <= 3; number++) {
        int length = snprintf(data, sizeof(data), "{\"number\":%u,\"x\":\"", number);
        memset(data + length, 'x', sizeof(data) - (size_t)length);
        memcpy(data + sizeof(data) - 2, "\"}", 2);
        struct spool_record record = {
            .kind = SPOOL_ALERT, .time_ns = spool_now_ns(), .data = data, .size = sizeof(data)};
        cr_assert_eq(spool_append(spool, &record), 0);
    }
    start();
    run_until(3);
    cr_expect_str_eq(far.requests[0], "1");
    cr_expect_eq(far.requests_count, 3);
}

// --- Verdicts ---

static unsigned tries;

static enum verdict two_and_three_later(unsigned number, size_t together)
{
    return (number == 2 || number == 3) && tries++ < 6 ? VERDICT_RETRY : VERDICT_DELIVERED;
}

Test(deliver_queue, sends_again_only_what_is_to_be_sent_again)
{
    tries = 0;
    far.judge = two_and_three_later;
    put_many(1, 9);
    start();
    run_until(9);
    cr_expect_str_eq(far.requests[0], "1 2 3 4");
    cr_expect_str_eq(far.requests[1], "2 3 5 6");
    for (unsigned number = 1; number <= 9; number++)
        cr_expect_eq(far.taken[number], 1, "alert %u was taken %u times", number, far.taken[number]);
    cr_expect_eq(stats.retried, 6);
    cr_expect_eq(first_left(), -1);
}

static enum verdict three_never(unsigned number, size_t together)
{
    return number == 3 ? VERDICT_RETRY : VERDICT_DELIVERED;
}

Test(deliver_queue, what_lies_behind_one_that_waits_is_not_committed)
{
    far.judge = three_never;
    put_many(1, 6);
    start();
    run_until(5);
    cr_expect_eq(far.taken[6], 1);
    cr_expect_eq(first_left(), 3);
}

static enum verdict three_is_poison(unsigned number, size_t together)
{
    if (number == 3 && together == 1)
        return VERDICT_REFUSED;
    for (size_t i = 0; i < together; i++)
        if (strstr(far.requests[far.requests_count - 1], "3"))
            return VERDICT_SPLIT;
    return VERDICT_DELIVERED;
}

Test(deliver_queue, one_that_is_refused_takes_no_other_down)
{
    far.judge = three_is_poison;
    output.batch = 4;
    put_many(1, 9);
    start();
    run_until(9);
    cr_expect_eq(stats.delivered, 8);
    cr_expect_eq(stats.rejected, 1);
    cr_expect_eq(far.taken[3], 0);
    for (unsigned number = 1; number <= 9; number++)
        cr_expect_eq(far.taken[number], number != 3, "alert %u", number);
    cr_expect_eq(stats.up, 1);
    cr_expect_eq(first_left(), -1);
}

static enum verdict refuse_all(unsigned number, size_t together)
{
    return together > 1 ? VERDICT_SPLIT : VERDICT_REFUSED;
}

static void stop_after_sixty(void)
{
    if (far.requests_count >= 60)
        loop_stop(loop);
}

Test(deliver_queue, a_receiver_that_takes_nothing_at_all_costs_no_alert)
{
    far.judge = refuse_all;
    output.retry_max = 1;
    put_many(1, 20);
    start();
    far.after = stop_after_sixty;
    cr_assert_eq(loop_run(loop), 0);
    cr_expect_eq(stats.rejected, 0);
    cr_expect_eq(stats.up, 0);
    // Others than the first were tried, too.
    bool tried[9] = {};
    for (size_t i = 0; i < far.requests_count; i++)
        if (far.counts[i] == 1 && atoi(far.requests[i]) <= 8)
            tried[atoi(far.requests[i])] = true;
    for (unsigned number = 1; number <= 8; number++)
        cr_expect(tried[number], "alert %u was not tried", number);
    cr_expect_eq(first_left(), 1);
}

static enum verdict only_five(unsigned number, size_t together)
{
    return together > 1 ? VERDICT_SPLIT : number >= 5 ? VERDICT_DELIVERED : VERDICT_REFUSED;
}

Test(deliver_queue, what_was_refused_first_is_given_up_once_another_was_taken)
{
    far.judge = only_five;
    put_many(1, 6);
    start();
    run_until(6);
    cr_expect_eq(stats.delivered, 2);
    cr_expect_eq(stats.rejected, 4);
    cr_expect_eq(first_left(), -1);
}

static enum verdict reject_odd(unsigned number, size_t together)
{
    return number % 2 ? VERDICT_REJECTED : VERDICT_DELIVERED;
}

Test(deliver_queue, counts_what_is_rejected_and_goes_on)
{
    far.judge = reject_odd;
    put_many(1, 8);
    start();
    run_until(8);
    cr_expect_eq(stats.rejected, 4);
    cr_expect_eq(far.requests_count, 2);
}

static enum verdict once_not(unsigned number, size_t together)
{
    return far.requests_count == 1 ? VERDICT_RETRY : VERDICT_DELIVERED;
}

Test(deliver_queue, waits_as_long_as_the_receiver_asks)
{
    far.judge = once_not;
    far.retry_after = 150;
    put_many(1, 1);
    start();
    run_until(1);
    cr_expect_eq(far.requests_count, 2);
    cr_expect_geq(far.times[1] - far.times[0], 150);
}

Test(deliver_queue, goes_no_faster_than_its_rate)
{
    output.rate = 20;
    output.batch = 50;
    put_many(1, 25);
    uint64_t begin = loop_now_ms();
    start();
    run_until(25);
    cr_expect_eq(far.counts[0], 20);
    // Five more at twenty a second.
    cr_expect_geq(far.times[far.requests_count - 1] - begin, 250);
}

// --- Other records, filters ---

Test(deliver_queue, sends_only_what_the_output_wants)
{
    char *rules[] = {(char *)"Shell *", (char *)"exact"};
    char *tags[] = {(char *)"yes"};
    output.rules = (struct config_strings){rules, 2};
    output.tags = (struct config_strings){tags, 1};
    output.minimum_priority = PRIORITY_WARNING;
    put(1, PRIORITY_WARNING, "Shell in container", "yes");
    put(2, PRIORITY_WARNING, "Shell in container", "no");
    put(3, PRIORITY_WARNING, "A Shell", "yes");
    put(4, PRIORITY_NOTICE, "exact", "yes");
    put(5, PRIORITY_EMERGENCY, "exact", "yes");
    struct spool_record span = {.kind = SPOOL_SPAN, .time_ns = spool_now_ns(), .data = "{}", .size = 2};
    cr_assert_eq(spool_append(spool, &span), 0);
    start();
    run_until(5);
    cr_expect_str_eq(far.requests[0], "1 5");
    cr_expect_eq(stats.filtered, 3);
    cr_expect_eq(first_left(), -1);
}

Test(deliver_queue, a_record_that_is_no_json_is_counted_and_passed_over)
{
    spool_put(spool, PRIORITY_WARNING, 7, 20);
    put_many(1, 1);
    start();
    run_until(2);
    cr_expect_str_eq(far.requests[0], "1");
    cr_expect_eq(stats.rejected, 1);
}

// A model's name is whatever a client writes.
Test(deliver_queue, a_nul_in_a_value_costs_no_alert)
{
    put(1, PRIORITY_WARNING, "a\\u0000b", "a tag");
    start();
    run_until(1);
    cr_expect_eq(stats.delivered, 1);
    cr_expect_eq(stats.rejected, 0);
}

// --- Opening and ending ---

Test(deliver_queue, a_receiver_that_cannot_be_opened_is_tried_again_on_request)
{
    far.open_error = -EACCES;
    put_many(1, 1);
    start();
    struct loop_timer reopen = {};
    cr_expect_eq(far.opens, 0);
    loop_timer_set(loop, &reopen, 20, (loop_timer_fn)loop_stop, loop);
    cr_assert_eq(loop_run(loop), 0);
    cr_expect_eq(far.opens, 1);
    cr_expect_eq(stats.up, 0);
    cr_expect(queue_rests(queue));
    far.open_error = 0;
    queue_reopen(queue);
    run_until(1);
    cr_expect_eq(far.opens, 2);
    queue_reopen(queue);
    cr_expect_eq(far.reopens, 1);
}

Test(deliver_queue, what_is_under_way_at_the_end_is_sent_again_next_time)
{
    far.silent = true;
    put_many(1, 3);
    start();
    struct loop_timer stop = {};
    loop_timer_set(loop, &stop, 20, (loop_timer_fn)loop_stop, loop);
    cr_assert_eq(loop_run(loop), 0);
    cr_expect_not(queue_rests(queue));
    cr_expect_eq(first_left(), 1);
    cr_expect(far.closed_while_sending);
}

// --- Its parts ---

Test(deliver_filter, a_star_stands_for_any_characters)
{
    cr_expect(filter_fits("*", ""));
    cr_expect(filter_fits("Shell*", "Shell"));
    cr_expect(filter_fits("*shell*in*", "a shell runs in it"));
    cr_expect(filter_fits("a*b*c", "a b b c"));
    cr_expect(filter_fits("[x]?", "[x]?"));
    cr_expect_not(filter_fits("Shell", "Shell in container"));
    cr_expect_not(filter_fits("a*b*c", "a b b"));
    cr_expect_not(filter_fits("", "a"));
    cr_expect_not(filter_fits("[x]?", "xy"));
}

Test(deliver_pace, waits_are_random_up_to_a_doubled_span)
{
    cr_expect_eq(backoff_ms(100, 1000, 1, 100), 100);
    cr_expect_eq(backoff_ms(100, 1000, 1, 101), 0);
    cr_expect_eq(backoff_ms(100, 1000, 3, 400), 400);
    cr_expect_eq(backoff_ms(100, 1000, 50, 1000), 1000);
    cr_expect_leq(backoff_ms(100, 1000, 4000000000u, UINT32_MAX), 1000);
    cr_expect_eq(backoff_ms(0, 0, 7, 99), 0);
}

Test(deliver_pace, a_bucket_gives_what_a_second_allows)
{
    struct bucket bucket = {.rate = 10}, none = {};
    cr_expect_eq(bucket_take(&bucket, 1000, 7), 7);
    cr_expect_eq(bucket_take(&bucket, 1000, 7), 3);
    cr_expect_eq(bucket_take(&bucket, 1050, 7), 0);
    cr_expect_geq(bucket_wait(&bucket, 1050), 50);
    cr_expect_leq(bucket_wait(&bucket, 1050), 51);
    cr_expect_eq(bucket_take(&bucket, 1101, 7), 1);
    cr_expect_eq(bucket_take(&bucket, 90000, 70), 10);
    cr_expect_eq(bucket_take(&none, 0, 5000), 5000);
    cr_expect_eq(bucket_wait(&none, 0), 0);
}
