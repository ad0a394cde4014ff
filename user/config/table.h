// The one table of what agent.yaml may say. The parser, `config show`, the options of the command line and
// docs/CONFIG.md are made from it.
#pragma once

#include "config.h"

enum config_type {
    TYPE_BOOL,         // bool, one of two words
    TYPE_NUMBER,       // unsigned
    TYPE_SIZE,         // uint64_t, bytes
    TYPE_MILLISECONDS, // unsigned
    TYPE_SECONDS,      // unsigned
    TYPE_RATE,         // double, a second
    TYPE_WHOLE_RATE,   // unsigned, a second
    TYPE_PERCENT,      // double
    TYPE_WORD,         // an enum whose values count the words
    TYPE_WORDS,        // unsigned: a bit for each word of a list
    TYPE_CHOICE,       // char *, one of the words
    TYPE_TEXT,         // char *, one line
    TYPE_NAME,         // char *, letters, digits, - and _
    TYPE_PATH,         // char *, from /
    TYPE_URL,          // char *
    TYPE_ADDRESS,      // char *, HOST:PORT
    TYPE_LISTEN,       // char *, an address of the node's own, or NULL for "none"
    TYPE_LIST,         // struct config_strings
    TYPE_ADDRESSES,    // struct config_strings, each HOST:PORT
    TYPE_HEADERS,      // struct config_strings, "Name: value"
    TYPE_LABELS,       // struct config_strings, "name=value"
    TYPE_SWITCHES,     // struct config_strings, "enable:NAME"
    TYPE_SECRET,       // struct config_secret
};

// Sets of outputs.
enum {
    ON_STDOUT = 1 << OUTPUT_STDOUT,
    ON_FILE = 1 << OUTPUT_FILE,
    ON_UNIX = 1 << OUTPUT_UNIX,
    ON_SYSLOG = 1 << OUTPUT_SYSLOG,
    ON_WEBHOOK = 1 << OUTPUT_WEBHOOK,
    ON_SPLUNK = 1 << OUTPUT_SPLUNK,
    ON_ELASTICSEARCH = 1 << OUTPUT_ELASTICSEARCH,
    ON_LOKI = 1 << OUTPUT_LOKI,
    ON_ALERTMANAGER = 1 << OUTPUT_ALERTMANAGER,
    ON_OTLP = 1 << OUTPUT_OTLP,
    ON_KAFKA = 1 << OUTPUT_KAFKA,
    ON_ALL = (1 << OUTPUT_TYPES) - 1,
    ON_LINES = ON_STDOUT | ON_FILE | ON_UNIX | ON_SYSLOG,
    ON_HTTP = ON_ALL & ~ON_LINES & ~ON_KAFKA,
    ON_PROBE = 1 << CONFIG_PROBE, // the items of probes, as if they were of one more type
};

struct config_key {
    const char *path; // "spool.size": size below spool
    unsigned outputs; // of which types of outputs it is a key; 0: of the file itself
    enum config_type type;
    size_t offset;            // in struct config_output, or struct config
    const char *standard;     // the default, as the file would say it; NULL: none
    uint64_t min, max;        // of what is measured; of lists: max items
    const char *const *words; // NULL-terminated
    bool required;
    bool restart; // SIGHUP does not apply it
    const char *help;
    const struct config_option *options; // up to one without a name
    const char *also;                    // a bool that is set by an option of this key
};

// NULL behind the last one.
const struct config_key *config_key_at(size_t index);
// The key of the file with that path.
const struct config_key *config_key_of(const char *path);
extern const char *const config_output_names[OUTPUT_TYPES + 1];

static inline void *config_field(const struct config_key *key, void *base)
{
    return (char *)base + key->offset;
}
