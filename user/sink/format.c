#include "format.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum { NS_PER_SECOND = 1000000000 };

void format_time_of_day(struct text *text, uint64_t time_ns)
{
    time_t seconds = (time_t)(time_ns / NS_PER_SECOND);
    struct tm local;
    if (!localtime_r(&seconds, &local))
        local = (struct tm){0};
    text_addf(text, "%02d:%02d:%02d.%09" PRIu64, local.tm_hour, local.tm_min, local.tm_sec,
              time_ns % NS_PER_SECOND);
}

static void add_iso_utc(struct text *text, uint64_t time_ns)
{
    time_t seconds = (time_t)(time_ns / NS_PER_SECOND);
    struct tm utc;
    if (!gmtime_r(&seconds, &utc))
        utc = (struct tm){.tm_mday = 1};
    text_addf(text, "%04d-%02d-%02dT%02d:%02d:%02d.%09" PRIu64 "Z", utc.tm_year + 1900, utc.tm_mon + 1,
              utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, time_ns % NS_PER_SECOND);
}

static const char *priority_color(enum priority priority)
{
    switch (priority) {
    case PRIORITY_EMERGENCY:
    case PRIORITY_ALERT:
    case PRIORITY_CRITICAL:
        return "\033[1;31m";
    case PRIORITY_ERROR:
        return "\033[31m";
    case PRIORITY_WARNING:
        return "\033[33m";
    case PRIORITY_NOTICE:
        return "\033[36m";
    default:
        return "";
    }
}

void format_message(const struct alert *alert, struct text *text)
{
    rule_output_render(alert->rule->output, alert->event, text);
}

void sink_format_text(const struct alert *alert, bool color, struct text *text)
{
    enum priority priority = alert->rule->priority;
    const char *begin = color ? priority_color(priority) : "";

    text_add(text, color ? "\033[2m" : "");
    format_time_of_day(text, alert->event->time_ns);
    text_add(text, color ? ":\033[0m " : ": ");
    text_add(text, begin);
    text_add(text, priority_name(priority));
    text_add(text, *begin ? "\033[0m " : " ");

    // Values come escaped, but the words around them are whatever a rule file holds.
    _cleanup_text_ struct text message = TEXT_INIT(text->max);
    format_message(alert, &message);
    text_add_printable(text, text_string(&message), message.length);
    text_add_char(text, '\n');
    text->truncated |= message.truncated;
}

static void add_field(const char *key, const struct value *value, void *context)
{
    struct text *text = context;
    // The time is always there, written once and first.
    if (strcmp(key, "evt.time") == 0)
        return;
    text_add_char(text, ',');
    text_add_json(text, key, strlen(key));
    text_add_char(text, ':');
    if (!value) {
        text_add(text, "null");
        return;
    }
    switch (value->type) {
    case FIELD_STRING:
        text_add_json(text, value->string.data, value->string.length);
        return;
    case FIELD_INT:
        text_addf(text, "%" PRId64, value->i);
        return;
    case FIELD_UINT:
    case FIELD_DURATION:
    case FIELD_TIME:
        // Most parsers refuse larger integers, and the whole alert with them.
        text_addf(text, value->u > INT64_MAX ? "\"%" PRIu64 "\"" : "%" PRIu64, value->u);
        return;
    case FIELD_BOOL:
        text_add(text, value->b ? "true" : "false");
        return;
    case FIELD_IP:
        text_add_char(text, '"');
        value_render(value, text);
        text_add_char(text, '"');
        return;
    }
}

static void add_string_member(struct text *text, const char *name, const char *string)
{
    text_addf(text, ",\"%s\":", name);
    text_add_json(text, string, strlen(string));
}

void format_json_begin(const char *hostname, const struct text *output, uint64_t time_ns, struct text *text)
{
    text_add(text, "{\"hostname\":");
    text_add_json(text, hostname, strlen(hostname));
    text_add(text, ",\"output\":");
    text_add_json(text, text_string(output), output->length);
    text_addf(text, ",\"output_fields\":{\"evt.time\":%" PRIu64, time_ns);
    text->truncated |= output->truncated;
}

void format_json_fields(const struct alert *alert, struct text *text)
{
    rule_output_visit(alert->rule->output, alert->event, add_field, text);
}

void format_json_rule(const struct rule *rule, struct text *text)
{
    text_add_char(text, '}');
    add_string_member(text, "priority", priority_name(rule->priority));
    add_string_member(text, "rule", rule->name);
    add_string_member(text, "source", rule->source);
    text_add(text, ",\"tags\":[");
    for (const char *const *tag = rule->tags; *tag; tag++) {
        if (tag != rule->tags)
            text_add_char(text, ',');
        text_add_json(text, *tag, strlen(*tag));
    }
}

void format_json_end(uint64_t time_ns, struct text *text)
{
    text_add(text, "],\"time\":\"");
    add_iso_utc(text, time_ns);
    text_add(text, "\"}\n");
}

void sink_format_json(const struct alert *alert, struct text *text)
{
    uint64_t time_ns = alert->event->time_ns;
    _cleanup_text_ struct text output = TEXT_INIT(text->max);
    format_time_of_day(&output, time_ns);
    text_addf(&output, ": %s ", priority_name(alert->rule->priority));
    format_message(alert, &output);

    format_json_begin(alert->hostname, &output, time_ns, text);
    format_json_fields(alert, text);
    format_json_rule(alert->rule, text);
    format_json_end(time_ns, text);
}
