#include "format_map.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

const char *format_string(const json_t *object, const char *name)
{
    const char *string = json_string_value(json_object_get(object, name));
    return string ? string : "";
}

const json_t *format_fields(const struct item *item)
{
    const json_t *fields = json_object_get(item->json, "output_fields");
    return json_is_object(fields) ? fields : NULL;
}

const char *format_name_of_host(const char *hostname)
{
    // The kernel takes any bytes for a name; JSON does not.
    size_t left = strlen(hostname);
    for (const char *at = hostname; left > 0;) {
        size_t length = text_utf8_length(at, left);
        if (length == 0)
            return "unknown";
        at += length;
        left -= length;
    }
    return hostname;
}

const char *format_hostname(const struct item *item, const char *hostname)
{
    const char *own = format_string(item->json, "hostname");
    return *own ? own : format_name_of_host(hostname);
}

uint64_t format_time_ns(const struct item *item)
{
    json_int_t time = json_integer_value(json_object_get(format_fields(item), "evt.time"));
    return time > 0 ? (uint64_t)time : item->record.time_ns;
}

const char *format_timestamp(uint64_t time_ns, unsigned digits, char ret_time[FORMAT_TIME_SIZE])
{
    time_t seconds = (time_t)(time_ns / NS_PER_SECOND);
    struct tm utc;
    gmtime_r(&seconds, &utc); // cannot fail: 64 bits of nanoseconds end in the year 2554
    size_t length = strftime(ret_time, FORMAT_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
    if (digits > 0) {
        char fraction[16];
        snprintf(fraction, sizeof(fraction), ".%09" PRIu64, time_ns % NS_PER_SECOND);
        fraction[digits + 1] = '\0';
        length += (size_t)snprintf(ret_time + length, FORMAT_TIME_SIZE - length, "%s", fraction);
    }
    snprintf(ret_time + length, FORMAT_TIME_SIZE - length, "Z");
    return ret_time;
}

// --- Members ---

int format_put(json_t *document, const char *path, json_t *value)
{
    const char *dot = strchr(path, '.');
    if (!dot)
        return json_object_set_new(document, path, value) ? -ENOMEM : 0;
    json_t *child = json_object_getn(document, path, (size_t)(dot - path));
    if (!child) {
        child = json_object();
        if (json_object_setn_new(document, path, (size_t)(dot - path), child)) {
            json_decref(value);
            return -ENOMEM;
        }
    }
    return format_put(child, dot + 1, value);
}

json_t *format_get(const json_t *document, const char *path)
{
    const char *dot = strchr(path, '.');
    if (!dot)
        return json_object_get(document, path);
    return format_get(json_object_getn(document, path, (size_t)(dot - path)), dot + 1);
}

// --- Fields ---

static json_t *as_keyword(const json_t *value)
{
    if (json_is_string(value))
        return json_stringn(json_string_value(value), json_string_length(value));
    if (json_is_integer(value))
        return json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    if (json_is_boolean(value))
        return json_string(json_is_true(value) ? "true" : "false");
    return NULL;
}

static json_t *as_lowercase(const json_t *value)
{
    _cleanup_free_ char *lower = strdup(json_is_string(value) ? json_string_value(value) : "");
    for (char *at = lower; at && *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return lower && *lower ? json_string(lower) : NULL;
}

static bool is_address(const json_t *value)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    const char *text = json_string_value(value);
    return text && (inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1);
}

bool format_is_path(const json_t *value, const json_t *fields)
{
    const char *text = json_string_value(value),
               *type = json_string_value(json_object_get(fields, "fd.type"));
    return text && text[0] == '/' && (!type || strcmp(type, "file") == 0 || strcmp(type, "directory") == 0);
}

// NULL where the value is not of the kind.
static json_t *convert(enum format_kind kind, const json_t *value, const json_t *fields)
{
    switch (kind) {
    case FORMAT_KEYWORD:
        return as_keyword(value);
    case FORMAT_KEYWORDS: {
        json_t *keyword = as_keyword(value);
        return keyword ? json_pack("[o]", keyword) : NULL;
    }
    case FORMAT_LOWERCASE:
        return as_lowercase(value);
    case FORMAT_NUMBER:
        return json_is_integer(value) ? json_integer(json_integer_value(value)) : NULL;
    case FORMAT_ADDRESS:
        return is_address(value) ? json_string(json_string_value(value)) : NULL;
    case FORMAT_PATH:
        return format_is_path(value, fields) ? json_string(json_string_value(value)) : NULL;
    case FORMAT_TIME:
    case FORMAT_TIME_MS:
        break;
    }
    json_int_t time = json_integer_value(value);
    if (time <= 0)
        return NULL;
    char text[FORMAT_TIME_SIZE];
    return kind == FORMAT_TIME ? json_string(format_timestamp((uint64_t)time, 9, text))
                               : json_integer(time / NS_PER_MS);
}

int format_map(const json_t *fields, const struct format_mapping *table, size_t count, json_t *document,
               json_t *left)
{
    if (fields && json_object_update(left, (json_t *)fields))
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(fields, table[i].field);
        if (!value || format_get(document, table[i].path))
            continue;
        json_t *made = convert(table[i].kind, value, fields);
        if (!made)
            continue;
        if (format_put(document, table[i].path, made))
            return -ENOMEM;
        json_object_del(left, table[i].field);
    }
    return 0;
}

// --- ATT&CK ---

static const struct {
    const char *tag, *id, *name;
} tactics[] = {
    {"mitre_reconnaissance", "TA0043", "Reconnaissance"},
    {"mitre_resource_development", "TA0042", "Resource Development"},
    {"mitre_initial_access", "TA0001", "Initial Access"},
    {"mitre_execution", "TA0002", "Execution"},
    {"mitre_persistence", "TA0003", "Persistence"},
    {"mitre_privilege_escalation", "TA0004", "Privilege Escalation"},
    {"mitre_defense_evasion", "TA0005", "Defense Evasion"},
    {"mitre_credential_access", "TA0006", "Credential Access"},
    {"mitre_discovery", "TA0007", "Discovery"},
    {"mitre_lateral_movement", "TA0008", "Lateral Movement"},
    {"mitre_collection", "TA0009", "Collection"},
    {"mitre_exfiltration", "TA0010", "Exfiltration"},
    {"mitre_command_and_control", "TA0011", "Command and Control"},
    {"mitre_impact", "TA0040", "Impact"},
};

static bool is_technique(const char *tag, struct format_attack *ret_attack)
{
    size_t digits = strspn(tag + 1, "0123456789");
    if ((tag[0] != 'T' && tag[0] != 't') || digits != 4)
        return false;
    const char *rest = tag + 5;
    bool sub = *rest == '.';
    if (sub ? strspn(rest + 1, "0123456789") != 3 || rest[4] : *rest)
        return false;
    snprintf(ret_attack->technique, sizeof(ret_attack->technique), "T%.4s", tag + 1);
    if (sub)
        snprintf(ret_attack->sub_technique, sizeof(ret_attack->sub_technique), "T%.8s", tag + 1);
    return true;
}

bool format_attack(const char *tag, struct format_attack *ret_attack)
{
    struct format_attack attack = {0};
    bool found = tag[0] && is_technique(tag, &attack);
    for (size_t i = 0; !found && i < ARRAY_SIZE(tactics); i++)
        if (strcmp(tactics[i].tag, tag) == 0) {
            attack.tactic = tactics[i].id;
            attack.tactic_name = tactics[i].name;
            found = true;
        }
    if (found)
        *ret_attack = attack;
    return found;
}
