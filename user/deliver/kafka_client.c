#include "kafka_client.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "multi.h"
#include "secret.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ERROR_SIZE = 512, CONNECT_MS_MIN = 1000, RECONNECT_MS_MAX = 10000 };

// A configuration in the making; the first setting that fails ends it.
struct setting {
    rd_kafka_conf_t *conf;
    bool failed;
    char error[ERROR_SIZE];
};

static void set(struct setting *setting, const char *name, const char *value)
{
    if (setting->failed || !value)
        return;
    setting->failed = rd_kafka_conf_set(setting->conf, name, value, setting->error, sizeof(setting->error)) !=
                      RD_KAFKA_CONF_OK;
}

static void set_number(struct setting *setting, const char *name, unsigned number)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", number);
    set(setting, name, text);
}

static unsigned least(unsigned one, unsigned other)
{
    return one < other ? one : other;
}

static void set_delivery(struct setting *setting, const struct config_output *output)
{
    static const char *const compressions[] = {
        [COMPRESSION_NONE] = "none", [COMPRESSION_GZIP] = "gzip", [COMPRESSION_SNAPPY] = "snappy",
        [COMPRESSION_LZ4] = "lz4",   [COMPRESSION_ZSTD] = "zstd",
    };
    set(setting, "acks", "all");
    set(setting, "enable.idempotence", "true");
    // As Java's producers do: whoever joins topics by the host finds it in the same partition.
    set(setting, "partitioner", "murmur2_random");
    set(setting, "compression.codec", compressions[output->compression]);
    // What is too long is the broker's to say, as it knows its own limits.
    set_number(setting, "message.max.bytes", KAFKA_MESSAGE_MAX + (1 << 20));
    // A batch of the queue's, and nothing else.
    set_number(setting, "queue.buffering.max.messages", output->batch);
    set_number(setting, "queue.buffering.max.kbytes", 64 << 10);
    // Whatever a broker writes.
    set_number(setting, "receive.message.max.bytes", 4 << 20);

    set_number(setting, "message.timeout.ms", output->timeout);
    set_number(setting, "request.timeout.ms", output->timeout);
    set_number(setting, "socket.timeout.ms", output->timeout);
    set_number(setting, "socket.connection.setup.timeout.ms",
               output->timeout < CONNECT_MS_MIN ? CONNECT_MS_MIN : output->timeout);
    // A topic that is not there is told as such, before the time of its messages is over.
    set_number(setting, "topic.metadata.propagation.max.ms", output->timeout / 2);
    set_number(setting, "reconnect.backoff.ms", least(output->retry_initial, 100));
    set_number(setting, "reconnect.backoff.max.ms", least(output->retry_max, RECONNECT_MS_MAX));
    set(setting, "socket.keepalive.enable", "true");
}

static void set_tls(struct setting *setting, const struct config_tls *tls)
{
    // librdkafka's own default, the folder of OpenSSL's build, need not be there; it knows the usual files.
    set(setting, "ssl.ca.location", tls->ca_file ? tls->ca_file : "probe");
    set(setting, "ssl.certificate.location", tls->cert_file);
    set(setting, "ssl.key.location", tls->key_file);
    set(setting, "enable.ssl.certificate.verification", tls->verify ? "true" : "false");
    set(setting, "ssl.endpoint.identification.algorithm", tls->verify ? "https" : "none");
}

static int set_credentials(struct setting *setting, const struct config_output *output)
{
    static const char *const mechanisms[] = {
        [MECHANISM_SCRAM_SHA_512] = "SCRAM-SHA-512",
        [MECHANISM_SCRAM_SHA_256] = "SCRAM-SHA-256",
        [MECHANISM_PLAIN] = "PLAIN",
    };
    _cleanup_secret_ char *password = NULL;
    int error = secret_read(&output->password, &password);
    if (error) {
        char place[256];
        secret_describe(&output->password, place, sizeof(place));
        log_error("output %s: cannot use the password in %s: %s", output->name, place,
                  error == -EINVAL ? "it is not set, too long or has control characters" : strerror(-error));
        return error;
    }
    set(setting, "sasl.mechanism", mechanisms[output->mechanism]);
    set(setting, "sasl.username", output->user);
    set(setting, "sasl.password", password);
    return 0;
}

static int configure(struct setting *setting, const struct config_output *output)
{
    bool tls = output->protocol == PROTOCOL_TLS;
    _cleanup_text_ struct text brokers = TEXT_INIT(64 << 10);
    for (size_t i = 0; i < output->brokers.count; i++)
        text_addf(&brokers, "%s%s", i ? "," : "", output->brokers.items[i]);
    set(setting, "bootstrap.servers", text_string(&brokers));
    set(setting, "client.id", output->client_id);
    // What it would write on standard error itself comes as events, too.
    set(setting, "log.queue", "true");
    set(setting, "log.connection.close", "false");
    set_delivery(setting, output);
    if (output->user)
        set(setting, "security.protocol", tls ? "sasl_ssl" : "sasl_plaintext");
    else
        set(setting, "security.protocol", tls ? "ssl" : "plaintext");
    if (tls)
        set_tls(setting, &output->tls);
    rd_kafka_conf_set_events(setting->conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
    return output->user ? set_credentials(setting, output) : 0;
}

int kafka_client_new(const struct config_output *output, rd_kafka_t **ret_client)
{
    struct setting setting = {.conf = rd_kafka_conf_new()};
    int error = configure(&setting, output);
    rd_kafka_t *client = NULL;
    if (!error && !setting.failed)
        client = rd_kafka_new(RD_KAFKA_PRODUCER, setting.conf, setting.error, sizeof(setting.error));
    // The producer owns its configuration.
    if (!client)
        rd_kafka_conf_destroy(setting.conf);
    if (error)
        return error;
    if (!client) {
        multi_make_printable(setting.error);
        log_error("output %s: %s", output->name, setting.error);
        return -EINVAL;
    }
    rd_kafka_set_log_queue(client, NULL);
    *ret_client = client;
    return 0;
}

// --- The end of a producer ---

static void *destroy(void *client)
{
    rd_kafka_destroy(client);
    return NULL;
}

bool kafka_ending_is_over(struct kafka_ending *ending)
{
    return kafka_ending_wait(ending, 0);
}

bool kafka_ending_wait(struct kafka_ending *ending, unsigned patience_ms)
{
    struct timespec until;
    if (!ending->busy)
        return true;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += patience_ms / 1000;
    until.tv_nsec += patience_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    ending->busy = pthread_clockjoin_np(ending->thread, NULL, CLOCK_MONOTONIC, &until) != 0;
    return !ending->busy;
}

void kafka_client_end(rd_kafka_t **client, struct kafka_ending *ending)
{
    sigset_t all, before;
    if (!*client)
        return;
    // The loop's signals are the loop's.
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ending->busy = pthread_create(&ending->thread, NULL, destroy, *client) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!ending->busy)
        rd_kafka_destroy(*client);
    *client = NULL;
}
