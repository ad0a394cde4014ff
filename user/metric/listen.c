#include "listen.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BACKLOG = 32 };

struct endpoint {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t length;
    bool everywhere; // an IPv6 socket that takes IPv4 too
};

// Decimal digits only, at most five: no sign, no space, no name of a service.
static bool parse_port(const char *digits, in_port_t *ret_port)
{
    size_t length = strlen(digits);
    if (length == 0 || length > 5 || strspn(digits, "0123456789") != length)
        return false;
    long port = strtol(digits, NULL, 10);
    if (port > UINT16_MAX)
        return false;
    *ret_port = htons((uint16_t)port);
    return true;
}

static int parse_endpoint(const char *address, struct endpoint *ret_endpoint)
{
    const char *colon = strrchr(address, ':');
    char host[INET6_ADDRSTRLEN + 2];
    size_t host_length = colon ? (size_t)(colon - address) : 0;
    in_port_t port;
    if (!colon || host_length >= sizeof(host) || !parse_port(colon + 1, &port))
        return -EINVAL;
    memcpy(host, address, host_length);
    host[host_length] = '\0';

    struct endpoint endpoint = {0};
    bool bracketed = host_length > 2 && host[0] == '[' && host[host_length - 1] == ']';
    if (host_length == 0 || bracketed) {
        endpoint.v6.sin6_family = AF_INET6;
        endpoint.v6.sin6_port = port;
        endpoint.length = sizeof(endpoint.v6);
        endpoint.everywhere = host_length == 0;
        host[host_length ? host_length - 1 : 0] = '\0';
        if (bracketed && inet_pton(AF_INET6, host + 1, &endpoint.v6.sin6_addr) != 1)
            return -EINVAL;
    } else {
        endpoint.v4.sin_family = AF_INET;
        endpoint.v4.sin_port = port;
        endpoint.length = sizeof(endpoint.v4);
        const char *number = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
        if (inet_pton(AF_INET, number, &endpoint.v4.sin_addr) != 1)
            return -EINVAL;
    }
    *ret_endpoint = endpoint;
    return 0;
}

static int open_endpoint(const struct endpoint *endpoint, int *ret_fd)
{
    int family = endpoint->any.sa_family, yes = 1, v6_only = !endpoint->everywhere;
    _cleanup_close_ int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    // Without it a restart would find its own port taken for a minute.
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
        return -errno;
    if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only)) < 0)
        return -errno;
    if (bind(fd, &endpoint->any, endpoint->length) < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int metric_listen(const char *address, int *ret_fd)
{
    struct endpoint endpoint;
    int error = parse_endpoint(address, &endpoint);
    if (error)
        return error;
    error = open_endpoint(&endpoint, ret_fd);
    // A kernel without IPv6 still has every IPv4 address.
    if (endpoint.everywhere && (error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL)) {
        struct endpoint v4 = {.v4 = {.sin_family = AF_INET, .sin_port = endpoint.v6.sin6_port},
                              .length = sizeof(v4.v4)};
        error = open_endpoint(&v4, ret_fd);
    }
    return error;
}
