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
    OUTPUT_OTLP,  // OpenTelemetry over HTTP with JSON: logs, metrics, traces
    OUTPUT_KAFKA, // where the agent was built with it, see config_set_lacking()
    OUTPUT_TYPES,
    CONFIG_PROBE = OUTPUT_TYPES, // not of outputs: an item of probes, in the table of keys
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

enum config_color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

enum config_protocol { PROTOCOL_TCP, PROTOCOL_TLS, PROTOCOL_UDP };

enum config_compression {
    COMPRESSION_NONE,
    COMPRESSION_GZIP,
    COMPRESSION_SNAPPY,
    COMPRESSION_LZ4,
    COMPRESSION_ZSTD,
};

// How a user and a password are shown to a Kafka broker (SASL).
enum config_mechanism { MECHANISM_SCRAM_SHA_512, MECHANISM_SCRAM_SHA_256, MECHANISM_PLAIN };

// What an output takes of what the agent has to say, beside alerts.
enum config_signal { SIGNAL_LOGS = 1, SIGNAL_METRICS = 2, SIGNAL_TRACES = 4 };

struct config_strings {
    char **items; // NULL behind the last one, and where there is none
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
    char *url;                     // HTTP outputs, http:// or https://
    char *address;                 // syslog: HOST:PORT
    char *path;                    // file, unix
    enum config_protocol protocol; // syslog, Kafka (never UDP)
    struct config_strings brokers; // Kafka: HOST:PORT
    char *topic;                   // Kafka
    char *client_id;               // Kafka
    enum config_compression compression;

    // Which alerts.
    enum priority minimum_priority;
    struct config_strings rules; // names, or parts of names with * for any characters; none: all
    struct config_strings tags;  // an alert has one of them; none: all

    // How.
    struct config_tls tls;
    struct config_secret token; // Authorization: Bearer (Splunk: Splunk; Elasticsearch: ApiKey)
    char *user;                 // HTTP basic authentication, or Kafka's SASL, with password
    struct config_secret password;
    enum config_mechanism mechanism; // Kafka
    struct config_strings headers;   // "Name: value", for HTTP
    struct config_strings labels;    // "name=value": Loki's stream, Alertmanager's labels, OTLP's resource
    char *index;                     // Elasticsearch, Splunk
    char *facility;                  // syslog; "daemon" by default
    unsigned signals;                // enum config_signal; OTLP

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

// The kubelet of this node, whose list of pods tells their labels.
struct config_kubelet {
    char *url; // NULL: it is not asked
    char *token_file;
    char *ca_file;
    unsigned interval_s;
};

struct config_audit {
    char *path; // NULL: none is kept
};

struct config_otlp_export {
    unsigned metrics_interval_s; // how often metrics are sent to outputs that take them
};

enum config_measure {
    MEASURED_COUNT,   // how often it is called
    MEASURED_LATENCY, // how long it takes
    MEASURED_AMOUNT,  // the sum of an argument
    MEASURED_AMOUNTS, // how an argument is distributed
};

// A function that the user has measured, as inferscope_probe_NAME….
struct config_probe {
    char *name;                  // unique, and its metric is
    struct config_strings files; // patterns of file names, or of paths where they have a slash
    char *symbol;
    enum config_measure measure;
    unsigned argument; // of amounts: which one, from 1; 0: none
    unsigned bits;     // of the argument: enum, 0 is 64, 1 is 32
    bool throws;       // C++ exceptions may pass through it
    char *unit;        // of amounts; NULL: none
    char *help;        // NULL: made from the rest
};

// What the file leaves out has its default here. Made by config_parse() and config_default() only.
struct config {
    struct config_strings rules_files; // none: the built-in rules, where rules_enabled
    bool rules_enabled;
    enum priority rules_priority;
    struct config_strings rules_switches; // "enable:NAME", "disable:tag:TAG", in order
    bool rules_match_all;
    bool rules_reload;
    bool json;
    enum config_color color;
    bool debug;
    char *listen; // NULL: no metrics server
    struct config_strings syscall_latency;
    bool inference;
    bool egress;
    struct config_strings inference_routes;
    struct config_strings inference_pod_labels;
    bool body_values;
    bool network;
    bool sched;
    struct config_strings network_cluster;
    uint64_t ring_size;
    char *host_root; // "/": the agent's own

    struct config_output *outputs; // none: alerts go to standard output, directly
    size_t outputs_count;
    struct config_spool spool;
    struct config_noise noise;
    struct config_audit audit;
    struct config_kubelet kubelet;
    struct config_otlp_export otlp;
    double probes_budget; // percent of the node's CPU time that probes may take; 0: as much as it takes
    struct config_probe *probes;
    size_t probes_count;
};

// The metric that a probe gives, without _total; at most so many bytes with its end.
enum { CONFIG_METRIC_MAX = 160 };
void config_probe_metric(const struct config_probe *probe, char *ret_name);

enum {
    CONFIG_OUTPUTS_MAX = 16,
    CONFIG_PROBES_MAX = 32,
    CONFIG_SYMBOL_MAX = 127,
    CONFIG_PROBLEMS_MAX = 20,
    CONFIG_FILE_MAX = 1 << 20
};

// The whole file as text (as the deliverer gets it from the agent), named `name` in messages. Everything that
// is wrong is said on `problems`: NAME:LINE:COLUMN: error: a sentence, then the line up to where a secret
// could begin. ${NAME} in a value stands for the environment's variable, whose value no message shows. 0,
// -EINVAL or -ENOMEM.
int config_parse(const char *name, const char *text, size_t length, FILE *problems,
                 struct config **ret_config);
// Reads the file and parses it. `ret_text` (may be NULL) gets what was read, owned by the caller.
int config_load(const char *path, FILE *problems, char **ret_text, size_t *ret_length,
                struct config **ret_config);
int config_default(struct config **ret_config);
void config_free(struct config **config);

// As a file that gives the same configuration again: all that has a value, defaults too. Secrets stay
// references, and what came from the environment is ${NAME}.
void config_show(const struct config *config, FILE *stream);
// Calls with a sentence for each thing that is allowed and yet has no effect.
typedef void (*config_doubt_fn)(const char *sentence, void *context);
void config_doubts(const struct config *config, config_doubt_fn call, void *context);
// Calls for each key of the file whose value differs; the outputs as a whole are one key, "outputs", and
// so are the "probes".
typedef void (*config_change_fn)(const char *key, bool needs_restart, void *context);
void config_compare(const struct config *before, const struct config *after, config_change_fn change,
                    void *context);

// A reference page in Markdown, and an example in which every key stands, both from the table.
void config_document(FILE *stream);
void config_example(FILE *stream);

// What a later stage knows about one item of a list: true, or a sentence that says what is wrong. It calls
// the item `shown`, which may be ${NAME}. One function a key.
struct text;
typedef bool (*config_check_fn)(const char *item, const char *shown, struct text *sentence);
void config_set_check(const char *key, config_check_fn check);

// What a later stage knows about the types of outputs: NULL, or a sentence that says why this agent has none
// of that type. As long as it is not set, it has all.
typedef const char *(*config_lacking_fn)(enum config_output_type type);
void config_set_lacking(config_lacking_fn lacking);

// --- The command line ---

// An option that stands for a key of the table. It overrides the file.
struct config_option {
    const char *name;     // without --
    const char *argument; // what the help calls it; NULL: it takes none
    const char *value;    // what it stands for, where it takes none, or what comes before its argument
    const char *help;     // NULL: the key's own
    const char *unit;     // of an argument that is a plain number
    bool appends;         // to what was said before; others override it
};

// The option with that index; NULL behind the last one. `ret_help` gets its line of help, `ret_standard` the
// default of what its argument says, or NULL. Both may be NULL.
const struct config_option *config_option_at(size_t index, const char **ret_help, const char **ret_standard);
// An option as it was given; the value is borrowed.
struct config_given {
    size_t index;
    const char *value; // NULL where it takes none
};
// Has the options override the file. Says what is wrong on standard error. 0 or -EINVAL or -ENOMEM.
int config_override(struct config *config, const struct config_given *given, size_t count);
// The same for the names of rule files behind the options.
int config_override_files(struct config *config, char *const *paths, size_t count);
