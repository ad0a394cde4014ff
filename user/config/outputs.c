#include "base/cleanup.h"
#include "base/text.h"
#include "reading.h"

#include <string.h>

static config_lacking_fn lacking;

void config_set_lacking(config_lacking_fn function)
{
    lacking = function;
}

static size_t problems(const struct config_reading *reading)
{
    return reading->problems_count + reading->left_out;
}

// An output's type, without which nothing can be said of its other keys.
static bool read_type(struct config_reading *reading, struct config_scope *scope,
                      struct config_output *output)
{
    const struct config_key *key;
    size_t before = problems(reading);
    const struct node *name = scope->at->first;
    while (name && !node_is(name, "type"))
        name = name->next;
    for (size_t i = 0; (key = config_key_at(i)); i++) {
        if (!key->outputs || strcmp(key->path, "type") != 0)
            continue;
        if (!name) {
            _cleanup_text_ struct text text = TEXT_INIT(512);
            for (size_t k = 0; k < OUTPUT_TYPES; k++)
                text_addf(&text, "%s%s", k ? ", " : "", config_output_names[k]);
            config_say(reading, scope->at, SHOW_NAME, "an output has a type: %s", text_string(&text));
            return false;
        }
        scope->given[i] = name;
        config_read_value(reading, scope, key, name, name->value);
        const char *why = problems(reading) == before && lacking ? lacking(output->type) : NULL;
        if (why)
            config_say(reading, name->value, SHOW_VALUE, "%s", why);
    }
    return problems(reading) == before;
}

static void read_output(struct config_reading *reading, struct config_scope *scope,
                        struct config_output *output)
{
    struct arena *arena = &reading->owned->arena;
    const struct config_key *key;
    if (scope->at->kind != NODE_MAPPING) {
        config_say(reading, scope->at, SHOW_NAME,
                   "an output is a mapping: \"- type: file\", and its other keys below \"type\"");
        return;
    }
    scope->base = output;
    scope->output = output;
    if (!read_type(reading, scope, output))
        return;
    for (size_t i = 0; (key = config_key_at(i)); i++)
        if (config_has(key, output) && !config_set_standard(arena, key, output))
            reading->failed = true;
    config_read_mapping(reading, scope, scope->at, "");
    if (!output->name)
        output->name =
            arena_copy(arena, config_output_names[output->type], strlen(config_output_names[output->type]));
    reading->failed |= !output->name;
    for (size_t i = 0; (key = config_key_at(i)); i++)
        if (config_has(key, output) && key->required && !scope->given[i])
            config_say(reading, scope->at, SHOW_NAME, "an output of type %s needs %s: %s",
                       config_output_names[output->type], key->path, key->help);
}

void config_read_outputs(struct config_reading *reading, const struct node *list)
{
    struct config *config = &reading->owned->config;
    size_t count = 0;
    if (list->kind == NODE_SCALAR && list->style == STYLE_PLAIN &&
        (list->length == 0 || node_is(list, "~") || node_is(list, "null")))
        return;
    if (list->kind != NODE_SEQUENCE) {
        config_say(reading, list, SHOW_NAME,
                   "outputs is a list: \"- type: file\" and so on for each of them");
        return;
    }
    for (const struct node *item = list->first; item; item = item->next)
        count++;
    if (count > CONFIG_OUTPUTS_MAX) {
        config_say(reading, list, SHOW_NAME, "there are %zu outputs; at most %d can be", count,
                   CONFIG_OUTPUTS_MAX);
        return;
    }
    _cleanup_free_ struct config_scope *scopes = calloc(count + 1, sizeof(*scopes));
    config->outputs = arena_alloc(&reading->owned->arena, (count + 1) * sizeof(*config->outputs));
    if (!scopes || !config->outputs) {
        reading->failed = true;
        return;
    }
    size_t before = problems(reading), index = 0;
    for (const struct node *item = list->first; item; item = item->next, index++) {
        char name[32];
        snprintf(name, sizeof(name), "outputs[%zu]", index);
        scopes[index].at = item;
        scopes[index].name = name;
        size_t wrong = problems(reading);
        read_output(reading, &scopes[index], &config->outputs[index]);
        if (problems(reading) == wrong && !reading->failed)
            config_check_output(reading, &scopes[index]);
        scopes[index].name = "";
    }
    config->outputs_count = count;
    if (problems(reading) == before && !reading->failed)
        config_check_outputs(reading, scopes);
}
