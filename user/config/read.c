// From the YAML tree to the fields, by the table.
#include "base/cleanup.h"
#include "base/text.h"
#include "reading.h"
#include "value.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

bool config_has(const struct config_key *key, const struct config_output *output)
{
    return output ? key->outputs & 1u << output->type : !key->outputs;
}

// "outputs[1].tls.verify", as sentences call it.
static void add_path(const struct config_scope *scope, const char *path, struct text *text)
{
    text_addf(text, "%s%s%s", scope->name, scope->name[0] ? "." : "", path);
}

// --- Values ---

static void say_expected(struct config_reading *reading, const struct config_scope *scope,
                         const struct config_key *key, const struct node *value, const char *shown)
{
    _cleanup_text_ struct text expected = TEXT_INIT(1024), path = TEXT_INIT(256);
    value_expected(key, &expected);
    add_path(scope, key->path, &path);
    if (value->kind != NODE_SCALAR)
        shown = value->kind == NODE_MAPPING ? "a mapping" : "a list";
    // Where a receiver knows its senders by the path, that is a secret.
    if (key->type == TYPE_URL) {
        config_say(reading, value, SHOW_NAME, "%s is %s", text_string(&path), text_string(&expected));
        return;
    }
    bool quoted = value->kind == NODE_SCALAR;
    config_say(reading, value, SHOW_VALUE, "%s is %s, not %s%.80s%s", text_string(&path),
               text_string(&expected), quoted ? "\"" : "", shown, quoted ? "\"" : "");
}

static bool is_nothing(const struct node *value)
{
    return value->kind == NODE_SCALAR && value->style == STYLE_PLAIN &&
           (value->length == 0 || node_is(value, "~") || node_is(value, "null"));
}

// Keeps what the file says of a value that the environment had a part in.
static void note(struct config_reading *reading, bool changed, const void *slot, const char *written)
{
    if (changed && !config_note(reading->owned, slot, written))
        reading->failed = true;
}

static void read_scalar(struct config_reading *reading, const struct config_scope *scope,
                        const struct config_key *key, const struct node *value)
{
    bool changed;
    if (value->kind != NODE_SCALAR) {
        say_expected(reading, scope, key, value, "");
        return;
    }
    const char *text = config_substitute(reading, value, &changed), *why;
    if (!text)
        return;
    void *field = config_field(key, scope->base);
    int error = value_set(key, &reading->owned->arena, text, field, &why);
    if (error == -ENOMEM)
        reading->failed = true;
    else if (error && why)
        config_say(reading, value, SHOW_NAME, "%s", why);
    else if (error)
        say_expected(reading, scope, key, value, value->text);
    else
        note(reading, changed, field, value->text);
}

static size_t count_items(const struct node *list)
{
    size_t count = 0;
    for (const struct node *item = list->first; item; item = item->next)
        count++;
    return count;
}

// Room for the items; false: there are too many, or memory is short.
static bool make_strings(struct config_reading *reading, const struct config_key *key,
                         const struct node *list, struct config_strings *strings)
{
    size_t count = count_items(list);
    if (count > key->max) {
        config_say(reading, list, SHOW_NAME, "%s takes at most %llu", key->path,
                   (unsigned long long)key->max);
        return false;
    }
    strings->count = 0;
    strings->items = arena_alloc(&reading->owned->arena, (count + 1) * sizeof(*strings->items));
    reading->failed |= !strings->items;
    return strings->items;
}

// Appends "NAME:" and the text to the strings.
static void add_string(struct config_reading *reading, const char *prefix, size_t prefix_length,
                       const char *separator, const char *text, const struct node *value, bool changed,
                       struct config_strings *strings)
{
    _cleanup_free_ char *joined = NULL, *written = NULL;
    if (asprintf(&joined, "%.*s%s%s", (int)prefix_length, prefix, separator, text) < 0 ||
        asprintf(&written, "%.*s%s%s", (int)prefix_length, prefix, separator, value->text) < 0) {
        reading->failed = true;
        return;
    }
    char **slot = &strings->items[strings->count];
    *slot = arena_copy(&reading->owned->arena, joined, strlen(joined));
    if (!*slot) {
        reading->failed = true;
        return;
    }
    strings->count++;
    note(reading, changed, slot, written);
}

// The text of one item that can be one.
static const char *item_text(struct config_reading *reading, const struct config_scope *scope,
                             const struct config_key *key, const struct node *value, bool *ret_changed)
{
    if (value->kind != NODE_SCALAR || is_nothing(value)) {
        config_say(reading, value, SHOW_NAME, "%s: each item is a text", key->path);
        return NULL;
    }
    const char *text = config_substitute(reading, value, ret_changed);
    _cleanup_text_ struct text sentence = TEXT_INIT(1024);
    // What a header says can be a secret.
    bool header = key->type == TYPE_HEADERS;
    if (!text || config_check_item(key, text, header ? "the value of this header" : value->text, &sentence))
        return text;
    config_say(reading, value, header ? SHOW_NAME : SHOW_VALUE, "%s", text_string(&sentence));
    return NULL;
}

static void read_list(struct config_reading *reading, const struct config_scope *scope,
                      const struct config_key *key, const struct node *list)
{
    struct config_strings *strings = config_field(key, scope->base);
    if (list->kind != NODE_SEQUENCE) {
        say_expected(reading, scope, key, list, list->length ? list->text : "");
        return;
    }
    if (!make_strings(reading, key, list, strings))
        return;
    for (const struct node *item = list->first; item; item = item->next) {
        bool changed;
        const char *text = item_text(reading, scope, key, item, &changed);
        if (text)
            add_string(reading, "", 0, "", text, item, changed, strings);
    }
}

// A list of words: only their set counts.
static void read_words(struct config_reading *reading, const struct config_scope *scope,
                       const struct config_key *key, const struct node *list)
{
    unsigned all = 0, *bits = config_field(key, scope->base);
    if (list->kind != NODE_SEQUENCE || !list->first) {
        say_expected(reading, scope, key, list, list->kind == NODE_SCALAR ? list->text : "");
        return;
    }
    for (const struct node *item = list->first; item; item = item->next) {
        bool changed;
        const char *why, *text = item_text(reading, scope, key, item, &changed);
        unsigned bit;
        if (text && (strchr(text, ',') || value_set(key, &reading->owned->arena, text, &bit, &why)))
            say_expected(reading, scope, key, item, item->text);
        else if (text)
            all |= bit;
    }
    *bits = all;
}

// Headers by which a client proves who it is.
static bool is_credential(const char *name, size_t length)
{
    static const char *const words[] = {"authorization", "cookie", "token", "secret", "password", "key"};
    char lower[129];
    if (length >= sizeof(lower))
        return false;
    for (size_t i = 0; i < length; i++)
        lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    lower[length] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strstr(lower, words[i]))
            return true;
    return false;
}

static bool is_twice(const struct node *mapping, const struct node *name, bool any_case)
{
    for (const struct node *other = mapping->first; other != name; other = other->next)
        if (other->length == name->length &&
            (any_case ? strncasecmp(other->text, name->text, name->length) == 0
                      : memcmp(other->text, name->text, name->length) == 0))
            return true;
    return false;
}

static void read_mapping(struct config_reading *reading, const struct config_scope *scope,
                         const struct config_key *key, const struct node *mapping)
{
    struct config_strings *strings = config_field(key, scope->base);
    bool headers = key->type == TYPE_HEADERS;
    if (mapping->kind != NODE_MAPPING) {
        config_say(reading, mapping, SHOW_NAME, "%s is a mapping: a line \"NAME: text\" for each", key->path);
        return;
    }
    if (!make_strings(reading, key, mapping, strings))
        return;
    for (const struct node *name = mapping->first; name; name = name->next) {
        const char *why = value_check_name(key, name->text, name->length);
        bool changed;
        if (why || is_twice(mapping, name, headers)) {
            config_say(reading, name, SHOW_NAME, "\"%.80s\" %s", name->text, why ? why : "is here twice");
            continue;
        }
        const char *text = item_text(reading, scope, key, name->value, &changed);
        if (text && headers && !changed && is_credential(name->text, name->length))
            config_say(
                reading, name, SHOW_NAME,
                "secrets are not written in this file: take the value of \"%.80s\" from the environment, "
                "${NAME}%s",
                name->text, strcasecmp(name->text, "authorization") ? "" : ", or use token");
        else if (text)
            add_string(reading, name->text, name->length, headers ? ": " : "=", text, name->value, changed,
                       strings);
    }
}

static void read_switches(struct config_reading *reading, const struct config_scope *scope,
                          const struct config_key *key, const struct node *list)
{
    struct config_strings *strings = config_field(key, scope->base);
    if (list->kind != NODE_SEQUENCE) {
        say_expected(reading, scope, key, list, list->length ? list->text : "");
        return;
    }
    if (!make_strings(reading, key, list, strings))
        return;
    for (const struct node *item = list->first; item; item = item->next) {
        const struct node *name = item->kind == NODE_MAPPING ? item->first : NULL;
        if (!name || name->next || (!node_is(name, "enable") && !node_is(name, "disable"))) {
            config_say(reading, item, SHOW_NAME, "%s: each item is enable: NAME or disable: NAME", key->path);
            continue;
        }
        bool changed;
        const char *text = item_text(reading, scope, key, name->value, &changed);
        if (text)
            add_string(reading, name->text, name->length, ":", text, name->value, changed, strings);
    }
}

static void read_secret(struct config_reading *reading, const struct config_scope *scope,
                        const struct config_key *key, const struct node *value)
{
    struct config_secret *secret = config_field(key, scope->base);
    const char *variable = value->kind == NODE_SCALAR && strlen(value->text) == value->length
                               ? config_variable(reading, value->text)
                               : NULL;
    bool changed;
    if (variable && !config_substitute(reading, value, &changed))
        return;
    const struct node *name = value->kind == NODE_MAPPING ? value->first : NULL;
    bool file = name && node_is(name, "file"), environment = name && node_is(name, "env");
    if (!variable && (!name || name->next || (!file && !environment))) {
        config_say(reading, value, SHOW_NAME,
                   "secrets are not written in this file: %s is {file: PATH}, {env: NAME} or ${NAME}",
                   key->path);
        return;
    }
    const char *text = variable ? variable : item_text(reading, scope, key, name->value, &changed);
    if (!text)
        return;
    if (file ? text[0] != '/' || !text[1] : !config_is_variable_name(text, strlen(text))) {
        config_say(reading, name->value, SHOW_NAME,
                   file ? "this is a path that begins with /"
                        : "this is the name of a variable of the environment");
        return;
    }
    char *copy = arena_copy(&reading->owned->arena, text, strlen(text));
    reading->failed |= !copy;
    *(file ? &secret->file : &secret->environment) = copy;
    if (!variable)
        note(reading, changed, file ? &secret->file : &secret->environment, name->value->text);
}

void config_read_value(struct config_reading *reading, struct config_scope *scope,
                       const struct config_key *key, const struct node *name, const struct node *value)
{
    if (is_nothing(value)) {
        // A list or mapping all of whose items are comments.
        if (key->type != TYPE_LIST && key->type != TYPE_ADDRESSES && key->type != TYPE_HEADERS &&
            key->type != TYPE_LABELS && key->type != TYPE_SWITCHES)
            config_say(reading, name, SHOW_NAME, "%s has no value; leave the key out for its default",
                       key->path);
        return;
    }
    switch (key->type) {
    case TYPE_LIST:
    case TYPE_ADDRESSES:
        read_list(reading, scope, key, value);
        break;
    case TYPE_WORDS:
        read_words(reading, scope, key, value);
        break;
    case TYPE_HEADERS:
    case TYPE_LABELS:
        read_mapping(reading, scope, key, value);
        break;
    case TYPE_SWITCHES:
        read_switches(reading, scope, key, value);
        break;
    case TYPE_SECRET:
        read_secret(reading, scope, key, value);
        break;
    default:
        read_scalar(reading, scope, key, value);
        break;
    }
}

bool config_set_standard(struct arena *arena, const struct config_key *key, void *base)
{
    const char *why;
    return !key->standard || value_set(key, arena, key->standard, config_field(key, base), &why) != -ENOMEM;
}
