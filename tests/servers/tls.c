// A small server that encrypts by an OpenSSL of its own, for what other servers do not do: it answers every
// request alike. Usage: tls-server CERTIFICATE KEY [WORD…]
//   bytes    reads requests a byte at a time, as llama-server does their heads
//   ex       by SSL_read_ex() and SSL_write_ex()
//   memory   lets OpenSSL read and write memory, not the socket
//   reuse    one SSL object for all connections, by SSL_clear()
//   hang     begins a stream and never goes on
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool bytes, ex, memory, reuse, hang;

static const char body[] = "{\"model\":\"tiny\",\"choices\":[{\"message\":{\"content\":\"x\"}}],"
                           "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}";

// Moves what lies in memory to and from the socket; false where that has ended.
static bool exchange(SSL *ssl, int fd, bool receive)
{
    char buffer[16384];
    int count;
    while (memory && (count = BIO_read(SSL_get_wbio(ssl), buffer, sizeof(buffer))) > 0)
        if (send(fd, buffer, (size_t)count, MSG_NOSIGNAL) != count)
            return false;
    if (!memory || !receive)
        return memory || !receive;
    ssize_t received = recv(fd, buffer, sizeof(buffer), 0);
    return received > 0 && BIO_write(SSL_get_rbio(ssl), buffer, (int)received) == received;
}

static int read_some(SSL *ssl, int fd, char *text, int size)
{
    for (;;) {
        size_t count = 0;
        int result = ex ? SSL_read_ex(ssl, text, (size_t)size, &count) : SSL_read(ssl, text, size);
        if (result > 0)
            return ex ? (int)count : result;
        if (!exchange(ssl, fd, true))
            return 0;
    }
}

static void write_all(SSL *ssl, int fd, const char *text)
{
    size_t count = strlen(text), written;
    if (ex)
        SSL_write_ex(ssl, text, count, &written);
    else
        SSL_write(ssl, text, (int)count);
    exchange(ssl, fd, false);
}

// Reads a request; false where there is none.
static bool read_request(SSL *ssl, int fd)
{
    static char text[65536];
    size_t length = 0, wanted = 0;
    while (!wanted || length < wanted) {
        int count = read_some(ssl, fd, text + length, bytes ? 1 : (int)(sizeof(text) - 1 - length));
        if (count <= 0 || length + (size_t)count >= sizeof(text) - 1)
            return false;
        length += (size_t)count;
        text[length] = '\0';
        const char *end = strstr(text, "\r\n\r\n"), *size = strcasestr(text, "\r\nContent-Length:");
        if (end && !wanted)
            wanted = (size_t)(end - text) + 4 + (size && size < end ? strtoul(size + 17, NULL, 10) : 0);
    }
    return true;
}

static void serve(SSL *ssl, int fd)
{
    char answer[512];
    snprintf(answer, sizeof(answer),
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             sizeof(body) - 1, body);
    int result;
    while ((result = SSL_accept(ssl)) != 1)
        if (!exchange(ssl, fd, true))
            return;
    exchange(ssl, fd, false);
    while (read_request(ssl, fd)) {
        if (hang) {
            write_all(
                ssl, fd,
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                "2a\r\ndata: {\"choices\":[{\"text\":\"x\",\"i\":12345}]}\r\n2\r\n\n\n\r\n");
            printf("hangs\n");
            fflush(stdout);
            read_request(ssl, fd);
            return;
        }
        write_all(ssl, fd, answer);
    }
}

static int listen_any(unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) || listen(fd, 128) ||
        getsockname(fd, (struct sockaddr *)&address, &length))
        return -1;
    *ret_port = ntohs(address.sin_port);
    return fd;
}

int main(int argc, char **argv)
{
    unsigned port;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL *ssl = NULL;
    for (int i = 3; i < argc; i++) {
        bytes |= strcmp(argv[i], "bytes") == 0;
        ex |= strcmp(argv[i], "ex") == 0;
        memory |= strcmp(argv[i], "memory") == 0;
        reuse |= strcmp(argv[i], "reuse") == 0;
        hang |= strcmp(argv[i], "hang") == 0;
    }
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_any(&port);
    if (argc < 3 || listener < 0 || SSL_CTX_use_certificate_file(context, argv[1], SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "tls-server: cannot start\n");
        return 1;
    }
    printf("listening on https://127.0.0.1:%u\n", port);
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            return 1;
        if (!ssl)
            ssl = SSL_new(context);
        if (memory)
            SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        else
            SSL_set_fd(ssl, fd);
        SSL_set_accept_state(ssl);
        serve(ssl, fd);
        if (reuse)
            SSL_clear(ssl);
        else
            SSL_free(ssl);
        if (!reuse)
            ssl = NULL;
        close(fd);
    }
}
