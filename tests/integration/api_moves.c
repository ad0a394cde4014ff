#include "api_moves.h"

#include <string.h>
#include <sys/uio.h>

enum { PIECES_MAX = 600 };

// Of 1 to 7 bytes, so that they end anywhere; the last takes what is left.
static size_t in_pieces(struct iovec pieces[PIECES_MAX], char *data, size_t length)
{
    // Before that the first 16 are looked at.
    size_t count = 0, max = kernel_at_least(5, 17) ? PIECES_MAX : 16;
    for (size_t at = 0; at < length && count < max; count++) {
        size_t size = count + 1 == max ? length - at : 1 + count % 7;
        size = size < length - at ? size : length - at;
        pieces[count] = (struct iovec){data + at, size};
        at += size;
    }
    return count;
}

static ssize_t by_writev(int fd, char *data, size_t length)
{
    struct iovec pieces[PIECES_MAX];
    return writev(fd, pieces, (int)in_pieces(pieces, data, length));
}

static ssize_t by_readv(int fd, char *data, size_t length)
{
    struct iovec pieces[PIECES_MAX];
    return readv(fd, pieces, (int)in_pieces(pieces, data, length));
}

static ssize_t by_sendmsg(int fd, char *data, size_t length)
{
    struct iovec pieces[PIECES_MAX];
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = in_pieces(pieces, data, length)};
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static ssize_t by_recvmsg(int fd, char *data, size_t length)
{
    struct iovec pieces[PIECES_MAX];
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = in_pieces(pieces, data, length)};
    return recvmsg(fd, &message, 0);
}

static ssize_t by_send(int fd, char *data, size_t length)
{
    return send(fd, data, length, 0);
}

// Looks first, as nginx does; what was only looked at does not count.
static ssize_t by_recv(int fd, char *data, size_t length)
{
    char first[16];
    return recv(fd, first, sizeof(first), MSG_PEEK) > 0 ? recv(fd, data, length, 0) : -1;
}

static ssize_t by_read(int fd, char *data, size_t length)
{
    return read(fd, data, length);
}

static ssize_t by_write(int fd, char *data, size_t length)
{
    return write(fd, data, length);
}

static const struct {
    ssize_t (*receive)(int fd, char *data, size_t length);
    ssize_t (*send)(int fd, char *data, size_t length);
} moves[MOVES] = {{by_read, by_write}, {by_readv, by_writev}, {by_recv, by_send}, {by_recvmsg, by_sendmsg}};

void serve_stream(const struct pair *pair, size_t move, size_t piece)
{
    char data[4096];
    const char *request = request_to("/v1/chat/completions", "", CHAT_BODY);
    const char *said =
        format_text(HEAD "%s%s%s0\r\n\r\n", chunk(ROLE TOKEN), chunk(TOKEN TOKEN), chunk(LAST USAGE DONE));
    cr_assert_eq(write(pair->client, request, strlen(request)), (ssize_t)strlen(request));
    for (size_t at = 0; at < strlen(request);) {
        ssize_t count = moves[move].receive(pair->server, data, piece);
        cr_assert_gt(count, 0);
        at += (size_t)count;
    }
    for (size_t at = 0; at < strlen(said);) {
        size_t left = strlen(said) - at;
        size_t size = left < piece ? left : piece;
        memcpy(data, said + at, size);
        cr_assert_eq(moves[move].send(pair->server, data, size), (ssize_t)size);
        at += size;
    }
}
