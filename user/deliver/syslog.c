// Syslog, RFC 5424: over UDP (RFC 5426), or over TCP (RFC 6587) and TLS (RFC 5425) with the length of each
// message in front of it.
#include "datagram.h"
#include "format.h"
#include "stream.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum {
    DATAGRAM_MAX = 8192, // what rsyslog and syslog-ng take at first; RFC 5426 asks receivers for 2048
    MESSAGE_MAX = 8 << 20,
};

struct syslog {
    struct format_syslog format;
    const char *hostname;
    struct datagram *datagram; // by UDP …
    struct stream *stream;     // … else this
    struct text message;
};

// The message in its frame: its length in bytes, a blank, the message.
static int write_frame(const struct item *item, struct text *bytes, void *context)
{
    struct syslog *syslog = context;
    bool is_cut;
    text_reset(&syslog->message);
    int error = format_syslog(&syslog->format, item, syslog->hostname, &syslog->message, &is_cut);
    if (error)
        return error;
    size_t before = bytes->length;
    text_addf(bytes, "%zu ", syslog->message.length);
    text_add_bytes(bytes, text_string(&syslog->message), syslog->message.length);
    if (!bytes->truncated)
        return 0;
    bytes->length = before;
    bytes->truncated = false;
    return -EMSGSIZE;
}

static void syslog_close(void *receiver)
{
    struct syslog *syslog = receiver;
    datagram_close(&syslog->datagram);
    stream_close(&syslog->stream);
    text_free(&syslog->message);
    free(syslog);
}

// libcurl would tell only when it connects.
static int check_files(const struct config_output *output)
{
    const char *const files[] = {output->tls.ca_file, output->tls.cert_file, output->tls.key_file};
    for (size_t i = 0; output->protocol == PROTOCOL_TLS && i < ARRAY_SIZE(files); i++) {
        _cleanup_close_ int fd = files[i] ? open(files[i], O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) : -1;
        if (files[i] && fd < 0) {
            int error = -errno;
            log_error("output %s: cannot read %s: %s", output->name, files[i], strerror(-error));
            return error;
        }
    }
    return 0;
}

static int syslog_open(const struct config_output *output, const struct receiver_env *env,
                       void **ret_receiver)
{
    struct syslog *syslog = calloc(1, sizeof(*syslog));
    if (!syslog)
        return -ENOMEM;
    bool is_udp = output->protocol == PROTOCOL_UDP;
    *syslog =
        (struct syslog){.format = {.format = output->format, .max = is_udp ? DATAGRAM_MAX : MESSAGE_MAX},
                        .hostname = env->hostname,
                        .message = TEXT_INIT(MESSAGE_MAX)};
    int error = format_facility(output->facility ? output->facility : "daemon", &syslog->format.facility);
    if (!error)
        error = check_files(output);
    struct link_options options = {.loop = env->loop,
                                   .kind = output->protocol == PROTOCOL_TLS ? LINK_TLS : LINK_TCP,
                                   .address = output->address,
                                   .tls = &output->tls,
                                   .timeout = output->timeout};
    if (!error && is_udp)
        error = datagram_open(output, env, &syslog->format, &syslog->datagram);
    else if (!error)
        error = stream_open(&options, env, output->batch, write_frame, syslog, &syslog->stream);
    if (error == -EINVAL)
        log_error("output %s: its address or facility is none", output->name);
    if (error)
        syslog_close(syslog);
    else
        *ret_receiver = syslog;
    return error;
}

static void syslog_send(void *receiver, const struct item *items, size_t count)
{
    struct syslog *syslog = receiver;
    if (syslog->datagram)
        datagram_send(syslog->datagram, items, count);
    else
        stream_send(syslog->stream, items, count);
}

const struct receiver_type syslog_receiver = {
    .type = OUTPUT_SYSLOG, .open = syslog_open, .close = syslog_close, .send = syslog_send};
