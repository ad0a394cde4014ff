#include "sockets.h"

#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

union address address_of(const char *text, unsigned port)
{
    union address address = {};
    if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons((uint16_t)port);
    } else {
        cr_assert_eq(inet_pton(AF_INET6, text, &address.v6.sin6_addr), 1);
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons((uint16_t)port);
    }
    return address;
}

socklen_t size_of(const union address *address)
{
    return address->any.sa_family == AF_INET ? sizeof(address->v4) : sizeof(address->v6);
}

unsigned port_of(int fd, bool peer)
{
    union address address;
    socklen_t length = sizeof(address);
    cr_assert_eq((peer ? getpeername : getsockname)(fd, &address.any, &length), 0);
    return ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
}

int open_socket(int family, int type)
{
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    if (fd < 0 && errno == EAFNOSUPPORT)
        cr_skip_test("this kernel has no IPv6");
    cr_assert_geq(fd, 0, "%s", strerror(errno));
    return fd;
}

int serve(const char *text, int type, unsigned *ret_port)
{
    union address address = address_of(text, 0);
    int fd = open_socket(address.any.sa_family, type);
    if (bind(fd, &address.any, size_of(&address)) && errno == EADDRNOTAVAIL)
        cr_skip_test("loopback has no IPv6 address here");
    if (type == SOCK_STREAM)
        cr_assert_eq(listen(fd, 8), 0);
    *ret_port = port_of(fd, false);
    return fd;
}

int connect_to(int fd, const char *text, unsigned port)
{
    union address address = address_of(text, port);
    return connect(fd, &address.any, size_of(&address)) ? -errno : 0;
}

struct agent *start_socket_agent(const char *condition, const char *output)
{
    return agent_start(format_text("- rule: socket\n"
                                   "  desc: calls about sockets\n"
                                   "  condition: %s and proc.pid = %d\n"
                                   "  output: \"%%evt.type %s\"\n"
                                   "  priority: NOTICE\n",
                                   condition, getpid(), output),
                       NULL);
}

ssize_t send_to(int fd, const char *data, const char *text, unsigned port)
{
    union address address = address_of(text, port);
    ssize_t result = sendto(fd, data, strlen(data), 0, &address.any, size_of(&address));
    return result < 0 ? -errno : result;
}
