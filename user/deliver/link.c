#include "link.h"

#include "base/cleanup.h"
#include "multi.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { WHY_SIZE = CURL_ERROR_SIZE + 64, DRAIN_TIMES = 16 };

struct link {
    struct link_options options;
    link_connected_fn connected;
    void *context;
    int fd;                  // -1: not connected; libcurl's own where there is an easy handle
    struct loop_timer timer; // of a UNIX socket, which has no transfer
    struct multi multi;
    CURL *easy; // in the multi handle for as long as it connects or is connected
    bool added;
    char why[WHY_SIZE];
};

static void tell(struct link *link, const char *why)
{
    link->connected(why, link->context);
}

// --- libcurl ---

static void on_done(CURL *easy, CURLcode code, void *context)
{
    struct link *link = context;
    curl_socket_t socket = CURL_SOCKET_BAD;
    if (!code)
        code = curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &socket);
    if (!code && socket != CURL_SOCKET_BAD) {
        link->fd = socket;
        tell(link, NULL);
        return;
    }
    char why[WHY_SIZE];
    snprintf(why, sizeof(why), "%s", link->why[0] ? link->why : curl_easy_strerror(code));
    multi_make_printable(why);
    link_disconnect(link);
    tell(link, why);
}

// libcurl connects to URLs; no byte of HTTP is sent.
static int set_url(struct link *link, CURL *easy)
{
    CURLU *url = curl_url();
    char *path = NULL, *port = NULL;
    char text[512];
    int length = snprintf(text, sizeof(text), "%s://%s", link->options.kind == LINK_TLS ? "https" : "http",
                          link->options.address);
    bool good = url && length < (int)sizeof(text) && !strpbrk(link->options.address, "/?#@ ") &&
                !curl_url_set(url, CURLUPART_URL, text, CURLU_DISALLOW_USER) &&
                !curl_url_get(url, CURLUPART_PATH, &path, 0) && strcmp(path, "/") == 0 &&
                !curl_url_get(url, CURLUPART_PORT, &port, 0) && !curl_easy_setopt(easy, CURLOPT_URL, text);
    curl_free(path);
    curl_free(port);
    curl_url_cleanup(url);
    return good ? 0 : -EINVAL;
}

static int init_curl(struct link *link)
{
    int error = multi_init(&link->multi, link->options.loop, on_done, link);
    CURL *easy = link->easy = curl_easy_init();
    bool good = !error && easy && !curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L) &&
                !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) &&
                !curl_easy_setopt(easy, CURLOPT_PROXY, "") && // whatever the environment says: it is for HTTP
                !curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) &&
                !curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) &&
                !curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)link->options.timeout) &&
                !curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, link->why) &&
                !curl_easy_setopt(easy, CURLOPT_SSL_ENABLE_ALPN, 0L) && // what follows is not HTTP
                multi_set_tls(easy, link->options.tls);
    return good ? set_url(link, easy) : -ENOMEM;
}

static void on_refused(void *context)
{
    struct link *link = context;
    tell(link, link->why);
}

static void connect_curl(struct link *link)
{
    link->why[0] = '\0';
    link->added = curl_multi_add_handle(link->multi.handle, link->easy) == CURLM_OK;
    if (link->added)
        return;
    snprintf(link->why, sizeof(link->why), "memory is short");
    loop_timer_set(link->options.loop, &link->timer, 0, on_refused, link);
}

// --- UNIX sockets ---

static void on_unix_timer(void *context)
{
    struct link *link = context;
    tell(link, link->fd >= 0 ? NULL : link->why);
}

// Either it is connected at once or not at all.
static void connect_unix(struct link *link)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, link->options.address, strlen(link->options.address)); // was checked before
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        link->fd = TAKE_FD(fd);
    else
        snprintf(link->why, sizeof(link->why), "%s: %s", link->options.address,
                 errno == EAGAIN ? "too many wait for it" : strerror(errno));
    loop_timer_set(link->options.loop, &link->timer, 0, on_unix_timer, link);
}

// --- Both ---

int link_new(const struct link_options *options, link_connected_fn connected, void *context,
             struct link **ret_link)
{
    struct sockaddr_un address;
    struct link *link = calloc(1, sizeof(*link));
    if (!link)
        return -ENOMEM;
    *link = (struct link){.options = *options, .connected = connected, .context = context, .fd = -1};
    int error = options->kind != LINK_UNIX                            ? init_curl(link)
                : strlen(options->address) < sizeof(address.sun_path) ? 0
                                                                      : -EINVAL;
    if (error)
        link_free(&link);
    else
        *ret_link = link;
    return error;
}

void link_free(struct link **link)
{
    if (!*link)
        return;
    link_disconnect(*link);
    curl_easy_cleanup((*link)->easy);
    multi_close(&(*link)->multi);
    loop_timer_stop((*link)->options.loop, &(*link)->timer);
    free(*link);
    *link = NULL;
}

void link_connect(struct link *link)
{
    if (link->options.kind == LINK_UNIX)
        connect_unix(link);
    else
        connect_curl(link);
}

void link_disconnect(struct link *link)
{
    if (link->options.kind == LINK_UNIX)
        cleanup_close(&link->fd);
    // This closes the connection, too: it is nobody else's.
    if (link->added)
        curl_multi_remove_handle(link->multi.handle, link->easy);
    link->added = false;
    link->fd = -1;
    loop_timer_stop(link->options.loop, &link->timer);
}

int link_fd(const struct link *link)
{
    return link->fd;
}

int link_send(struct link *link, const char *bytes, size_t length, size_t *ret_sent)
{
    size_t sent = 0;
    if (link->easy) {
        CURLcode code = curl_easy_send(link->easy, bytes, length, &sent);
        if (code)
            return code == CURLE_AGAIN ? -EAGAIN : -EPIPE;
        *ret_sent = sent;
        return 0;
    }
    ssize_t result = send(link->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (result < 0)
        return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
    *ret_sent = (size_t)result;
    return 0;
}

int link_drain(struct link *link)
{
    char bytes[4096];
    for (unsigned times = 0; times < DRAIN_TIMES; times++) {
        size_t received = 0;
        if (link->easy) {
            CURLcode code = curl_easy_recv(link->easy, bytes, sizeof(bytes), &received);
            if (code)
                return code == CURLE_AGAIN ? -EAGAIN : -EPIPE;
        } else {
            ssize_t result = recv(link->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
            if (result < 0)
                return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
            received = (size_t)result;
        }
        if (received == 0)
            return -EPIPE;
    }
    return -EBUSY;
}

size_t link_unacknowledged(const struct link *link)
{
    int bytes = 0;
    return ioctl(link->fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? (size_t)bytes : 0;
}
