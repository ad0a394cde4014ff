// Another configuration while the agent runs. It is taken as a whole or not at all: the file is read and
// checked, all that can fail is prepared, the rules are loaded by it, and what follows then cannot fail. Keys
// that are only looked at when the agent starts are named.
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "pipeline_private.h"
#include "reload_outcome.h"
#include "sink/noise.h"

#include <errno.h>
#include <string.h>

enum { KEYS_TEXT_MAX = 4096 };

static struct reload_outcome outcome = {
    RELOAD_OUTCOME_COUNTERS("inferscope_config_reloads_total",
                            "Times the configuration was read again, by how it went"),
    .time = {.name = "inferscope_config_last_reload_success_timestamp_seconds",
             .type = SERIES_GAUGE,
             .unit = "seconds",
             .help = "When the configuration in use was read, since the Unix epoch"},
    .last = {.name = "inferscope_config_last_reload_successful",
             .type = SERIES_GAUGE,
             .help =
                 "Whether the configuration in use is that of the file; 0: an older one is, as the file has "
                 "errors"},
};

static void collect(struct series_writer *writer, void *context)
{
    reload_outcome_write(&outcome, true, writer);
}

int reconfigure_start(struct pipeline *pipeline)
{
    if (!pipeline->options->read_config)
        return 0;
    reload_outcome_start(&outcome);
    return series_register(collect, pipeline);
}

void reconfigure_stop(struct pipeline *pipeline)
{
    rule_plan_free(&pipeline->own_plan);
    config_free(&pipeline->own_config);
}

// --- What differs ---

struct changes {
    struct text all;     // keys, with commas
    struct text waiting; // of them those that wait for a restart
    bool rules;          // some of rules.*
    bool noise;          // some of noise.*
    bool spool;          // where the spool lies
};

static void changes_free(struct changes *changes)
{
    text_free(&changes->all);
    text_free(&changes->waiting);
}

static void add(struct text *list, const char *key)
{
    text_addf(list, "%s%s", list->length ? ", " : "", key);
}

// From what was accepted last.
static void note_change(const char *key, bool needs_restart, void *context)
{
    struct changes *changes = context;
    add(&changes->all, key);
    if (!needs_restart && strncmp(key, "rules.", 6) == 0)
        changes->rules = true;
    if (strncmp(key, "noise.", 6) == 0)
        changes->noise = true;
}

// From what the agent was started with.
static void note_waiting(const char *key, bool needs_restart, void *context)
{
    struct changes *changes = context;
    if (needs_restart)
        add(&changes->waiting, key);
    if (strcmp(key, "spool.directory") == 0)
        changes->spool = true;
}

// --- Applying it ---

// The rules, by the new keys. False: they cannot be loaded so.
static bool apply_rules(struct pipeline *pipeline, const struct config *config, const struct changes *changes,
                        const char *why)
{
    struct rule_plan plan _cleanup_(rule_plan_free) = {};
    if (!pipeline->plan) {
        if (changes->rules)
            log_warning("%s: the rules stay as they are (%s)", why,
                        pipeline->rules ? "--no-reload" : "there are none");
        return true;
    }
    enum rule_matching before = pipeline->path.matching;
    pipeline->path.matching = config->rules_match_all ? RULE_MATCHING_ALL : RULE_MATCHING_FIRST;
    // Rule files that are broken by themselves are no fault of a configuration that names the same ones.
    if (rule_plan_configure(&plan, config) == 0 &&
        (reload_plan(pipeline, &plan, !changes->rules, why) || !changes->rules))
        return true;
    pipeline->path.matching = before;
    return false;
}

// The deliverer begins anew even where the outputs are the same: what lies in files (secrets, certificates)
// may not be.
static bool outputs_follow(const struct pipeline *pipeline, const struct config *config,
                           const struct changes *changes)
{
    bool had = pipeline->options->config->outputs_count, has = config->outputs_count;
    if (!had || !has)
        return false; // named among those that wait
    if (changes->spool)
        log_warning("the outputs stay as they are until a restart, because spool.directory does");
    return !changes->spool;
}

static bool apply(struct pipeline *pipeline, const struct delivery_options *delivery,
                  const struct changes *changes, const char *why)
{
    const struct config *config = delivery->config;
    bool outputs = outputs_follow(pipeline, config, changes);
    struct noise *noise = NULL;
    int error = event_path_noise_new(&pipeline->path, &config->noise, &noise);
    if (error)
        log_error("cannot fold alerts by the new configuration: %s", strerror(-error));
    if (!error && outputs)
        error = delivery_prepare(pipeline->delivery, delivery);
    bool loaded = !error && apply_rules(pipeline, config, changes, why);
    if (!error && !loaded && outputs)
        delivery_abandon(pipeline->delivery, delivery);
    // What was folded so far would be summed up early, so it is left alone where nothing has changed.
    if (loaded && changes->noise)
        event_path_fold(&pipeline->path, &noise);
    noise_free(&noise, 0);
    if (!loaded)
        return false;
    if (outputs)
        delivery_adopt(pipeline->delivery, delivery);
    log_set_level(config->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    if (changes->waiting.length)
        log_warning("%s: these keys of the configuration wait for a restart: %s", why,
                    text_string(&changes->waiting));
    return true;
}

void reconfigure(struct pipeline *pipeline, const char *why)
{
    const struct pipeline_options *options = pipeline->options;
    if (!options->read_config) {
        reload_rules(pipeline, why);
        return;
    }
    struct config *config _cleanup_(config_free) = NULL;
    _cleanup_free_ char *text = NULL;
    struct changes changes _cleanup_(changes_free) = {.all = TEXT_INIT(KEYS_TEXT_MAX),
                                                      .waiting = TEXT_INIT(KEYS_TEXT_MAX)};
    struct delivery_options delivery = {};
    int error = options->read_config(options->read_config_context, &text, &delivery.size, &config);
    delivery.text = text;
    delivery.config = config;
    if (!error) {
        config_compare(pipeline->config, config, note_change, &changes);
        config_compare(options->config, config, note_waiting, &changes);
    }
    bool success = !error && apply(pipeline, &delivery, &changes, why);
    reload_outcome_count(&outcome, success);
    audit_trail_config(pipeline, success ? "config_loaded" : "config_not_loaded", &delivery,
                       changes.all.length ? text_string(&changes.all) : NULL);
    if (!success) {
        log_error("%s: the configuration stays as it was", why);
        return;
    }
    log_info("%s: the configuration was read again; changed: %s", why,
             changes.all.length ? text_string(&changes.all) : "nothing");
    config_free(&pipeline->own_config);
    pipeline->config = pipeline->own_config = TAKE_PTR(config);
}
