// What the receivers over HTTP send, and what they make of real receivers' answers.
#include "base/cleanup.h"
#include "deliver/format_map.h"
#include "deliver/http_receiver.h"
#include "deliver/secret.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ITEMS = 3 };

static const char alert[] =
    "{\"hostname\":\"node-1\",\"output\":\"08:00:00.000000000: Critical a shell\",\"output_fields\":{"
    "\"evt.time\":1795248000123456789,\"proc.name\":\"sh\\\"\\n\",\"user.uid\":0,\"proc.tty\":null,"
    "\"evt.is_open_read\":true,\"k8s.pod.name\":\"web-1\",\"k8s.ns.name\":\"shop\",\"container.name\":"
    "\"app\","
    "\"infer.traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"},"
    "\"priority\":\"Critical\",\"rule\":\"Shell "
    "\\\"x\\\"\",\"source\":\"syscall\",\"tags\":[\"shell\",\"T1059\"],"
    "\"time\":\"2026-11-21T08:00:00.123456789Z\"}";

static struct item items[ITEMS];
static const struct item *pointers[ITEMS];
static struct config_output output;
static unsigned memory;
static enum verdict verdicts[ITEMS];
static struct http_judgement judgement;

static struct http_batch batch_of(size_t count)
{
    return (struct http_batch){.output = &output,
                               .hostname = "here",
                               .items = pointers,
                               .count = count,
                               .group = SPOOL_ALERT,
                               .memory = &memory};
}

static void setup(void)
{
    output = (struct config_output){.name = (char *)"o", .retry_max = 30000};
    memory = 0;
    for (unsigned i = 0; i < ITEMS; i++) {
        items[i] = (struct item){.record = {.kind = SPOOL_ALERT,
                                            .priority = PRIORITY_CRITICAL,
                                            .sequence = 7 + i,
                                            .time_ns = 1795248001000000000},
                                 .json = json_loads(alert, 0, NULL)};
        cr_assert(items[i].json);
        snprintf(items[i].record.uuid, UUID_TEXT_SIZE, "01a1fd38-ca40-7944-92b4-b3945daca7a%u", i);
        pointers[i] = &items[i];
    }
}

static void teardown(void)
{
    for (unsigned i = 0; i < ITEMS; i++)
        json_decref(items[i].json);
}

TestSuite(deliver_http, .init = setup, .fini = teardown);

static char *build(const struct http_kind *kind, size_t count)
{
    static struct text body = TEXT_INIT(1 << 20);
    struct http_batch batch = batch_of(count);
    text_reset(&body);
    cr_assert_eq(kind->build(&batch, &body), 0);
    cr_assert_not(body.truncated);
    return body.data;
}

static json_t *build_json(const struct http_kind *kind, size_t count)
{
    json_error_t error;
    json_t *json = json_loads(build(kind, count), JSON_REJECT_DUPLICATES, &error);
    cr_assert(json, "%s", error.text);
    return json;
}

// --- Shapes ---

static void expect_json(json_t *got, const char *wanted)
{
    json_t *json = json_loads(wanted, 0, NULL);
    cr_assert(json, "the test's own JSON: %s", wanted);
    _cleanup_free_ char *text = json_dumps(got, JSON_SORT_KEYS);
    cr_expect(json_equal(got, json), "%s", text);
    json_decref(json);
}

Test(deliver_http, a_webhook_gets_the_alert_with_its_identity)
{
    json_t *json = build_json(&webhook_kind, 1), *wanted = json_loads(alert, 0, NULL);
    json_object_set_new(wanted, "uuid", json_string("01a1fd38-ca40-7944-92b4-b3945daca7a0"));
    json_object_set_new(wanted, "sequence", json_integer(7));
    cr_expect(json_equal(json, wanted));
    json_decref(json);
    json_decref(wanted);
    cr_expect(webhook_kind.alone);
}

Test(deliver_http, splunk_gets_events_one_after_the_other)
{
    output.index = (char *)"sec\"urity";
    output.format = FORMAT_TEXT;
    const char *body = build(&splunk_kind, 2);
    const char *one =
        "{\"time\":1795248000.123456,\"host\":\"node-1\",\"source\":\"inferscope\",\"sourcetype\":"
        "\"inferscope\",\"index\":\"sec\\\"urity\",\"event\":\"08:00:00.000000000: Critical a shell\"}";
    cr_expect_eq(strlen(body), 2 * strlen(one));
    cr_expect_eq(strncmp(body, one, strlen(one)), 0, "%s", body);
    cr_expect_str_eq(body + strlen(one), one);
}

Test(deliver_http, elasticsearch_gets_a_line_of_action_and_one_of_document)
{
    output.format = FORMAT_ECS;
    output.index = (char *)"alerts";
    char *body = build(&elasticsearch_kind, 2), *rest = NULL;
    size_t lines = 0;
    for (char *line = strtok_r(body, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), lines++) {
        json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        cr_assert(json, "%s", line);
        if (lines == 2)
            expect_json(
                json,
                "{\"create\":{\"_index\":\"alerts\",\"_id\":\"01a1fd38-ca40-7944-92b4-b3945daca7a1\"}}");
        if (lines % 2)
            cr_expect_str_eq(json_string_value(json_object_get(json, "@timestamp")),
                             "2026-11-21T08:00:00.123456789Z");
        json_decref(json);
    }
    cr_expect_eq(lines, 4);
}

Test(deliver_http, loki_gets_a_stream_for_each_set_of_labels)
{
    char *labels[] = {(char *)"env=prod=1"};
    output.labels = (struct config_strings){labels, 1};
    output.format = FORMAT_TEXT;
    items[1].record.priority = PRIORITY_NOTICE;
    json_t *json = build_json(&loki_kind, 3);
    expect_json(
        json,
        "{\"streams\":["
        "{\"stream\":{\"job\":\"inferscope\",\"hostname\":\"node-1\",\"priority\":\"critical\",\"rule\":"
        "\"Shell \\\"x\\\"\",\"source\":\"syscall\",\"env\":\"prod=1\"},\"values\":["
        "[\"1795248000123456789\",\"08:00:00.000000000: Critical a shell\",{\"uuid\":"
        "\"01a1fd38-ca40-7944-92b4-b3945daca7a0\"}],"
        "[\"1795248000123456789\",\"08:00:00.000000000: Critical a shell\",{\"uuid\":"
        "\"01a1fd38-ca40-7944-92b4-b3945daca7a2\"}]]},"
        "{\"stream\":{\"job\":\"inferscope\",\"hostname\":\"node-1\",\"priority\":\"notice\",\"rule\":"
        "\"Shell \\\"x\\\"\",\"source\":\"syscall\",\"env\":\"prod=1\"},\"values\":["
        "[\"1795248000123456789\",\"08:00:00.000000000: Critical a shell\",{\"uuid\":"
        "\"01a1fd38-ca40-7944-92b4-b3945daca7a1\"}]]}]}");
    json_decref(json);
}

Test(deliver_http, alertmanager_gets_labels_that_are_the_same_each_time)
{
    json_t *json = build_json(&alertmanager_kind, 2), *first = json_array_get(json, 0);
    expect_json(
        json_object_get(first, "labels"),
        "{\"alertname\":\"Shell \\\"x\\\"\",\"severity\":\"P1\",\"priority\":\"Critical\",\"hostname\":"
        "\"node-1\",\"source\":\"syscall\",\"tags\":\"shell,T1059\",\"container\":\"app\",\"namespace\":"
        "\"shop\",\"pod\":\"web-1\"}");
    expect_json(json_object_get(first, "annotations"),
                "{\"summary\":\"Shell \\\"x\\\" on node-1\",\"description\":\"08:00:00.000000000: Critical a "
                "shell\",\"uuid\":\"01a1fd38-ca40-7944-92b4-b3945daca7a0\"}");
    cr_expect_str_eq(json_string_value(json_object_get(first, "startsAt")), "2026-11-21T08:00:00.123Z");
    cr_expect(
        json_equal(json_object_get(first, "labels"), json_object_get(json_array_get(json, 1), "labels")));
    json_decref(json);
}

Test(deliver_http, an_old_alert_lasts_for_a_while_in_alertmanager_all_the_same)
{
    json_object_set_new(json_object_get(items[0].json, "output_fields"), "evt.time",
                        json_integer(1000000000));
    json_t *json = build_json(&alertmanager_kind, 1);
    const char *ends = json_string_value(json_object_get(json_array_get(json, 0), "endsAt"));
    char now[32];
    time_t seconds = time(NULL);
    strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%S", gmtime(&seconds));
    cr_expect_gt(strcmp(ends, now), 0, "%s is before %s", ends, now);
    json_decref(json);
}

Test(deliver_http, otlp_gets_a_record_of_log)
{
    char *labels[] = {(char *)"deployment.environment=prod"};
    output.labels = (struct config_strings){labels, 1};
    json_t *json = build_json(&otlp_kind, 2),
           *resource = json_array_get(json_object_get(json, "resourceLogs"), 0);
    _cleanup_free_ char *origin = json_dumps(json_object_get(resource, "resource"), JSON_COMPACT);
    cr_expect(strstr(origin, "{\"key\":\"host.name\",\"value\":{\"stringValue\":\"here\"}}"), "%s", origin);
    cr_expect(strstr(origin, "{\"key\":\"deployment.environment\",\"value\":{\"stringValue\":\"prod\"}}"));
    json_t *scope = json_array_get(json_object_get(resource, "scopeLogs"), 0);
    cr_expect_eq(json_array_size(json_object_get(scope, "logRecords")), 2);
    expect_json(
        json_array_get(json_object_get(scope, "logRecords"), 0),
        "{\"timeUnixNano\":\"1795248000123456789\",\"observedTimeUnixNano\":\"1795248001000000000\","
        "\"severityNumber\":18,\"severityText\":\"Critical\",\"body\":{\"stringValue\":\"08:00:00.000000000: "
        "Critical a "
        "shell\"},\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"b7ad6b7169203331\","
        "\"flags\":1,\"attributes\":["
        "{\"key\":\"log.record.uid\",\"value\":{\"stringValue\":\"01a1fd38-ca40-7944-92b4-b3945daca7a0\"}},"
        "{\"key\":\"rule\",\"value\":{\"stringValue\":\"Shell \\\"x\\\"\"}},"
        "{\"key\":\"source\",\"value\":{\"stringValue\":\"syscall\"}},"
        "{\"key\":\"hostname\",\"value\":{\"stringValue\":\"node-1\"}},"
        "{\"key\":\"sequence\",\"value\":{\"intValue\":\"7\"}},"
        "{\"key\":\"tags\",\"value\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"shell\"},{"
        "\"stringValue\":"
        "\"T1059\"}]}}},"
        "{\"key\":\"evt.time\",\"value\":{\"intValue\":\"1795248000123456789\"}},"
        "{\"key\":\"proc.name\",\"value\":{\"stringValue\":\"sh\\\"\\n\"}},"
        "{\"key\":\"user.uid\",\"value\":{\"intValue\":\"0\"}},"
        "{\"key\":\"evt.is_open_read\",\"value\":{\"boolValue\":true}},"
        "{\"key\":\"k8s.pod.name\",\"value\":{\"stringValue\":\"web-1\"}},"
        "{\"key\":\"k8s.ns.name\",\"value\":{\"stringValue\":\"shop\"}},"
        "{\"key\":\"container.name\",\"value\":{\"stringValue\":\"app\"}},"
        "{\"key\":\"infer.traceparent\",\"value\":{\"stringValue\":"
        "\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"}}]}");
    json_decref(json);
}

Test(deliver_http, otlp_puts_the_parts_of_several_records_into_one)
{
    struct http_batch batch = batch_of(2);
    batch.group = SPOOL_SPAN;
    for (size_t i = 0; i < 2; i++) {
        json_decref(items[i].json);
        items[i].json = json_loads(
            "{\"resourceSpans\":[{\"resource\":{\"attributes\":[]},\"scopeSpans\":[1]}]}", 0, NULL);
    }
    _cleanup_text_ struct text body = TEXT_INIT(65536);
    cr_assert_eq(otlp_kind.build(&batch, &body), 0);
    json_t *json = json_loads(body.data, 0, NULL);
    expect_json(
        json, "{\"resourceSpans\":["
              "{\"resource\":{\"attributes\":[{\"key\":\"host.name\",\"value\":{\"stringValue\":\"here\"}}]},"
              "\"scopeSpans\":[1]},"
              "{\"resource\":{\"attributes\":[{\"key\":\"host.name\",\"value\":{\"stringValue\":\"here\"}}]},"
              "\"scopeSpans\":[1]}]}");
    json_decref(json);
    // The items are as they were.
    expect_json(items[0].json, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[]},\"scopeSpans\":[1]}]}");
}

static size_t occurrences(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        count++;
    return count;
}

// The keys of a resource are unique: what the configuration says holds.
Test(deliver_http, otlp_labels_stand_in_for_what_is_there)
{
    char *labels[] = {(char *)"service.name=shop-inferscope", (char *)"host.name=n1"};
    output.labels = (struct config_strings){labels, 2};
    const char *body = build(&otlp_kind, 1);
    cr_expect_eq(occurrences(body, "\"service.name\""), 1, "%s", body);
    cr_expect_eq(occurrences(body, "\"host.name\""), 1, "%s", body);
    cr_expect(strstr(body, "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"shop-inferscope\"}}"));
    cr_expect(strstr(body, "{\"key\":\"host.name\",\"value\":{\"stringValue\":\"n1\"}}"));
    // The kernel takes any bytes for a name.
    output.labels.count = 0;
    struct http_batch batch = batch_of(1);
    batch.hostname = "\xff";
    _cleanup_text_ struct text text = TEXT_INIT(65536);
    cr_expect_eq(otlp_kind.build(&batch, &text), 0);
    cr_expect_eq(occurrences(text_string(&text), "\"unknown\""), 2, "%s", text_string(&text));
    // By this the series of several hosts are told from each other where metrics become Prometheus'.
    cr_expect(strstr(body, "{\"key\":\"service.instance.id\",\"value\":{\"stringValue\":\"here\"}}"), "%s",
              body);
}

Test(deliver_http, a_long_output_is_cut_for_alertmanager_not_left_out)
{
    _cleanup_text_ struct text text = TEXT_INIT(1 << 20);
    for (size_t i = 0; i < 50000; i++)
        text_add(&text, "\xc3\xa4");
    json_object_set_new(items[0].json, "output", json_string(text_string(&text)));
    json_t *json = build_json(&alertmanager_kind, 1);
    const char *description =
        json_string_value(format_get(json_array_get(json, 0), "annotations.description"));
    cr_assert(description);
    cr_expect_gt(strlen(description), 60000);
    cr_expect_eq(strlen(description) % 2, 0, "half a character is left");
    json_decref(json);
}

Test(deliver_http, an_alert_of_any_shape_does_no_harm)
{
    static const char *const odd[] = {
        "{}", "{\"tags\":5,\"output_fields\":[],\"rule\":{},\"output\":null}",
        "{\"output_fields\":{\"evt.time\":-1,\"a\":{\"b\":[1]}},\"tags\":[{},null,3]}"};
    static const struct http_kind *const kinds[] = {&webhook_kind, &splunk_kind, &elasticsearch_kind,
                                                    &loki_kind, &alertmanager_kind};
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        json_decref(items[i].json);
        items[i].json = json_loads(odd[i], 0, NULL);
    }
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        for (size_t k = 0; k < ITEMS; k++) {
            pointers[0] = &items[k];
            build(kinds[i], 1);
        }
}

// --- Answers ---

static void judge(const struct http_kind *kind, size_t count, unsigned group, unsigned status,
                  const char *body)
{
    struct http_batch batch = batch_of(count);
    struct http_answer answer = {.status = status, .body = body, .length = strlen(body), .why = "a reason"};
    batch.group = group;
    memset(&judgement, 0, sizeof(judgement));
    judgement.verdicts = verdicts;
    http_judge_status(&batch, &answer, &judgement);
    if (kind->judge)
        kind->judge(&batch, &answer, &judgement);
}

static void expect_verdicts(enum verdict first, enum verdict second, enum verdict third)
{
    cr_expect_eq(verdicts[0], first, "the first is %d: %s", verdicts[0], judgement.why);
    cr_expect_eq(verdicts[1], second, "the second is %d: %s", verdicts[1], judgement.why);
    cr_expect_eq(verdicts[2], third, "the third is %d: %s", verdicts[2], judgement.why);
}

#define EXPECT_ALL(verdict) expect_verdicts(verdict, verdict, verdict)

Test(deliver_http, a_status_alone_tells_what_to_do)
{
    static const unsigned later[] = {0, 301, 307, 401, 403, 404, 405, 408, 409, 425, 429, 500, 502, 503, 504};
    judge(&alertmanager_kind, 3, 0, 200, "");
    EXPECT_ALL(VERDICT_DELIVERED);
    judge(&alertmanager_kind, 3, 0, 204, "");
    EXPECT_ALL(VERDICT_DELIVERED);
    judge(&alertmanager_kind, 3, 0, 400, "bad");
    EXPECT_ALL(VERDICT_SPLIT);
    judge(&alertmanager_kind, 1, 0, 413, "large");
    cr_expect_eq(verdicts[0], VERDICT_REFUSED);
    for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
        judge(&alertmanager_kind, 3, 0, later[i], "");
        EXPECT_ALL(VERDICT_RETRY);
    }
    // What a person has to mend is not asked for every other moment.
    judge(&alertmanager_kind, 3, 0, 401, "");
    cr_expect_eq(judgement.retry_after, 30000);
}

Test(deliver_http, splunk_says_in_a_code_what_is_wrong)
{
    judge(&splunk_kind, 3, 0, 200, "{\"text\":\"Success\",\"code\":0}");
    EXPECT_ALL(VERDICT_DELIVERED);
    judge(&splunk_kind, 3, 0, 403, "{\"text\":\"Invalid token\",\"code\":4}");
    EXPECT_ALL(VERDICT_RETRY);
    cr_expect_eq(judgement.retry_after, 30000);
    cr_expect(strstr(judgement.why, "does not know the token"));
    judge(&splunk_kind, 3, 0, 400, "{\"text\":\"Incorrect index\",\"code\":7,\"invalid-event-number\":0}");
    EXPECT_ALL(VERDICT_RETRY);
    judge(&splunk_kind, 3, 0, 400,
          "{\"text\":\"Invalid data format\",\"code\":6,\"invalid-event-number\":1}");
    expect_verdicts(VERDICT_RETRY, VERDICT_REFUSED, VERDICT_RETRY);
    judge(&splunk_kind, 3, 0, 400,
          "{\"text\":\"Invalid data format\",\"code\":6,\"invalid-event-number\":77}");
    EXPECT_ALL(VERDICT_SPLIT);
    judge(&splunk_kind, 3, 0, 503, "{\"text\":\"Server is busy\",\"code\":9}");
    EXPECT_ALL(VERDICT_RETRY);
    judge(&splunk_kind, 3, 0, 502, "<html>Bad Gateway</html>");
    EXPECT_ALL(VERDICT_RETRY);
}

Test(deliver_http, elasticsearch_says_of_each_item_what_became_of_it)
{
    judge(&elasticsearch_kind, 3, 0, 200,
          "{\"errors\":false,\"items\":[{\"create\":{\"status\":201}},{\"create\":{\"status\":201}},"
          "{\"create\":{\"status\":200}}]}");
    EXPECT_ALL(VERDICT_DELIVERED);
    judge(&elasticsearch_kind, 3, 0, 200,
          "{\"errors\":true,\"items\":["
          "{\"create\":{\"status\":409,\"error\":{\"type\":\"version_conflict_engine_exception\"}}},"
          "{\"create\":{\"status\":429,\"error\":{\"type\":\"es_rejected_execution_exception\"}}},"
          "{\"create\":{\"status\":400,\"error\":{\"type\":\"document_parsing_exception\"}}}]}");
    expect_verdicts(VERDICT_DELIVERED, VERDICT_RETRY, VERDICT_REFUSED);
    cr_expect(strstr(judgement.why, "es_rejected_execution_exception (status 429)"), "%s", judgement.why);
    judge(&elasticsearch_kind, 3, 0, 200,
          "{\"errors\":true,\"items\":["
          "{\"create\":{\"status\":503,\"error\":{\"type\":\"unavailable_shards_exception\"}}},"
          "{\"create\":{\"status\":404,\"error\":{\"type\":\"index_not_found_exception\"}}},"
          "{\"create\":{\"status\":403,\"error\":{\"type\":\"cluster_block_exception\"}}}]}");
    EXPECT_ALL(VERDICT_RETRY);
    // Whatever is no such answer is no success.
    static const char *const others[] = {"",
                                         "ok",
                                         "{}",
                                         "{\"items\":[]}",
                                         "{\"items\":[{\"create\":{\"status\":201}}]}",
                                         "{\"items\":[1,2,3]}",
                                         "[1,2,3]",
                                         "{\"items\":[{},{},{}]}"};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        judge(&elasticsearch_kind, 3, 0, 200, others[i]);
        EXPECT_ALL(VERDICT_RETRY);
    }
    // Nor does it get into messages.
    judge(
        &elasticsearch_kind, 1, 0, 200,
        "{\"items\":[{\"create\":{\"status\":400,\"error\":{\"type\":\"\\u001b[31mgo to evil.example\"}}}]}");
    cr_expect_null(strstr(judgement.why, "evil"), "%s", judgement.why);
    judge(&elasticsearch_kind, 3, 0, 401, "{\"error\":{\"type\":\"security_exception\"},\"status\":401}");
    EXPECT_ALL(VERDICT_RETRY);
}

Test(deliver_http, loki_refuses_what_is_too_old_and_an_old_one_metadata)
{
    judge(&loki_kind, 3, 0, 204, "");
    EXPECT_ALL(VERDICT_DELIVERED);
    const char *behind =
        "entry with timestamp 2026-11-20 08:00:00 ignored, reason: 'entry too far behind, entry "
        "timestamp is: 2026-11-20T08:00:00Z, oldest acceptable timestamp is: 2026-11-21T07:00:00Z'";
    judge(&loki_kind, 3, 0, 400, behind);
    EXPECT_ALL(VERDICT_SPLIT);
    judge(&loki_kind, 1, 0, 400, behind);
    cr_expect_eq(verdicts[0], VERDICT_REFUSED);
    judge(&loki_kind, 3, 0, 429, "Ingestion rate limit exceeded for user fake (limit: 4194304 bytes/sec)");
    EXPECT_ALL(VERDICT_RETRY);
    judge(&loki_kind, 3, 0, 400,
          "stream '{job=\"inferscope\"}' includes structured metadata, but this feature is disallowed.");
    EXPECT_ALL(VERDICT_RETRY);
    cr_expect_null(strstr(build(&loki_kind, 1), "{\"uuid\""));
    // Before 2.9 it has no words for that: the third value of an entry is no string.
    memory = 0;
    judge(&loki_kind, 3, 0, 400,
          "loghttp.PushRequest.Streams: []loghttp.LogProtoStream: unmarshalerDecoder: Value is string, but "
          "can't find closing '\"' symbol, error found in #10 byte of ...");
    EXPECT_ALL(VERDICT_RETRY);
    cr_expect_null(strstr(build(&loki_kind, 1), "{\"uuid\""));
}

Test(deliver_http, otlp_takes_a_part)
{
    judge(&otlp_kind, 3, SPOOL_ALERT, 200, "{\"partialSuccess\":{}}");
    EXPECT_ALL(VERDICT_DELIVERED);
    judge(&otlp_kind, 3, SPOOL_ALERT, 200, "");
    EXPECT_ALL(VERDICT_DELIVERED);
    judge(&otlp_kind, 3, SPOOL_ALERT, 200,
          "{\"partialSuccess\":{\"rejectedLogRecords\":\"2\",\"errorMessage\":\"too old\"}}");
    expect_verdicts(VERDICT_DELIVERED, VERDICT_REJECTED, VERDICT_REJECTED);
    judge(&otlp_kind, 3, SPOOL_SPAN, 200, "{\"partialSuccess\":{\"rejectedSpans\":9}}");
    EXPECT_ALL(VERDICT_REJECTED);
    judge(&otlp_kind, 1, SPOOL_METRICS, 200, "{\"partialSuccess\":{\"rejectedDataPoints\":\"40\"}}");
    cr_expect_eq(verdicts[0], VERDICT_REJECTED);
    judge(&otlp_kind, 3, SPOOL_ALERT, 200, "{\"partialSuccess\":{\"rejectedLogRecords\":\"-5\"}}");
    EXPECT_ALL(VERDICT_DELIVERED);
    judge(&otlp_kind, 3, SPOOL_ALERT, 503, "");
    EXPECT_ALL(VERDICT_RETRY);
}

// --- Secrets ---

Test(deliver_secret, comes_from_a_file_or_the_environment)
{
    char path[] = "/tmp/inferscope-secret-XXXXXX";
    _cleanup_close_ int fd = mkstemp(path);
    cr_assert_eq(write(fd, "t0ken\r\n", 7), 7);
    struct config_secret in_file = {.file = path}, in_environment = {.environment = (char *)"UNIT_SECRET"},
                         none = {};
    _cleanup_secret_ char *text = NULL, *other = NULL, *nothing = NULL, *left = (char *)NULL;
    cr_assert_eq(secret_read(&in_file, &text), 0);
    cr_expect_str_eq(text, "t0ken");
    cr_expect_eq(secret_read(&in_environment, &left), -EINVAL);
    setenv("UNIT_SECRET", "v", 1);
    cr_assert_eq(secret_read(&in_environment, &other), 0);
    cr_expect_str_eq(other, "v");
    cr_assert_eq(secret_read(&none, &nothing), 0);
    cr_expect_str_eq(nothing, "");
    // One that would become two headers is none.
    cr_assert_eq(write(fd, "X-Evil: 1\n", 10), 10);
    cr_expect_eq(secret_read(&in_file, &left), -EINVAL);
    setenv("UNIT_SECRET", "a\nb", 1);
    cr_expect_eq(secret_read(&in_environment, &left), -EINVAL);
    unlink(path);
    cr_expect_eq(secret_read(&in_file, &left), -ENOENT);
    cr_expect_null(left);
}
