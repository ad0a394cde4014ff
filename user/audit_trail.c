// What the audit log says of the agent itself; what it says of alerts and the deliverer is in delivery.c.
#include "audit.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/sha256.h"
#include "pipeline_private.h"
#include "probing.h"
#include "spool.h"
#include "version.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { LIST_MAX = 32 * 1024, COMMAND_LINE_MAX = 8192 };

// --- Rules ---

static void add_file(const char *path, void *context)
{
    struct text *list = context;
    char hash[SHA256_TEXT_SIZE] = "";
    size_t length;
    int error;
    if (path) {
        error = sha256_file(path, hash);
    } else {
        const char *text = rule_builtin(&length);
        error = sha256_text(text, length, hash);
    }
    const char *name = path ? path : "built-in";
    text_add(list, list->length > 1 ? ",{\"file\":" : "{\"file\":");
    text_add_json(list, name, strlen(name));
    if (error)
        text_addf(list, ",\"error\":\"%s\"}", strerror(-error));
    else
        text_addf(list, ",\"sha256\":\"%s\"}", hash);
}

void audit_trail_rules(struct pipeline *pipeline, bool success, const char *why)
{
    struct audit *audit = delivery_audit(pipeline->delivery);
    const struct rule_plan *plan = pipeline->loaded_from;
    if (!audit || !plan)
        return;
    _cleanup_text_ struct text list = TEXT_INIT(LIST_MAX);
    text_add_char(&list, '[');
    rule_plan_files(plan, add_file, &list);
    text_add_char(&list, ']');
    audit_begin(audit, success ? "rules_loaded" : "rules_not_loaded");
    if (success && pipeline->rules)
        audit_add_number(audit, "rules", rule_set_count(pipeline->rules));
    if (!success)
        audit_add_text(audit, "why", why);
    // So many files that they do not go into a line: their hash must do.
    char hash[SHA256_TEXT_SIZE] = "";
    if (list.truncated)
        sha256_text(text_string(&list), list.length, hash);
    if (list.truncated)
        audit_add_text(audit, "files_sha256", hash);
    else
        audit_add_json(audit, "files", text_string(&list));
    audit_end(audit);
}

// --- Sources ---

// As in the warning at the start: a call that this kernel does not have cannot be missed.
static void add_missing_hooks(struct audit *audit, const struct source_report *report)
{
    _cleanup_text_ struct text list = TEXT_INIT(LIST_MAX);
    for (size_t i = 0; i < report->hooks_count; i++) {
        const struct hook_report *hook = &report->hooks[i];
        if (hook->state != HOOK_FAILED || hook->error == ENOENT)
            continue;
        text_add_char(&list, list.length ? ',' : '[');
        text_add_json(&list, hook->name, strlen(hook->name));
    }
    text_add_char(&list, ']');
    if (list.length > 1 && !list.truncated)
        audit_add_json(audit, "does_without", text_string(&list));
}

void audit_trail_sources(struct pipeline *pipeline)
{
    struct audit *audit = delivery_audit(pipeline->delivery);
    for (size_t i = 0; audit && i < source_count(); i++) {
        const struct source_report *report = &pipeline->reports[i];
        bool failed = report->needed && !report->up;
        if (report->up == pipeline->audited_up[i] && !failed)
            continue;
        pipeline->audited_up[i] = report->up;
        audit_begin(audit, report->up ? "source_up" : "source_down");
        audit_add_text(audit, "source", source_at(i)->name);
        if (!report->up)
            audit_add_text(audit, "why", failed ? report->reason : "nothing asks for it");
        else
            add_missing_hooks(audit, report);
        audit_end(audit);
    }
}

// --- Probes ---

void audit_trail_probes(struct pipeline *pipeline)
{
    struct audit *audit = delivery_audit(pipeline->delivery);
    struct probing_change change;
    while (probing_next_change(&change)) {
        char percent[32];
        audit_begin(audit, change.shed ? "probes_shed" : "probes_back");
        audit_add_text(audit, "kind", change.kind);
        audit_add_text(audit, "symbol", change.symbol);
        snprintf(percent, sizeof(percent), "%.2f", change.percent);
        if (change.shed)
            audit_add_json(audit, "percent_of_all", percent);
        snprintf(percent, sizeof(percent), "%.2f", change.own_percent);
        if (change.shed)
            audit_add_json(audit, "percent", percent);
        audit_end(audit);
    }
}

// --- Start and stop ---

// Options hold no secrets: those are in files and in the environment, which the configuration names.
static void add_arguments(struct audit *audit)
{
    _cleanup_close_ int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    char line[COMMAND_LINE_MAX];
    ssize_t length = fd >= 0 ? read(fd, line, sizeof(line) - 1) : -1;
    _cleanup_text_ struct text list = TEXT_INIT(LIST_MAX);
    if (length <= 0)
        return;
    line[length] = '\0';
    for (ssize_t at = 0; at < length; at += (ssize_t)strlen(line + at) + 1) {
        text_add_char(&list, at ? ',' : '[');
        text_add_json(&list, line + at, strlen(line + at));
    }
    text_add_char(&list, ']');
    if (!list.truncated)
        audit_add_json(audit, "arguments", text_string(&list));
}

static void add_outputs(struct audit *audit, const struct config *config)
{
    _cleanup_text_ struct text list = TEXT_INIT(LIST_MAX);
    for (size_t i = 0; i < config->outputs_count; i++) {
        text_add_char(&list, i ? ',' : '[');
        text_add_json(&list, config->outputs[i].name, strlen(config->outputs[i].name));
    }
    text_add(&list, config->outputs_count ? "]" : "[]");
    if (!list.truncated)
        audit_add_json(audit, "outputs", text_string(&list));
}

void audit_trail_config(struct pipeline *pipeline, const char *event, const struct delivery_options *options,
                        const char *keys)
{
    struct audit *audit = delivery_audit(pipeline->delivery);
    char hash[SHA256_TEXT_SIZE];
    audit_begin(audit, event);
    if (audit && options->text && sha256_text(options->text, options->size, hash) == 0)
        audit_add_text(audit, "sha256", hash);
    if (audit && options->config)
        add_outputs(audit, options->config);
    if (keys)
        audit_add_text(audit, "changed", keys);
    audit_end(audit);
}

void audit_trail_start(struct pipeline *pipeline)
{
    struct audit *audit = delivery_audit(pipeline->delivery);
    const struct pipeline_options *options = pipeline->options;
    if (!audit)
        return;
    audit_begin(audit, "start");
    audit_add_text(audit, "version", INFERSCOPE_VERSION);
    audit_add_text(audit, "hostname", pipeline->path.hostname);
    audit_add_number(audit, "pid", (uint64_t)getpid());
    add_arguments(audit);
    // Alerts up to that one may be missing above: those that were kept just before the agent was killed.
    uint64_t next = delivery_next_sequence(pipeline->delivery);
    if (next)
        audit_add_number(audit, "next_sequence", next);
    audit_end(audit);
    const struct delivery_options config = {
        .config = options->config, .text = options->config_text, .size = options->config_size};
    audit_trail_config(pipeline, "config_loaded", &config, NULL);
    audit_trail_rules(pipeline, true, NULL);
    audit_trail_sources(pipeline);
}

void audit_trail_stop(struct pipeline *pipeline, const char *why)
{
    audit_say(delivery_audit(pipeline->delivery), "stop", "why", why ? why : "");
}
