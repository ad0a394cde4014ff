#include "api_pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static uint16_t port_of(int fd)
{
    struct sockaddr_in6 address; // its port is where that of IPv4 is
    socklen_t length = sizeof(address);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    return ntohs(address.sin6_port);
}

int listen_here(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(fd, 128), 0);
    return fd;
}

static struct pair connect_at(int listener, const struct sockaddr *address, socklen_t length)
{
    struct pair pair = {.client = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    int one = 1;
    cr_assert_eq(connect(pair.client, address, length), 0, "%s", strerror(errno));
    pair.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_geq(pair.server, 0);
    setsockopt(pair.client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(pair.server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    snprintf(pair.sport, sizeof(pair.sport), "%u", port_of(pair.server));
    snprintf(pair.cport, sizeof(pair.cport), "%u", port_of(pair.client));
    return pair;
}

struct pair api_connect(int listener)
{
    struct sockaddr_in address;
    socklen_t length = sizeof(address);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    return connect_at(listener, (struct sockaddr *)&address, length);
}

struct pair open_pair_v6(const char *text)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    socklen_t length = sizeof(address);
    _cleanup_close_ int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) || listen(listener, 8))
        cr_skip_test("this kernel has no IPv6");
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    cr_assert_eq(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
    return connect_at(listener, (struct sockaddr *)&address, length);
}

struct pair open_pair(void)
{
    _cleanup_close_ int listener = listen_here();
    return api_connect(listener);
}

void close_pair(struct pair *pair)
{
    close(pair->client);
    close(pair->server);
}

// Sends all of it from one end, in one write(), and reads all of it at the other end, in one or more read().
static void pass(int from, int to, const char *data, size_t length)
{
    char buffer[65536];
    cr_assert_eq(write(from, data, length), (ssize_t)length);
    for (size_t got = 0; got < length;) {
        ssize_t count = read(to, buffer, sizeof(buffer));
        cr_assert_gt(count, 0);
        got += (size_t)count;
    }
}

void ask(const struct pair *pair, const char *text)
{
    pass(pair->client, pair->server, text, strlen(text));
}

void answer(const struct pair *pair, const char *text)
{
    pass(pair->server, pair->client, text, strlen(text));
}

const char *request_to(const char *path, const char *headers, const char *body)
{
    return format_text("POST %s HTTP/1.1\r\nHost: test\r\n%sContent-Length: %zu\r\n\r\n%s", path, headers,
                       strlen(body), body);
}

const char *json_answer(unsigned status, const char *body)
{
    return format_text("HTTP/1.1 %u Said\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       status, strlen(body), body);
}

const char *chunk(const char *data)
{
    return format_text("%zx\r\n%s\r\n", strlen(data), data);
}

void expect_stream(struct agent *agent, const struct pair *pair)
{
    agent_wait_alert(agent, "infer", "proc.pid", format_text("%d", getpid()), "fd.cport", pair->cport,
                     "fd.sport", pair->sport, "infer.route", "/v1/chat/completions", "infer.method", "POST",
                     "infer.operation", "chat", "infer.model", "tiny", "infer.response.model", "tiny-1",
                     "infer.status", "200", "infer.tokens.input", "24", "infer.tokens.output", "3",
                     "infer.tokens.source", "usage", "infer.abandoned", "false", "infer.stream", "true",
                     "infer.error", "-", "infer.ttft", "*", "fd.sip", "127.0.0.1", "fd.cip", "127.0.0.1",
                     NULL);
}

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

double wait_metric_of(struct agent *agent, const char *name, const char *label, const char *of, double wanted)
{
    double value = NAN;
    for (uint64_t until = now_ns() + DEADLINE_S * UINT64_C(1000000000); now_ns() < until;) {
        value = agent_metric(agent, name, label, of, NULL);
        if (value == wanted)
            return value;
        poll(NULL, 0, 20); // the agent needs the CPU more
    }
    return value;
}

double wait_metric(struct agent *agent, const char *name, const char *port, double wanted)
{
    return wait_metric_of(agent, name, "server_port", port, wanted);
}
