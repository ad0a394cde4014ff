// Standard output. Its descriptor may be shared with other processes, so it stays as it is instead of being
// made non-blocking, and is written to only as far as that cannot block. A reader that stands still is waited
// for, however long: only this output waits, and its alerts stay in the spool.
#include "lines.h"

#include "base/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

struct out {
    struct receiver_env env;
    struct lines_alert format;
    struct lines lines;
    size_t written; // of the lines
    bool is_socket;
    bool is_ready; // always: a file, whose readiness cannot be waited for
    bool waiting;  // for readiness
};

static void go_on(struct out *out);

static void on_writable(uint32_t events, void *context)
{
    go_on(context);
}

// After poll() said so, a pipe has room for PIPE_BUF bytes at least. RWF_NOWAIT is for the case that another
// process has filled it since; kernels before 6.4 do not know it of pipes.
static ssize_t write_some(const struct out *out, const char *bytes, size_t length)
{
    if (out->is_ready)
        return write(STDOUT_FILENO, bytes, length);
    if (out->is_socket)
        return send(STDOUT_FILENO, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    struct iovec part = {.iov_base = (char *)bytes, .iov_len = length < PIPE_BUF ? length : PIPE_BUF};
    ssize_t written = pwritev2(STDOUT_FILENO, &part, 1, -1, RWF_NOWAIT);
    return written < 0 && errno == EOPNOTSUPP ? writev(STDOUT_FILENO, &part, 1) : written;
}

static void stop_waiting(struct out *out)
{
    if (out->waiting)
        loop_unwatch(out->env.loop, STDOUT_FILENO);
    out->waiting = false;
}

static void finish(struct out *out, const char *why)
{
    stop_waiting(out);
    lines_keep_rest(&out->lines, out->written);
    if (why)
        lines_settlef(&out->lines, out->written, "standard output: %s", why);
    else
        lines_settle(&out->lines, out->written, NULL);
}

// One piece for each time that the descriptor was found ready.
static void go_on(struct out *out)
{
    struct lines *lines = &out->lines;
    while (out->written < lines->bytes.length) {
        ssize_t length =
            write_some(out, lines->bytes.data + out->written, lines->bytes.length - out->written);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0 && errno == EAGAIN)
            return;
        if (length < 0) {
            int error = errno;
            finish(out, strerror(error));
            return;
        }
        out->written += (size_t)length;
        if (!out->is_ready && out->written < lines->bytes.length)
            return;
    }
    finish(out, NULL);
}

static void stdout_send(void *receiver, const struct item *items, size_t count)
{
    struct out *out = receiver;
    out->written = 0;
    lines_fill(&out->lines, items, count, lines_write_alert, &out->format);
    int error = out->is_ready ? -EPERM : loop_watch(out->env.loop, STDOUT_FILENO, EPOLLOUT, on_writable, out);
    out->waiting = error == 0;
    if (error == 0)
        return;
    if (error != -EPERM) {
        finish(out, strerror(-error));
        return;
    }
    // Files and /dev/null are always ready, and nothing to wait for (EPERM).
    out->is_ready = true;
    go_on(out);
}

static void stdout_close(void *receiver)
{
    struct out *out = receiver;
    stop_waiting(out);
    lines_free(&out->lines);
    free(out);
}

static int stdout_open(const struct config_output *output, const struct receiver_env *env,
                       void **ret_receiver)
{
    struct stat status;
    if (fstat(STDOUT_FILENO, &status))
        return -errno;
    struct out *out = calloc(1, sizeof(*out));
    if (!out)
        return -ENOMEM;
    out->env = *env;
    out->format = (struct lines_alert){output->format, env->hostname};
    out->is_socket = S_ISSOCK(status.st_mode);
    if (lines_init(&out->lines, &out->env, output->batch)) {
        stdout_close(out);
        return -ENOMEM;
    }
    *ret_receiver = out;
    return 0;
}

const struct receiver_type stdout_receiver = {
    .type = OUTPUT_STDOUT, .open = stdout_open, .close = stdout_close, .send = stdout_send};
