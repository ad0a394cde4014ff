#include "sink.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "noise.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 * 1024, PATIENCE_MS = 1000, TELL_AFTER_S = 60 };

struct sink {
    int fd;
    enum sink_format format;
    bool color;
    bool patient;
    struct text line;
    bool stalled;        // the reader stood still the last time
    size_t written;      // of the line; the rest of a line that was begun goes out before the next one
    uint64_t lost, told; // alerts, and how many of them standard error knows about
    time_t told_at;      // CLOCK_MONOTONIC
};

static struct counter lost = {
    .name = "inferscope_alerts_lost_total",
    .help = "Alerts that could not be written, by where they were to go",
    .label = "sink",
    .label_value = "stdout",
};

int sink_new(const struct sink_options *options, struct sink **ret_sink)
{
    if (options->fd >= 0 && fcntl(options->fd, F_GETFD) < 0)
        return -errno;
    struct sink *sink = calloc(1, sizeof(*sink));
    if (!sink)
        return -ENOMEM;
    sink->fd = options->fd;
    sink->format = options->format;
    sink->color = options->color;
    sink->patient = options->patient;
    sink->line = (struct text)TEXT_INIT(LINE_MAX_BYTES);
    counter_register(&lost);
    *ret_sink = sink;
    return 0;
}

// A reader that stands still must not stop the agent: it is waited for once, and not again until it reads.
// Its descriptor may be shared with others, so it stays as it is instead of being made non-blocking.
static bool is_writable(struct sink *sink)
{
    struct pollfd poll_fd = {.fd = sink->fd, .events = POLLOUT};
    int ready = poll(&poll_fd, 1, sink->patient ? -1 : sink->stalled ? 0 : PATIENCE_MS);
    sink->stalled = ready == 0;
    return ready != 0;
}

// Writes what is left of the line. On an error `written` says how far it came.
static int write_line(struct sink *sink)
{
    while (sink->fd >= 0 && sink->written < sink->line.length) {
        if (!is_writable(sink))
            return -EAGAIN;
        ssize_t length = write(sink->fd, sink->line.data + sink->written, sink->line.length - sink->written);
        if (length < 0 && errno != EINTR)
            return -errno;
        if (length > 0)
            sink->written += (size_t)length;
    }
    text_reset(&sink->line);
    sink->written = 0;
    return 0;
}

// Standard error may be the same pipe, whose reader stands still: then it is told later.
static bool can_tell(void)
{
    struct pollfd poll_fd = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&poll_fd, 1, 0) == 1;
}

// Says the first loss at once, and later ones at most once a minute.
static void lose(struct sink *sink, int error)
{
    lost.value++;
    sink->lost++;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if ((sink->told && now.tv_sec - sink->told_at < TELL_AFTER_S) || !can_tell())
        return;
    const char *why = error == -EAGAIN     ? "the reader of standard output stands still"
                      : error == -EMSGSIZE ? "too long"
                                           : strerror(-error);
    log_error("%" PRIu64 " %s could not be written: %s", sink->lost - sink->told,
              sink->lost - sink->told == 1 ? "alert" : "alerts", why);
    sink->told = sink->lost;
    sink->told_at = now.tv_sec;
}

void sink_free(struct sink **sink)
{
    if (!*sink)
        return;
    int error = write_line(*sink);
    if (error)
        lose(*sink, error);
    if ((*sink)->lost && can_tell())
        log_error("alerts that could not be written: %" PRIu64 " in all", (*sink)->lost);
    text_free(&(*sink)->line);
    free(*sink);
    *sink = NULL;
}

// Writes the line that was put together.
static int write_new_line(struct sink *sink)
{
    int error = sink->line.truncated ? -EMSGSIZE : write_line(sink);
    // A line of which a part is out is not lost: the reader gets its end before anything else.
    if (error && sink->written > 0)
        return 0;
    if (error)
        text_reset(&sink->line);
    return error;
}

static int write_alert(struct sink *sink, const struct alert *alert)
{
    int error = write_line(sink);
    if (error)
        return error;
    if (sink->format == SINK_JSON)
        sink_format_json(alert, &sink->line);
    else
        sink_format_text(alert, sink->color, &sink->line);
    return write_new_line(sink);
}

static int write_summary(struct sink *sink, const struct noise_summary *summary)
{
    int error = write_line(sink);
    if (error)
        return error;
    if (sink->format == SINK_JSON)
        noise_summary_json(summary, &sink->line);
    else
        noise_summary_text(summary, &sink->line);
    return write_new_line(sink);
}

int sink_alert(struct sink *sink, const struct alert *alert)
{
    int error = write_alert(sink, alert);
    if (error)
        lose(sink, error);
    return error;
}

int sink_summary(struct sink *sink, const struct noise_summary *summary)
{
    int error = write_summary(sink, summary);
    if (error)
        lose(sink, error);
    return error;
}
