// The configuration as a file that gives it again, and as pages for people; all from the table.
#include "base/cleanup.h"
#include "base/text.h"
#include "reading.h"
#include "value.h"

#include <string.h>

enum { SHOWN_MAX = 1 << 22 };

struct showing {
    const struct config *config;
    struct text text;
    char section[64]; // that is open
    size_t indent;
};

static void add_indent(struct showing *showing, size_t more)
{
    text_addf(&showing->text, "%*s", (int)(showing->indent + more), "");
}

// "a.b" below "a:", which is opened where it is not. How much further right the key stands.
static size_t open_section(struct showing *showing, const char *path)
{
    const char *dot = strrchr(path, '.');
    char section[sizeof(showing->section)] = "";
    if (dot)
        snprintf(section, sizeof(section), "%.*s", (int)(dot - path), path);
    if (section[0] && strcmp(section, showing->section) != 0) {
        add_indent(showing, 0);
        text_addf(&showing->text, "%s:\n", section);
    }
    memcpy(showing->section, section, sizeof(section));
    return dot ? 4 : 0;
}

static void add_item(struct showing *showing, const char *const *slot, const char *skip)
{
    const char *written = config_written(showing->config, slot), *string = written ? written : *slot;
    value_add_string(string + (skip ? skip - *slot : 0), written, &showing->text);
    text_add_char(&showing->text, '\n');
}

static void add_list(struct showing *showing, const struct config_key *key,
                     const struct config_strings *strings, size_t indent)
{
    for (size_t i = 0; i < strings->count; i++) {
        const char *const *slot = (const char *const *)&strings->items[i];
        const char *string = *slot;
        size_t name = key->type == TYPE_LABELS ? strcspn(string, "=") : strcspn(string, ":");
        add_indent(showing, indent + 4);
        switch (key->type) {
        case TYPE_LIST:
        case TYPE_ADDRESSES:
            text_add(&showing->text, "- ");
            add_item(showing, slot, NULL);
            break;
        case TYPE_SWITCHES:
            text_addf(&showing->text, "- %.*s: ", (int)name, string);
            add_item(showing, slot, string + name + 1);
            break;
        default:
            // A name may be "yes" or "null".
            text_addf(&showing->text, "\"%.*s\": ", (int)name, string);
            add_item(showing, slot, string + name + (key->type == TYPE_HEADERS ? 2 : 1));
            break;
        }
    }
}

static void add_secret(struct showing *showing, const struct config_secret *secret)
{
    const char *const *slot = (const char *const *)(secret->file ? &secret->file : &secret->environment);
    const char *written = config_written(showing->config, slot);
    text_add(&showing->text, secret->file ? " {file: " : " {env: ");
    value_add_string(written ? written : *slot, written, &showing->text);
    text_add(&showing->text, "}\n");
}

// Numbers and words need no quotes.
static bool is_string(const struct config_key *key)
{
    return key->type >= TYPE_CHOICE && key->type <= TYPE_LISTEN;
}

static void add_key(struct showing *showing, const struct config_key *key, const void *base)
{
    const void *field = (const char *)base + key->offset;
    const struct config_strings *strings = field;
    bool list = key->type >= TYPE_LIST && key->type <= TYPE_SWITCHES;
    if (value_is_null(key, field) || (list && !strings->count))
        return;
    size_t indent = open_section(showing, key->path);
    const char *dot = strrchr(key->path, '.'), *written = config_written(showing->config, field);
    add_indent(showing, indent);
    text_addf(&showing->text, "%s:", dot ? dot + 1 : key->path);
    if (list) {
        text_add_char(&showing->text, '\n');
        add_list(showing, key, strings, indent);
        return;
    }
    if (key->type == TYPE_SECRET) {
        add_secret(showing, field);
        return;
    }
    text_add(&showing->text, key->type == TYPE_WORDS ? " [" : " ");
    _cleanup_text_ struct text value = TEXT_INIT(SHOWN_MAX);
    value_add(key, field, &value);
    if (written || is_string(key))
        value_add_string(written ? written : text_string(&value), written, &showing->text);
    else
        text_add_bytes(&showing->text, text_string(&value), value.length);
    text_add(&showing->text, key->type == TYPE_WORDS ? "]\n" : "\n");
}

// What would have no effect is refused in a file.
static bool is_idle(const struct config *config, const struct config_output *output, const char *path)
{
    if (!output)
        return strcmp(path, "spool.sync_interval") == 0 && config->spool.sync != SYNC_INTERVAL;
    return strncmp(path, "tls.", 4) == 0 && config_is_plain(output);
}

static void add_output(struct showing *showing, const struct config_output *output)
{
    const struct config_key *key;
    // The type comes first, behind the dash.
    text_addf(&showing->text, "    - type: %s\n", config_output_names[output->type]);
    showing->indent = 6;
    showing->section[0] = '\0';
    for (size_t i = 0; (key = config_key_at(i)); i++)
        if (config_has(key, output) && strcmp(key->path, "type") != 0 && !is_idle(NULL, output, key->path))
            add_key(showing, key, output);
    showing->indent = 0;
    showing->section[0] = '\0';
}

// What it measures has no use for it.
static bool is_idle_probe(const struct config_probe *probe, const char *path)
{
    static const char *const amounts[] = {"argument", "bits", "unit"};
    for (size_t i = 0; i < ARRAY_SIZE(amounts); i++)
        if (strcmp(path, amounts[i]) == 0)
            return probe->measure != MEASURED_AMOUNT && probe->measure != MEASURED_AMOUNTS;
    return strcmp(path, "throws") == 0 && probe->measure != MEASURED_LATENCY;
}

static void add_probe(struct showing *showing, const struct config_probe *probe)
{
    const struct config_key *key;
    text_add(&showing->text, "    -\n");
    showing->indent = 6;
    showing->section[0] = '\0';
    for (size_t i = 0; (key = config_key_at(i)); i++)
        if (key->outputs == ON_PROBE && !is_idle_probe(probe, key->path))
            add_key(showing, key, probe);
    showing->indent = 0;
}

static void add_all(struct showing *showing)
{
    const struct config *config = showing->config;
    const struct config_key *key;
    for (size_t i = 0; (key = config_key_at(i)); i++) {
        if (!key->outputs && !is_idle(config, NULL, key->path))
            add_key(showing, key, config);
    }
    if (config->outputs_count)
        text_add(&showing->text, "outputs:\n");
    for (size_t i = 0; i < config->outputs_count; i++)
        add_output(showing, &config->outputs[i]);
    if (config->probes_count)
        text_add(&showing->text, "probes:\n");
    for (size_t i = 0; i < config->probes_count; i++)
        add_probe(showing, &config->probes[i]);
}

void config_show(const struct config *config, FILE *stream)
{
    struct showing showing = {.config = config, .text = TEXT_INIT(SHOWN_MAX)};
    add_all(&showing);
    fwrite(text_string(&showing.text), 1, showing.text.length, stream);
    text_free(&showing.text);
}

// --- Differences ---

static bool same_secret(const struct config_secret *a, const struct config_secret *b)
{
    return !strcmp(a->file ? a->file : "", b->file ? b->file : "") &&
           !strcmp(a->environment ? a->environment : "", b->environment ? b->environment : "");
}

bool config_same(const struct config_key *key, const void *a, const void *b)
{
    const void *left = (const char *)a + key->offset, *right = (const char *)b + key->offset;
    if (key->type == TYPE_SECRET)
        return same_secret(left, right);
    if (key->type >= TYPE_LIST && key->type <= TYPE_SWITCHES) {
        const struct config_strings *one = left, *other = right;
        bool equal = one->count == other->count;
        for (size_t i = 0; equal && i < one->count; i++)
            equal = strcmp(one->items[i], other->items[i]) == 0;
        return equal;
    }
    _cleanup_text_ struct text one = TEXT_INIT(SHOWN_MAX), other = TEXT_INIT(SHOWN_MAX);
    value_add(key, left, &one);
    value_add(key, right, &other);
    return strcmp(text_string(&one), text_string(&other)) == 0;
}

static bool same_output(const struct config_output *a, const struct config_output *b)
{
    const struct config_key *key;
    bool equal = a->type == b->type;
    for (size_t i = 0; equal && (key = config_key_at(i)); i++)
        equal = !config_has(key, a) || config_same(key, a, b);
    return equal;
}

void config_compare(const struct config *before, const struct config *after, config_change_fn change,
                    void *context)
{
    const struct config_key *key;
    for (size_t i = 0; (key = config_key_at(i)); i++)
        if (!key->outputs && !config_same(key, before, after))
            change(key->path, key->restart, context);
    bool equal = before->outputs_count == after->outputs_count;
    for (size_t i = 0; equal && i < before->outputs_count; i++)
        equal = same_output(&before->outputs[i], &after->outputs[i]);
    if (!equal)
        change("outputs", !before->outputs_count != !after->outputs_count, context);
    if (!config_same_probes(before, after))
        change("probes", true, context);
}
