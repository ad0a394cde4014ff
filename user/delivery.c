#include "delivery.h"

#include "audit.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/series.h"
#include "base/uuid.h"
#include "deliverer.h"
#include "sink.h"
#include "sink/noise.h"
#include "spool.h"
#include "telemetry.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

enum { ALERT_MAX = 1024 * 1024, STOP_PATIENCE_MS = 5000 };

struct delivery {
    struct spool *spool; // NULL, as the deliverer: there are no outputs
    struct deliverer *deliverer;
    struct audit *audit; // NULL: none is kept
    struct telemetry telemetry;
    struct text line;
    bool news;                      // since the deliverer was told last
    bool added[CONFIG_OUTPUTS_MAX]; // outputs of the configuration that was prepared last
};

static struct counter lost = {
    .name = "inferscope_alerts_lost_total",
    .help = "Alerts that could not be written, by where they were to go",
    .label = "sink",
    .label_value = "spool",
};

// --- Start and stop ---

static int start_audit(struct delivery *delivery, const struct config *config)
{
    const struct audit_options options = {
        .path = config->audit.path, .sync = config->spool.sync, .sync_interval = config->spool.sync_interval};
    if (!options.path)
        return 0;
    int error = audit_open(&options, &delivery->audit);
    if (error)
        log_error("cannot keep the audit log %s: %s", options.path,
                  error == -EBUSY     ? "another agent does"
                  : error == -EBADMSG ? "the file is there and is none"
                                      : strerror(-error));
    return error;
}

static size_t names_of(const struct config *config, const char *ret_names[CONFIG_OUTPUTS_MAX])
{
    size_t count = 0;
    while (count < config->outputs_count && count < CONFIG_OUTPUTS_MAX) {
        ret_names[count] = config->outputs[count].name;
        count++;
    }
    return count;
}

static int set_readers(struct spool *spool, const struct config *config)
{
    const char *names[CONFIG_OUTPUTS_MAX];
    size_t count = names_of(config, names);
    int error = spool_set_readers(spool, names, count);
    if (error)
        log_error("cannot write down in the spool which outputs there are: %s", strerror(-error));
    return error;
}

// An agent that is to deliver alerts and cannot keep them does not start.
static int start_spool(struct delivery *delivery, const struct config *config)
{
    int error = spool_open(&config->spool, &delivery->spool);
    if (error)
        log_error("cannot keep alerts in %s until they are delivered: %s", config->spool.directory,
                  error == -EBUSY             ? "another agent does"
                  : error == -EPROTONOSUPPORT ? "what is there was written by another version"
                                              : strerror(-error));
    return error ? error : set_readers(delivery->spool, config);
}

static int start_deliverer(struct delivery *delivery, const struct delivery_options *options)
{
    const struct deliverer_options deliverer = {
        .text = options->text, .size = options->size, .config = options->config};
    int error = deliverer_start(&deliverer, &delivery->deliverer);
    if (error)
        log_error("cannot start the deliverer: %s", strerror(-error));
    return error;
}

static void say_doubt(const char *sentence, void *context)
{
    log_warning("%s", sentence);
}

int delivery_start(const struct delivery_options *options, struct delivery **ret_delivery)
{
    const struct config *config = options->config;
    if (!config || (!config->outputs_count && !config->audit.path))
        return 0;
    struct delivery *delivery _cleanup_(delivery_stop) = calloc(1, sizeof(*delivery));
    if (!delivery)
        return -ENOMEM;
    delivery->line = (struct text)TEXT_INIT(ALERT_MAX);
    counter_register(&lost);
    telemetry_configure(&delivery->telemetry, config);
    config_doubts(config, say_doubt, NULL);
    int error = start_audit(delivery, config);
    if (!error && config->outputs_count)
        error = start_spool(delivery, config);
    if (!error && config->outputs_count)
        error = start_deliverer(delivery, options);
    if (!error)
        *ret_delivery = TAKE_PTR(delivery);
    return error;
}

void delivery_stop(struct delivery **delivery)
{
    struct delivery *stopped = *delivery;
    if (!stopped)
        return;
    delivery_flush(stopped);
    deliverer_stop(&stopped->deliverer, STOP_PATIENCE_MS);
    spool_close(&stopped->spool);
    audit_close(&stopped->audit);
    telemetry_free(&stopped->telemetry);
    text_free(&stopped->line);
    free(stopped);
    *delivery = NULL;
}

// --- Alerts ---

// What is said of one alert, which is in delivery->line as JSON where there is a spool.
struct said {
    const char *rule;
    enum priority priority;
    uint64_t time_ns;
    uint64_t folded; // how many others it stands for
};

static int keep(struct delivery *delivery, const struct said *said, struct spool_record *ret_record)
{
    if (delivery->line.truncated)
        return -EMSGSIZE;
    *ret_record = (struct spool_record){.kind = SPOOL_ALERT,
                                        .priority = said->priority,
                                        .time_ns = said->time_ns,
                                        .data = text_string(&delivery->line),
                                        .size = delivery->line.length - 1};
    return spool_append(delivery->spool, ret_record);
}

// The spool first: a line about an alert that then were not kept would be untrue.
static void note(struct delivery *delivery, const struct said *said, const struct spool_record *record,
                 int error)
{
    if (!delivery->audit)
        return;
    audit_begin(delivery->audit, error ? "alert_lost" : "alert");
    audit_add_text(delivery->audit, "rule", said->rule);
    audit_add_text(delivery->audit, "priority", priority_name(said->priority));
    audit_add_number(delivery->audit, "event_time_ns", said->time_ns);
    if (said->folded)
        audit_add_number(delivery->audit, "folded", said->folded);
    if (error)
        audit_add_text(delivery->audit, "why", strerror(-error));
    else
        audit_add_text(delivery->audit, "uuid", record->uuid);
    if (!error && record->sequence)
        audit_add_number(delivery->audit, "sequence", record->sequence);
    audit_end(delivery->audit);
}

static int say(struct delivery *delivery, const struct said *said)
{
    struct spool_record record = {};
    if (!delivery->spool) {
        uint8_t uuid[UUID_BYTES];
        if (uuid_make(said->time_ns, uuid) == 0)
            uuid_text(uuid, record.uuid);
        note(delivery, said, &record, 0);
        return 1;
    }
    int error = keep(delivery, said, &record);
    if (error)
        lost.value++;
    else
        delivery->news = true;
    note(delivery, said, &record, error);
    return error;
}

int delivery_alert(struct delivery *delivery, const struct alert *alert)
{
    const struct said said = {
        .rule = alert->rule->name, .priority = alert->rule->priority, .time_ns = alert->event->time_ns};
    text_reset(&delivery->line);
    if (delivery->spool)
        sink_format_json(alert, &delivery->line);
    return say(delivery, &said);
}

int delivery_summary(struct delivery *delivery, const struct noise_summary *summary)
{
    const struct said said = {.rule = summary->rule,
                              .priority = summary->priority,
                              .time_ns = summary->time_ns,
                              .folded = summary->folded};
    text_reset(&delivery->line);
    if (delivery->spool)
        noise_summary_json(summary, &delivery->line);
    return say(delivery, &said);
}

void delivery_event(struct delivery *delivery, const struct event *event)
{
    if (delivery && delivery->spool)
        delivery->news |= telemetry_event(&delivery->telemetry, delivery->spool, event);
}

void delivery_last(struct delivery *delivery)
{
    if (delivery && delivery->spool)
        delivery->news |= telemetry_tick(&delivery->telemetry, delivery->spool, true);
}

int delivery_flush(struct delivery *delivery)
{
    if (!delivery)
        return -1;
    int spool = delivery->spool ? spool_sync(delivery->spool) : -1, audit = audit_sync(delivery->audit);
    if (delivery->news && delivery->deliverer)
        deliverer_wake(delivery->deliverer);
    delivery->news = false;
    return spool < 0 || (audit >= 0 && audit < spool) ? audit : spool;
}

// --- While it runs ---

static void try_start(struct delivery *delivery)
{
    if (!deliverer_tick(delivery->deliverer))
        return;
    log_info("the deliverer is started again");
    audit_begin(delivery->audit, "deliverer_started");
    audit_end(delivery->audit);
}

void delivery_tick(struct delivery *delivery)
{
    if (!delivery)
        return;
    if (delivery->spool) {
        delivery->news |= telemetry_tick(&delivery->telemetry, delivery->spool, false);
        spool_tick(delivery->spool);
    }
    if (delivery->deliverer)
        try_start(delivery);
}

void delivery_reap(struct delivery *delivery)
{
    struct deliverer_end end;
    if (!delivery || !delivery->deliverer || !deliverer_reap(delivery->deliverer, &end))
        return;
    if (end.asked)
        log_info("the deliverer has ended, so that the configuration can be followed");
    else
        log_warning("the deliverer has ended: %s; alerts wait in the spool meanwhile", end.how);
    audit_say(delivery->audit, "deliverer_ended", "how", end.how);
    try_start(delivery);
}

void delivery_reopen(struct delivery *delivery)
{
    if (!delivery)
        return;
    audit_reopen(delivery->audit);
    if (delivery->deliverer)
        deliverer_reopen(delivery->deliverer);
}

uint64_t delivery_next_sequence(const struct delivery *delivery)
{
    return delivery && delivery->spool ? spool_next_sequence(delivery->spool) : 0;
}

struct audit *delivery_audit(struct delivery *delivery)
{
    return delivery ? delivery->audit : NULL;
}

int delivery_prepare(struct delivery *delivery, const struct delivery_options *options)
{
    const struct deliverer_options deliverer = {
        .text = options->text, .size = options->size, .config = options->config};
    if (!delivery || !delivery->deliverer || !options->config->outputs_count) {
        log_warning("outputs begin or end only with a restart of the agent");
        return -EINVAL;
    }
    const char *names[CONFIG_OUTPUTS_MAX];
    size_t count = names_of(options->config, names);
    int error = deliverer_prepare(delivery->deliverer, &deliverer);
    if (!error)
        error = spool_add_readers(delivery->spool, names, count, delivery->added);
    if (error)
        log_error("cannot change the outputs: %s; they stay as they were", strerror(-error));
    return error;
}

void delivery_abandon(struct delivery *delivery, const struct delivery_options *options)
{
    for (size_t i = 0; i < options->config->outputs_count && i < CONFIG_OUTPUTS_MAX; i++)
        if (delivery->added[i])
            spool_remove_reader(delivery->spool, options->config->outputs[i].name);
}

void delivery_adopt(struct delivery *delivery, const struct delivery_options *options)
{
    const char *names[CONFIG_OUTPUTS_MAX];
    size_t count = names_of(options->config, names);
    deliverer_adopt(delivery->deliverer);
    spool_keep_readers(delivery->spool, names, count);
    telemetry_configure(&delivery->telemetry, options->config);
    config_doubts(options->config, say_doubt, NULL);
}
