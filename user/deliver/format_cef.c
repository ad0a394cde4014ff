// The Common Event Format, version 0 (rev. 25 of its specification). Fields that it has no key for are in the
// message, as the rule's output puts them.
#include "format_map.h"

#include "base/cleanup.h"
#include "version.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

enum cef_kind { CEF_STRING, CEF_NUMBER, CEF_IPV4, CEF_IPV6, CEF_PATH, CEF_UPPERCASE };

// Keys with their lengths as the specification has them. Those of its custom strings and addresses (cs1,
// c6a2) have the field's name as their label.
static const struct {
    const char *field, *key;
    enum cef_kind kind;
    unsigned max;
} keys[] = {
    {"evt.type", "act", CEF_STRING, 63},
    {"proc.name", "sproc", CEF_STRING, 1023},
    {"proc.pid", "spid", CEF_NUMBER, 20},
    {"user.name", "suser", CEF_STRING, 1023},
    {"user.uid", "suid", CEF_STRING, 1023},
    {"fd.name", "filePath", CEF_PATH, 1023},
    {"fs.path.name", "filePath", CEF_PATH, 1023},
    {"fd.filename", "fname", CEF_STRING, 1023},
    {"fd.ino", "fileId", CEF_STRING, 1023},
    {"fd.cip", "src", CEF_IPV4, 15},
    {"fd.cip", "c6a2", CEF_IPV6, 45},
    {"fd.cport", "spt", CEF_NUMBER, 5},
    {"fd.cip.name", "shost", CEF_STRING, 1023},
    {"fd.sip", "dst", CEF_IPV4, 15},
    {"fd.sip", "c6a3", CEF_IPV6, 45},
    {"fd.sport", "dpt", CEF_NUMBER, 5},
    {"fd.sip.name", "dhost", CEF_STRING, 1023},
    {"fd.l4proto", "proto", CEF_UPPERCASE, 31},
    {"proc.cmdline", "cs1", CEF_STRING, 4000},
    {"proc.exepath", "cs2", CEF_STRING, 4000},
    {"container.id", "cs3", CEF_STRING, 4000},
    {"container.image.repository", "cs4", CEF_STRING, 4000},
    {"k8s.ns.name", "cs5", CEF_STRING, 4000},
    {"k8s.pod.name", "cs6", CEF_STRING, 4000},
    {"folded", "cnt", CEF_NUMBER, 20},
};

enum { NAME_MAX_BYTES = 512, MESSAGE_MAX_BYTES = 1023, CATEGORY_MAX_BYTES = 1023, HOST_MAX_BYTES = 255 };

static int severity(enum priority priority)
{
    static const int severities[] = {10, 10, 9, 7, 5, 4, 2, 0};
    return severities[priority];
}

// At most `max` bytes of the string, and no half character.
static size_t cut(const char *string, size_t length, size_t max)
{
    if (length <= max)
        return length;
    while (max > 0 && ((unsigned char)string[max] & 0xc0) == 0x80)
        max--;
    return max;
}

// A header's field escapes '\' and '|', and has no lines.
static void add_header(struct text *text, const char *string)
{
    _cleanup_text_ struct text plain = TEXT_INIT(text->max);
    text_add_printable(&plain, string, cut(string, strlen(string), NAME_MAX_BYTES));
    text_add_char(text, '|');
    for (const char *at = text_string(&plain); *at; at++) {
        if (*at == '\\' || *at == '|')
            text_add_char(text, '\\');
        text_add_char(text, *at);
    }
    text->truncated |= plain.truncated;
}

// A value escapes '\', '=' and the ends of lines.
static void add_value(struct text *text, const char *string, size_t max)
{
    size_t length = cut(string, strlen(string), max);
    size_t sequence;
    for (size_t i = 0; i < length; i += sequence) {
        char character = string[i];
        unsigned code;
        sequence = text_utf8_length(string + i, length - i);
        bool special = sequence && text_is_special(string + i, sequence, &code);
        sequence = sequence ? sequence : 1;
        if (character == '\n') {
            text_add(text, "\\n");
        } else if (character == '\r') {
            text_add(text, "\\r");
        } else if (character == '\\' || character == '=') {
            text_add_char(text, '\\');
            text_add_char(text, character);
        } else if (special) {
            for (size_t k = 0; k < sequence; k++)
                text_addf(text, "\\\\x%02x", (unsigned char)string[i + k]);
        } else {
            text_add_bytes(text, string + i, sequence);
        }
    }
}

static void add_pair(struct text *text, const char *key, const char *value, size_t max)
{
    text_addf(text, " %s=", key);
    add_value(text, value, max);
}

static bool is_family(const char *address, int family)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(family, address, bytes) == 1;
}

// Whether the value is of the key's kind. `number` has room for one that becomes text.
static const char *value_of(enum cef_kind kind, const json_t *value, const json_t *fields, char number[32])
{
    const char *string = json_string_value(value);
    if (json_is_integer(value) && (kind == CEF_NUMBER || kind == CEF_STRING)) {
        snprintf(number, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return number;
    }
    if (!string || kind == CEF_NUMBER)
        return NULL;
    if (kind == CEF_PATH)
        return format_is_path(value, fields) ? string : NULL;
    if (kind == CEF_IPV4 || kind == CEF_IPV6)
        return is_family(string, kind == CEF_IPV4 ? AF_INET : AF_INET6) ? string : NULL;
    return string;
}

static void add_upper(struct text *text, const char *key, const char *value, size_t max)
{
    char upper[32];
    snprintf(upper, sizeof(upper), "%.*s", (int)cut(value, strlen(value), sizeof(upper) - 1), value);
    for (char *at = upper; *at; at++)
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
    add_pair(text, key, upper, max);
}

static void add_fields(const json_t *fields, struct text *text)
{
    const char *last = "";
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        char number[32];
        const char *key = keys[i].key;
        const char *value = value_of(keys[i].kind, json_object_get(fields, keys[i].field), fields, number);
        if (!value || strcmp(last, key) == 0)
            continue;
        last = key;
        if (keys[i].kind == CEF_UPPERCASE)
            add_upper(text, key, value, keys[i].max);
        else
            add_pair(text, key, value, keys[i].max);
        if (key[0] == 'c' && strpbrk(key, "123456789"))
            text_addf(text, " %sLabel=%s", key, keys[i].field);
    }
}

static void add_tags(const json_t *tags, struct text *text)
{
    _cleanup_text_ struct text joined = TEXT_INIT(CATEGORY_MAX_BYTES);
    size_t i;
    json_t *tag;
    json_array_foreach((json_t *)tags, i, tag)
    {
        if (!json_is_string(tag) || joined.length + json_string_length(tag) >= CATEGORY_MAX_BYTES)
            continue;
        text_add(&joined, joined.length ? "," : "");
        text_add(&joined, json_string_value(tag));
    }
    if (joined.length)
        add_pair(text, "cat", text_string(&joined), CATEGORY_MAX_BYTES);
}

void format_cef(const struct item *item, const char *hostname, struct text *text)
{
    const char *rule = format_string(item->json, "rule");
    const char *host = format_hostname(item, hostname);
    text_add(text, "CEF:0|Inferscope|Inferscope");
    add_header(text, INFERSCOPE_VERSION);
    add_header(text, rule);
    add_header(text, rule);
    text_addf(text, "|%d|rt=%" PRIu64, severity(item->record.priority), format_time_ns(item) / NS_PER_MS);
    add_pair(text, "dvchost", host, 100);
    add_pair(text, "deviceExternalId", host, HOST_MAX_BYTES);
    add_pair(text, "externalId", item->record.uuid, 40);
    text_addf(text, " cn1=%" PRIu64 " cn1Label=sequence", item->record.sequence);
    add_tags(json_object_get(item->json, "tags"), text);
    add_fields(format_fields(item), text);
    add_pair(text, "msg", format_string(item->json, "output"), MESSAGE_MAX_BYTES);
}
