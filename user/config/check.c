// What a single value cannot tell: keys that need, exclude or bound each other.
#include "reading.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

// The value that was given for the key, or where the output begins.
static const struct node *place(const struct config_scope *scope, const char *path)
{
    const struct node *name = config_given_at(scope, path);
    return name ? name : scope->at;
}

bool config_is_plain(const struct config_output *output)
{
    bool chooses = output->type == OUTPUT_SYSLOG || output->type == OUTPUT_KAFKA;
    return output->url ? strncasecmp(output->url, "http://", 7) == 0
                       : chooses && output->protocol != PROTOCOL_TLS;
}

static void check_tls(struct config_reading *reading, const struct config_scope *scope)
{
    static const char *const keys[] = {"tls.ca_file", "tls.cert_file", "tls.key_file", "tls.verify"};
    const struct config_output *output = scope->output;
    bool plain = config_is_plain(output);
    for (size_t i = 0; plain && i < sizeof(keys) / sizeof(keys[0]); i++)
        if (config_given_at(scope, keys[i])) {
            config_say(reading, config_given_at(scope, keys[i]), SHOW_NAME,
                       "%s has no effect without TLS: %s", keys[i],
                       output->url ? "the URL begins with http://, not https://" : "write protocol: tls");
            break;
        }
    const char *alone = output->tls.cert_file && !output->tls.key_file   ? "tls.cert_file"
                        : output->tls.key_file && !output->tls.cert_file ? "tls.key_file"
                                                                         : NULL;
    if (alone)
        config_say(reading, place(scope, alone), SHOW_NAME, "tls.cert_file and tls.key_file go together");
}

static bool is_secret(const struct config_secret *secret)
{
    return secret->file || secret->environment;
}

static void check_credentials(struct config_reading *reading, const struct config_scope *scope)
{
    const struct config_output *output = scope->output;
    bool password = is_secret(&output->password), token = is_secret(&output->token);
    if (!output->user != !password)
        config_say(reading, place(scope, output->user ? "user" : "password"), SHOW_NAME,
                   "user and password go together");
    else if (output->user && token)
        config_say(reading, place(scope, "token"), SHOW_NAME,
                   "there is a user and a password, too; one of the two");
    if (output->user && output->type != OUTPUT_KAFKA && strchr(output->user, ':'))
        config_say(reading, place(scope, "user"), SHOW_NAME, "a user's name has no colon (RFC 7617)");
    for (size_t i = 0; i < output->headers.count; i++)
        if ((token || output->user) && strncasecmp(output->headers.items[i], "Authorization:", 14) == 0)
            config_say(reading, place(scope, "headers"), SHOW_NAME,
                       "the header Authorization is made of token, or of user and password; one of the two");
}

static void check_kafka(struct config_reading *reading, const struct config_scope *scope)
{
    // org.apache.kafka.common.internals.Topic, LEGAL_CHARS and MAX_NAME_LENGTH.
    static const char legal[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const struct config_output *output = scope->output;
    size_t length = strlen(output->topic);
    if (output->brokers.count == 0)
        config_say(reading, place(scope, "brokers"), SHOW_NAME, "brokers names none");
    if (length > 249 || strspn(output->topic, legal) < length || strcmp(output->topic, ".") == 0 ||
        strcmp(output->topic, "..") == 0)
        config_say(reading, place(scope, "topic"), SHOW_NAME,
                   "a topic's name has at most 249 letters, digits, \".\", \"_\" and \"-\"");
}

static void check_labels(struct config_reading *reading, const struct config_scope *scope)
{
    const struct config_strings *labels = &scope->output->labels;
    for (size_t i = 0; i < labels->count && scope->output->type != OUTPUT_OTLP; i++)
        if (memchr(labels->items[i], '.', strcspn(labels->items[i], "=")))
            config_say(reading, place(scope, "labels"), SHOW_NAME,
                       "a label's name has letters, digits and _ here; \"%.*s\" has a dot",
                       (int)strcspn(labels->items[i], "="), labels->items[i]);
}

// Each signal has a path of its own.
static void check_signals(struct config_reading *reading, const struct config_scope *scope)
{
    static const char *const paths[] = {
        [SIGNAL_LOGS] = "/v1/logs", [SIGNAL_METRICS] = "/v1/metrics", [SIGNAL_TRACES] = "/v1/traces"};
    const struct config_output *output = scope->output;
    size_t length = strcspn(output->url, "?#");
    while (length > 0 && output->url[length - 1] == '/')
        length--;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        size_t path = paths[i] ? strlen(paths[i]) : 0;
        if (path && length > path && memcmp(output->url + length - path, paths[i], path) == 0 &&
            output->signals != (unsigned)i)
            config_say(reading, place(scope, "url"), SHOW_NAME,
                       "the URL is that of one signal; it has to end before %s, which is added", paths[i]);
    }
}

void config_check_output(struct config_reading *reading, const struct config_scope *scope)
{
    const struct config_output *output = scope->output;
    check_tls(reading, scope);
    check_credentials(reading, scope);
    check_labels(reading, scope);
    if (output->type == OUTPUT_OTLP)
        check_signals(reading, scope);
    if (output->type == OUTPUT_KAFKA)
        check_kafka(reading, scope);
    if (output->retry_initial > output->retry_max)
        config_say(reading, place(scope, config_given_at(scope, "retry.max") ? "retry.max" : "retry.initial"),
                   SHOW_NAME, "retry.initial is longer than retry.max");
    if (output->rotate_size && output->rotate_size < 4096)
        config_say(reading, place(scope, "rotate.size"), SHOW_NAME, "rotate.size is 0 or at least 4KiB");
}

// Whether rotating the file gives an old one that path.
static bool rotates_to(const struct config_output *output, const char *path)
{
    size_t length = output->path ? strlen(output->path) : 0;
    if (output->type != OUTPUT_FILE || !output->rotate_size || strncmp(output->path, path, length) != 0 ||
        path[length] != '.' || path[length + 1] < '1' || path[length + 1] > '9')
        return false;
    char *end;
    unsigned long number = strtoul(path + length + 1, &end, 10);
    return *end == '\0' && number <= output->rotate_keep;
}

static void check_pair(struct config_reading *reading, const struct config_scope *first,
                       const struct config_scope *second)
{
    const struct config_output *a = first->output, *b = second->output;
    unsigned line, column;
    file_position(&reading->file, first->at->offset, &line, &column);
    if (strcmp(a->name, b->name) == 0)
        config_say(reading, place(second, "name"), SHOW_NAME,
                   "the output in line %u is called \"%s\", too; give each a name of its own", line, a->name);
    else if (a->type == OUTPUT_STDOUT && b->type == OUTPUT_STDOUT)
        config_say(reading, second->at, SHOW_NAME,
                   "there is one standard output, which the output in line %u has", line);
    else if (a->type == b->type && a->path && b->path && strcmp(a->path, b->path) == 0)
        config_say(reading, place(second, "path"), SHOW_NAME, "the output in line %u has the same path",
                   line);
    else if (b->path && rotates_to(a, b->path))
        config_say(reading, place(second, "path"), SHOW_NAME,
                   "the output in line %u keeps its old files under that name", line);
    else if (a->path && rotates_to(b, a->path))
        config_say(reading, place(second, "path"), SHOW_NAME,
                   "its old files would have the path of the output in line %u", line);
}

void config_check_outputs(struct config_reading *reading, const struct config_scope *scopes)
{
    const struct config *config = &reading->owned->config;
    for (size_t i = 0; i < config->outputs_count; i++)
        for (size_t k = 0; k < i; k++)
            check_pair(reading, &scopes[k], &scopes[i]);
}

static bool is_below(const char *path, const char *directory)
{
    size_t length = strlen(directory);
    while (length > 0 && directory[length - 1] == '/')
        length--;
    return strncmp(path, directory, length) == 0 && path[length] == '/';
}

void config_doubts(const struct config *config, config_doubt_fn call, void *context)
{
    for (size_t i = 0; i < config->outputs_count && !config->inference; i++) {
        const struct config_output *output = &config->outputs[i];
        char sentence[256];
        if (output->type != OUTPUT_OTLP || !(output->signals & SIGNAL_TRACES))
            continue;
        snprintf(sentence, sizeof(sentence),
                 "the output \"%s\" gets no traces, because inference.enabled is false", output->name);
        call(sentence, context);
    }
}

void config_check_file(struct config_reading *reading, const struct config_scope *scope)
{
    const struct config *config = &reading->owned->config;
    const struct node *audit = config_given_at(scope, "audit.path");
    const struct node *interval = config_given_at(scope, "spool.sync_interval");
    if (interval && config->spool.sync != SYNC_INTERVAL)
        config_say(reading, interval, SHOW_NAME,
                   "spool.sync_interval has no effect but with spool.sync: interval");
    const struct node *kubelet = config_given_at(scope, "kubelet.url");
    if (kubelet && strncmp(config->kubelet.url, "https://", 8) != 0)
        config_say(reading, kubelet, SHOW_NAME, "the kubelet is asked by https:// only: a token goes along");
    if (audit && is_below(config->audit.path, config->spool.directory))
        config_say(reading, audit, SHOW_NAME, "the audit log does not lie in the spool's directory");
    for (size_t i = 0; i < config->outputs_count; i++) {
        const struct config_output *output = &config->outputs[i];
        if (output->type != OUTPUT_FILE)
            continue;
        const struct node *where = audit ? audit : config_given_at(scope, "spool.directory");
        if (audit && strcmp(output->path, config->audit.path) == 0)
            config_say(reading, audit, SHOW_NAME, "the output \"%s\" has the same path", output->name);
        else if (audit && rotates_to(output, config->audit.path))
            config_say(reading, audit, SHOW_NAME, "the output \"%s\" keeps its old files under that name",
                       output->name);
        else if (is_below(output->path, config->spool.directory))
            config_say(reading, where, SHOW_NAME, "the output \"%s\" writes into the spool's directory",
                       output->name);
    }
}
