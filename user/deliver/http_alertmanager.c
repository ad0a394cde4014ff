// Prometheus' Alertmanager, version 2 of its interface. An alert here is something that happened; there it is
// something that lasts. So it lasts for a while after it was delivered, however late that is, and equal
// labels, of which the uuid is none, are one alert.
#include "base/cleanup.h"
#include "format.h"
#include "format_map.h"
#include "http_labels.h"
#include "http_receiver.h"

#include <errno.h>
#include <string.h>
#include <time.h>

// Longer than Alertmanager's usual group_interval (5 minutes), within which it must be seen.
enum { LASTS_S = 15 * 60 };

// P1 to P4, as operations grade what is to be done.
static const char *severity_of(const struct item *item)
{
    static const char *const names[SPOOL_CLASSES] = {"P1", "P2", "P3", "P4", "P4"};
    return names[spool_class_of(&item->record)];
}

static int join_tags(const struct item *item, json_t *labels)
{
    const json_t *tags = json_object_get(item->json, "tags");
    _cleanup_text_ struct text joined = TEXT_INIT(1024);
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const char *tag = json_string_value(json_array_get(tags, i));
        if (tag && !joined.truncated)
            text_addf(&joined, "%s%s", joined.length ? "," : "", tag);
    }
    format_trim(&joined);
    return http_label(labels, "tags", text_string(&joined));
}

static int set_labels(const struct http_batch *batch, const struct item *item, json_t *labels)
{
    const char *rule = format_string(item->json, "rule");
    int error = http_label(labels, "alertname", rule[0] ? rule : "inferscope");
    error = error ? error : http_label(labels, "severity", severity_of(item));
    error = error ? error : http_label(labels, "priority", priority_name(item->record.priority));
    error = error ? error : http_label(labels, "hostname", format_hostname(item, batch->hostname));
    error = error ? error : http_label(labels, "source", format_string(item->json, "source"));
    error = error ? error : join_tags(item, labels);
    error = error ? error : http_labels_place(item, labels);
    return error ? error : http_labels_configured(batch->output, labels);
}

static int set_annotations(const struct http_batch *batch, const struct item *item, json_t *annotations)
{
    _cleanup_text_ struct text summary = TEXT_INIT(1024);
    text_addf(&summary, "%s on %s", format_string(item->json, "rule"),
              format_hostname(item, batch->hostname));
    format_trim(&summary);
    // Of a longer one the beginning is better than nothing.
    _cleanup_text_ struct text output = TEXT_INIT(65536);
    const json_t *whole = json_object_get(item->json, "output");
    text_add_printable(&output, format_string(item->json, "output"), json_string_length(whole));
    format_trim(&output);
    int error = http_label(annotations, "summary", text_string(&summary));
    error = error ? error : http_label(annotations, "description", text_string(&output));
    return error ? error : http_label(annotations, "uuid", item->record.uuid);
}

static int add_alert(const struct http_batch *batch, const struct item *item, struct text *body)
{
    uint64_t starts = format_time_ns(item), now = (uint64_t)time(NULL) * NS_PER_SECOND;
    uint64_t ends = (starts > now ? starts : now) + (uint64_t)LASTS_S * NS_PER_SECOND;
    char starts_text[FORMAT_TIME_SIZE], ends_text[FORMAT_TIME_SIZE];
    json_t *alert =
        json_pack("{s:{}, s:{}, s:s, s:s}", "labels", "annotations", "startsAt",
                  format_timestamp(starts, 3, starts_text), "endsAt", format_timestamp(ends, 3, ends_text));
    int error = alert ? set_labels(batch, item, json_object_get(alert, "labels")) : -ENOMEM;
    error = error ? error : set_annotations(batch, item, json_object_get(alert, "annotations"));
    error = error ? error : format_add_json(alert, body);
    json_decref(alert);
    return error;
}

static int build(const struct http_batch *batch, struct text *body)
{
    int error = 0;
    for (size_t i = 0; !error && i < batch->count; i++) {
        text_add_char(body, i ? ',' : '[');
        error = add_alert(batch, batch->items[i], body);
    }
    text_add_char(body, ']');
    return error;
}

const struct http_kind alertmanager_kind = {
    .path = "/api/v2/alerts",
    .content_type = "application/json",
    .build = build,
};
