#include "stream.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/epoll.h>

enum { ASK_FIRST_MS = 1, ASK_MAX_MS = 50 };

enum stage {
    CLOSED,
    CONNECTING,
    IDLE, // connected
    WRITING,
    WAITING, // for what was written to be acknowledged
};

struct stream {
    struct receiver_env env;
    struct link *link;
    unsigned timeout;
    enum stage stage;
    struct lines lines;
    lines_write_fn write;
    void *context;
    size_t written;
    size_t unacknowledged;   // the last time that was asked
    unsigned ask_ms;         // until it is asked again
    uint64_t progress_ms;    // when something went on the last time
    struct loop_timer timer; // stalled writes, and asking
};

static void watch(struct stream *stream, uint32_t events);
static void go_on(struct stream *stream);

static void disconnect(struct stream *stream)
{
    if (link_fd(stream->link) >= 0)
        loop_unwatch(stream->env.loop, link_fd(stream->link));
    loop_timer_stop(stream->env.loop, &stream->timer);
    link_disconnect(stream->link);
    stream->stage = CLOSED;
}

static void fail(struct stream *stream, const char *why)
{
    bool is_sending = stream->stage != IDLE;
    disconnect(stream);
    if (is_sending)
        lines_settle(&stream->lines, 0, why);
}

static bool is_stalled(const struct stream *stream)
{
    return loop_now_ms() - stream->progress_ms >= stream->timeout;
}

// --- After writing ---

static void ask(void *context)
{
    struct stream *stream = context;
    size_t bytes = link_unacknowledged(stream->link);
    if (bytes < stream->unacknowledged)
        stream->progress_ms = loop_now_ms();
    stream->unacknowledged = bytes;
    // What was acknowledged before the other side closed may lie unread there.
    int drained = link_drain(stream->link);
    if (drained == -EPIPE) {
        fail(stream, "it closed the connection before it had everything");
    } else if (bytes == 0 && drained == -EAGAIN) {
        stream->stage = IDLE;
        lines_settle(&stream->lines, stream->lines.bytes.length, NULL);
    } else if (is_stalled(stream)) {
        fail(stream, "it takes nothing more");
    } else {
        loop_timer_set(stream->env.loop, &stream->timer, stream->ask_ms, ask, stream);
        stream->ask_ms = stream->ask_ms * 2 < ASK_MAX_MS ? stream->ask_ms * 2 : ASK_MAX_MS;
    }
}

// --- Writing ---

static void on_stall(void *context)
{
    struct stream *stream = context;
    if (is_stalled(stream))
        fail(stream, "it takes nothing more");
    else
        loop_timer_set(stream->env.loop, &stream->timer, stream->timeout, on_stall, stream);
}

static void on_ready(uint32_t events, void *context)
{
    struct stream *stream = context;
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP) && link_drain(stream->link) == -EPIPE)
        fail(stream, "it closed the connection");
    else if (stream->stage == WRITING)
        go_on(stream);
}

static void watch(struct stream *stream, uint32_t events)
{
    if (loop_watch(stream->env.loop, link_fd(stream->link), events, on_ready, stream))
        fail(stream, "memory is short");
}

static void go_on(struct stream *stream)
{
    struct lines *lines = &stream->lines;
    int error = 0;
    while (!error && stream->written < lines->bytes.length) {
        size_t sent = 0;
        error = link_send(stream->link, lines->bytes.data + stream->written,
                          lines->bytes.length - stream->written, &sent);
        stream->written += sent;
        if (sent)
            stream->progress_ms = loop_now_ms();
    }
    if (error == -EPIPE) {
        fail(stream, "the connection broke");
    } else if (error == 0) {
        stream->stage = WAITING;
        watch(stream, EPOLLIN);
        stream->ask_ms = ASK_FIRST_MS;
        stream->unacknowledged = SIZE_MAX;
        if (stream->stage == WAITING)
            loop_timer_set(stream->env.loop, &stream->timer, 0, ask, stream);
    }
}

static void begin(struct stream *stream)
{
    stream->stage = WRITING;
    stream->progress_ms = loop_now_ms();
    loop_timer_set(stream->env.loop, &stream->timer, stream->timeout, on_stall, stream);
    watch(stream, EPOLLIN | EPOLLOUT);
}

static void on_connected(const char *why, void *context)
{
    struct stream *stream = context;
    if (why)
        fail(stream, why);
    else
        begin(stream);
}

// --- Outside ---

void stream_send(struct stream *stream, const struct item *items, size_t count)
{
    lines_fill(&stream->lines, items, count, stream->write, stream->context);
    stream->written = 0;
    if (stream->lines.bytes.length == 0) {
        lines_settle(&stream->lines, 0, NULL);
        return;
    }
    if (stream->stage == IDLE) {
        begin(stream);
        return;
    }
    stream->stage = CONNECTING;
    link_connect(stream->link);
}

int stream_open(const struct link_options *options, const struct receiver_env *env, size_t batch,
                lines_write_fn write, void *context, struct stream **ret_stream)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        return -ENOMEM;
    *stream = (struct stream){.env = *env, .timeout = options->timeout, .write = write, .context = context};
    int error = lines_init(&stream->lines, &stream->env, batch);
    if (!error)
        error = link_new(options, on_connected, stream, &stream->link);
    if (error)
        stream_close(&stream);
    else
        *ret_stream = stream;
    return error;
}

void stream_close(struct stream **stream)
{
    if (!*stream)
        return;
    if ((*stream)->link)
        disconnect(*stream);
    link_free(&(*stream)->link);
    lines_free(&(*stream)->lines);
    free(*stream);
    *stream = NULL;
}
