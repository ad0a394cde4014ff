// Splunk's HTTP Event Collector. Its answers have a code of their own:
// https://docs.splunk.com/Documentation/Splunk/latest/Data/TroubleshootHTTPEventCollector
#include "base/cleanup.h"
#include "format.h"
#include "format_map.h"
#include "http_receiver.h"

#include <inttypes.h>
#include <string.h>

static void add_member(struct text *body, const char *name, const char *value)
{
    text_addf(body, ",\"%s\":", name);
    text_add_json(body, value, strlen(value));
}

static int add_event(const struct http_batch *batch, const struct item *item, struct text *body)
{
    enum config_format format = batch->output->format;
    bool is_json = format != FORMAT_TEXT && format != FORMAT_CEF;
    uint64_t time = format_time_ns(item);
    text_addf(body, "{\"time\":%" PRIu64 ".%06" PRIu64, time / NS_PER_SECOND, time % NS_PER_SECOND / 1000);
    add_member(body, "host", format_hostname(item, batch->hostname));
    add_member(body, "source", "inferscope");
    add_member(body, "sourcetype", is_json ? "_json" : format == FORMAT_CEF ? "cef" : "inferscope");
    if (batch->output->index)
        add_member(body, "index", batch->output->index);
    text_add(body, ",\"event\":");
    int error;
    if (is_json) {
        error = format_alert(format, item, batch->hostname, body);
    } else {
        _cleanup_text_ struct text line = TEXT_INIT(body->max);
        error = format_alert(format, item, batch->hostname, &line);
        text_add_json(body, text_string(&line), line.length);
    }
    text_add_char(body, '}');
    return error;
}

static int build(const struct http_batch *batch, struct text *body)
{
    int error = 0;
    for (size_t i = 0; !error && i < batch->count; i++)
        error = add_event(batch, batch->items[i], body);
    return error;
}

enum code_meaning {
    ABOUT_AN_EVENT, // one of the batch is not as it should be
    ABOUT_SETTINGS, // somebody has to change something, here or there
};

static const struct {
    int code;
    enum code_meaning meaning;
    const char *why;
} codes[] = {
    {1, ABOUT_SETTINGS, "the token is disabled"},
    {2, ABOUT_SETTINGS, "it asks for a token"},
    {3, ABOUT_SETTINGS, "it does not understand the authorization"},
    {4, ABOUT_SETTINGS, "it does not know the token"},
    {6, ABOUT_AN_EVENT, "it cannot read an event"},
    {7, ABOUT_SETTINGS, "the token is not for that index"},
    {10, ABOUT_SETTINGS, "it asks for a data channel, as with indexer acknowledgment"},
    {11, ABOUT_SETTINGS, "it does not accept the data channel"},
    {12, ABOUT_AN_EVENT, "it misses the event"},
    {13, ABOUT_AN_EVENT, "the event is blank"},
    {14, ABOUT_SETTINGS, "indexer acknowledgment is disabled"},
    {15, ABOUT_AN_EVENT, "it does not accept the indexed fields"},
    {16, ABOUT_SETTINGS, "it takes no token out of the URL"},
};

// Which events of a batch are indexed when one is not valid is nowhere promised, so all but that one are sent
// again.
static void judge_event(const struct http_batch *batch, const json_t *number,
                        struct http_judgement *judgement)
{
    json_int_t at = json_is_integer(number) ? json_integer_value(number) : -1;
    if (at < 0 || (size_t)at >= batch->count)
        return;
    http_judge_all(batch, judgement, VERDICT_RETRY);
    judgement->verdicts[at] = VERDICT_REFUSED;
}

static void judge(const struct http_batch *batch, const struct http_answer *answer,
                  struct http_judgement *judgement)
{
    if (answer->status < 400)
        return;
    json_t *body = json_loadb(answer->body, answer->length, 0, NULL);
    const json_t *number = json_object_get(body, "code");
    json_int_t code = json_is_integer(number) ? json_integer_value(number) : -1;
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        if (codes[i].code != code)
            continue;
        snprintf(judgement->why, sizeof(judgement->why), "%s (code %d)", codes[i].why, codes[i].code);
        if (codes[i].meaning == ABOUT_AN_EVENT) {
            judge_event(batch, json_object_get(body, "invalid-event-number"), judgement);
            continue;
        }
        http_judge_all(batch, judgement, VERDICT_RETRY);
        if (judgement->retry_after < batch->output->retry_max)
            judgement->retry_after = batch->output->retry_max;
    }
    json_decref(body);
}

const struct http_kind splunk_kind = {
    .path = "/services/collector/event",
    .content_type = "application/json",
    .token_scheme = "Splunk",
    .build = build,
    .judge = judge,
};
