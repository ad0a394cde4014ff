// Options of the command line, which stand for keys of the file and override it.
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "reading.h"
#include "value.h"

#include <errno.h>
#include <string.h>

static const struct config_key *find(size_t index, const struct config_option **ret_option)
{
    const struct config_key *key;
    for (size_t i = 0; (key = config_key_at(i)); i++) {
        for (const struct config_option *option = key->options; option && option->name; option++) {
            if (index-- == 0) {
                *ret_option = option;
                return key;
            }
        }
    }
    return NULL;
}

const struct config_option *config_option_at(size_t index, const char **ret_help, const char **ret_standard)
{
    const struct config_option *option = NULL;
    const struct config_key *key = find(index, &option);
    if (key && ret_help)
        *ret_help = option->help ? option->help : key->help;
    if (key && ret_standard)
        *ret_standard = option->argument ? key->standard : NULL;
    return option;
}

static int refuse(const struct config_option *option, const struct config_key *key, const char *value)
{
    _cleanup_text_ struct text expected = TEXT_INIT(1024);
    value_expected(key, &expected);
    log_error("--%s is %s, not \"%s\"%s%s", option->name, text_string(&expected), value,
              option->unit ? "; a number counts " : "", option->unit ? option->unit : "");
    return -EINVAL;
}

static int add_string(struct config_owned *owned, struct config_strings *strings, const char *prefix,
                      const char *text, size_t length)
{
    size_t prefix_length = strlen(prefix);
    char *string = arena_alloc(&owned->arena, prefix_length + length + 1);
    char **items = arena_alloc(&owned->arena, (strings->count + 2) * sizeof(*items));
    if (!string || !items)
        return -ENOMEM;
    memcpy(string, prefix, prefix_length);
    memcpy(string + prefix_length, text, length);
    for (size_t i = 0; i < strings->count; i++) {
        items[i] = strings->items[i];
        const char *written = config_written(&owned->config, &strings->items[i]);
        if (written && !config_note(owned, &items[i], written))
            return -ENOMEM;
    }
    items[strings->count++] = string;
    strings->items = items;
    return 0;
}

static int add_item(struct config_owned *owned, const struct config_key *key,
                    const struct config_option *option, struct config_strings *strings, const char *text,
                    size_t length)
{
    _cleanup_free_ char *item = strndup(text, length);
    if (!item)
        return -ENOMEM;
    _cleanup_text_ struct text sentence = TEXT_INIT(1024);
    if (!config_check_item(key, item, item, &sentence)) {
        log_error("--%s: %s", option->name, text_string(&sentence));
        return -EINVAL;
    }
    if (strings->count == key->max) {
        log_error("--%s: %s takes at most %llu", option->name, key->path, (unsigned long long)key->max);
        return -EINVAL;
    }
    return add_string(owned, strings, option->value ? option->value : "", item, length);
}

// Items between commas; a name of a rule may have some.
static int override_list(struct config_owned *owned, const struct config_key *key,
                         const struct config_option *option, const char *value, bool again)
{
    struct config_strings *strings = config_field(key, &owned->config);
    if (!option->appends || (!again && key->type == TYPE_LIST))
        *strings = (struct config_strings){};
    if (key->type == TYPE_SWITCHES)
        return add_item(owned, key, option, strings, value, strlen(value));
    size_t before = strings->count;
    while (*value) {
        size_t length = strcspn(value, ",");
        int error = length ? add_item(owned, key, option, strings, value, length) : 0;
        if (error)
            return error;
        value += length + (value[length] == ',');
    }
    if (strings->count > before)
        return 0;
    log_error("--%s takes %s; it names none", option->name, option->argument);
    return -EINVAL;
}

static int override(struct config_owned *owned, const struct config_key *key,
                    const struct config_option *option, const char *value, bool again)
{
    const char *why;
    if (key->also) {
        const struct config_key *also = config_key_of(key->also);
        *(bool *)config_field(also, &owned->config) = true;
    }
    if (key->type == TYPE_LIST || key->type == TYPE_SWITCHES)
        return override_list(owned, key, option, value, again);
    void *field = config_field(key, &owned->config);
    char sized[64];
    const char *text = option->argument ? value : option->value;
    if (option->unit && text[0] && strspn(text, "0123456789") == strlen(text)) {
        snprintf(sized, sizeof(sized), "%s%s", text, option->unit);
        text = sized;
    }
    int error = value_set(key, &owned->arena, text, field, &why);
    if (error == -EINVAL)
        return refuse(option, key, value);
    // What the file said of it no longer counts.
    return !error && !config_note(owned, field, NULL) ? -ENOMEM : error;
}

int config_override(struct config *config, const struct config_given *given, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct config_option *option = NULL;
        const struct config_key *key = find(given[i].index, &option);
        if (!key)
            return -EINVAL;
        bool again = false;
        for (size_t k = 0; k < i; k++)
            again = again || given[k].index == given[i].index;
        int error = override(config_owned(config), key, option, given[i].value, again);
        if (error)
            return error;
    }
    return 0;
}

int config_override_files(struct config *config, char *const *paths, size_t count)
{
    struct config_strings files = {};
    for (size_t i = 0; i < count; i++) {
        int error = add_string(config_owned(config), &files, "", paths[i], strlen(paths[i]));
        if (error)
            return error;
    }
    config->rules_files = files;
    return 0;
}
