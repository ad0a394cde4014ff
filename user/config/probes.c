// The list of probes: functions that the user wants measured.
#include "base/cleanup.h"
#include "reading.h"

#include <string.h>

// Their keys are found as those of an output of one more type.
static const struct config_output as_output = {.type = CONFIG_PROBE};

static size_t problems(const struct config_reading *reading)
{
    return reading->problems_count + reading->left_out;
}

static bool is_amount(const struct config_probe *probe)
{
    return probe->measure == MEASURED_AMOUNT || probe->measure == MEASURED_AMOUNTS;
}

void config_probe_metric(const struct config_probe *probe, char *ret_name)
{
    const char *unit = probe->measure == MEASURED_LATENCY ? "seconds" : is_amount(probe) ? probe->unit : NULL;
    snprintf(ret_name, CONFIG_METRIC_MAX, "inferscope_probe_%s%s%s", probe->name, unit ? "_" : "",
             unit ? unit : "");
}

// As metrics are named, by convention.
static bool is_metric_name(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return name[length] == '\0' && length <= 48 && name[0] >= 'a' && name[0] <= 'z' &&
           name[length - 1] != '_';
}

// What the agent's own metrics are called behind inferscope_probe_, without _total.
static bool is_taken(const char *metric)
{
    static const char *const taken[] = {"files",        "files_left", "cost_seconds", "runs",
                                        "trap_seconds", "shed",       "away",         NULL};
    const char *name = metric + strlen("inferscope_probe_");
    for (size_t i = 0; taken[i]; i++)
        if (strcmp(name, taken[i]) == 0)
            return true;
    return false;
}

static const struct node *place(const struct config_scope *scope, const char *path)
{
    const struct node *name = config_given_at(scope, path);
    return name ? name : scope->at;
}

static void check_names(struct config_reading *reading, const struct config_scope *scope)
{
    const struct config_probe *probe = scope->base;
    static const char *const ends[] = {"_total", "_sum", "_count", "_bucket", "_created", "_info", NULL};
    char metric[CONFIG_METRIC_MAX];
    if (!is_metric_name(probe->name))
        config_say(reading, place(scope, "name"), SHOW_VALUE,
                   "a probe's name is at most 48 small letters, digits and _, and begins with a letter");
    else if (probe->unit && !is_metric_name(probe->unit))
        config_say(reading, place(scope, "unit"), SHOW_VALUE,
                   "a unit is at most 48 small letters, digits and _, and begins with a letter");
    else {
        config_probe_metric(probe, metric);
        if (is_taken(metric))
            config_say(reading, place(scope, "name"), SHOW_VALUE,
                       "the agent itself has a metric %s; choose another name", metric);
        for (size_t i = 0; ends[i]; i++) {
            size_t length = strlen(metric), end = strlen(ends[i]);
            if (length > end && strcmp(metric + length - end, ends[i]) == 0)
                config_say(reading, place(scope, probe->unit ? "unit" : "name"), SHOW_VALUE,
                           "%s is what the format of metrics puts behind names by itself", ends[i]);
        }
    }
}

static void check_probe(struct config_reading *reading, const struct config_scope *scope)
{
    const struct config_probe *probe = scope->base;
    check_names(reading, scope);
    if (!probe->files.count)
        config_say(reading, place(scope, "files"), SHOW_NAME, "a probe needs the names of some files");
    if (strlen(probe->symbol) > CONFIG_SYMBOL_MAX)
        config_say(reading, place(scope, "symbol"), SHOW_NAME, "a symbol's name has at most %d bytes",
                   CONFIG_SYMBOL_MAX);
    if (is_amount(probe) && !probe->argument)
        config_say(reading, place(scope, "measure"), SHOW_NAME,
                   "which argument is the amount? argument: 1 to 6");
    static const char *const amounts[] = {"argument", "bits", "unit"};
    for (size_t i = 0; i < ARRAY_SIZE(amounts) && !is_amount(probe); i++)
        if (config_given_at(scope, amounts[i]))
            config_say(reading, place(scope, amounts[i]), SHOW_NAME,
                       "%s is for measure: amount and measure: amounts", amounts[i]);
    if (config_given_at(scope, "throws") && probe->measure != MEASURED_LATENCY)
        config_say(reading, place(scope, "throws"), SHOW_NAME, "throws is for measure: latency");
}

static void read_probe(struct config_reading *reading, struct config_scope *scope)
{
    struct arena *arena = &reading->owned->arena;
    const struct config_key *key;
    if (scope->at->kind != NODE_MAPPING) {
        config_say(reading, scope->at, SHOW_NAME,
                   "a probe is a mapping: \"- name: NAME\", and its other keys below \"name\"");
        return;
    }
    for (size_t i = 0; (key = config_key_at(i)); i++)
        if (key->outputs == ON_PROBE && !config_set_standard(arena, key, scope->base))
            reading->failed = true;
    size_t before = problems(reading);
    config_read_mapping(reading, scope, scope->at, "");
    for (size_t i = 0; (key = config_key_at(i)); i++)
        if (key->outputs == ON_PROBE && key->required && !scope->given[i])
            config_say(reading, scope->at, SHOW_NAME, "a probe needs %s: %s", key->path, key->help);
    if (problems(reading) == before && !reading->failed)
        check_probe(reading, scope);
}

static void check_pairs(struct config_reading *reading, const struct config_scope *scopes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++) {
            char first[CONFIG_METRIC_MAX], second[CONFIG_METRIC_MAX];
            unsigned line, column;
            config_probe_metric(scopes[k].base, first);
            config_probe_metric(scopes[i].base, second);
            if (strcmp(first, second) != 0)
                continue;
            file_position(&reading->file, scopes[k].at->offset, &line, &column);
            config_say(reading, place(&scopes[i], "name"), SHOW_VALUE,
                       "the probe in line %u gives the metric %s, too", line, first);
        }
}

void config_read_probes(struct config_reading *reading, const struct node *list)
{
    struct config *config = &reading->owned->config;
    size_t count = 0, index = 0, before = problems(reading);
    if (list->kind == NODE_SCALAR && list->style == STYLE_PLAIN &&
        (list->length == 0 || node_is(list, "~") || node_is(list, "null")))
        return;
    if (list->kind != NODE_SEQUENCE) {
        config_say(reading, list, SHOW_NAME, "probes is a list: \"- name: NAME\" and so on for each of them");
        return;
    }
    for (const struct node *item = list->first; item; item = item->next)
        count++;
    if (count > CONFIG_PROBES_MAX) {
        config_say(reading, list, SHOW_NAME, "there are %zu probes; at most %d can be", count,
                   CONFIG_PROBES_MAX);
        return;
    }
    _cleanup_free_ struct config_scope *scopes = calloc(count + 1, sizeof(*scopes));
    config->probes = arena_alloc(&reading->owned->arena, (count + 1) * sizeof(*config->probes));
    if (!scopes || !config->probes) {
        reading->failed = true;
        return;
    }
    for (const struct node *item = list->first; item; item = item->next, index++) {
        char name[32];
        snprintf(name, sizeof(name), "probes[%zu]", index);
        scopes[index] = (struct config_scope){
            .base = &config->probes[index], .output = &as_output, .name = name, .at = item};
        read_probe(reading, &scopes[index]);
        scopes[index].name = "";
    }
    config->probes_count = count;
    if (problems(reading) == before && !reading->failed)
        check_pairs(reading, scopes, count);
}

bool config_same_probes(const struct config *before, const struct config *after)
{
    const struct config_key *key;
    bool equal = before->probes_count == after->probes_count;
    for (size_t i = 0; equal && i < before->probes_count; i++)
        for (size_t k = 0; equal && (key = config_key_at(k)); k++)
            equal = key->outputs != ON_PROBE || config_same(key, &before->probes[i], &after->probes[i]);
    return equal;
}
