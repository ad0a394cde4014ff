// Which keys there may be, and what to say of others.
#include "base/cleanup.h"
#include "base/text.h"
#include "reading.h"

#include <stdint.h>
#include <string.h>

enum { PATH_LENGTH_MAX = 256, LEFT_OUT_MAX = 1000 };

// Whether the path is a key's own or, as far as it goes, that of a section.
static bool is_section(const char *path, const struct config_output *output)
{
    size_t length = strlen(path);
    const struct config_key *key;
    for (size_t i = 0; (key = config_key_at(i)); i++)
        if ((output ? key->outputs : !key->outputs) && strncmp(key->path, path, length) == 0 &&
            key->path[length] == '.')
            return true;
    return false;
}

static const struct config_key *find(const char *path, const struct config_output *output, size_t *ret_index)
{
    const struct config_key *key;
    for (size_t i = 0; (key = config_key_at(i)); i++) {
        if (config_has(key, output) && strcmp(key->path, path) == 0) {
            *ret_index = i;
            return key;
        }
    }
    return NULL;
}

// The types of outputs that have the key or section.
static unsigned types_with(const char *path)
{
    size_t length = strlen(path);
    unsigned types = 0;
    const struct config_key *key;
    for (size_t i = 0; (key = config_key_at(i)); i++)
        if (key->outputs && strncmp(key->path, path, length) == 0 &&
            (!key->path[length] || key->path[length] == '.'))
            types |= key->outputs;
    return types;
}

static void add_types(unsigned types, struct text *text)
{
    int left = __builtin_popcount(types);
    for (size_t i = 0; i < OUTPUT_TYPES; i++) {
        if (!(types & 1u << i))
            continue;
        text_addf(text, "%s%s", config_output_names[i], left > 2 ? ", " : left == 2 ? " and " : "");
        left--;
    }
}

struct nearest {
    const char *name;
    size_t length;
    size_t distance;
    size_t best_length;
    const char *best;
};

static void consider(struct nearest *nearest, const char *name, size_t length)
{
    size_t distance = text_distance(nearest->name, nearest->length, name, length);
    if (distance < nearest->distance) {
        nearest->distance = distance;
        nearest->best = name;
        nearest->best_length = length;
    }
}

// A name of the same section that is written nearly so, or the same name in another section.
static void add_hint(const struct config_scope *scope, const char *section, const struct node *name,
                     struct text *text)
{
    struct nearest nearest = {.name = name->text, .length = name->length, .distance = name->length / 3 + 1};
    size_t prefix = strlen(section);
    const struct config_key *key, *elsewhere = NULL;
    for (size_t i = 0; (key = config_key_at(i)); i++) {
        if (!config_has(key, scope->output))
            continue;
        const char *leaf = strrchr(key->path, '.');
        leaf = leaf ? leaf + 1 : key->path;
        if (node_is(name, leaf) || node_is(name, key->path))
            elsewhere = elsewhere ? elsewhere : key;
        if (strncmp(key->path, section, prefix) == 0)
            consider(&nearest, key->path + prefix, strcspn(key->path + prefix, "."));
    }
    if (!scope->output && !prefix)
        consider(&nearest, "outputs", 7);
    if (!scope->output && !prefix)
        consider(&nearest, "probes", 6);
    if (nearest.best)
        text_addf(text, "; did you mean \"%.*s\"?", (int)nearest.best_length, nearest.best);
    else if (elsewhere && strchr(elsewhere->path, '.'))
        text_addf(text, "; %s stands below %.*s:", strrchr(elsewhere->path, '.') + 1,
                  (int)(strrchr(elsewhere->path, '.') - elsewhere->path), elsewhere->path);
    else if (elsewhere)
        text_addf(text, "; %s stands further left", elsewhere->path);
}

static void add_owner(const struct config_scope *scope, struct text *text)
{
    if (scope->output->type == CONFIG_PROBE)
        text_add(text, "a probe");
    else
        text_addf(text, "an output of type %s", config_output_names[scope->output->type]);
}

static void say_unknown(struct config_reading *reading, const struct config_scope *scope, const char *section,
                        const char *path, const struct node *name)
{
    _cleanup_text_ struct text text = TEXT_INIT(1024);
    unsigned types = scope->output ? types_with(path) & ON_ALL : 0;
    if (node_is(name, "<<"))
        text_add(&text, "merge keys are not understood; write the keys out");
    else if (types) {
        add_owner(scope, &text);
        text_addf(&text, " has no %s; ", path);
        bool probe = scope->output->type == CONFIG_PROBE;
        text_add(&text, probe ? "outputs of type " : "");
        add_types(types, &text);
        text_add(&text, __builtin_popcount(types) == 1 && !probe ? " has it" : " have it");
    } else {
        text_add(&text, "there is no key \"");
        text_add_bytes(&text, path, strnlen(path, 80));
        text_add(&text, "\"");
        if (scope->output) {
            text_add(&text, " in ");
            add_owner(scope, &text);
        }
        add_hint(scope, section, name, &text);
    }
    config_say(reading, name, SHOW_NAME, "%s", text_string(&text));
}

static const struct node *earlier(const struct node *mapping, const struct node *name)
{
    for (const struct node *other = mapping->first; other != name; other = other->next)
        if (other->length == name->length && memcmp(other->text, name->text, name->length) == 0)
            return other;
    return NULL;
}

static void read_key(struct config_reading *reading, struct config_scope *scope, const struct node *mapping,
                     const char *section, const struct node *name)
{
    char path[PATH_LENGTH_MAX];
    size_t index;
    const struct node *first = earlier(mapping, name);
    if (first) {
        unsigned line, column;
        file_position(&reading->file, first->offset, &line, &column);
        config_say(reading, name, SHOW_NAME, "\"%.80s\" is here twice; the first is in line %u", name->text,
                   line);
        return;
    }
    if (snprintf(path, sizeof(path), "%s%s", section, name->text) >= (int)sizeof(path) ||
        strlen(name->text) != name->length) {
        config_say(reading, name, SHOW_NAME, "there is no such key");
        return;
    }
    const struct config_key *key = find(path, scope->output, &index);
    // A file's own keys are never reached by a dot.
    if (key && !strchr(name->text, '.')) {
        if (scope->given[index])
            return; // an output's type, which is read before the rest
        scope->given[index] = name;
        config_read_value(reading, scope, key, name, name->value);
    } else if (!strchr(name->text, '.') && is_section(path, scope->output) &&
               (!scope->output || types_with(path) & 1u << scope->output->type)) {
        snprintf(path, sizeof(path), "%s%s.", section, name->text);
        config_read_mapping(reading, scope, name->value, path);
    } else if (!scope->output && strcmp(path, "outputs") == 0) {
        config_read_outputs(reading, name->value);
    } else if (!scope->output && strcmp(path, "probes") == 0) {
        config_read_probes(reading, name->value);
    } else {
        say_unknown(reading, scope, section, path, name);
    }
}

void config_read_mapping(struct config_reading *reading, struct config_scope *scope,
                         const struct node *mapping, const char *section)
{
    if (mapping->kind == NODE_SCALAR && mapping->style == STYLE_PLAIN &&
        (mapping->length == 0 || node_is(mapping, "~") || node_is(mapping, "null")))
        return; // all of it is comments
    if (mapping->kind != NODE_MAPPING) {
        config_say(reading, mapping, SHOW_NAME,
                   "%.*s is a section: a line \"KEY: value\" for each of its keys",
                   section[0] ? (int)strlen(section) - 1 : 9, section[0] ? section : "this file");
        return;
    }
    // A file with so much wrong is none of ours.
    for (const struct node *name = mapping->first; name && reading->left_out < LEFT_OUT_MAX;
         name = name->next)
        read_key(reading, scope, mapping, section, name);
}

const struct node *config_given_at(const struct config_scope *scope, const char *path)
{
    const struct config_key *key;
    for (size_t i = 0; (key = config_key_at(i)); i++)
        if (scope->given[i] && strcmp(key->path, path) == 0)
            return scope->given[i];
    return NULL;
}
