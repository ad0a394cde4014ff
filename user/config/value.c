#include "value.h"

#include "base/cleanup.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>

const struct unit size_units[] = {
    {"TiB", 1ull << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {}};
const struct unit time_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {}};
const struct unit rate_units[] = {{"/s", 1}, {"/m", 60}, {"/h", 3600}, {"/d", 86400}, {}};

// Digits only; the rest of the text follows. False: none, or too many.
static bool take_number(const char **text, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *at = *text;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
            return false;
    bool some = at > *text;
    *text = at;
    *ret_number = number;
    return some;
}

static const struct unit *unit_of(const struct unit *units, const char *name, size_t length)
{
    for (; units->name; units++)
        if (strlen(units->name) == length && memcmp(units->name, name, length) == 0)
            return units;
    return NULL;
}

static bool parse_size(const char *text, uint64_t *ret_size)
{
    uint64_t number;
    if (!take_number(&text, &number))
        return false;
    const struct unit *unit = unit_of(size_units, text, strlen(text));
    if (*text && !unit)
        return false;
    return !__builtin_mul_overflow(number, unit ? unit->factor : 1, ret_size);
}

// Milliseconds of "1h30m"; only zero needs no unit.
static bool parse_time(const char *text, uint64_t *ret_time)
{
    uint64_t sum = 0, number;
    if (strcmp(text, "0") == 0) {
        *ret_time = 0;
        return true;
    }
    do {
        if (!take_number(&text, &number))
            return false;
        size_t length = strspn(text, "dhms");
        const struct unit *unit = unit_of(time_units, text, length);
        if (!unit || __builtin_mul_overflow(number, unit->factor, &number) ||
            __builtin_add_overflow(sum, number, &sum))
            return false;
        text += length;
    } while (*text);
    *ret_time = sum;
    return true;
}

static bool parse_rate(const char *text, double *ret_rate)
{
    // No sign, no infinity, no hexadecimal: strtod() would take those.
    size_t length = strspn(text, "0123456789.e+-");
    char digits[64], *end;
    if (text[0] < '0' || text[0] > '9' || length >= sizeof(digits))
        return false;
    memcpy(digits, text, length);
    digits[length] = '\0';
    double number = strtod(digits, &end);
    const struct unit *unit = unit_of(rate_units, text + length, strlen(text + length));
    if (*end || (text[length] && !unit) || !isfinite(number))
        return false;
    *ret_rate = number / (double)(unit ? unit->factor : 1);
    return true;
}

// "2.5%".
static bool parse_percent(const char *text, double *ret_percent)
{
    size_t length = strlen(text);
    char number[64];
    if (length < 2 || length > sizeof(number) || text[length - 1] != '%' ||
        strspn(text, "0123456789.") != length - 1)
        return false;
    memcpy(number, text, length - 1);
    number[length - 1] = '\0';
    return parse_rate(number, ret_percent);
}

// The place of the word, or -1.
static int find_word(const struct config_key *key, const char *text)
{
    // As rules have it.
    enum priority priority;
    if (strcasecmp(text, "info") == 0 && strcmp(key->words[0], "Emergency") == 0 &&
        priority_parse(text, &priority) == 0)
        return (int)priority;
    for (int i = 0; key->words[i]; i++)
        if (strcasecmp(text, key->words[i]) == 0)
            return i;
    return -1;
}

static bool parse_words(const struct config_key *key, const char *text, unsigned *ret_bits)
{
    unsigned bits = 0;
    while (*text) {
        char word[32];
        size_t length = strcspn(text, ",");
        if (length >= sizeof(word))
            return false;
        memcpy(word, text, length);
        word[length] = '\0';
        int found = find_word(key, word);
        if (found < 0)
            return false;
        bits |= 1u << found;
        text += length + (text[length] == ',');
    }
    *ret_bits = bits;
    return bits;
}

static bool in_bounds(const struct config_key *key, uint64_t number)
{
    return number >= key->min && number <= key->max;
}

static int set_measure(const struct config_key *key, const char *text, void *field)
{
    uint64_t number = 0;
    double rate = 0;
    switch (key->type) {
    case TYPE_NUMBER:
        if (!take_number(&text, &number) || *text || !in_bounds(key, number))
            return -EINVAL;
        *(unsigned *)field = (unsigned)number;
        return 0;
    case TYPE_SIZE:
        if (!parse_size(text, &number) || !in_bounds(key, number))
            return -EINVAL;
        *(uint64_t *)field = number;
        return 0;
    case TYPE_MILLISECONDS:
        if (!parse_time(text, &number) || !in_bounds(key, number))
            return -EINVAL;
        *(unsigned *)field = (unsigned)number;
        return 0;
    case TYPE_SECONDS:
        if (!parse_time(text, &number) || number % 1000 || !in_bounds(key, number / 1000))
            return -EINVAL;
        *(unsigned *)field = (unsigned)(number / 1000);
        return 0;
    case TYPE_PERCENT:
        if (!parse_percent(text, &rate) || rate < (double)key->min || rate > (double)key->max)
            return -EINVAL;
        *(double *)field = rate;
        return 0;
    default:
        if (!parse_rate(text, &rate) || rate > (double)key->max)
            return -EINVAL;
        if (key->type == TYPE_RATE)
            *(double *)field = rate;
        else if (rate != floor(rate))
            return -EINVAL;
        else
            *(unsigned *)field = (unsigned)rate;
        return 0;
    }
}

static bool is_port(const char *text, bool zero)
{
    uint64_t port;
    return take_number(&text, &port) && !*text && port <= UINT16_MAX && (port || zero);
}

// HOST:PORT, where the host may be in brackets; its length.
static bool parse_address(const char *text, bool zero, size_t *ret_host)
{
    const char *colon = strrchr(text, ':');
    if (!colon || !is_port(colon + 1, zero))
        return false;
    size_t host = (size_t)(colon - text);
    bool bracketed = host > 2 && text[0] == '[' && text[host - 1] == ']';
    if (bracketed ? strspn(text + 1, "0123456789abcdefABCDEF:.") < host - 2
                  : strcspn(text, ":[]/@#?\\ ") < host)
        return false;
    *ret_host = host;
    return true;
}

static bool parse_url(const char *text, const char **ret_why)
{
    size_t scheme = strncasecmp(text, "http://", 7) == 0 ? 7 : strncasecmp(text, "https://", 8) == 0 ? 8 : 0;
    char host[300];
    size_t length = strcspn(text + scheme, "/?#"), ignored;
    if (!scheme || length == 0 || length >= sizeof(host) || strcspn(text, " #\\\"<>") < strlen(text))
        return false;
    memcpy(host, text + scheme, length);
    host[length] = '\0';
    if (strchr(host, '@')) {
        *ret_why = "a URL names no user and no password here; use user and password";
        return false;
    }
    const char *colon = strrchr(host, ':'), *bracket = strrchr(host, ']');
    bool port = colon && (!bracket || colon > bracket);
    return port ? parse_address(host, false, &ignored) && ignored > 0
                : host[0] != '[' || (bracket && !bracket[1] && bracket > host + 1);
}

// NULL, or why this cannot be a text of the configuration.
static const char *check_text(const char *text)
{
    size_t length = strlen(text);
    if (length > VALUE_LENGTH_MAX)
        return "is longer than 4096 bytes";
    for (size_t at = 0; at < length;) {
        size_t size = text_utf8_length(text + at, length - at);
        if (size == 0)
            return "is no UTF-8 text";
        if (value_is_special(value_character(text + at, size)))
            return "has a control character";
        at += size;
    }
    return NULL;
}

static bool is_name(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && length <= NAME_LENGTH_MAX && text[0] != '-' &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == length;
}

static bool is_text(const struct config_key *key, const char *text, const char **ret_why)
{
    size_t host;
    if (!text[0] || check_text(text))
        return false;
    switch (key->type) {
    case TYPE_CHOICE:
        return find_word(key, text) >= 0;
    case TYPE_NAME:
        return is_name(text);
    case TYPE_PATH:
        return text[0] == '/' && text[1] && strlen(text) < 4096;
    case TYPE_URL:
        return parse_url(text, ret_why);
    case TYPE_ADDRESS:
        return parse_address(text, false, &host) && host > 0;
    case TYPE_LISTEN:
        return strcasecmp(text, "none") == 0 || parse_address(text, true, &host);
    default:
        return true;
    }
}

int value_set(const struct config_key *key, struct arena *arena, const char *text, void *field,
              const char **ret_why)
{
    int word;
    *ret_why = NULL;
    switch (key->type) {
    case TYPE_BOOL:
    case TYPE_WORD:
        word = find_word(key, text);
        if (word < 0)
            return -EINVAL;
        if (key->type == TYPE_BOOL)
            *(bool *)field = word;
        else
            *(unsigned *)field = (unsigned)word;
        return 0;
    case TYPE_WORDS:
        return parse_words(key, text, field) ? 0 : -EINVAL;
    case TYPE_NUMBER:
    case TYPE_SIZE:
    case TYPE_MILLISECONDS:
    case TYPE_SECONDS:
    case TYPE_RATE:
    case TYPE_WHOLE_RATE:
    case TYPE_PERCENT:
        return set_measure(key, text, field);
    default:
        break;
    }
    if (!is_text(key, text, ret_why))
        return -EINVAL;
    if (key->type == TYPE_CHOICE)
        text = key->words[find_word(key, text)];
    bool none = key->type == TYPE_LISTEN && strcasecmp(text, "none") == 0;
    char *copy = none ? NULL : arena_copy(arena, text, strlen(text));
    if (!copy && !none)
        return -ENOMEM;
    *(char **)field = copy;
    return 0;
}

const char *value_check_item(const struct config_key *key, const char *item)
{
    if (!item[0] && key->type != TYPE_HEADERS && key->type != TYPE_LABELS)
        return "is empty";
    size_t host;
    const char *why = check_text(item);
    if (!why && key->type == TYPE_ADDRESSES && (!parse_address(item, false, &host) || host == 0))
        why = "is not HOST:PORT";
    return why;
}

const char *value_check_name(const struct config_key *key, const char *name, size_t length)
{
    // RFC 9110, 5.6.2; and what Loki, Prometheus and, with dots, OpenTelemetry take.
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    char allowed[sizeof(letters) + 32];
    bool header = key->type == TYPE_HEADERS;
    snprintf(allowed, sizeof(allowed), "%s%s", letters, header ? "!#$%&'*+-.^`|~" : ".");
    if (length == 0 || length > 128 || strspn(name, allowed) < length ||
        (!header && ((name[0] >= '0' && name[0] <= '9') || name[0] == '.')))
        return header ? "is no name of a header" : "is no name of a label";
    return NULL;
}
