// Values as texts of a file, and what there is to say of them.
#include "value.h"

#include <string.h>

bool value_is_special(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0x2028 ||
           character == 0x2029 || character == 0xfeff || (character & 0xfffe) == 0xfffe;
}

uint32_t value_character(const char *text, size_t size)
{
    uint32_t character = (unsigned char)text[0];
    if (size > 1)
        character &= 0x7fu >> size;
    for (size_t i = 1; i < size; i++)
        character = character << 6 | ((unsigned char)text[i] & 0x3f);
    return character;
}

static void add_words(const struct config_key *key, struct text *text)
{
    for (size_t i = 0; key->words[i]; i++)
        text_addf(text, "%s%s", i == 0 ? "" : key->words[i + 1] ? ", " : " or ", key->words[i]);
}

static void add_unit(const struct unit *units, uint64_t number, const char *zero, struct text *text)
{
    while (units->name && (number == 0 || number % units->factor))
        units++;
    if (units->name)
        text_addf(text, "%llu%s", (unsigned long long)(number / units->factor), units->name);
    else if (number == 0)
        text_add(text, zero);
    else
        text_addf(text, "%llu", (unsigned long long)number);
}

static void add_range(const struct config_key *key, const char *what, const struct unit *units,
                      uint64_t factor, const char *zero, const char *example, struct text *text)
{
    text_addf(text, "%s from ", what);
    add_unit(units, key->min * factor, zero, text);
    text_add(text, " to ");
    add_unit(units, key->max * factor, zero, text);
    text_addf(text, ", such as %s", example);
}

void value_expected(const struct config_key *key, struct text *text)
{
    static const struct unit plain[] = {{}};
    switch (key->type) {
    case TYPE_BOOL:
    case TYPE_WORD:
    case TYPE_CHOICE:
        add_words(key, text);
        break;
    case TYPE_WORDS:
        text_add(text, "a list of ");
        add_words(key, text);
        break;
    case TYPE_NUMBER:
        text_addf(text, "a number from %llu to %llu", (unsigned long long)key->min,
                  (unsigned long long)key->max);
        break;
    case TYPE_SIZE:
        add_range(key, "a size", size_units, 1, "0", "64MiB", text);
        break;
    case TYPE_MILLISECONDS:
        add_range(key, "a time", time_units, 1, "0s", "500ms or 10s", text);
        break;
    case TYPE_SECONDS:
        add_range(key, "a time", time_units, 1000, "0s", "10s, 24h or 7d", text);
        break;
    case TYPE_RATE:
        add_range(key, "a rate", plain, 1, "0", "10/s, 5/m or 100/h", text);
        break;
    case TYPE_WHOLE_RATE:
        add_range(key, "a whole rate", plain, 1, "0", "100/s", text);
        break;
    case TYPE_PERCENT:
        text_addf(text, "a percentage from %llu%% to %llu%%, such as 2.5%%", (unsigned long long)key->min,
                  (unsigned long long)key->max);
        break;
    case TYPE_NAME:
        text_addf(text, "up to %d letters, digits, - and _", NAME_LENGTH_MAX);
        break;
    case TYPE_PATH:
        text_add(text, "a path that begins with /");
        break;
    case TYPE_URL:
        text_add(text, "a URL with a host, http://… or https://…");
        break;
    case TYPE_ADDRESS:
        text_add(text, "HOST:PORT, such as logs.example:6514 or [2001:db8::1]:6514");
        break;
    case TYPE_LISTEN:
        text_add(text, "an address such as 127.0.0.1:9560, [::1]:9560 or :9560, or none");
        break;
    case TYPE_LIST:
        text_addf(text, "a list of at most %llu texts", (unsigned long long)key->max);
        break;
    case TYPE_ADDRESSES:
        text_addf(text, "a list of at most %llu times HOST:PORT", (unsigned long long)key->max);
        break;
    case TYPE_HEADERS:
    case TYPE_LABELS:
        text_addf(text, "a mapping of at most %llu names to texts", (unsigned long long)key->max);
        break;
    case TYPE_SWITCHES:
        text_addf(text, "a list of at most %llu times enable: NAME or disable: NAME",
                  (unsigned long long)key->max);
        break;
    case TYPE_SECRET:
        text_add(text, "{file: PATH}, {env: NAME} or ${NAME}");
        break;
    default:
        text_add(text, "a text of one line");
        break;
    }
}

bool value_is_null(const struct config_key *key, const void *field)
{
    switch (key->type) {
    case TYPE_CHOICE:
    case TYPE_TEXT:
    case TYPE_NAME:
    case TYPE_PATH:
    case TYPE_URL:
    case TYPE_ADDRESS:
        return !*(char *const *)field;
    case TYPE_SECRET: {
        const struct config_secret *secret = field;
        return !secret->file && !secret->environment;
    }
    default:
        return false;
    }
}

void value_add(const struct config_key *key, const void *field, struct text *text)
{
    const char *string;
    switch (key->type) {
    case TYPE_BOOL:
        text_add(text, key->words[*(const bool *)field]);
        break;
    case TYPE_WORD:
        text_add(text, key->words[*(const unsigned *)field]);
        break;
    case TYPE_WORDS:
        for (unsigned i = 0, some = 0; key->words[i]; i++)
            if (*(const unsigned *)field & 1u << i)
                text_addf(text, "%s%s", some++ ? "," : "", key->words[i]);
        break;
    case TYPE_NUMBER:
        text_addf(text, "%u", *(const unsigned *)field);
        break;
    case TYPE_SIZE:
        add_unit(size_units, *(const uint64_t *)field, "0", text);
        break;
    case TYPE_MILLISECONDS:
        add_unit(time_units, *(const unsigned *)field, "0s", text);
        break;
    case TYPE_SECONDS:
        add_unit(time_units, *(const unsigned *)field * 1000ull, "0s", text);
        break;
    case TYPE_RATE:
        text_addf(text, "%.17g", *(const double *)field);
        break;
    case TYPE_PERCENT:
        text_addf(text, "%.12g%%", *(const double *)field);
        break;
    case TYPE_WHOLE_RATE:
        text_addf(text, "%u", *(const unsigned *)field);
        break;
    default:
        string = *(char *const *)field;
        text_add(text, string ? string : key->type == TYPE_LISTEN ? "none" : "");
        break;
    }
}

void value_add_string(const char *string, bool written, struct text *text)
{
    size_t length = strlen(string);
    text_add_char(text, '"');
    for (size_t at = 0; at < length;) {
        size_t size = text_utf8_length(string + at, length - at);
        uint32_t character = value_character(string + at, size ? size : 1);
        if (!size || value_is_special(character))
            text_addf(text, "\\U%08x", character);
        else if (character == '"' || character == '\\')
            text_addf(text, "\\%c", (char)character);
        else if (character == '$' && !written)
            text_add(text, "$$");
        else
            text_add_bytes(text, string + at, size);
        at += size ? size : 1;
    }
    text_add_char(text, '"');
}
