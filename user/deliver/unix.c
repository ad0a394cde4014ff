// A UNIX stream socket on which somebody listens: lines.
#include "stream.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>

struct unix_out {
    struct lines_alert format;
    struct stream *stream;
};

static void unix_close(void *receiver)
{
    struct unix_out *out = receiver;
    stream_close(&out->stream);
    free(out);
}

static int unix_open(const struct config_output *output, const struct receiver_env *env, void **ret_receiver)
{
    struct unix_out *out = calloc(1, sizeof(*out));
    if (!out)
        return -ENOMEM;
    out->format = (struct lines_alert){output->format, env->hostname};
    struct link_options options = {
        .loop = env->loop, .kind = LINK_UNIX, .address = output->path, .timeout = output->timeout};
    int error = stream_open(&options, env, output->batch, lines_write_alert, &out->format, &out->stream);
    if (error == -EINVAL)
        log_error("output %s: the path is too long for a socket", output->name);
    if (error)
        unix_close(out);
    else
        *ret_receiver = out;
    return error;
}

static void unix_send(void *receiver, const struct item *items, size_t count)
{
    struct unix_out *out = receiver;
    stream_send(out->stream, items, count);
}

const struct receiver_type unix_receiver = {
    .type = OUTPUT_UNIX, .open = unix_open, .close = unix_close, .send = unix_send};
