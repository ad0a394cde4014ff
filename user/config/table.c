#include "table.h"

#include "base/cleanup.h"

#include <string.h>

static const char *const no_yes[] = {"false", "true", NULL};
static const char *const colors[] = {"auto", "always", "never", NULL};
static const char *const matchings[] = {"first", "all", NULL};
static const char *const syncs[] = {"always", "interval", "never", NULL};
static const char *const formats[] = {"json", "text", "ecs", "ocsf", "cef", NULL};
static const char *const protocols[] = {"tcp", "tls", "udp", NULL};
static const char *const streams[] = {"tcp", "tls", NULL};
static const char *const compressions[] = {"none", "gzip", "snappy", "lz4", "zstd", NULL};
static const char *const mechanisms[] = {"SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", NULL};
static const char *const signals[] = {"logs", "metrics", "traces", NULL};
static const char *const priorities[] = {"Emergency", "Alert",         "Critical", "Error", "Warning",
                                         "Notice",    "Informational", "Debug",    NULL};
static const char *const measures[] = {"count", "latency", "amount", "amounts", NULL};
static const char *const widths[] = {"64", "32", NULL};
static const char *const facilities[] = {"kern",   "user",   "mail",   "daemon", "auth",     "syslog",
                                         "lpr",    "news",   "uucp",   "cron",   "authpriv", "ftp",
                                         "local0", "local1", "local2", "local3", "local4",   "local5",
                                         "local6", "local7", NULL};
const char *const config_output_names[OUTPUT_TYPES + 1] = {
    "stdout",        "file", "unix",         "syslog", "webhook", "splunk",
    "elasticsearch", "loki", "alertmanager", "otlp",   "kafka"};

#define OPTIONS(...)                          \
    .options = (const struct config_option[]) \
    {                                         \
        __VA_ARGS__,                          \
        {                                     \
        }                                     \
    }
#define OF_FILE(member) .offset = offsetof(struct config, member)
#define OF_PROBE(member) .outputs = ON_PROBE, .offset = offsetof(struct config_probe, member)
#define OF_OUTPUT(types, member) .outputs = (types), .offset = offsetof(struct config_output, member)

enum { KIB = 1024, MIB = 1024 * KIB, SECOND = 1000, MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };
#define GIB ((uint64_t)1024 * MIB)

// clang-format off
static const struct config_key keys[] = {
    {"json", .type = TYPE_BOOL, OF_FILE(json), .standard = "false", .words = no_yes, .restart = true,
     .help = "alerts as JSON, a line each, as Falco writes them",
     OPTIONS({"json", .value = "true"})},
    {"color", .type = TYPE_WORD, OF_FILE(color), .standard = "auto", .words = colors, .restart = true,
     .help = "colour on a terminal",
     OPTIONS({"color", .argument = "auto|always|never"})},
    {"debug", .type = TYPE_BOOL, OF_FILE(debug), .standard = "false", .words = no_yes,
     .help = "say more, on standard error",
     OPTIONS({"debug", .value = "true"})},
    {"listen", .type = TYPE_LISTEN, OF_FILE(listen), .standard = "127.0.0.1:9560", .restart = true,
     .help = "where metrics are served; 'none': nowhere",
     OPTIONS({"listen", .argument = "ADDRESS:PORT"})},
    {"ring_size", .type = TYPE_SIZE, OF_FILE(ring_size), .standard = "4MiB", .min = MIB, .max = GIB, .restart = true,
     .help = "room between the kernel and the agent; the next power of two is taken",
     OPTIONS({"ring-size", .argument = "MIB", .unit = "MiB"})},
    {"host_root", .type = TYPE_TEXT, OF_FILE(host_root), .standard = "/", .restart = true,
     .help = "where the node's root is mounted, inside a container",
     OPTIONS({"host-root", .argument = "DIR"})},
    {"syscall_latency", .type = TYPE_LIST, OF_FILE(syscall_latency), .max = 16, .restart = true,
     .help = "measure how long these system calls take (at most 16), such as read,futex; 'default': the usual nine",
     OPTIONS({"syscall-latency", .argument = "CALL,…"})},

    {"rules.enabled", .type = TYPE_BOOL, OF_FILE(rules_enabled), .standard = "true", .words = no_yes, .restart = true,
     .help = "judge events by rules",
     OPTIONS({"rules", .value = "true", .help = "judge events by rules: those of FILE…, of the configuration, or the built-in ones"})},
    {"rules.files", .type = TYPE_LIST, OF_FILE(rules_files), .max = 256,
     .help = "files of rules, or directories of them, in this order; none: the built-in rules"},
    {"rules.minimum_priority", .type = TYPE_WORD, OF_FILE(rules_priority), .standard = "Debug", .words = priorities,
     .help = "only rules that are at least so grave",
     OPTIONS({"priority", .argument = "LEVEL"})},
    {"rules.switches", .type = TYPE_SWITCHES, OF_FILE(rules_switches), .max = 1024,
     .help = "switch rules on or off by a part of their name, or by tag:TAG; in order",
     OPTIONS({"enable", .argument = "NAME", .value = "enable:", .appends = true, .help = "switch rules on by a part of their name, or by tag:TAG …"},
             {"disable", .argument = "NAME", .value = "disable:", .appends = true, .help = "… and off; in order"})},
    {"rules.matching", .type = TYPE_BOOL, OF_FILE(rules_match_all), .standard = "first", .words = matchings,
     .help = "whether an event ends with the first rule that holds",
     OPTIONS({"rule-matching", .argument = "first|all"})},
    {"rules.reload", .type = TYPE_BOOL, OF_FILE(rules_reload), .standard = "true", .words = no_yes, .restart = true,
     .help = "load rules again when their files change, and at SIGHUP; false: what that needs is given up for good",
     OPTIONS({"no-reload", .value = "false", .help = "give up for good what reloading rules needs; else SIGHUP or a change of their files loads them again"})},

    {"inference.enabled", .type = TYPE_BOOL, OF_FILE(inference), .standard = "false", .words = no_yes, .restart = true,
     .help = "metrics of inference servers: time to first token, tokens, errors, by model",
     OPTIONS({"inference", .value = "true"})},
    {"inference.routes", .type = TYPE_LIST, OF_FILE(inference_routes), .max = 64, .restart = true,
     .help = "paths of inference requests beside the usual ones; * may be a part of one",
     OPTIONS({"inference-routes", .argument = "PATH,…", .appends = true}), .also = "inference.enabled"},
    {"inference.body_values", .type = TYPE_BOOL, OF_FILE(body_values), .standard = "true", .words = no_yes, .restart = true,
     .help = "take names of models and numbers of tokens out of requests and answers",
     OPTIONS({"no-body-values", .value = "false", .help = "take no names of models and no numbers of tokens out of requests and answers"})},
    {"inference.pod_labels", .type = TYPE_LIST, OF_FILE(inference_pod_labels), .max = 4, .restart = true,
     .help = "labels of pods that become labels of inference metrics, such as team,cost-centre: k8s_pod_label_team, k8s_pod_label_cost_centre"},

    {"kubelet.url", .type = TYPE_URL, OF_FILE(kubelet.url), .restart = true,
     .help = "this node's kubelet, such as https://${NODE_NAME}:10250, which is asked for the pods' labels; left out: nobody is"},
    {"kubelet.token_file", .type = TYPE_PATH, OF_FILE(kubelet.token_file), .restart = true,
     .standard = "/var/run/secrets/kubernetes.io/serviceaccount/token",
     .help = "the service account's token, read anew each time"},
    {"kubelet.ca_file", .type = TYPE_PATH, OF_FILE(kubelet.ca_file), .restart = true,
     .standard = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
     .help = "certificates that the kubelet's own is checked by, PEM; it always is"},
    {"kubelet.interval", .type = TYPE_SECONDS, OF_FILE(kubelet.interval_s), .standard = "30s", .min = 1, .max = HOUR, .restart = true,
     .help = "how often it is asked; a pod that is new is asked for at once"},

    {"egress.enabled", .type = TYPE_BOOL, OF_FILE(egress), .standard = "false", .words = no_yes, .restart = true,
     .help = "metrics of what leaves the node: bytes and connections, by container and destination",
     OPTIONS({"egress", .value = "true"})},

    {"probes_budget", .type = TYPE_PERCENT, OF_FILE(probes_budget), .standard = "5%", .max = 100, .restart = true,
     .help = "of the node's CPU time, over all CPUs, that probes in programs may take; then the dearest are taken away for a while; "
             "0%: no limit, and what they take is not measured"},

    {"network.enabled", .type = TYPE_BOOL, OF_FILE(network), .standard = "false", .words = no_yes, .restart = true,
     .help = "metrics of TCP connections by container: time to connect, failures, bytes, round-trip time, retransmits",
     OPTIONS({"network", .value = "true"})},
    {"network.cluster", .type = TYPE_LIST, OF_FILE(network_cluster), .max = 64, .restart = true,
     .help = "ranges of addresses that are the cluster's, such as 10.244.0.0/16, to metrics of TCP connections and of what leaves the node; "
             "others are loopback, private or public",
     OPTIONS({"network-cluster", .argument = "RANGE,…", .appends = true}), .also = "network.enabled"},

    {"sched.enabled", .type = TYPE_BOOL, OF_FILE(sched), .standard = "false", .words = no_yes, .restart = true,
     .help = "metrics of how long inference processes wait for a CPU, and for everything else; needs inference.enabled, which the "
             "option turns on, too",
     OPTIONS({"sched", .value = "true"}), .also = "inference.enabled"},

    {"spool.directory", .type = TYPE_PATH, OF_FILE(spool.directory), .standard = "/var/lib/inferscope/spool",
     .restart = true,
     .help = "where alerts wait until they are delivered, where there are outputs"},
    {"spool.size", .type = TYPE_SIZE, OF_FILE(spool.size), .standard = "1GiB", .min = MIB, .max = 1024 * GIB, .restart = true,
     .help = "of all that is kept; then the least grave gives way first"},
    {"spool.age", .type = TYPE_SECONDS, OF_FILE(spool.age_s), .standard = "7d", .min = MINUTE, .max = 3650 * DAY, .restart = true,
     .help = "what is older is dropped, delivered or not"},
    {"spool.sync", .type = TYPE_WORD, OF_FILE(spool.sync), .standard = "interval", .words = syncs, .restart = true,
     .help = "when alerts are forced to the disk: each one before anybody is told of it (always), every sync_interval, or as "
             "the kernel likes, which survives the agent's crash but not the machine's (never)"},
    {"spool.sync_interval", .type = TYPE_MILLISECONDS, OF_FILE(spool.sync_interval), .standard = "1s",
     .min = 10, .max = HOUR * SECOND, .restart = true,
     .help = "how long an alert may be in memory only, with sync: interval"},

    {"noise.window", .type = TYPE_SECONDS, OF_FILE(noise.window_s), .standard = "0s", .max = DAY,
     .help = "equal alerts of a rule within this time are folded into one summary; 0s: none are"},
    {"noise.rate", .type = TYPE_RATE, OF_FILE(noise.rate), .standard = "0", .max = 1000000,
     .help = "alerts of each rule that pass; what comes faster is folded, but the first of its kind always passes; 0: no limit"},
    {"noise.burst", .type = TYPE_NUMBER, OF_FILE(noise.burst), .standard = "100", .min = 1, .max = 1000000,
     .help = "how many of them may come at once"},

    {"audit.path", .type = TYPE_PATH, OF_FILE(audit.path), .restart = true,
     .help = "the audit log, whose lines are chained by hashes (agent audit verify); left out: none is kept"},

    {"otlp.metrics_interval", .type = TYPE_SECONDS, OF_FILE(otlp.metrics_interval_s), .standard = "60s", .min = 1, .max = DAY,
     .help = "how often metrics are sent to outputs with the signal metrics"},

    {"name", OF_OUTPUT(ON_ALL, name), .type = TYPE_NAME,
     .help = "how metrics, messages and the spool call it; must be its own; left out: the type's name"},
    {"type", OF_OUTPUT(ON_ALL, type), .type = TYPE_WORD, .words = config_output_names, .required = true,
     .help = "what kind of receiver it is; kafka only where the agent was built with it (make KAFKA=1)"},
    {"format", OF_OUTPUT(ON_STDOUT, format), .type = TYPE_WORD, .standard = "text", .words = formats,
     .help = "how an alert is written: as Falco's JSON with uuid and sequence (json), a line of text, ECS, OCSF, CEF"},
    {"format", OF_OUTPUT(ON_ELASTICSEARCH, format), .type = TYPE_WORD, .standard = "ecs", .words = formats,
     .help = "how an alert is written: as Falco's JSON with uuid and sequence (json), a line of text, ECS, OCSF, CEF"},
    {"format", OF_OUTPUT(ON_FILE | ON_UNIX | ON_SYSLOG | ON_LOKI | ON_WEBHOOK | ON_SPLUNK | ON_KAFKA, format), .type = TYPE_WORD,
     .standard = "json", .words = formats,
     .help = "how an alert is written: as Falco's JSON with uuid and sequence (json), a line of text, ECS, OCSF, CEF"},
    {"url", OF_OUTPUT(ON_HTTP, url), .type = TYPE_URL, .required = true,
     .help = "the receiver; the path that is usual for the type is added where it does not end in it"},
    {"address", OF_OUTPUT(ON_SYSLOG, address), .type = TYPE_ADDRESS, .required = true,
     .help = "the receiver; [ADDRESS]:PORT for IPv6"},
    {"path", OF_OUTPUT(ON_FILE, path), .type = TYPE_PATH, .required = true,
     .help = "the file, which is appended to; SIGUSR1 opens it anew"},
    {"path", OF_OUTPUT(ON_UNIX, path), .type = TYPE_PATH, .required = true, .help = "a stream socket"},
    {"protocol", OF_OUTPUT(ON_SYSLOG, protocol), .type = TYPE_WORD, .standard = "tcp", .words = protocols,
     .help = "udp loses what nobody receives; tcp counts octets (RFC 6587); tls is RFC 5425"},
    {"brokers", OF_OUTPUT(ON_KAFKA, brokers), .type = TYPE_ADDRESSES, .max = 32, .required = true,
     .help = "some brokers of the cluster, which tell of the others"},
    {"topic", OF_OUTPUT(ON_KAFKA, topic), .type = TYPE_TEXT, .required = true,
     .help = "where alerts go; the key is the host's name, so that those of a host stay in order"},
    {"protocol", OF_OUTPUT(ON_KAFKA, protocol), .type = TYPE_WORD, .standard = "tls", .words = streams,
     .help = "tcp: neither encrypted nor verified"},
    {"client_id", OF_OUTPUT(ON_KAFKA, client_id), .type = TYPE_NAME, .standard = "inferscope",
     .help = "how the brokers' quotas and logs call the agent"},
    {"compression", OF_OUTPUT(ON_KAFKA, compression), .type = TYPE_WORD, .standard = "none", .words = compressions,
     .help = "of what is sent and kept"},
    {"facility", OF_OUTPUT(ON_SYSLOG, facility), .type = TYPE_CHOICE, .standard = "daemon", .words = facilities,
     .help = "syslog's facility"},
    {"index", OF_OUTPUT(ON_ELASTICSEARCH, index), .type = TYPE_TEXT, .standard = "inferscope-alerts",
     .help = "index or data stream"},
    {"index", OF_OUTPUT(ON_SPLUNK, index), .type = TYPE_TEXT, .help = "left out: the token's own"},
    {"signals", OF_OUTPUT(ON_OTLP, signals), .type = TYPE_WORDS, .standard = "logs", .words = signals,
     .help = "what is sent: alerts (logs), all metrics, inference requests (traces)"},

    {"minimum_priority", OF_OUTPUT(ON_ALL, minimum_priority), .type = TYPE_WORD, .standard = "Debug", .words = priorities,
     .help = "only alerts that are at least so grave"},
    {"rules", OF_OUTPUT(ON_ALL, rules), .type = TYPE_LIST, .max = 256,
     .help = "only alerts of these rules: names, in which * stands for any characters; none: all"},
    {"tags", OF_OUTPUT(ON_ALL, tags), .type = TYPE_LIST, .max = 256,
     .help = "only alerts of rules with one of these tags; none: all"},

    {"tls.ca_file", OF_OUTPUT(ON_HTTP | ON_SYSLOG | ON_KAFKA, tls.ca_file), .type = TYPE_PATH,
     .help = "certificates that are trusted, PEM; left out: the system's"},
    {"tls.cert_file", OF_OUTPUT(ON_HTTP | ON_SYSLOG | ON_KAFKA, tls.cert_file), .type = TYPE_PATH,
     .help = "the agent's own certificate, PEM, with key_file; left out: none is shown"},
    {"tls.key_file", OF_OUTPUT(ON_HTTP | ON_SYSLOG | ON_KAFKA, tls.key_file), .type = TYPE_PATH, .help = "its key, PEM, without a passphrase"},
    {"tls.verify", OF_OUTPUT(ON_HTTP | ON_SYSLOG | ON_KAFKA, tls.verify), .type = TYPE_BOOL, .standard = "true", .words = no_yes,
     .help = "the receiver's certificate and name; false: anybody can pose as it"},

    {"token", OF_OUTPUT(ON_SPLUNK, token), .type = TYPE_SECRET, .required = true, .help = "of the HTTP event collector"},
    {"token", OF_OUTPUT(ON_HTTP & ~ON_SPLUNK, token), .type = TYPE_SECRET,
     .help = "Authorization: Bearer; ApiKey for Elasticsearch"},
    {"user", OF_OUTPUT(ON_HTTP & ~ON_SPLUNK, user), .type = TYPE_TEXT, .help = "for basic authentication, with password"},
    {"password", OF_OUTPUT(ON_HTTP & ~ON_SPLUNK, password), .type = TYPE_SECRET, .help = "of the user"},
    {"user", OF_OUTPUT(ON_KAFKA, user), .type = TYPE_TEXT, .help = "for SASL, with password"},
    {"password", OF_OUTPUT(ON_KAFKA, password), .type = TYPE_SECRET, .help = "of the user"},
    {"mechanism", OF_OUTPUT(ON_KAFKA, mechanism), .type = TYPE_WORD, .standard = "SCRAM-SHA-512", .words = mechanisms,
     .help = "of SASL; PLAIN shows the password to the broker"},
    {"headers", OF_OUTPUT(ON_HTTP, headers), .type = TYPE_HEADERS, .max = 32, .help = "of each request, beside the usual ones"},
    {"labels", OF_OUTPUT(ON_LOKI | ON_ALERTMANAGER | ON_OTLP, labels), .type = TYPE_LABELS, .max = 32,
     .help = "of each stream (Loki), of each alert (Alertmanager), of the resource (OTLP, whose names may have dots)"},

    {"batch", OF_OUTPUT(ON_LINES, batch), .type = TYPE_NUMBER, .standard = "256", .min = 1, .max = 10000,
     .help = "alerts that are written at once, at most"},
    {"batch", OF_OUTPUT(ON_KAFKA, batch), .type = TYPE_NUMBER, .standard = "256", .min = 1, .max = 10000,
     .help = "alerts that are under way at once, at most"},
    {"batch", OF_OUTPUT(ON_WEBHOOK, batch), .type = TYPE_NUMBER, .standard = "100", .min = 1, .max = 10000,
     .help = "alerts that are taken on at once, at most; each is a request of its own"},
    {"batch", OF_OUTPUT(ON_HTTP & ~ON_WEBHOOK, batch), .type = TYPE_NUMBER, .standard = "100", .min = 1, .max = 10000,
     .help = "alerts in a request, at most"},
    {"batch_wait", OF_OUTPUT(ON_LINES | ON_WEBHOOK | ON_KAFKA, batch_wait), .type = TYPE_MILLISECONDS, .standard = "0s", .max = 60 * SECOND,
     .help = "how long an alert may wait for more of them"},
    {"batch_wait", OF_OUTPUT(ON_HTTP & ~ON_WEBHOOK, batch_wait), .type = TYPE_MILLISECONDS, .standard = "1s", .max = 60 * SECOND,
     .help = "how long an alert may wait for more of them"},
    {"timeout", OF_OUTPUT(ON_HTTP | ON_UNIX | ON_SYSLOG, timeout), .type = TYPE_MILLISECONDS, .standard = "10s",
     .min = 100, .max = 10 * MINUTE * SECOND, .help = "of a request, or of a write that does not get on"},
    {"timeout", OF_OUTPUT(ON_KAFKA, timeout), .type = TYPE_MILLISECONDS, .standard = "10s",
     .min = 1000, .max = 5 * MINUTE * SECOND, .help = "what is not acknowledged by then is sent again"},
    {"retry.initial", OF_OUTPUT(ON_ALL, retry_initial), .type = TYPE_MILLISECONDS, .standard = "500ms",
     .min = 10, .max = HOUR * SECOND, .help = "wait after a failure; doubled at each further one, with jitter …"},
    {"retry.max", OF_OUTPUT(ON_ALL, retry_max), .type = TYPE_MILLISECONDS, .standard = "30s", .min = 10, .max = DAY * SECOND,
     .help = "… up to this; it is tried until it succeeds or the spool drops the alert"},
    {"rate", OF_OUTPUT(ON_ALL, rate), .type = TYPE_WHOLE_RATE, .standard = "0", .max = 1000000,
     .help = "alerts at most, the rest waits in the spool; 0: no limit"},
    {"rotate.size", OF_OUTPUT(ON_FILE, rotate_size), .type = TYPE_SIZE, .standard = "0", .max = 1024 * GIB,
     .help = "a new file begins at this size; 0: never"},
    {"rotate.keep", OF_OUTPUT(ON_FILE, rotate_keep), .type = TYPE_NUMBER, .standard = "5", .min = 1, .max = 1000,
     .help = "old files (PATH.1 is the youngest)"},

    {"name", OF_PROBE(name), .type = TYPE_NAME, .required = true,
     .help = "of its metric, inferscope_probe_NAME…: small letters, digits and _"},
    {"files", OF_PROBE(files), .type = TYPE_LIST, .max = 16, .required = true,
     .help = "programs and libraries that have the function: names, or paths as their processes see them; * stands for any characters"},
    {"symbol", OF_PROBE(symbol), .type = TYPE_TEXT, .required = true,
     .help = "the function, as the file's table of symbols calls it"},
    {"measure", OF_PROBE(measure), .type = TYPE_WORD, .words = measures, .required = true,
     .help = "how often it is called, how long it takes (a histogram), the sum of one of its arguments, or how that is distributed (a histogram)"},
    {"argument", OF_PROBE(argument), .type = TYPE_NUMBER, .min = 1, .max = 6,
     .help = "of amount and amounts: which argument, from 1; pointers and integers count, floating point does not"},
    {"bits", OF_PROBE(bits), .type = TYPE_WORD, .words = widths, .standard = "64",
     .help = "how wide the argument is: an int has 32; negative ones are not counted"},
    {"throws", OF_PROBE(throws), .type = TYPE_BOOL, .words = no_yes, .standard = "false",
     .help = "of latency: C++ exceptions may pass through the function; taken for granted where the symbol is C++'s (_Z…)"},
    {"unit", OF_PROBE(unit), .type = TYPE_NAME,
     .help = "of amount and amounts: what is counted, the end of the metric's name; left out: none"},
    {"help", OF_PROBE(help), .type = TYPE_TEXT, .help = "what the metric says of itself"},
};
// clang-format on

const struct config_key *config_key_at(size_t index)
{
    return index < ARRAY_SIZE(keys) ? &keys[index] : NULL;
}

const struct config_key *config_key_of(const char *path)
{
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (!keys[i].outputs && strcmp(keys[i].path, path) == 0)
            return &keys[i];
    return NULL;
}
