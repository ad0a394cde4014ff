#include "metric.h"
#include "version.h"

#include "base/cleanup.h"
#include "base/series.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Client and server run in turns in one thread, as the agent's own loop would run the server.

enum { PATIENCE_MS = 10000 };

static struct metric_server *server;
static bool is_ready;

static bool ready(void *context)
{
    return *(bool *)context;
}

static int open_at(const char *address)
{
    struct metric_server_options options = {.address = address, .ready = ready, .context = &is_ready};
    return metric_server_new(&options, &server);
}

static void setup(void)
{
    cr_assert_eq(open_at("127.0.0.1:0"), 0);
    cr_assert_neq(metric_server_port(server), 0);
}

static void teardown(void)
{
    metric_server_free(&server);
}

TestSuite(server, .init = setup, .fini = teardown);

static int client_open(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)metric_server_port(server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    // The kernel completes it before the server accepts.
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void client_send(int fd, const char *bytes)
{
    cr_assert_eq(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), (ssize_t)strlen(bytes));
}

// Serves until the client can read; false where that never comes.
static bool serve_until_readable(int client)
{
    for (;;) {
        int timeout = metric_server_run(server);
        struct pollfd fds[] = {{.fd = client, .events = POLLIN},
                               {.fd = metric_server_epoll_fd(server), .events = POLLIN}};
        int count = poll(fds, 2, timeout == 0 ? 0 : PATIENCE_MS);
        cr_assert_geq(count, 0);
        if (fds[0].revents)
            return true;
        if (count == 0 && timeout != 0)
            return false;
    }
}

struct reply {
    int status;
    char data[65536];
    const char *body;
};

// Reads until the server closes, which requests ask for by "Connection: close".
static void client_read(int fd, struct reply *ret_reply)
{
    size_t length = 0;
    for (;;) {
        cr_assert(serve_until_readable(fd), "no answer");
        ssize_t count = recv(fd, ret_reply->data + length, sizeof(ret_reply->data) - 1 - length, 0);
        cr_assert_geq(count, 0);
        if (count == 0)
            break;
        length += (size_t)count;
    }
    ret_reply->data[length] = '\0';
    cr_assert_eq(sscanf(ret_reply->data, "HTTP/1.1 %d ", &ret_reply->status), 1, "%s", ret_reply->data);
    ret_reply->body = strstr(ret_reply->data, "\r\n\r\n");
    cr_assert(ret_reply->body);
    ret_reply->body += 4;
}

static struct reply *request(const char *method, const char *path, const char *headers)
{
    static struct reply reply;
    char text[4096];
    snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", method, path,
             headers);
    _cleanup_close_ int fd = client_open();
    client_send(fd, text);
    client_read(fd, &reply);
    return &reply;
}

static bool has_header(const struct reply *reply, const char *line)
{
    char wanted[256];
    snprintf(wanted, sizeof(wanted), "\r\n%s\r\n", line);
    const char *found = strcasestr(reply->data, wanted);
    return found && found < reply->body;
}

Test(server, pages)
{
    struct reply *reply = request("GET", "/healthz", "");
    cr_assert_eq(reply->status, 200);
    cr_assert_str_eq(reply->body, "ok\n");

    reply = request("GET", "/readyz", "");
    cr_assert_eq(reply->status, 503);
    is_ready = true;
    reply = request("GET", "/readyz", "");
    cr_assert_eq(reply->status, 200);
    cr_assert_str_eq(reply->body, "ready\n");

    reply = request("GET", "/", "");
    cr_assert_eq(reply->status, 200);
    cr_assert(has_header(reply, "Content-Type: text/html; charset=utf-8"));
    cr_assert(has_header(reply, "X-Content-Type-Options: nosniff"));
    cr_assert(has_header(reply, "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'"));
    cr_assert(strstr(reply->body, "href=\"/metrics\"") && strstr(reply->body, INFERSCOPE_VERSION));

    reply = request("GET", "/nothing", "");
    cr_assert_eq(reply->status, 404);
    cr_assert(strstr(reply->body, "/metrics"));
}

Test(server, metrics_in_the_format_that_is_asked_for)
{
    struct reply *reply = request("GET", "/metrics", "");
    cr_assert_eq(reply->status, 200);
    cr_assert(has_header(reply, "Content-Type: text/plain; version=0.0.4; charset=utf-8"));
    cr_assert(strstr(reply->body, "# TYPE inferscope_http_requests_total counter\n"));
    cr_assert_null(strstr(reply->body, "# EOF"));

    reply = request("GET", "/metrics?x=1", "Accept: application/openmetrics-text; version=1.0.0\r\n");
    cr_assert_eq(reply->status, 200);
    cr_assert(has_header(reply, "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8"));
    cr_assert(strstr(reply->body, "# TYPE inferscope_http_requests counter\n"));
    cr_assert_str_eq(reply->body + strlen(reply->body) - 6, "# EOF\n");
}

Test(server, requests_are_counted_by_known_paths_only)
{
    request("GET", "/healthz", "");
    request("GET", "/healthz", "");
    request("GET", "/../../etc/passwd", "");
    request("POST", "/nothing", "");
    struct reply *reply = request("GET", "/metrics", "");
    static const char *const samples[] = {"{path=\"/healthz\"} 2\n", "{path=\"/readyz\"} 0\n",
                                          "{path=\"other\"} 2\n", "{path=\"/metrics\"} 1\n",
                                          "{path=\"/\"} 0\n"};
    for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
        cr_expect(strstr(reply->body, samples[i]), "%s is not in %s", samples[i], reply->body);
    cr_assert_null(strstr(reply->body, "passwd"));
}

Test(server, head_has_the_headers_alone)
{
    struct reply *reply = request("HEAD", "/healthz", "");
    cr_assert_eq(reply->status, 200);
    cr_assert(has_header(reply, "Content-Length: 3"));
    cr_assert_str_eq(reply->body, "");
    reply = request("HEAD", "/metrics", "");
    cr_assert_eq(reply->status, 200);
    cr_assert_not(has_header(reply, "Content-Length: 0"));
    cr_assert_str_eq(reply->body, "");
}

Test(server, other_methods_are_refused)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"};
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        struct reply *reply = request(methods[i], "/metrics", "");
        cr_expect_eq(reply->status, 405, "%s: %d", methods[i], reply->status);
        cr_expect(has_header(reply, "Allow: GET, HEAD"), "%s", reply->data);
    }
    // The body is never waited for.
    struct reply *reply = request("POST", "/metrics", "Content-Length: 1000000\r\n");
    cr_assert_eq(reply->status, 405);
}

Test(server, a_body_on_a_get_is_passed_over)
{
    _cleanup_close_ int fd = client_open();
    static struct reply reply;
    client_send(fd,
                "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
    client_read(fd, &reply);
    cr_assert_eq(reply.status, 200);
    cr_assert_str_eq(reply.body, "ok\n");
}

Test(server, one_connection_serves_several_requests)
{
    _cleanup_close_ int fd = client_open();
    for (int i = 0; i < 5; i++) {
        char answer[4096];
        size_t length = 0;
        client_send(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        answer[0] = '\0';
        while (!strstr(answer, "\r\n\r\nok\n")) {
            cr_assert(serve_until_readable(fd));
            ssize_t count = recv(fd, answer + length, sizeof(answer) - 1 - length, 0);
            cr_assert_gt(count, 0);
            length += (size_t)count;
            answer[length] = '\0';
        }
    }
}

Test(server, slow_clients_do_not_hold_up_others)
{
    int slow[8];
    for (size_t i = 0; i < ARRAY_SIZE(slow); i++) {
        slow[i] = client_open();
        client_send(slow[i], i % 2 ? "G" : "GET /metrics HTTP/1.1\r\nHost");
        metric_server_run(server);
    }
    cr_assert_eq(request("GET", "/healthz", "")->status, 200);
    cr_assert_eq(request("GET", "/metrics", "")->status, 200);

    // And the slow ones are answered when they go on.
    static struct reply reply;
    client_send(slow[0], ": x\r\nConnection: close\r\n\r\n");
    client_read(slow[0], &reply);
    cr_assert_eq(reply.status, 200);
    for (size_t i = 0; i < ARRAY_SIZE(slow); i++)
        close(slow[i]);
}

static size_t open_fds(void)
{
    DIR *directory = opendir("/proc/self/fd");
    cr_assert(directory);
    size_t count = 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

// Serves until the process has that many descriptors again.
static bool serve_until_fds(size_t wanted)
{
    for (;;) {
        int timeout = metric_server_run(server);
        if (open_fds() == wanted)
            return true;
        struct pollfd fd = {.fd = metric_server_epoll_fd(server), .events = POLLIN};
        if (poll(&fd, 1, timeout == 0 ? 0 : PATIENCE_MS) == 0 && timeout != 0)
            return false;
    }
}

Test(server, a_hundred_scrapes_leak_no_descriptor)
{
    request("GET", "/metrics", "");
    size_t before = open_fds();
    for (int i = 0; i < 100; i++)
        cr_assert_eq(request("GET", "/metrics", "")->status, 200);
    cr_assert(serve_until_fds(before), "%zu before, %zu after", before, open_fds());
}

static void collect_much(struct series_writer *writer, void *context)
{
    struct series_family family = {.name = "much", .type = SERIES_GAUGE, .help = "m"};
    char number[16];
    struct label label = {"n", number};
    writer->family(writer, &family);
    for (int i = 0; i < 200000; i++) {
        snprintf(number, sizeof(number), "%d", i);
        writer->number(writer, &label, 1, i);
    }
}

Test(server, a_client_that_leaves_in_the_middle_does_no_harm)
{
    // More than a socket holds, so that the server is still sending when the client goes.
    series_register(collect_much, NULL);
    size_t before = open_fds();
    for (int i = 0; i < 3; i++) {
        _cleanup_close_ int fd = client_open();
        struct linger reset = {.l_onoff = 1};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        client_send(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        cr_assert(serve_until_readable(fd));
    }
    cr_assert(serve_until_fds(before));
    cr_assert_eq(request("GET", "/healthz", "")->status, 200);
}

Test(server, garbage_is_refused)
{
    static const char *const requests[] = {"\x16\x03\x01\x02\x01\r\n\r\n", "GET\r\n\r\n",
                                           "GET /metrics HTTP/1.1\r\nno colon\r\n\r\n",
                                           "GET /healthz HTTP/1.1\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        _cleanup_close_ int fd = client_open();
        char answer[1024];
        client_send(fd, requests[i]);
        cr_assert_eq(shutdown(fd, SHUT_WR), 0);
        cr_assert(serve_until_readable(fd));
        ssize_t length = recv(fd, answer, sizeof(answer) - 1, 0);
        answer[length > 0 ? length : 0] = '\0';
        cr_expect_not(strstr(answer, " 200 "), "request %zu: %s", i, answer);
    }
    char headers[60000];
    size_t length = (size_t)snprintf(headers, sizeof(headers), "GET / HTTP/1.1\r\nHost: x\r\nX: ");
    memset(headers + length, 'a', sizeof(headers) - 1 - length);
    headers[sizeof(headers) - 1] = '\0';
    _cleanup_close_ int fd = client_open();
    client_send(fd, headers);
    cr_assert(serve_until_readable(fd));
    cr_assert_eq(request("GET", "/healthz", "")->status, 200);
}

// How many of 64 connections the server keeps.
static size_t connections_taken(void)
{
    int clients[64];
    size_t before = open_fds();
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
        clients[i] = client_open();
        while (metric_server_run(server) == 0)
            ;
    }
    // What was told to go goes with the next turn.
    metric_server_run(server);
    size_t taken = open_fds() - before - ARRAY_SIZE(clients);
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
        close(clients[i]);
    cr_assert(serve_until_fds(before));
    return taken;
}

Test(server, connections_are_limited)
{
    size_t taken = connections_taken();
    cr_assert(taken > 8 && taken <= 32, "%zu connections", taken);
    cr_assert_eq(request("GET", "/healthz", "")->status, 200);
}

// Whoever holds connections without asking for anything loses them, the oldest first, instead of keeping
// others out until they time out.
Test(server, the_longest_quiet_connection_gives_way)
{
    int quiet[300];
    for (size_t i = 0; i < ARRAY_SIZE(quiet); i++) {
        quiet[i] = client_open();
        metric_server_run(server);
    }
    cr_assert_eq(request("GET", "/healthz", "")->status, 200);
    cr_assert(serve_until_readable(quiet[0]), "the oldest is closed");
    struct pollfd latest = {.fd = quiet[ARRAY_SIZE(quiet) - 1], .events = POLLIN};
    cr_assert_eq(poll(&latest, 1, 0), 0, "and the latest is not: nothing waited for a time to run out");
    for (size_t i = 0; i < ARRAY_SIZE(quiet); i++)
        close(quiet[i]);
}

Test(server_address, is_read_strictly)
{
    static const char *const bad[] = {"",
                                      "9560",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:x",
                                      "127.0.0.1:95600",
                                      "127.0.0.1:123456",
                                      "127.0.0.1:-1",
                                      "127.0.0.1:+1",
                                      "127.0.0.1: 1",
                                      "127.0.0.1:80 ",
                                      "127.1:80",
                                      "256.0.0.1:80",
                                      "::1:9560",
                                      "[::1]9560",
                                      "[::1:9560",
                                      "[]:9560",
                                      "[127.0.0.1]:9560",
                                      "example.org:9560",
                                      "localhost",
                                      "[aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa]:1"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        server = NULL;
        cr_expect_eq(open_at(bad[i]), -EINVAL, "%s", bad[i]);
        cr_expect_null(server);
    }
}

Test(server_address, binds_exactly_what_is_named)
{
    // Where it then listens, from the kernel's own tables, is what the second socket runs into.
    cr_assert_eq(open_at("localhost:0"), 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)metric_server_port(server)),
                                  .sin_addr.s_addr = htonl(0x7f000002)};
    _cleanup_close_ int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(other, (struct sockaddr *)&address, sizeof(address)), 0, "127.0.0.2 is taken too");
    cr_assert_eq(request("GET", "/healthz", "")->status, 200);
    metric_server_free(&server);
    cr_assert_null(server);

    cr_assert_eq(open_at(":0"), 0);
    cr_assert_eq(request("GET", "/healthz", "")->status, 200);
    metric_server_free(&server);

    int error = open_at("[::1]:0");
    if (error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL)
        cr_skip_test("no IPv6 here");
    cr_assert_eq(error, 0);
    metric_server_free(&server);
}

Test(server_address, a_taken_port_is_an_error_that_leaks_nothing)
{
    cr_assert_eq(open_at("127.0.0.1:0"), 0);
    struct metric_server *first = server, *second = NULL;
    char address[32];
    snprintf(address, sizeof(address), "127.0.0.1:%u", metric_server_port(first));
    struct metric_server_options options = {.address = address};
    size_t before = open_fds();
    cr_assert_eq(metric_server_new(&options, &second), -EADDRINUSE);
    cr_assert_null(second);
    cr_assert_eq(open_fds(), before);

    // The port is free again at once, although a connection has just ended on it.
    cr_assert_eq(request("GET", "/healthz", "")->status, 200);
    metric_server_free(&server);
    cr_assert_eq(metric_server_new(&options, &second), 0);
    metric_server_free(&second);
}
