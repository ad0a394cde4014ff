#include "datagram.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "lines.h"
#include "resolve.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

// The answer that nobody listens comes back within a round trip; on the same host at once.
enum { ANSWER_MS = 20, TELL_AFTER_MS = 60000 };

struct datagram {
    struct receiver_env env;
    const struct config_output *output;
    const struct format_syslog *format;
    char host[256], port[16];
    struct resolve *resolve;
    int fd; // connected; -1: to be made
    struct lines lines;
    size_t item, sent; // the next item, and where its bytes begin
    struct loop_timer timer;
    uint64_t cut_told, cut_told_ms;
};

// --- Messages that are too long ---

static void tell_cut(struct datagram *datagram)
{
    uint64_t now = loop_now_ms(), cut = *datagram->env.cut;
    if (cut == datagram->cut_told || (datagram->cut_told && now - datagram->cut_told_ms < TELL_AFTER_MS))
        return;
    log_warning("output %s: messages longer than a datagram of %zu bytes, which lost their end: %" PRIu64,
                datagram->output->name, datagram->format->max, cut);
    datagram->cut_told = cut;
    datagram->cut_told_ms = now;
}

static int write_message(const struct item *item, struct text *bytes, void *context)
{
    struct datagram *datagram = context;
    bool is_cut = false;
    int error = format_syslog(datagram->format, item, datagram->env.hostname, bytes, &is_cut);
    __atomic_store_n(datagram->env.cut, *datagram->env.cut + is_cut, __ATOMIC_RELAXED);
    return error;
}

// --- Sending ---

static void disconnect(struct datagram *datagram)
{
    loop_timer_stop(datagram->env.loop, &datagram->timer);
    if (datagram->fd >= 0)
        loop_unwatch(datagram->env.loop, datagram->fd);
    cleanup_close(&datagram->fd);
    datagram->fd = -1;
}

// With a new socket the name is looked up again: its address may have changed.
static void fail(struct datagram *datagram, const char *why)
{
    disconnect(datagram);
    lines_settlef(&datagram->lines, 0, "%s: %s", datagram->output->address, why);
}

static int take_error(const struct datagram *datagram)
{
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(datagram->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

static void on_quiet(void *context)
{
    struct datagram *datagram = context;
    int error = take_error(datagram);
    if (error)
        fail(datagram, error == ECONNREFUSED ? "nobody listens there" : strerror(error));
    else
        lines_settle(&datagram->lines, datagram->lines.bytes.length, NULL);
}

static void send_all(struct datagram *datagram);

static void on_writable(uint32_t events, void *context)
{
    send_all(context);
}

static void send_all(struct datagram *datagram)
{
    struct lines *lines = &datagram->lines;
    for (; datagram->item < lines->count; datagram->item++) {
        size_t end = lines->ends[datagram->item], length = end - datagram->sent;
        if (length && send(datagram->fd, lines->bytes.data + datagram->sent, length, MSG_DONTWAIT) < 0) {
            int error = errno;
            if (error == EAGAIN || error == EINTR || error == ENOBUFS) {
                error = loop_watch(datagram->env.loop, datagram->fd, EPOLLOUT, on_writable, datagram);
                if (error)
                    fail(datagram, strerror(-error));
                return;
            }
            if (error != EMSGSIZE) {
                fail(datagram, error == ECONNREFUSED ? "nobody listens there" : strerror(error));
                return;
            }
            lines->verdicts[datagram->item] = VERDICT_REJECTED;
            snprintf(lines->why, sizeof(lines->why), "a message is too long for a datagram");
        }
        datagram->sent = end;
    }
    loop_unwatch(datagram->env.loop, datagram->fd);
    loop_timer_set(datagram->env.loop, &datagram->timer, ANSWER_MS, on_quiet, datagram);
}

static void on_resolved(int error, struct addrinfo *addresses, void *context)
{
    struct datagram *datagram = context;
    resolve_free(&datagram->resolve);
    int last = 0;
    for (struct addrinfo *at = addresses; at && datagram->fd < 0; at = at->ai_next) {
        datagram->fd = socket(at->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (datagram->fd >= 0 && connect(datagram->fd, at->ai_addr, at->ai_addrlen) == 0)
            break;
        last = errno;
        disconnect(datagram);
    }
    freeaddrinfo(addresses);
    if (error)
        fail(datagram, gai_strerror(error));
    else if (datagram->fd < 0)
        fail(datagram, strerror(last));
    else
        send_all(datagram);
}

void datagram_send(struct datagram *datagram, const struct item *items, size_t count)
{
    lines_fill(&datagram->lines, items, count, write_message, datagram);
    tell_cut(datagram);
    datagram->item = datagram->sent = 0;
    if (datagram->fd >= 0)
        send_all(datagram);
    else if (resolve_begin(datagram->env.loop, datagram->host, datagram->port, on_resolved, datagram,
                           &datagram->resolve))
        fail(datagram, "memory is short");
}

// --- Opening ---

// HOST:PORT, where an IPv6 address stands in brackets.
static int split_address(const char *address, struct datagram *datagram)
{
    const char *colon = strrchr(address, ':');
    size_t length = colon ? (size_t)(colon - address) : 0;
    if (length >= 2 && address[0] == '[' && address[length - 1] == ']') {
        address++;
        length -= 2;
    }
    if (length == 0 || length >= sizeof(datagram->host) || strlen(colon + 1) >= sizeof(datagram->port) ||
        colon[1] == '\0')
        return -EINVAL;
    memcpy(datagram->host, address, length);
    strcpy(datagram->port, colon + 1);
    return 0;
}

int datagram_open(const struct config_output *output, const struct receiver_env *env,
                  const struct format_syslog *format, struct datagram **ret_datagram)
{
    struct datagram *datagram = calloc(1, sizeof(*datagram));
    if (!datagram)
        return -ENOMEM;
    *datagram = (struct datagram){.env = *env, .output = output, .format = format, .fd = -1};
    int error = lines_init(&datagram->lines, &datagram->env, output->batch);
    if (!error)
        error = split_address(output->address, datagram);
    if (error)
        datagram_close(&datagram);
    else
        *ret_datagram = datagram;
    return error;
}

void datagram_close(struct datagram **datagram)
{
    if (!*datagram)
        return;
    disconnect(*datagram);
    resolve_free(&(*datagram)->resolve);
    lines_free(&(*datagram)->lines);
    free(*datagram);
    *datagram = NULL;
}
