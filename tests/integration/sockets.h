// Sockets on loopback, as the tests of several sources need them. Where this machine has no IPv6 the test is
// skipped with a reason.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

struct agent;

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

union address address_of(const char *text, unsigned port);
socklen_t size_of(const union address *address);
// The port of the socket itself or of its peer.
unsigned port_of(int fd, bool peer);
// SOCK_CLOEXEC; `type` may hold SOCK_NONBLOCK.
int open_socket(int family, int type);
// A socket that is bound, and listens where it can, on a port that the kernel chose.
int serve(const char *text, int type, unsigned *ret_port);
// An agent with one rule, "socket", whose condition holds for this process alone. evt.type is in its output.
struct agent *start_socket_agent(const char *condition, const char *output);

// 0 or a negative errno.
int connect_to(int fd, const char *text, unsigned port);
// A datagram; the bytes that were sent or a negative errno.
ssize_t send_to(int fd, const char *data, const char *text, unsigned port);
