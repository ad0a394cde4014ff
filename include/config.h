// The configuration file agent.yaml, read and checked. One table (user/config/) feeds the parser, the command
// line's options and docs/CONFIG.md. Strings belong to the configuration; times are milliseconds unless the
// name says otherwise, sizes are bytes.
#pragma once

#include "base/priority.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_output_type {
    OUTPUT_STDOUT,
    OUTPUT_FILE,
    OUTPUT_UNIX,   // a stream socket
    OUTPUT_SYSLOG, // RFC 5424 over UDP, TCP (RFC 6587) or TLS (RFC 5425)
    OUTPUT_WEBHOOK,
    OUTPUT_SPLUNK,        // HTTP event collector
    OUTPUT_ELASTICSEARCH, // or OpenSearch: _bulk
    OUTPUT_LOKI,
    OUTPUT_ALERTMANAGER,
    OUTPUT_OTLP, // OpenTelemetry over HTTP with JSON: logs, metrics, traces
    OUTPUT_TYPES,
};

// How one alert is written, where the receiver leaves the choice.
enum config_format {
    FORMAT_JSON, // as Falco writes it, with uuid and sequence
    FORMAT_TEXT,
    FORMAT_ECS,
    FORMAT_OCSF,
    FORMAT_CEF,
    FORMATS,
};

enum config_protocol { PROTOCOL_UDP, PROTOCOL_TCP, PROTOCOL_TLS };

// What an output takes of what the agent has to say, beside alerts.
enum config_signal { SIGNAL_LOGS = 1, SIGNAL_METRICS = 2, SIGNAL_TRACES = 4 };

struct config_strings {
    char **items;
    size_t count;
};

struct config_tls {
    char *ca_file;   // NULL: the system's
    char *cert_file; // of the agent, with key_file; NULL: none is shown
    char *key_file;
    bool verify; // the receiver's certificate and name; true by default
};

// Secrets are references; the deliverer resolves them when it opens the output, and never logs them.
struct config_secret {
    char *file;        // read, its last newline cut off
    char *environment; // name of a variable
};

struct config_output {
    char *name; // unique; as metrics and messages call it; the type's name where the file gives none
    enum config_output_type type;
    enum config_format format;
    char *url;     // HTTP outputs, http:// or https://
    char *address; // syslog: HOST:PORT
    char *path;    // file, unix
    enum config_protocol protocol;

    // Which alerts.
    enum priority minimum_priority;
    struct config_strings rules; // names, or parts of names with * for any characters; none: all
    struct config_strings tags;  // an alert has one of them; none: all

    // How.
    struct config_tls tls;
    struct config_secret token; // Authorization: Bearer (Splunk: Splunk; Elasticsearch: ApiKey)
    char *user;                 // HTTP basic authentication, with password
    struct config_secret password;
    struct config_strings headers; // "Name: value", for HTTP
    struct config_strings labels;  // "name=value": Loki's stream, Alertmanager's labels, OTLP's resource
    char *index;                   // Elasticsearch, Splunk
    char *facility;                // syslog; "daemon" by default
    unsigned signals;              // enum config_signal; OTLP

    unsigned batch;         // alerts in a request, at most
    unsigned batch_wait;    // how long a request waits for more of them
    unsigned timeout;       // of a request
    unsigned retry_initial; // doubled at each failure, with jitter …
    unsigned retry_max;     // … up to this
    unsigned rate;          // alerts a second, at most; 0: no limit
    uint64_t rotate_size;   // file: a new one begins; 0: never
    unsigned rotate_keep;   // old files
};

enum config_sync {
    SYNC_ALWAYS, // an alert is on the disk before it is told to anybody
    SYNC_INTERVAL,
    SYNC_NEVER, // left to the kernel: survives the agent's crash, not the machine's
};

struct config_spool {
    char *directory; // default /var/lib/inferscope/spool
    uint64_t size;   // of all that is kept
    unsigned age_s;  // of the oldest that is kept
    enum config_sync sync;
    unsigned sync_interval;
};

// Equal alerts of one rule (the same output fields but times) within the window are folded into one summary;
// so are those beyond the rate. The first of its kind always passes.
struct config_noise {
    unsigned window_s; // 0: nothing is folded
    double rate;       // of each rule, alerts a second; 0: no limit
    unsigned burst;
};

struct config_audit {
    char *path; // NULL: none is kept
};

struct config_otlp_export {
    unsigned metrics_interval_s; // how often metrics are sent to outputs that take them
};

// What the file leaves out has its default here; what the command line says overrides it in cli.
struct config {
    struct config_strings rules_files; // none: the built-in rules, where rules_enabled
    bool rules_enabled;
    enum priority rules_priority;
    struct config_strings rules_switches; // "enable:NAME", "disable:tag:TAG", in order
    bool rules_match_all;
    bool rules_reload;
    bool json;
    char *listen; // NULL: no metrics server
    struct config_strings syscall_latency;
    bool inference;
    struct config_strings inference_routes;
    bool body_values;
    uint64_t ring_size;
    char *host_root;

    struct config_output *outputs; // none: alerts go to standard output, directly
    size_t outputs_count;
    struct config_spool spool;
    struct config_noise noise;
    struct config_audit audit;
    struct config_otlp_export otlp;
};

enum { CONFIG_OUTPUTS_MAX = 16, CONFIG_PROBLEMS_MAX = 20, CONFIG_FILE_MAX = 1 << 20 };

// The whole file as text (as the deliverer gets it from the agent), named `name` in messages. Everything that
// is wrong is said on `problems`, a line each: NAME:LINE:COLUMN: sentence. ${NAME} in a value stands for the
// environment's variable. 0, -EINVAL or -ENOMEM.
int config_parse(const char *name, const char *text, size_t length, FILE *problems, struct config **ret_config);
int config_default(struct config **ret_config);
void config_free(struct config **config);

// A reference page in Markdown, from the table.
void config_document(FILE *stream);
