// Loki's push interface. Alerts of one rule and priority are a stream; the uuid, of which there is one an
// alert, is structured metadata and no label.
#include "base/cleanup.h"
#include "format.h"
#include "format_map.h"
#include "http_labels.h"
#include "http_receiver.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

// In the memory of the kind: this Loki takes no structured metadata.
enum { WITHOUT_METADATA = 1 };

static int set_labels(const struct http_batch *batch, const struct item *item, json_t *labels)
{
    char level[16] = "";
    const char *priority = priority_name(item->record.priority);
    for (size_t i = 0; priority[i] && i < sizeof(level) - 1; i++)
        level[i] = (char)tolower((unsigned char)priority[i]);
    int error = http_label(labels, "job", "inferscope");
    error = error ? error : http_label(labels, "hostname", format_hostname(item, batch->hostname));
    error = error ? error : http_label(labels, "priority", level);
    error = error ? error : http_label(labels, "rule", format_string(item->json, "rule"));
    error = error ? error : http_label(labels, "source", format_string(item->json, "source"));
    return error ? error : http_labels_configured(batch->output, labels);
}

// The values of the stream with the item's labels, made where there is none yet. Borrowed; NULL: no memory.
static json_t *stream_of(const struct http_batch *batch, const struct item *item, json_t *streams)
{
    json_t *labels = json_object();
    _cleanup_free_ char *key = NULL;
    if (labels && set_labels(batch, item, labels) == 0)
        key = json_dumps(labels, JSON_COMPACT | JSON_SORT_KEYS);
    if (!key) {
        json_decref(labels);
        return NULL;
    }
    json_t *stream = json_object_get(streams, key);
    if (stream) {
        json_decref(labels);
        return json_object_get(stream, "values");
    }
    stream = json_pack("{s:o, s:[]}", "stream", labels, "values");
    if (json_object_set_new(streams, key, stream))
        return NULL;
    return json_object_get(stream, "values");
}

static int add_entry(const struct http_batch *batch, const struct item *item, json_t *streams)
{
    _cleanup_text_ struct text line = TEXT_INIT(SPOOL_DATA_MAX * 2);
    char time[24];
    int error = format_alert(batch->output->format, item, batch->hostname, &line);
    json_t *values = error ? NULL : stream_of(batch, item, streams);
    if (!values)
        return error ? error : -ENOMEM;
    snprintf(time, sizeof(time), "%" PRIu64, format_time_ns(item));
    json_t *entry = json_pack("[s, s%]", time, text_string(&line), line.length);
    if (entry && !(*batch->memory & WITHOUT_METADATA))
        error = json_array_append_new(entry, json_pack("{s:s}", "uuid", item->record.uuid));
    return json_array_append_new(values, entry) || error ? -ENOMEM : 0;
}

static int build(const struct http_batch *batch, struct text *body)
{
    json_t *streams = json_object();
    int error = streams ? 0 : -ENOMEM;
    for (size_t i = 0; !error && i < batch->count; i++)
        error = add_entry(batch, batch->items[i], streams);
    const char *separator = "";
    const char *key;
    json_t *stream;
    text_add(body, "{\"streams\":[");
    json_object_foreach(streams, key, stream)
    {
        text_add(body, separator);
        error = error ? error : format_add_json(stream, body);
        separator = ",";
    }
    text_add(body, "]}");
    json_decref(streams);
    return error;
}

// Since 2.9 it says so; before, the third value of an entry was to it a string without an end.
static bool is_about_metadata(const struct http_answer *answer)
{
    static const char *const words[] = {"structured metadata", "Value is string, but can't find closing"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (memmem(answer->body, answer->length, words[i], strlen(words[i])))
            return true;
    return false;
}

static void judge(const struct http_batch *batch, const struct http_answer *answer,
                  struct http_judgement *judgement)
{
    if (answer->status != 400 || *batch->memory & WITHOUT_METADATA || !is_about_metadata(answer))
        return;
    *batch->memory |= WITHOUT_METADATA;
    http_judge_all(batch, judgement, VERDICT_RETRY);
    snprintf(judgement->why, sizeof(judgement->why),
             "it takes no structured metadata, so the uuid is left out there");
}

const struct http_kind loki_kind = {
    .path = "/loki/api/v1/push",
    .content_type = "application/json",
    .build = build,
    .judge = judge,
};
