#include "multi.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

struct socket_watch {
    struct multi *multi;
    curl_socket_t socket;
};

static void act(struct multi *multi, curl_socket_t socket, int events)
{
    int running, left;
    curl_multi_socket_action(multi->handle, socket, events, &running);
    for (CURLMsg *message; (message = curl_multi_info_read(multi->handle, &left));)
        if (message->msg == CURLMSG_DONE)
            multi->done(message->easy_handle, message->data.result, multi->context);
}

static void on_socket(uint32_t events, void *context)
{
    // Copied: it may be freed while libcurl acts.
    struct socket_watch watch = *(struct socket_watch *)context;
    act(watch.multi, watch.socket,
        (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
            (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0));
}

static int on_socket_wanted(CURL *easy, curl_socket_t socket, int what, void *context, void *socket_context)
{
    struct multi *multi = context;
    struct socket_watch *watch = socket_context;
    if (what == CURL_POLL_REMOVE) {
        loop_unwatch(multi->loop, socket);
        free(watch);
        curl_multi_assign(multi->handle, socket, NULL);
        return 0;
    }
    if (!watch) {
        watch = malloc(sizeof(*watch));
        if (!watch)
            return -1;
        *watch = (struct socket_watch){multi, socket};
        curl_multi_assign(multi->handle, socket, watch);
    }
    uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    return loop_watch(multi->loop, socket, events, on_socket, watch) ? -1 : 0;
}

static void on_timer(void *context)
{
    act(context, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer_wanted(CURLM *handle, long delay_ms, void *context)
{
    struct multi *multi = context;
    if (delay_ms < 0)
        loop_timer_stop(multi->loop, &multi->timer);
    else
        loop_timer_set(multi->loop, &multi->timer, (unsigned)delay_ms, on_timer, multi);
    return 0;
}

int multi_init(struct multi *multi, struct loop *loop, multi_done_fn done, void *context)
{
    *multi = (struct multi){.handle = curl_multi_init(), .loop = loop, .done = done, .context = context};
    bool good = multi->handle &&
                !curl_multi_setopt(multi->handle, CURLMOPT_SOCKETFUNCTION, on_socket_wanted) &&
                !curl_multi_setopt(multi->handle, CURLMOPT_SOCKETDATA, multi) &&
                !curl_multi_setopt(multi->handle, CURLMOPT_TIMERFUNCTION, on_timer_wanted) &&
                !curl_multi_setopt(multi->handle, CURLMOPT_TIMERDATA, multi);
    return good ? 0 : -ENOMEM;
}

void multi_close(struct multi *multi)
{
    if (!multi->handle)
        return;
    // It calls for sockets that are closed here.
    curl_multi_cleanup(multi->handle);
    loop_timer_stop(multi->loop, &multi->timer);
    multi->handle = NULL;
}

bool multi_set_tls(CURL *easy, const struct config_tls *tls)
{
    bool failed = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) ||
                  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, tls->verify ? 1L : 0L) ||
                  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, tls->verify ? 2L : 0L);
    // Only that file then, and not what the system trusts as well.
    if (tls->ca_file)
        failed = failed || curl_easy_setopt(easy, CURLOPT_CAINFO, tls->ca_file) ||
                 curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    if (tls->cert_file)
        failed = failed || curl_easy_setopt(easy, CURLOPT_SSLCERT, tls->cert_file);
    if (tls->key_file)
        failed = failed || curl_easy_setopt(easy, CURLOPT_SSLKEY, tls->key_file);
    // A key with a passphrase is an error, not a question on the terminal.
    return !failed && !curl_easy_setopt(easy, CURLOPT_KEYPASSWD, "");
}

void multi_make_printable(char *why)
{
    for (char *at = why; *at; at++)
        if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
            *at = '?';
}
