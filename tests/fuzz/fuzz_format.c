// Any JSON object as an alert, in every format: what comes out is one line that reads back as what went in.
#include "fuzz.h"

#include "../unit/format_parse.h"
#include "deliver/format.h"

#include <stdio.h>

enum { LIMIT = 1 << 20 };

static void expect(bool holds)
{
    if (!holds)
        abort();
}

static const char *string_of(const json_t *json, const char *name)
{
    const char *string = json_string_value(json_object_get(json, name));
    return string ? string : "";
}

static void check_json(const struct item *item, json_t *parsed)
{
    const char *name;
    json_t *value;
    json_object_foreach(item->json, name,
                        value) if (strcmp(name, "uuid") != 0 && strcmp(name, "sequence") != 0)
        expect(json_equal(value, json_object_get(parsed, name)));
    expect(strcmp(string_of(parsed, "uuid"), item->record.uuid) == 0);
}

static void check_ecs(const struct item *item, json_t *parsed)
{
    static const char *const objects[] = {"ecs", "log", "event", "rule", "host"};
    for (size_t i = 0; i < ARRAY_SIZE(objects); i++)
        expect(json_is_object(json_object_get(parsed, objects[i])));
    expect(strcmp(string_of(parsed, "message"), string_of(item->json, "output")) == 0);
    expect(strcmp(string_of(json_object_get(parsed, "event"), "id"), item->record.uuid) == 0);
}

static void check_ocsf(const struct item *item, json_t *parsed)
{
    const json_t *info = json_object_get(parsed, "finding_info");
    expect(strcmp(string_of(info, "uid"), item->record.uuid) == 0);
    expect(strcmp(string_of(info, "title"), string_of(item->json, "rule")) == 0);
    expect(json_integer_value(json_object_get(parsed, "class_uid")) == 2004);
    json_t *evidence = json_array_get(json_object_get(parsed, "evidences"), 0);
    expect(!evidence || json_object_size(evidence) > 0);
}

static void check_cef(const struct item *item, const char *line)
{
    json_t *parsed = parse_cef(line);
    expect(parsed && json_is_string(json_object_get(parsed, "6")));
    const char *output = string_of(item->json, "output");
    bool is_plain = strlen(output) < 1000;
    for (const char *at = output; *at; at++)
        is_plain = is_plain && (((unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7f) || *at == '\n');
    expect(!is_plain || strcmp(string_of(parsed, "msg"), output) == 0);
    json_decref(parsed);
}

static void check_syslog(const struct item *item, enum config_format format, size_t max)
{
    _cleanup_text_ struct text line = TEXT_INIT(LIMIT);
    struct format_syslog options = {.facility = 3, .format = format, .max = max};
    bool is_cut = false;
    if (format_syslog(&options, item, "host", &line, &is_cut)) {
        expect(line.length == 0);
        return;
    }
    struct syslog_message parsed;
    expect(line.length <= max && parse_is_line(&line) && parse_syslog(text_string(&line), &parsed));
    expect(parsed.priority == 3 * 8 + (unsigned)item->record.priority);
    expect(strcmp(string_of(parsed.data, "inferscope@32473 uuid"), item->record.uuid) == 0);
    if (format == FORMAT_JSON && !is_cut) {
        json_t *json = json_loads(parsed.message, 0, NULL);
        expect(json != NULL);
        check_json(item, json);
        json_decref(json);
    }
    json_decref(parsed.data);
}

FUZZ_TARGET(format)
{
    struct item item = {.record = {.kind = SPOOL_ALERT,
                                   .priority = (enum priority)(size % (PRIORITY_DEBUG + 1)),
                                   .sequence = size,
                                   .time_ns = UINT64_MAX / (size + 1),
                                   .uuid = "01932b5e-7c1a-7abc-8def-0123456789ab"},
                        .json = json_loadb((const char *)data, size, 0, NULL)};
    if (!json_is_object(item.json)) {
        json_decref(item.json);
        return 0;
    }
    for (enum config_format format = 0; format < FORMATS; format++) {
        _cleanup_text_ struct text line = TEXT_INIT(LIMIT);
        expect(format_alert(format, &item, "host", &line) == 0 && parse_is_line(&line));
        json_t *parsed = json_loads(text_string(&line), 0, NULL);
        if (format == FORMAT_JSON)
            check_json(&item, parsed);
        else if (format == FORMAT_ECS)
            check_ecs(&item, parsed);
        else if (format == FORMAT_OCSF)
            check_ocsf(&item, parsed);
        else if (format == FORMAT_CEF)
            check_cef(&item, text_string(&line));
        json_decref(parsed);

        // One that is too short for it, of any length.
        _cleanup_text_ struct text small = TEXT_INIT(size % 300);
        if (format_alert(format, &item, "host", &small))
            expect(small.length == 0 && !small.truncated);
        check_syslog(&item, format, LIMIT);
        check_syslog(&item, format, 200 + size % 2000);
    }
    json_decref(item.json);
    return 0;
}
