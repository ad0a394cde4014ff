#include "base/cleanup.h"
#include "base/series.h"
#include "clients.h"
#include "listen.h"
#include "metric.h"
#include "version.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECTION_MEMORY = 16 * 1024,
    CONNECTION_TIMEOUT_SECONDS = 10,
    PAGE_MAX = 16 * 1024 * 1024,
};

struct metric_server {
    struct MHD_Daemon *daemon;
    int epoll_fd; // the daemon's
    unsigned port;
    bool (*ready)(void *context);
    void *context;
    struct clients clients;
};

enum path { PATH_ROOT, PATH_METRICS, PATH_HEALTHZ, PATH_READYZ, PATH_OTHER };

// Only known paths become labels: a client must not be able to make series.
#define REQUESTS(value)                                                                                   \
    {                                                                                                     \
        .name = "inferscope_http_requests_total", .help = "Requests to the agent's HTTP server, by page", \
        .label = "path", .label_value = (value)                                                           \
    }
static struct counter requests[] = {
    [PATH_ROOT] = REQUESTS("/"),           [PATH_METRICS] = REQUESTS("/metrics"),
    [PATH_HEALTHZ] = REQUESTS("/healthz"), [PATH_READYZ] = REQUESTS("/readyz"),
    [PATH_OTHER] = REQUESTS("other"),
};

static const char text_type[] = "text/plain; charset=utf-8";
static const char root_page[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>Inferscope</title>\n"
    "<style>\n"
    ":root { color-scheme: light dark; }\n"
    "body { font: 1rem/1.6 system-ui, sans-serif; max-width: 38rem; margin: 4rem auto; padding: 0 1.5rem; }\n"
    "h1 { font-size: 1.5rem; margin-bottom: 0; }\n"
    "p { margin-top: 0; opacity: .7; }\n"
    "dt { font-family: ui-monospace, monospace; margin-top: 1rem; }\n"
    "dd { margin: 0; }\n"
    "</style>\n"
    "</head>\n"
    "<body>\n"
    "<h1>Inferscope</h1>\n"
    "<p>version " INFERSCOPE_VERSION "</p>\n"
    "<dl>\n"
    "<dt><a href=\"/metrics\">/metrics</a></dt>\n"
    "<dd>Everything that the agent measures, as Prometheus or OpenMetrics text.</dd>\n"
    "<dt><a href=\"/healthz\">/healthz</a></dt>\n"
    "<dd>Says ok as long as the agent answers.</dd>\n"
    "<dt><a href=\"/readyz\">/readyz</a></dt>\n"
    "<dd>Status 200 when the agent watches what its rules need, 503 before.</dd>\n"
    "</dl>\n"
    "</body>\n"
    "</html>\n";

// What is sent back. `body` is borrowed unless `owned` is set.
struct answer {
    unsigned status;
    const char *type;
    const char *body;
    size_t length;
    char *owned; // from malloc(); the response frees it
    const char *allow;
};

static struct answer answer_text(unsigned status, const char *body)
{
    return (struct answer){.status = status, .type = text_type, .body = body, .length = strlen(body)};
}

static struct answer answer_metrics(struct MHD_Connection *connection)
{
    const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    enum metric_format format = metric_negotiate(accept);
    _cleanup_text_ struct text text = TEXT_INIT(PAGE_MAX);
    metric_render(format, &text);
    if (text.truncated)
        return answer_text(MHD_HTTP_INTERNAL_SERVER_ERROR, "There is not enough memory for the metrics.\n");
    struct answer answer = {
        .status = MHD_HTTP_OK, .type = metric_content_type(format), .body = "", .length = text.length};
    if (text.data)
        answer.body = answer.owned = TAKE_PTR(text.data);
    return answer;
}

static enum path find_path(const char *url)
{
    for (enum path path = PATH_ROOT; path < PATH_OTHER; path++)
        if (strcmp(url, requests[path].label_value) == 0)
            return path;
    return PATH_OTHER;
}

static struct answer answer_path(const struct metric_server *server, struct MHD_Connection *connection,
                                 enum path path)
{
    switch (path) {
    case PATH_ROOT:
        return (struct answer){.status = MHD_HTTP_OK,
                               .type = "text/html; charset=utf-8",
                               .body = root_page,
                               .length = sizeof(root_page) - 1};
    case PATH_METRICS:
        return answer_metrics(connection);
    case PATH_HEALTHZ:
        return answer_text(MHD_HTTP_OK, "ok\n");
    case PATH_READYZ:
        if (!server->ready || server->ready(server->context))
            return answer_text(MHD_HTTP_OK, "ready\n");
        return answer_text(MHD_HTTP_SERVICE_UNAVAILABLE, "not ready\n");
    default:
        return answer_text(MHD_HTTP_NOT_FOUND,
                           "There is no such page. There are /metrics, /healthz, /readyz and /.\n");
    }
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, struct answer answer)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer.length, (void *)(uintptr_t)answer.body,
                                        answer.owned ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!response) {
        free(answer.owned);
        return MHD_NO;
    }
    const char *const headers[][2] = {
        {MHD_HTTP_HEADER_CONTENT_TYPE, answer.type},
        {MHD_HTTP_HEADER_X_CONTENT_TYPE_OPTIONS, "nosniff"},
        {MHD_HTTP_HEADER_CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"},
        {MHD_HTTP_HEADER_ALLOW, answer.allow},
    };
    enum MHD_Result result = MHD_YES;
    for (size_t i = 0; i < ARRAY_SIZE(headers) && result == MHD_YES; i++)
        if (headers[i][1])
            result = MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (result == MHD_YES)
        result = MHD_queue_response(connection, answer.status, response);
    MHD_destroy_response(response);
    return result;
}

// Keeps a connection from being taken for a quiet one.
static void note_request(struct metric_server *server, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info && info->socket_context)
        clients_touch(&server->clients, info->socket_context);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **request)
{
    (void)version;
    (void)upload;
    // Called first when the headers are there, then for each piece of a body, then at its end.
    static char seen;
    if (!*request) {
        *request = &seen;
        note_request(context, connection);
        enum path path = find_path(url);
        requests[path].value++;
        if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
            // Answered at once, so that no body is taken in.
            struct answer answer =
                answer_text(MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET and HEAD are served here.\n");
            answer.allow = "GET, HEAD";
            return send_answer(connection, answer);
        }
        return MHD_YES;
    }
    if (*upload_size) {
        *upload_size = 0;
        return MHD_YES;
    }
    return send_answer(connection, answer_path(context, connection, find_path(url)));
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct metric_server *server = context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        clients_remove(&server->clients, *socket_context);
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *socket_context = info ? clients_add(&server->clients, info->connect_fd) : NULL;
}

static int find_port(int fd, unsigned *ret_port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t length = sizeof(address);
    if (getsockname(fd, &address.any, &length) < 0)
        return -errno;
    *ret_port = ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
    return 0;
}

int metric_server_new(const struct metric_server_options *options, struct metric_server **ret_server)
{
    _cleanup_close_ int fd = -1;
    int error = metric_listen(options->address, &fd);
    if (error)
        return error;
    _cleanup_(metric_server_free) struct metric_server *server = calloc(1, sizeof(*server));
    if (!server)
        return -ENOMEM;
    server->ready = options->ready;
    server->context = options->context;
    error = find_port(fd, &server->port);
    if (error)
        return error;

    errno = 0;
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CLIENTS_OPEN_MAX, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        server, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)CONNECTION_TIMEOUT_SECONDS, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (!server->daemon)
        return errno ? -errno : -ENOMEM;
    // The daemon closes the socket when it stops.
    (void)TAKE_FD(fd);
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info)
        return -ENOTSUP;
    server->epoll_fd = info->epoll_fd;

    for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
        counter_register(&requests[i]);
    *ret_server = TAKE_PTR(server);
    return 0;
}

void metric_server_free(struct metric_server **server)
{
    if (!*server)
        return;
    if ((*server)->daemon)
        MHD_stop_daemon((*server)->daemon);
    free(*server);
    *server = NULL;
}

int metric_server_epoll_fd(const struct metric_server *server)
{
    return server->epoll_fd;
}

int metric_server_run(struct metric_server *server)
{
    MHD_UNSIGNED_LONG_LONG timeout;
    MHD_run(server->daemon);
    if (MHD_get_timeout(server->daemon, &timeout) != MHD_YES)
        return -1;
    return timeout < INT_MAX ? (int)timeout : INT_MAX;
}

unsigned metric_server_port(const struct metric_server *server)
{
    return server->port;
}
