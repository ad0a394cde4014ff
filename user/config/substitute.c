// ${NAME}, ${NAME:-default} and $$ in values. Never in keys, and never twice: what the environment says is
// taken as it is.
#include "base/cleanup.h"
#include "base/text.h"
#include "reading.h"

#include <string.h>

enum { SUBSTITUTED_MAX = 8192 }; // no value may be as long

bool config_is_variable_name(const char *name, size_t length)
{
    return length > 0 && length < 256 && !(name[0] >= '0' && name[0] <= '9') &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") >= length;
}

const char *config_variable(struct config_reading *reading, const char *text)
{
    size_t length = strlen(text);
    if (length < 4 || text[0] != '$' || text[1] != '{' || text[length - 1] != '}' ||
        !config_is_variable_name(text + 2, length - 3))
        return NULL;
    return arena_copy(&reading->arena, text + 2, length - 3);
}

// One ${…}; `at` is behind its bracket. Where it ends, or NULL.
static const char *add_variable(struct config_reading *reading, const struct node *scalar, const char *at,
                                struct text *text)
{
    const char *end = strchr(at, '}'), *colon = strstr(at, ":-");
    if (!end) {
        config_say(reading, scalar, SHOW_NAME, "\"${\" has no \"}\"; write $$ for a dollar");
        return NULL;
    }
    bool defaulted = colon && colon < end;
    size_t length = (size_t)((defaulted ? colon : end) - at);
    if (!config_is_variable_name(at, length)) {
        config_say(
            reading, scalar, SHOW_NAME,
            "${…} holds the name of a variable of the environment, ${NAME} or ${NAME:-default}; write $$ "
            "for a dollar");
        return NULL;
    }
    _cleanup_free_ char *name = strndup(at, length);
    const char *value = name ? getenv(name) : NULL;
    if (value && (value[0] || !defaulted)) {
        text_add(text, value);
    } else if (defaulted) {
        text_add_bytes(text, colon + 2, (size_t)(end - colon - 2));
    } else {
        config_say(reading, scalar, SHOW_NAME,
                   "the environment has no variable %.*s; set it, or write ${%.*s:-default}", (int)length, at,
                   (int)length, at);
        return NULL;
    }
    return end + 1;
}

const char *config_substitute(struct config_reading *reading, const struct node *scalar, bool *ret_changed)
{
    *ret_changed = false;
    if (strlen(scalar->text) != scalar->length) {
        config_say(reading, scalar, SHOW_NAME, "a value has no zero byte");
        return NULL;
    }
    if (!strchr(scalar->text, '$'))
        return scalar->text;
    _cleanup_text_ struct text text = TEXT_INIT(SUBSTITUTED_MAX);
    for (const char *at = scalar->text; at && *at;) {
        size_t plain = strcspn(at, "$");
        text_add_bytes(&text, at, plain);
        at += plain;
        if (!*at)
            break;
        if (at[1] == '{') {
            at = add_variable(reading, scalar, at + 2, &text);
            *ret_changed = true;
            if (!at)
                return NULL;
        } else if (at[1] == '$') {
            text_add_char(&text, '$');
            at += 2;
        } else {
            config_say(
                reading, scalar, SHOW_NAME,
                "a single $ means nothing; write ${NAME} for a variable of the environment, $$ for a dollar");
            return NULL;
        }
    }
    if (text.truncated) {
        config_say(reading, scalar, SHOW_NAME, "this is too long");
        return NULL;
    }
    const char *kept = arena_copy(&reading->arena, text_string(&text), text.length);
    reading->failed |= !kept;
    return kept;
}
