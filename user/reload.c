// Other rules without losing an event: the sources are widened to what the old and the new rules ask for,
// then the rules are exchanged between two records, then the sources are narrowed to the new ones. Nothing
// keeps a pointer into a rule set but the pipeline, the event path and the accounts, which get the new one
// here, and then the old one is freed.
#include "account.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/privilege.h"
#include "enrich.h"
#include "pipeline_private.h"
#include "reload_outcome.h"
#include "ring.h"
#include "rule_watch.h"

#include <errno.h>
#include <string.h>

// What is in the ring when a reload is asked for is still judged by the old rules; in a storm it never gets
// empty.
enum { DRAINED_MAX = 65536 };

static struct reload_outcome outcome = {
    RELOAD_OUTCOME_COUNTERS("inferscope_rule_reloads_total",
                            "Times the rules were loaded again, by how it went"),
    .time = {.name = "inferscope_rules_last_reload_success_timestamp_seconds",
             .type = SERIES_GAUGE,
             .unit = "seconds",
             .help = "When the rules in use were loaded, since the Unix epoch"},
    .last = {.name = "inferscope_rules_last_reload_successful",
             .type = SERIES_GAUGE,
             .help =
                 "Whether the rules in use are those of the files; 0: older ones are, as loading failed or a "
                 "file is not there"},
};

static void collect(struct series_writer *writer, void *context)
{
    const struct pipeline *pipeline = context;
    bool missing = pipeline->watch && rule_watch_missing(pipeline->watch);
    reload_outcome_write(&outcome, !missing, writer);
}

// NULL: the built-in rules are in no file, or it was said why their files cannot be watched.
static struct rule_watch *watch_files(const struct pipeline *pipeline, const struct rule_plan *plan)
{
    struct rule_watch *watch _cleanup_(rule_watch_free) = NULL;
    if (!plan->inputs[0].path)
        return NULL;
    int error = rule_watch_new(plan->inputs, plan->count, &watch);
    if (!error)
        error = pipeline_watch_fd(pipeline, rule_watch_fd(watch));
    if (!error)
        return TAKE_PTR(watch);
    log_warning("cannot watch the rule files for changes: %s; SIGHUP loads them again", strerror(-error));
    return NULL;
}

int reload_start(struct pipeline *pipeline)
{
    if (!pipeline->rules)
        return 0;
    reload_outcome_start(&outcome);
    pipeline->watch = pipeline->plan ? watch_files(pipeline, pipeline->plan) : NULL;
    return series_register(collect, pipeline);
}

void reload_stop(struct pipeline *pipeline)
{
    rule_watch_free(&pipeline->watch);
}

// A source that was up and could not follow: then the old rules would see less, too.
static bool lost_a_source(const struct source_report *before, const struct source_report *after)
{
    for (size_t i = 0; i < source_count(); i++)
        if (before[i].up && !after[i].up)
            return true;
    return false;
}

// 0, or a negative errno and the sources are as they were.
static int widen(struct pipeline *pipeline, const struct demand *both)
{
    static struct source_report before[WIRE_SOURCES_MAX];
    memcpy(before, pipeline->reports, sizeof(before));
    pipeline_start_sources(pipeline, both);
    if (!lost_a_source(before, pipeline->reports))
        return 0;
    pipeline_check_sources(pipeline);
    pipeline_start_sources(pipeline, &pipeline->demand);
    return -ENODEV;
}

// Whether the source `process` reports it when a process changes its session or group.
static bool follows_sessions(const struct pipeline *pipeline)
{
    for (size_t i = 0; i < source_count(); i++)
        for (size_t k = 0; k < pipeline->reports[i].hooks_count; k++)
            if (strcmp(source_at(i)->name, "process") == 0 &&
                strcmp(pipeline->reports[i].hooks[k].name, "setsid") == 0)
                return pipeline->reports[i].hooks[k].state == HOOK_UP;
    return false;
}

// Takes the new rules over, or leaves all as it is.
static int exchange(struct pipeline *pipeline, struct rule_set **rules)
{
    struct demand wanted _cleanup_(demand_free) = {}, both _cleanup_(demand_free) = {};
    pipeline_demand(pipeline, *rules, &wanted);
    demand_add(&both, &pipeline->demand);
    demand_add(&both, &wanted);
    ring_drain(pipeline->ring, DRAINED_MAX);
    bool followed = follows_sessions(pipeline);
    int error = widen(pipeline, &both);
    if (error)
        return error;
    error = account_set_rules(*rules);
    if (error) {
        pipeline_start_sources(pipeline, &pipeline->demand);
        return error;
    }
    if (!followed)
        enrich_forget_ids(pipeline->path.enrich);
    if (pipeline->rules)
        rule_set_inherit(*rules, pipeline->rules);
    pipeline->path.rules = *rules;
    rule_set_free(&pipeline->rules);
    pipeline->rules = TAKE_PTR(*rules);
    pipeline_start_sources(pipeline, &wanted);
    pipeline_check_sources(pipeline);
    demand_free(&pipeline->demand);
    pipeline->demand = wanted;
    wanted = (struct demand){};
    return 0;
}

// 0, or a negative errno after having said why, and all is as it was.
static int load(struct pipeline *pipeline, const struct rule_plan *plan)
{
    struct rule_set *rules _cleanup_(rule_set_free) = NULL;
    const char *words = "the rules have errors";
    int error = rule_plan_load(plan, "those that were loaded stay in use", &rules);
    if (!error) {
        int raised = privilege_raise();
        if (raised)
            log_warning("cannot raise capabilities: %s", strerror(-raised));
        error = exchange(pipeline, &rules);
        privilege_lower();
        words = error == -ENODEV ? "a source that is up would not be" : error ? strerror(-error) : NULL;
        if (error)
            log_error("cannot exchange the rules: %s; those that were loaded stay in use", words);
    }
    reload_outcome_count(&outcome, !error);
    audit_trail_rules(pipeline, !error, words);
    audit_trail_sources(pipeline);
    return error;
}

void reload_rules(struct pipeline *pipeline, const char *why)
{
    if (!pipeline->plan) {
        log_info("%s: nothing is loaded again (%s)", why,
                 pipeline->rules ? "--no-reload" : "there are no rules");
        return;
    }
    log_info("%s: the rules are loaded again", why);
    if (pipeline->watch)
        rule_watch_arm(pipeline->watch);
    if (load(pipeline, pipeline->plan) == 0)
        pipeline_say_state(pipeline, "reloaded");
}

bool reload_plan(struct pipeline *pipeline, struct rule_plan *plan, bool same, const char *why)
{
    log_info("%s: the rules are loaded again", why);
    struct rule_plan before _cleanup_(rule_plan_free) = pipeline->own_plan;
    const struct rule_plan *plan_before = pipeline->plan, *from_before = pipeline->loaded_from;
    // Watched before they are read, so that no change is missed between the two.
    struct rule_watch *watch _cleanup_(rule_watch_free) = watch_files(pipeline, plan);
    pipeline->own_plan = *plan;
    pipeline->plan = pipeline->loaded_from = &pipeline->own_plan;
    bool loaded = load(pipeline, pipeline->plan) == 0;
    if (!loaded && !same) {
        pipeline->own_plan = before;
        pipeline->plan = plan_before;
        pipeline->loaded_from = from_before;
        before = (struct rule_plan){};
        return false;
    }
    *plan = (struct rule_plan){};
    struct rule_watch *watched = pipeline->watch;
    pipeline->watch = TAKE_PTR(watch);
    watch = watched;
    if (loaded)
        pipeline_say_state(pipeline, "reloaded");
    return loaded;
}

void reload_on_change(struct pipeline *pipeline, bool tick)
{
    if (pipeline->watch && rule_watch_changed(pipeline->watch, tick))
        reload_rules(pipeline, "rule files have changed");
}
