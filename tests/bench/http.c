// What servers of HTTP pay when inference requests are followed. A client keeps them busy: with several
// requests on their way, it is the server that sets the pace.
#include "bench.h"

#include "tests/servers/root.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CONNECTIONS = 8,
    TOKENS = 16,
    ANSWER_MAX = 65536,
    PATIENCE_NS = 2000 * 1000 * 1000, // for a server to listen
    WARM_UP_NS = 700 * 1000 * 1000,   // Node is slower until it has compiled what it runs
    SLICES = 40,
    SLICE_NS = 10 * 1000 * 1000,
};

enum kind { NODE, NODE_STREAM, LLAMA, PLAIN, KINDS };

static const struct {
    const char *key, *name;
    double limit;
} kinds[KINDS] = {
    [NODE] = {"http_node", "--inference: answer of Node", 1 / 0.97},
    [NODE_STREAM] = {"http_node_stream", "--inference: stream of Node, 16 events", 1 / 0.97},
    [LLAMA] = {"http_llama", "--inference: answer of llama-server", 1 / 0.97},
    [PLAIN] = {"http_plain", "--inference: answer, a server that does nothing else", 0},
};

struct http {
    pid_t server;
    unsigned port;
    int log;                      // what the server writes
    int connections[CONNECTIONS]; // each with a request on its way
    size_t next;
    char request[512];
};

static const char listening[] = "listening on http://127.0.0.1:";
static const char content_length[] = "\r\nContent-Length:", last_chunk[] = "\r\n0\r\n\r\n";

// --- Servers ---

// Built beside this program.
static void find_plain(char *ret_path, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", ret_path, size - sizeof("plain-server"));
    ret_path[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(ret_path, '/');
    strcpy(slash ? slash + 1 : ret_path, "plain-server");
}

static _Noreturn void become(enum kind kind, int log)
{
    static const char *const node[] = {"/usr/bin/node", "tests/servers/server.js", NULL};
    char path[4096];
    find_plain(path, sizeof(path));
    const char *const plain[] = {path, NULL};
    const char *const *arguments = kind == PLAIN ? plain : kind == LLAMA ? root_llama_server : node;
    int error = kind == LLAMA ? root_enter("build/servers/root", NULL) : 0;
    if (!error && kind == LLAMA)
        error = root_write_model("/mnt/tiny.gguf");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int terminal = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (!error && dup2(log, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0) {
        execv(arguments[0], (char *const *)arguments);
        error = -errno;
    }
    dprintf(terminal, "bench: cannot run %s: %s\n", arguments[0], strerror(-error));
    _exit(127);
}

// The port that the server has written of; 0: not yet.
static unsigned find_port(int log)
{
    static char text[ANSWER_MAX];
    ssize_t length = pread(log, text, sizeof(text) - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    const char *where = strstr(text, listening);
    return where && strchr(where, '\n') ? (unsigned)atoi(where + strlen(listening)) : 0;
}

static int start(struct http *http, enum kind kind)
{
    http->log = memfd_create("log", MFD_CLOEXEC);
    http->server = http->log < 0 ? -1 : fork();
    if (http->server < 0)
        return -errno;
    if (http->server == 0)
        become(kind, http->log);
    for (uint64_t until = now_ns() + PATIENCE_NS; (http->port = find_port(http->log)) == 0;) {
        if (waitpid(http->server, NULL, WNOHANG) != 0)
            return -ECHILD;
        if (now_ns() > until)
            return -ETIMEDOUT;
        usleep(5000);
    }
    return 0;
}

// --- The client ---

static int ask(const struct http *http, int connection)
{
    size_t length = strlen(http->request);
    return send(connection, http->request, length, MSG_NOSIGNAL) == (ssize_t)length ? 0 : -EIO;
}

// Whether all of an answer has come, of which each connection awaits only one; -EBADMSG: it is an error.
static int is_complete(char *answer, size_t length)
{
    char *body = strstr(answer, "\r\n\r\n");
    if (!body)
        return 0;
    if (strncmp(answer, "HTTP/1.1 200 ", 13) != 0)
        return -EBADMSG;
    *body = '\0';
    const char *announced = strcasestr(answer, content_length);
    size_t wanted = announced ? strtoul(announced + strlen(content_length), NULL, 10) : 0;
    *body = '\r';
    if (announced)
        return length - (size_t)(body + 4 - answer) >= wanted;
    return strcmp(answer + length - strlen(last_chunk), last_chunk) == 0;
}

static int once(struct http *http)
{
    static char answer[ANSWER_MAX];
    int connection = http->connections[http->next++ % CONNECTIONS], complete = 0;
    for (size_t length = 0; !complete;) {
        ssize_t more = recv(connection, answer + length, sizeof(answer) - 1 - length, 0);
        if (more <= 0)
            return more ? -errno : -EPIPE;
        length += (size_t)more;
        answer[length] = '\0';
        complete = is_complete(answer, length);
    }
    return complete < 0 ? complete : ask(http, connection);
}

static int begin(struct http *http, enum kind kind)
{
    char body[256];
    snprintf(body, sizeof(body),
             "{\"messages\":[{\"role\":\"user\",\"content\":\"a short prompt\"}],\"model\":\"tiny\","
             "\"max_tokens\":%d,\"ignore_eos\":true%s}",
             TOKENS, kind == NODE_STREAM ? ",\"stream\":true" : "");
    snprintf(http->request, sizeof(http->request),
             "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    int on = 1, error = start(http, kind);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (size_t i = 0; !error && i < CONNECTIONS; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
            return -errno;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        http->connections[i] = fd;
        error = ask(http, fd);
    }
    return error;
}

static int run_for(struct http *http, uint64_t duration_ns, double *ret_ns)
{
    uint64_t count = 0, begun = now_ns(), end;
    do {
        int error = once(http);
        if (error)
            return error;
        count++;
        end = now_ns();
    } while (end - begun < duration_ns);
    *ret_ns = (double)(end - begun) / (double)count;
    return 0;
}

// In a child, which the server ends with. The quarter of the slices that went best is passed.
static int measure_here(enum kind kind, double *ret_ns)
{
    static struct http http;
    double slices[SLICES], warm_up;
    int error = begin(&http, kind);
    if (!error)
        error = run_for(&http, WARM_UP_NS, &warm_up);
    for (size_t i = 0; !error && i < SLICES; i++)
        error = run_for(&http, SLICE_NS, &slices[i]);
    if (!error) {
        median(slices, SLICES); // sorts them
        *ret_ns = slices[SLICES / 4];
    }
    if (http.server > 0) {
        kill(http.server, SIGKILL);
        waitpid(http.server, NULL, 0);
    }
    return error;
}

static int measure_kind(enum kind kind, struct agent *agent, double *ret_ns)
{
    double *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return -errno;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        int error = measure_here(kind, shared);
        if (error)
            fprintf(stderr, "bench: %s: %s\n", kinds[kind].name, strerror(-error));
        _exit(error ? 1 : 0);
    }
    int error = pid < 0 ? -errno : agent_wait_child(agent, pid);
    *ret_ns = *shared;
    munmap(shared, sizeof(*shared));
    return error;
}

// --- With and without the agent ---

static int measure_round(struct bench *bench, double results[KINDS][2])
{
    int error = 0;
    for (int with = 0; !error && with < 2; with++) {
        struct agent *agent = with ? &bench->agent : NULL;
        if (agent)
            error = agent_start(agent, bench->agent_path, INFERENCE_ONLY);
        for (size_t kind = 0; !error && kind < KINDS; kind++) {
            say("%s%s", kinds[kind].name, with ? "" : ", without the agent");
            error = measure_kind((enum kind)kind, agent, &results[kind][with]);
        }
        if (agent) {
            int stopped = agent_stop(agent);
            error = error ? error : stopped;
        }
    }
    return error;
}

int measure_http(struct bench *bench)
{
    static double results[ROUNDS_MAX][KINDS][2];
    for (int round = 0; round < bench->rounds; round++) {
        int error = measure_round(bench, results[round]);
        if (error)
            return error;
    }
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct figure figure = {.key = kinds[kind].key,
                                .name = kinds[kind].name,
                                .kind = FIGURE_RATIO,
                                .limit = kinds[kind].limit};
        double sides[2][ROUNDS_MAX];
        for (int round = 0; round < bench->rounds; round++) {
            double ratio = results[round][kind][1] / results[round][kind][0];
            figure.low = round == 0 || ratio < figure.low ? ratio : figure.low;
            figure.high = round == 0 || ratio > figure.high ? ratio : figure.high;
            sides[0][round] = results[round][kind][0];
            sides[1][round] = results[round][kind][1];
        }
        figure.without = quartile(sides[0], (size_t)bench->rounds);
        figure.with = quartile(sides[1], (size_t)bench->rounds);
        figure.value = figure.with / figure.without;
        add_figure(bench, &figure);
    }
    return 0;
}
