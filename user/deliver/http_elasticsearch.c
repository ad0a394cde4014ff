// Elasticsearch's or OpenSearch's _bulk: each alert is created under its uuid, so that one that is there
// already is known by its conflict.
#include "base/cleanup.h"
#include "format.h"
#include "format_map.h"
#include "http_receiver.h"

#include <string.h>

enum { TYPE_SIZE = 64 };

static int add_document(const struct http_batch *batch, const struct item *item, struct text *body)
{
    enum config_format format = batch->output->format;
    const char *index = batch->output->index ? batch->output->index : "inferscope-alerts";
    text_add(body, "{\"create\":{\"_index\":");
    text_add_json(body, index, strlen(index));
    text_addf(body, ",\"_id\":\"%s\"}}\n", item->record.uuid);
    int error;
    if (format == FORMAT_TEXT || format == FORMAT_CEF) {
        char time[FORMAT_TIME_SIZE];
        _cleanup_text_ struct text line = TEXT_INIT(body->max);
        error = format_alert(format, item, batch->hostname, &line);
        text_addf(body,
                  "{\"@timestamp\":\"%s\",\"message\":", format_timestamp(format_time_ns(item), 9, time));
        text_add_json(body, text_string(&line), line.length);
        text_add_char(body, '}');
    } else {
        error = format_alert(format, item, batch->hostname, body);
    }
    text_add_char(body, '\n');
    return error;
}

static int build(const struct http_batch *batch, struct text *body)
{
    int error = 0;
    for (size_t i = 0; !error && i < batch->count; i++)
        error = add_document(batch, batch->items[i], body);
    return error;
}

// Only what is written in lower case and underscores, as the names of errors are, gets into a message.
static void copy_error_type(const json_t *item, char ret_type[TYPE_SIZE])
{
    const char *type = format_string(json_object_get(item, "error"), "type");
    size_t length = strspn(type, "abcdefghijklmnopqrstuvwxyz_");
    snprintf(ret_type, TYPE_SIZE, "%s", type[0] && type[length] == '\0' ? type : "error");
}

static enum verdict judge_item(const json_t *item)
{
    json_int_t status = json_integer_value(json_object_get(item, "status"));
    if ((status >= 200 && status < 300) || status == 409)
        return VERDICT_DELIVERED;
    return status == 400 || status == 413 ? VERDICT_REFUSED : VERDICT_RETRY;
}

static void judge(const struct http_batch *batch, const struct http_answer *answer,
                  struct http_judgement *judgement)
{
    if (answer->status < 200 || answer->status >= 300)
        return;
    json_t *body = json_loadb(answer->body, answer->length, 0, NULL);
    const json_t *items = json_object_get(body, "items");
    if (json_array_size(items) != batch->count) {
        http_judge_all(batch, judgement, VERDICT_RETRY);
        snprintf(judgement->why, sizeof(judgement->why), "its answer is not that of _bulk");
        json_decref(body);
        return;
    }
    for (size_t i = 0; i < batch->count; i++) {
        const json_t *item = json_object_get(json_array_get(items, i), "create");
        judgement->verdicts[i] = judge_item(item);
        if (judgement->verdicts[i] == VERDICT_DELIVERED || judgement->why[0])
            continue;
        char type[TYPE_SIZE];
        copy_error_type(item, type);
        snprintf(judgement->why, sizeof(judgement->why), "of an alert it says %s (status %d)", type,
                 (int)json_integer_value(json_object_get(item, "status")));
    }
    json_decref(body);
}

const struct http_kind elasticsearch_kind = {
    .path = "/_bulk",
    // The answer without what nobody reads.
    .query = "filter_path=errors,items.*.status,items.*.error.type",
    .content_type = "application/x-ndjson",
    .token_scheme = "ApiKey",
    .build = build,
    .judge = judge,
};
