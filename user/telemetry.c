#include "telemetry.h"

#include "base/clock.h"
#include "base/series.h"
#include "inference.h"
#include "metric.h"
#include "sink/span.h"
#include "spool.h"

#include <string.h>

static struct counter spans_lost = {
    .name = "inferscope_telemetry_lost_total",
    .help = "Spans and metrics that could not be put into the spool",
    .label = "kind",
    .label_value = "span",
};
static struct counter metrics_lost = {
    .name = "inferscope_telemetry_lost_total",
    .help = "Spans and metrics that could not be put into the spool",
    .label = "kind",
    .label_value = "metrics",
};

void telemetry_configure(struct telemetry *telemetry, const struct config *config)
{
    telemetry->signals = 0;
    for (size_t i = 0; i < config->outputs_count; i++)
        if (config->outputs[i].type == OUTPUT_OTLP)
            telemetry->signals |= config->outputs[i].signals;
    telemetry->metrics_interval_s = config->otlp.metrics_interval_s;
    telemetry->text.max = SPOOL_DATA_MAX;
    if (telemetry->signals & (SIGNAL_METRICS | SIGNAL_TRACES)) {
        counter_register(&spans_lost);
        counter_register(&metrics_lost);
    }
}

void telemetry_free(struct telemetry *telemetry)
{
    text_free(&telemetry->text);
    telemetry->signals = 0;
}

static bool append(struct telemetry *telemetry, struct spool *spool, enum spool_kind kind,
                   struct counter *lost)
{
    struct spool_record record = {.kind = kind,
                                  .time_ns = clock_ns(CLOCK_REALTIME),
                                  .data = text_string(&telemetry->text),
                                  .size = telemetry->text.length};
    bool kept = !telemetry->text.truncated && spool_append(spool, &record) == 0;
    lost->value += !kept;
    return kept;
}

// A call's provider is known by the host that was called; a server's by its software.
static const char *provider_of(const struct event *event)
{
    static const char name[] = "infer.provider";
    const struct field *field = field_find(event->type, name, strlen(name));
    const struct field_arg none = {};
    struct value value;
    if (field)
        return field_get(field, event, &none, 0, &value) && value.type == FIELD_STRING ? value.string.data
                                                                                       : NULL;
    return inference_provider(event);
}

bool telemetry_event(struct telemetry *telemetry, struct spool *spool, const struct event *event)
{
    if (!(telemetry->signals & SIGNAL_TRACES) || strncmp(event->type->name, "infer", strlen("infer")) != 0)
        return false;
    text_reset(&telemetry->text);
    int result = span_format(event, provider_of(event), &telemetry->text);
    return result != 0 && append(telemetry, spool, SPOOL_SPAN, &spans_lost);
}

bool telemetry_tick(struct telemetry *telemetry, struct spool *spool, bool last)
{
    uint64_t now_ms = clock_ms(CLOCK_MONOTONIC);
    if (!(telemetry->signals & SIGNAL_METRICS) || (!last && now_ms < telemetry->metrics_due_ms))
        return false;
    telemetry->metrics_due_ms = now_ms + (uint64_t)telemetry->metrics_interval_s * 1000;
    text_reset(&telemetry->text);
    metric_render_otlp(&telemetry->text);
    return append(telemetry, spool, SPOOL_METRICS, &metrics_lost);
}
