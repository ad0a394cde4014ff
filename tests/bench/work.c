// What other programs do while the agent watches.
#include "worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TOKENS = 32,
    TOKEN_NS = 200 * 1000, // what a small model takes on a fast GPU; most take far longer
};

// --- The loops ---

static int getpid_once(struct worker *worker)
{
    return syscall(SYS_getpid) > 0 ? 0 : -EIO;
}

int open_close(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static int open_once(struct worker *worker)
{
    return open_close(worker->place->file);
}

static int fork_exec_once(struct worker *worker)
{
    char *const argv[] = {(char *)worker->place->program, NULL}, *const envp[] = {NULL};
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        execve(argv[0], argv, envp);
        _exit(1);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid)
        return -errno;
    return status ? -EIO : 0;
}

static int connect_begin(struct worker *worker)
{
    socklen_t length = sizeof(worker->address);
    worker->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    worker->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (worker->listener < 0 || bind(worker->listener, (struct sockaddr *)&worker->address, length) ||
        listen(worker->listener, 16) ||
        getsockname(worker->listener, (struct sockaddr *)&worker->address, &length))
        return -errno;
    return 0;
}

static int connect_socket(struct worker *worker, int *ret_client, int *ret_server)
{
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client < 0 || connect(client, (struct sockaddr *)&worker->address, sizeof(worker->address)))
        return -errno;
    int server = accept4(worker->listener, NULL, NULL, SOCK_CLOEXEC);
    if (server < 0)
        return -errno;
    *ret_client = client;
    *ret_server = server;
    return 0;
}

static int connect_once(struct worker *worker)
{
    int client, server;
    int error = connect_socket(worker, &client, &server);
    if (error)
        return error;
    // A reset instead of TIME_WAIT, or the ports would run out.
    struct linger reset = {.l_onoff = 1};
    setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(client);
    close(server);
    return 0;
}

static void connect_end(struct worker *worker)
{
    close(worker->listener);
}

static int transfer(const struct worker *worker, int fd, char *data, bool out)
{
    for (size_t done = 0; done < MESSAGE_BYTES;) {
        ssize_t length;
        if (worker->by_read)
            length = out ? write(fd, data + done, MESSAGE_BYTES - done)
                         : read(fd, data + done, MESSAGE_BYTES - done);
        else
            length = out ? send(fd, data + done, MESSAGE_BYTES - done, MSG_NOSIGNAL)
                         : recv(fd, data + done, MESSAGE_BYTES - done, 0);
        if (length <= 0)
            return length ? -errno : -EPIPE;
        done += (size_t)length;
    }
    return 0;
}

// The other end: sends back what it gets until the connection ends.
static int echo_start(struct worker *worker)
{
    int client, server, on = 1;
    int error = connect_begin(worker);
    if (!error)
        error = connect_socket(worker, &client, &server);
    if (error)
        return error;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    worker->echo = fork();
    if (worker->echo < 0)
        return -errno;
    if (worker->echo == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(client);
        while (transfer(worker, server, worker->message, false) == 0 &&
               transfer(worker, server, worker->message, true) == 0)
            ;
        _exit(0);
    }
    close(server);
    worker->socket = client;
    return 0;
}

static int pingpong_rw_begin(struct worker *worker)
{
    worker->by_read = true;
    return echo_start(worker);
}

static int pingpong_once(struct worker *worker)
{
    int error = transfer(worker, worker->socket, worker->message, true);
    return error ? error : transfer(worker, worker->socket, worker->message, false);
}

static void pingpong_end(struct worker *worker)
{
    close(worker->socket);
    close(worker->listener);
    waitpid(worker->echo, NULL, 0);
}

// Both ends are ours: a datagram is there as soon as it was sent.
static int udp_begin(struct worker *worker)
{
    socklen_t length = sizeof(worker->address);
    worker->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    worker->listener = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    worker->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (worker->listener < 0 || worker->socket < 0 ||
        bind(worker->listener, (struct sockaddr *)&worker->address, length) ||
        getsockname(worker->listener, (struct sockaddr *)&worker->address, &length))
        return -errno;
    return 0;
}

static int udp_once(struct worker *worker)
{
    char *data = worker->message;
    if (sendto(worker->socket, data, MESSAGE_BYTES, 0, (struct sockaddr *)&worker->address,
               sizeof(worker->address)) < 0 ||
        recv(worker->listener, data, MESSAGE_BYTES, 0) < 0)
        return -errno;
    return 0;
}

static void udp_end(struct worker *worker)
{
    close(worker->socket);
    close(worker->listener);
}

// --- An inference server that streams ---

#define STREAM_BODY \
    "{\"messages\":[{\"role\":\"user\",\"content\":\"Say something.\"}],\"model\":\"m\",\"stream\":true}"
#define STREAM_EVENT                                                                                        \
    "data: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{\"content\":\" word\"}}],"          \
    "\"created\":1795185578,\"id\":\"chatcmpl-G5tpAYrxWSMWdQdxv3iOq0qxM24uf82q\",\"model\":\"tiny-model\"," \
    "\"system_fingerprint\":\"b11669\",\"object\":\"chat.completion.chunk\"}\n\n"

static const char stream_head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n";
static const char stream_end[] = "0\r\n\r\n";
static char stream_request[512], stream_token[512];

static int send_all(int fd, const char *text)
{
    return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text) ? 0 : -EPIPE;
}

static int receive_bytes(int fd, size_t count)
{
    char data[4096];
    while (count) {
        ssize_t length = recv(fd, data, count < sizeof(data) ? count : sizeof(data), 0);
        if (length <= 0)
            return length ? -errno : -EPIPE;
        count -= (size_t)length;
    }
    return 0;
}

static int serve_stream(int fd)
{
    int error = receive_bytes(fd, strlen(stream_request));
    if (!error)
        error = send_all(fd, stream_head);
    for (int i = 0; !error && i < TOKENS; i++) {
        uint64_t end = now_ns() + TOKEN_NS;
        while (now_ns() < end)
            ;
        error = send_all(fd, stream_token);
    }
    return error ? error : send_all(fd, stream_end);
}

static int stream_begin(struct worker *worker)
{
    int client, server, on = 1;
    int error = connect_begin(worker);
    if (!error)
        error = connect_socket(worker, &client, &server);
    if (error)
        return error;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    snprintf(stream_request, sizeof(stream_request),
             "POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(STREAM_BODY), STREAM_BODY);
    snprintf(stream_token, sizeof(stream_token), "%zx\r\n%s\r\n", strlen(STREAM_EVENT), STREAM_EVENT);
    worker->echo = fork();
    if (worker->echo < 0)
        return -errno;
    if (worker->echo == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(client);
        while (serve_stream(server) == 0)
            ;
        _exit(0);
    }
    close(server);
    worker->socket = client;
    return 0;
}

static int stream_once(struct worker *worker)
{
    int error = send_all(worker->socket, stream_request);
    return error ? error
                 : receive_bytes(worker->socket,
                                 strlen(stream_head) + TOKENS * strlen(stream_token) + strlen(stream_end));
}

// --- A pipe, which is no business of a source that follows sockets ---

static int pipe_begin(struct worker *worker)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return -errno;
    worker->listener = ends[0];
    worker->socket = ends[1];
    return 0;
}

static int pipe_once(struct worker *worker)
{
    return write(worker->socket, worker->message, 1) == 1 && read(worker->listener, worker->message, 1) == 1
               ? 0
               : -EIO;
}

static void pipe_end(struct worker *worker)
{
    close(worker->socket);
    close(worker->listener);
}

// --- Two processes on one CPU, each of which waits for the other ---

static int switch_begin(struct worker *worker)
{
    struct worker back = {};
    char byte;
    if (pipe_begin(worker) || pipe_begin(&back) || (worker->echo = fork()) < 0)
        return -errno;
    if (worker->echo == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(worker->socket);
        while (read(worker->listener, &byte, 1) == 1 && write(back.socket, &byte, 1) == 1)
            ;
        _exit(0);
    }
    close(worker->listener);
    close(back.socket);
    worker->listener = back.listener;
    return 0;
}

// --- A lot of data one way ---

static int throughput_begin(struct worker *worker)
{
    static char data[65536];
    int client, server;
    int error = connect_begin(worker);
    if (!error)
        error = connect_socket(worker, &client, &server);
    if (error)
        return error;
    worker->echo = fork();
    if (worker->echo < 0)
        return -errno;
    if (worker->echo == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(client);
        while (recv(server, data, sizeof(data), 0) > 0)
            ;
        _exit(0);
    }
    close(server);
    worker->socket = client;
    return 0;
}

static int throughput_once(struct worker *worker)
{
    static char data[65536];
    for (size_t done = 0; done < sizeof(data);) {
        ssize_t length = send(worker->socket, data + done, sizeof(data) - done, MSG_NOSIGNAL);
        if (length <= 0)
            return -errno;
        done += (size_t)length;
    }
    return 0;
}

static const struct workload workloads[WORK_ALL] = {
    [WORK_GETPID] = {"getpid", "getpid()", 1, 1000, .once = getpid_once},
    [WORK_OPEN] = {"open_close", "open + close", 1, 100, .once = open_once},
    [WORK_OPEN_TWICE] = {"open_close_2", "open + close, two processes", 2, 100, .once = open_once},
    [WORK_FORK_EXEC] = {"fork_exec", "fork + exec + wait", 1, 4, .once = fork_exec_once},
    [WORK_CONNECT] = {"connect", "TCP connect + accept", 1, 20, connect_begin, connect_once, connect_end},
    [WORK_PINGPONG_RW] = {"pingpong_rw", "1 KB ping-pong, read/write", 1, 50, pingpong_rw_begin,
                          pingpong_once, pingpong_end},
    [WORK_PINGPONG_SR] = {"pingpong_sr", "1 KB ping-pong, send/recv", 1, 50, echo_start, pingpong_once,
                          pingpong_end},
    [WORK_UDP] = {"udp", "1 KB UDP sendto + recv", 1, 100, udp_begin, udp_once, udp_end},
    [WORK_STREAM] = {"stream", "Stream of 32 tokens, 0.2 ms each", 1, 1, stream_begin, stream_once,
                     pingpong_end},
    [WORK_PIPE] = {"pipe", "pipe, write + read", 1, 100, pipe_begin, pipe_once, pipe_end},
    [WORK_THROUGHPUT] = {"throughput", "64 KB over TCP, one way", 1, 10, throughput_begin, throughput_once,
                         pingpong_end},
    [WORK_SWITCH] = {"switch", "two processes take turns by pipes", 1, 50, switch_begin, pipe_once,
                     pingpong_end},
};

const struct workload *work_at(size_t index)
{
    return &workloads[index];
}
