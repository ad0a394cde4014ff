// Which alerts are folded, and what the summaries say. The clock is the test's.
#include "rule_fixture.h"
#include "sink/noise.h"

#include "base/series.h"
#include "base/text.h"
#include "sink.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>

static const char rules[] =
    "- rule: Shell\n  desc: d\n  priority: Warning\n  tags: [shell]\n  condition: evt.type = execve\n"
    "  output: Shell %proc.name pid %proc.pid by %user.name (%proc.cmdline)\n"
    "- rule: Read\n  desc: d\n  priority: Error\n  condition: evt.type = openat\n"
    "  output: Read %fd.name by %proc.name\n";

static struct loaded loaded;
static struct noise *noise;
static uint64_t now_ms, told, folded;
static struct text last_json, last_text;
static size_t summaries;
static uint64_t summed; // of all summaries

static void on_summary(const struct noise_summary *summary, void *context)
{
    text_reset(&last_json);
    text_reset(&last_text);
    noise_summary_json(summary, &last_json);
    noise_summary_text(summary, &last_text);
    cr_assert(!last_json.truncated && !last_text.truncated);
    summaries++;
    summed += summary->folded;
}

static void on_match(const struct rule *rule, const struct event *event, void *context)
{
    struct alert alert = {.rule = rule, .event = event, .hostname = "node1"};
    if (noise_folds(noise, &alert, now_ms))
        folded++;
    else
        told++;
}

static void setup(void)
{
    setenv("TZ", "UTC", 1);
    fixture_register();
    loaded = fixture_load(rules);
    fixture_expect_loaded(&loaded);
    last_json = (struct text)TEXT_INIT(1 << 20);
    last_text = (struct text)TEXT_INIT(1 << 20);
    now_ms = 1000000;
}

static void teardown(void)
{
    noise_free(&noise, now_ms);
    text_free(&last_json);
    text_free(&last_text);
    loaded_free(&loaded);
}

TestSuite(sink_noise, .init = setup, .fini = teardown);

static void configure(unsigned window_s, double rate, unsigned burst)
{
    struct config_noise options = {.window_s = window_s, .rate = rate, .burst = burst};
    cr_assert_eq(noise_new(&options, on_summary, NULL, &noise), 0);
}

static uint64_t event_time = UINT64_C(1763712478123456789);

static void happen(const char *description)
{
    struct made_event made;
    fixture_event(&made, description);
    made.event.time_ns = event_time;
    event_time += UINT64_C(1000000000);
    cr_assert_eq(rule_set_match(loaded.set, &made.event, RULE_MATCHING_ALL, on_match, NULL), 1);
}

Test(sink_noise, nothing_is_folded_unless_asked_for)
{
    struct config_noise options = {.burst = 100};
    cr_assert_eq(noise_new(&options, on_summary, NULL, &noise), -EINVAL);
    cr_assert(!noise);
}

Test(sink_noise, equal_alerts_within_the_window_become_one_summary)
{
    configure(10, 0, 1);
    happen("execve; proc.name=sh; proc.pid=1; user.name=root; proc.cmdline=sh -c a");
    // Another process that does the same is the same.
    for (int i = 0; i < 5; i++)
        happen("execve; proc.name=sh; proc.pid=2; user.name=root; proc.cmdline=sh -c a");
    happen("execve; proc.name=sh; proc.pid=1; user.name=root; proc.cmdline=sh -c b");
    happen("execve; proc.name=sh; proc.pid=1; user.name=you; proc.cmdline=sh -c a");
    cr_assert(told == 3 && folded == 5 && summaries == 0);

    now_ms += 9999;
    noise_tick(noise, now_ms);
    cr_assert_eq(summaries, 0);
    now_ms += 1;
    noise_tick(noise, now_ms);
    cr_assert_eq(summaries, 1, "windows without repeats close silently");
    cr_assert_str_eq(
        text_string(&last_text),
        "08:08:03.123456789: Warning Shell sh pid 1 by root (sh -c a) (5 more of these in 10 s)\n");

    // After the window the first passes again.
    happen("execve; proc.name=sh; proc.pid=1; user.name=root; proc.cmdline=sh -c a");
    cr_assert_eq(told, 4);
}

Test(sink_noise, a_summary_is_an_alert_of_the_rule)
{
    configure(10, 0, 1);
    for (int i = 0; i < 3; i++)
        happen("execve; proc.name=a\"b; proc.pid=1; user.name=root; proc.cmdline=x\ny");
    noise_free(&noise, now_ms + 2500);
    cr_assert_eq(summaries, 1);
    json_t *json = json_loads(text_string(&last_json), 0, NULL);
    cr_assert(json, "%s", text_string(&last_json));
    cr_assert_str_eq(json_string_value(json_object_get(json, "rule")), "Shell");
    cr_assert_str_eq(json_string_value(json_object_get(json, "priority")), "Warning");
    cr_assert_str_eq(json_string_value(json_object_get(json, "hostname")), "node1");
    cr_assert_str_eq(json_string_value(json_object_get(json, "source")), "syscall");
    cr_assert_str_eq(json_string_value(json_array_get(json_object_get(json, "tags"), 0)), "shell");
    cr_assert_str_eq(json_string_value(json_object_get(json, "time")), "2025-11-21T08:08:00.123456789Z");
    cr_assert(strstr(json_string_value(json_object_get(json, "output")), " (2 more of these in 3 s)"));
    const json_t *fields = json_object_get(json, "output_fields");
    cr_assert_eq(json_integer_value(json_object_get(fields, "folded")), 2);
    cr_assert_eq(json_integer_value(json_object_get(fields, "folded_seconds")), 3);
    cr_assert_str_eq(json_string_value(json_object_get(fields, "folded_reason")), "duplicate");
    cr_assert_str_eq(json_string_value(json_object_get(fields, "proc.name")), "a\"b");
    cr_assert_eq(json_integer_value(json_object_get(fields, "proc.pid")), 1);
    json_decref(json);
}

Test(sink_noise, a_missing_field_is_not_an_empty_one)
{
    configure(10, 0, 1);
    happen("openat; fd.name=; proc.name=cat");
    happen("openat; proc.name=cat");
    happen("openat; fd.name=cat; proc.name=");
    cr_assert_eq(told, 3);
}

Test(sink_noise, a_rule_that_is_too_fast_is_folded)
{
    configure(0, 2, 3);
    // All are of one kind and none is equal to another.
    for (int i = 0; i < 20; i++) {
        char event[64];
        snprintf(event, sizeof(event), "openat; fd.name=/a%d; proc.name=cat", i);
        happen(event);
    }
    cr_assert(told == 3 && folded == 17);
    // The other rule has a bucket of its own.
    happen("execve; proc.name=sh; user.name=root");
    cr_assert_eq(told, 4);
    // In a second, two more may pass.
    now_ms += 1000;
    for (int i = 0; i < 5; i++)
        happen("openat; fd.name=/b; proc.name=cat");
    cr_assert(told == 6 && folded == 20);
    now_ms += NOISE_RATE_WINDOW_S * 1000;
    noise_tick(noise, now_ms);
    cr_assert_eq(summaries, 1);
    cr_assert_eq(summed, 20);
    cr_assert(strstr(text_string(&last_text), "Error Read /a3 by cat (20 more of these in 61 s)"), "%s",
              text_string(&last_text));
    cr_assert(strstr(text_string(&last_json), "\"folded_reason\":\"rate\""));
}

Test(sink_noise, the_first_of_its_kind_always_passes)
{
    configure(0, 0.001, 1);
    happen("openat; fd.name=/a; proc.name=cat");
    happen("openat; fd.name=/b; proc.name=cat");
    cr_assert(told == 1 && folded == 1);
    // Another program is another kind, however noisy the rule was.
    happen("openat; fd.name=/a; proc.name=evil");
    cr_assert(told == 2 && folded == 1);
    happen("openat; fd.name=/b; proc.name=evil");
    cr_assert(told == 2 && folded == 2);
    // When nobody has seen it for long it is the first again.
    now_ms += NOISE_KIND_S * 1000;
    happen("openat; fd.name=/c; proc.name=evil");
    cr_assert_eq(told, 3);
}

Test(sink_noise, an_alert_is_told_or_counted)
{
    configure(5, 3, 5);
    uint64_t happened = 0;
    for (int i = 0; i < 3000; i++, happened++) {
        char event[96];
        snprintf(event, sizeof(event), "openat; fd.name=/%d; proc.name=p%d", i * 7 % 13, i * 5 % 11);
        happen(event);
        now_ms += (uint64_t)(i % 40);
        if (i % 10 == 0)
            noise_tick(noise, now_ms);
    }
    noise_free(&noise, now_ms);
    cr_assert_eq(told + folded, happened);
    cr_assert_eq(summed, folded, "%" PRIu64 " of %" PRIu64 " are in a summary", summed, folded);
    cr_assert_gt(folded, 1000);
}

// However many different alerts come, what is kept is bounded, and nothing is forgotten untold.
Test(sink_noise, what_is_kept_is_bounded)
{
    configure(3600, 0, 1);
    for (int i = 0; i < 3 * NOISE_WINDOWS_MAX; i++) {
        char event[64];
        snprintf(event, sizeof(event), "openat; fd.name=/%d; proc.name=cat", i);
        happen(event);
        happen(event);
    }
    cr_assert_geq(summaries, 2 * NOISE_WINDOWS_MAX);
    noise_free(&noise, now_ms);
    cr_assert_eq(summed, folded);
    cr_assert_eq(folded, 3 * NOISE_WINDOWS_MAX);
}

Test(sink_noise, kinds_are_bounded)
{
    configure(0, 0.001, 1);
    for (int i = 0; i < NOISE_KINDS_MAX + 500; i++) {
        char event[64];
        snprintf(event, sizeof(event), "openat; fd.name=/a; proc.name=p%d", i);
        happen(event);
        now_ms++;
    }
    // The bucket is empty and so many kinds are recent: a new one is not known to be the first.
    cr_assert_geq(told, NOISE_KINDS_MAX);
    cr_assert_leq(told, NOISE_KINDS_MAX + 1);
}

Test(sink_noise, fields_that_do_not_count)
{
    static const char *const names[] = {"evt.time", "proc.pid", "thread.tid", "fd.num", "proc.apid[2]"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        cr_expect(noise_ignores(names[i]), "%s", names[i]);
    cr_expect(!noise_ignores("proc.name") && !noise_ignores("fd.name") && !noise_ignores("fd.sport") &&
              !noise_ignores("evt.res"));
}
