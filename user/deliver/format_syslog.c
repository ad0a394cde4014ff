// A message of RFC 5424: header, structured data and the alert as text, JSON or CEF. The number in the
// structured data's name is the one that RFC 5612 sets aside for documentation; the project has none of its
// own.
#include "format.h"

#include "base/cleanup.h"
#include "format_map.h"
#include "version.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { HOSTNAME_MAX = 255, PARAM_MAX = 1024, MESSAGE_MAX_BYTES = 4 << 20 };

#define SD_ID "inferscope@32473"
#define UTF8_BOM "\xef\xbb\xbf"

static const char *const facilities[] = {
    "kern",   "user",   "mail",     "daemon", "auth",   "syslog",   "lpr",      "news",
    "uucp",   "cron",   "authpriv", "ftp",    "ntp",    "logaudit", "logalert", "clock",
    "local0", "local1", "local2",   "local3", "local4", "local5",   "local6",   "local7",
};

int format_facility(const char *name, unsigned *ret_facility)
{
    for (unsigned i = 0; i < ARRAY_SIZE(facilities); i++)
        if (strcmp(facilities[i], name) == 0) {
            *ret_facility = i;
            return 0;
        }
    return -EINVAL;
}

// A name in the header is printable ASCII; nothing at all is '-'.
static void add_hostname(struct text *text, const char *hostname)
{
    size_t length = 0;
    for (; *hostname && length < HOSTNAME_MAX; hostname++, length++)
        text_add_char(text, *hostname > ' ' && *hostname < 0x7f ? *hostname : '_');
    if (length == 0)
        text_add_char(text, '-');
}

static void add_param(struct text *text, const char *name, const char *value)
{
    _cleanup_text_ struct text plain = TEXT_INIT(PARAM_MAX);
    text_add_printable(&plain, value, strlen(value));
    format_trim(&plain);
    text_addf(text, " %s=\"", name);
    for (const char *at = text_string(&plain); *at; at++) {
        if (*at == '"' || *at == '\\' || *at == ']')
            text_add_char(text, '\\');
        text_add_char(text, *at);
    }
    text_add_char(text, '"');
}

static void add_tags(struct text *text, const json_t *tags)
{
    _cleanup_text_ struct text joined = TEXT_INIT(PARAM_MAX);
    size_t i;
    json_t *tag;
    json_array_foreach((json_t *)tags, i, tag)
    {
        if (!json_is_string(tag))
            continue;
        text_add(&joined, joined.length ? "," : "");
        text_add(&joined, json_string_value(tag));
    }
    format_trim(&joined);
    if (joined.length)
        add_param(text, "tags", text_string(&joined));
}

static void add_structured_data(struct text *text, const struct item *item)
{
    text_add(text, "[" SD_ID);
    add_param(text, "uuid", item->record.uuid);
    text_addf(text, " sequence=\"%" PRIu64 "\"", item->record.sequence);
    add_param(text, "rule", format_string(item->json, "rule"));
    add_param(text, "priority", priority_name(item->record.priority));
    add_param(text, "source", format_string(item->json, "source"));
    add_tags(text, json_object_get(item->json, "tags"));
    text_add(text, "][origin");
    add_param(text, "software", "inferscope");
    add_param(text, "swVersion", INFERSCOPE_VERSION);
    text_add_char(text, ']');
}

int format_syslog(const struct format_syslog *options, const struct item *item, const char *hostname,
                  struct text *ret, bool *ret_cut)
{
    // UTF-8 begins with a mark that says so, except where whoever parses the message looks at its first byte;
    // the RFC leaves the encoding open then.
    _cleanup_text_ struct text message = TEXT_INIT(MESSAGE_MAX_BYTES);
    if (options->format == FORMAT_TEXT)
        text_add(&message, UTF8_BOM);
    int error = format_alert(options->format, item, hostname, &message);
    if (error)
        return error;

    char time[FORMAT_TIME_SIZE];
    _cleanup_text_ struct text line = TEXT_INIT(options->max);
    text_addf(&line, "<%u>1 %s ", options->facility * 8 + (unsigned)item->record.priority,
              format_timestamp(format_time_ns(item), 6, time));
    add_hostname(&line, format_hostname(item, hostname));
    text_add(&line, " inferscope - alert ");
    add_structured_data(&line, item);
    if (line.truncated) // half of its structured data is no message
        return -EMSGSIZE;
    text_add_char(&line, ' ');
    text_add_bytes(&line, text_string(&message), message.length);
    bool is_cut = line.truncated;
    format_trim(&line);
    size_t before = ret->length;
    text_add_bytes(ret, text_string(&line), line.length);
    if (ret->truncated)
        return format_undo(ret, before);
    *ret_cut = is_cut;
    return 0;
}
