#include "noise_alert.h"

#include "base/cleanup.h"
#include "base/sha256.h"
#include "format.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { KEPT_MAX = 1 << 20 };

// --- What is compared ---

// Names, and beginnings of names, of fields that differ between alerts that tell the same.
static const char *const ignored[] = {
    "evt.time",
    "evt.time.s",
    "evt.time.iso8601",
    "evt.datetime",
    "evt.datetime.s",
    "evt.outputtime",
    "evt.rawtime",
    "evt.rawtime.s",
    "evt.rawtime.ns",
    "evt.num",
    "evt.count",
    "evt.buflen",
    "proc.pid",
    "proc.vpid",
    "proc.ppid",
    "proc.pvpid",
    "proc.sid",
    "proc.vsid",
    "proc.pgid",
    "proc.vpgid",
    "proc.pid.ts",
    "proc.ppid.ts",
    "proc.duration",
    "proc.ppid.duration",
    "proc.pidns_init_start_ts",
    "thread.tid",
    "thread.vtid",
    "fd.num",
    "proc.apid*",
    "proc.exe_ino.ctime_duration*",
    "evt.arg.pid",
    "evt.arg.fd",
    "evt.arg.newfd",
    "evt.arg.oldfd",
    "infer.duration",
    "infer.ttft",
    "http.duration",
    "infer.traceparent",
    "http.traceparent",
};

static const char *const kinds[] = {
    "user.*", "proc.name", "proc.exepath", "proc.pname", "container.*", "k8s.*",
};

static bool is_among(const char *field, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(names[i]);
        if (names[i][length - 1] == '*' ? strncmp(field, names[i], length - 1) == 0
                                        : strcmp(field, names[i]) == 0)
            return true;
    }
    return false;
}

bool noise_ignores(const char *field)
{
    return is_among(field, ignored, ARRAY_SIZE(ignored));
}

struct digest {
    struct text text;
    bool kinds;
};

static void add_value(const char *key, const struct value *value, void *context)
{
    struct digest *digest = context;
    if (digest->kinds ? !is_among(key, kinds, ARRAY_SIZE(kinds)) : noise_ignores(key))
        return;
    // Names and values with their lengths, so that no two alerts make the same text.
    text_addf(&digest->text, "%zu:%s", strlen(key), key);
    if (!value) {
        text_add_char(&digest->text, '-');
    } else if (value->type == FIELD_STRING) {
        text_addf(&digest->text, "%zu:", value->string.length);
        text_add_bytes(&digest->text, value->string.data, value->string.length);
    } else {
        text_add_char(&digest->text, '=');
        value_render(value, &digest->text);
        text_add_char(&digest->text, ';');
    }
}

static int make_digest(const struct alert *alert, bool of_kind, char ret_digest[NOISE_DIGEST + 1])
{
    struct digest digest = {.text = TEXT_INIT(KEPT_MAX), .kinds = of_kind};
    text_addf(&digest.text, "%zu:%s", strlen(alert->rule->name), alert->rule->name);
    rule_output_visit(alert->rule->output, alert->event, add_value, &digest);
    int error =
        digest.text.truncated ? -EMSGSIZE : sha256_text(digest.text.data, digest.text.length, ret_digest);
    text_free(&digest.text);
    return error;
}

int noise_alert_digest(const struct alert *alert, char ret_digest[NOISE_DIGEST + 1])
{
    return make_digest(alert, false, ret_digest);
}

int noise_kind_digest(const struct alert *alert, char ret_digest[NOISE_DIGEST + 1])
{
    return make_digest(alert, true, ret_digest);
}

// --- What is kept ---

void noise_alert_free(struct noise_alert *kept)
{
    free(kept->hostname);
    free(kept->rule);
    text_free(&kept->message);
    text_free(&kept->fields);
    text_free(&kept->about);
    *kept = (struct noise_alert){};
}

int noise_alert_keep(const struct alert *alert, struct noise_alert *ret_kept)
{
    struct noise_alert kept = {.hostname = strdup(alert->hostname),
                               .rule = strdup(alert->rule->name),
                               .priority = alert->rule->priority,
                               .message = TEXT_INIT(KEPT_MAX),
                               .fields = TEXT_INIT(KEPT_MAX),
                               .about = TEXT_INIT(KEPT_MAX)};
    format_message(alert, &kept.message);
    format_json_fields(alert, &kept.fields);
    format_json_rule(alert->rule, &kept.about);
    if (!kept.hostname || !kept.rule || kept.message.truncated || kept.fields.truncated ||
        kept.about.truncated) {
        noise_alert_free(&kept);
        return -ENOMEM;
    }
    *ret_kept = kept;
    return 0;
}

size_t noise_alert_bytes(const struct noise_alert *kept)
{
    return sizeof(*kept) + strlen(kept->hostname) + strlen(kept->rule) + kept->message.capacity +
           kept->fields.capacity + kept->about.capacity;
}

// --- Summaries ---

static void add_message(const struct noise_summary *summary, struct text *text)
{
    const struct noise_alert *of = summary->of;
    format_time_of_day(text, summary->time_ns);
    text_addf(text, ": %s ", priority_name(summary->priority));
    text_add_bytes(text, text_string(&of->message), of->message.length);
    text_addf(text, " (%" PRIu64 " more of these in %" PRIu64 " s)", summary->folded, of->seconds);
}

void noise_summary_json(const struct noise_summary *summary, struct text *text)
{
    const struct noise_alert *of = summary->of;
    _cleanup_text_ struct text output = TEXT_INIT(text->max);
    add_message(summary, &output);
    format_json_begin(of->hostname, &output, summary->time_ns, text);
    text_add_bytes(text, text_string(&of->fields), of->fields.length);
    text_addf(text, ",\"folded\":%" PRIu64 ",\"folded_seconds\":%" PRIu64 ",\"folded_reason\":\"%s\"",
              summary->folded, of->seconds, of->reason);
    text_add_bytes(text, text_string(&of->about), of->about.length);
    format_json_end(summary->time_ns, text);
}

void noise_summary_text(const struct noise_summary *summary, struct text *text)
{
    _cleanup_text_ struct text message = TEXT_INIT(text->max);
    add_message(summary, &message);
    text_add_printable(text, text_string(&message), message.length);
    text_add_char(text, '\n');
    text->truncated |= message.truncated;
}
