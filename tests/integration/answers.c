#include "answers.h"

#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static int udp_socket(const char *address, unsigned port)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, address, &own.sin_addr);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0, "%s:%u: %s", address, port,
                 strerror(errno));
    return fd;
}

static size_t append(uint8_t *message, size_t used, const void *bytes, size_t size)
{
    memcpy(message + used, bytes, size);
    return used + size;
}

size_t answer_make(uint8_t *message, const char *label, const char *address, int rcode)
{
    uint8_t header[12] = {0x12, 0x34, 0x81, (uint8_t)(0x80 | rcode), 0, 1, 0, 1};
    size_t used = append(message, 0, header, sizeof(header));
    message[used++] = (uint8_t)strlen(label);
    used = append(message, used, label, strlen(label));
    used = append(message, used, "\x0ainferscope\7example\0\0\1\0\1", 24);
    used = append(message, used, "\xc0\x0c\0\1\0\1\0\0\1\0\0\4", 12);
    struct in_addr bytes;
    inet_pton(AF_INET, address, &bytes);
    return append(message, used, &bytes, sizeof(bytes));
}

void answer_send(const char *resolver, unsigned port, const uint8_t *message, size_t size)
{
    _cleanup_close_ int server = udp_socket(resolver, port);
    _cleanup_close_ int client = udp_socket("127.0.0.1", 0);
    struct sockaddr_in to;
    socklen_t length = sizeof(to);
    getsockname(client, (struct sockaddr *)&to, &length);
    cr_assert_eq(sendto(server, message, size, 0, (struct sockaddr *)&to, sizeof(to)), (ssize_t)size);
    uint8_t buffer[4096];
    cr_assert_eq(recv(client, buffer, sizeof(buffer), 0), (ssize_t)size);
}
