// Starts and stops servers. Each says on its output where it listens, but for nginx, which is told.
#include "servers.h"

#include "harness.h"
#include "tests/servers/root.h"
#include "tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct server {
    const char *name;
    pid_t pid;
    int pid_fd;
    unsigned port;
    bool tls;
    bool closes;     // connections after streams, whoever would keep them
    const char *log; // what it writes goes to this file
};

static const char cache[] = "build/servers", listening[] = "listening on http", at[] = "://127.0.0.1:";

const char *servers_root(void)
{
    char path[PATH_MAX];
    _cleanup_free_ char *failure = read_whole_file(format_text("%s/failure", cache));
    if (failure)
        cr_assert_fail("tests/servers/fetch has failed: %s", failure);
    if (!realpath(format_text("%s/root", cache), path))
        cr_skip_test("there is no llama-server here: tests/servers/fetch build/servers gets it");
    return format_text("%s", path);
}

// Starts a program with its output in a file. With a root, in process and mount namespaces of its own, as in
// a container, so that whatever it has started ends with it.
static struct server *start(const char *name, const char *root, const char *const *arguments)
{
    static unsigned count;
    struct server *server = calloc(1, sizeof(*server));
    cr_assert(server);
    server->name = name;
    server->log = test_path("%s-%u.log", name, count++);
    _cleanup_close_ int log = open(server->log, O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0644);
    cr_assert_geq(log, 0);
    // fork() into a new namespace; only system calls and exec follow, so libc's own bookkeeping is not
    // missed.
    unsigned long flags = SIGCHLD | (root ? CLONE_NEWPID : 0);
    server->pid = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
    cr_assert_geq(server->pid, 0, "%s: %s", name, strerror(errno));
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(log, 1);
        dup2(log, 2);
        int error = root ? root_enter(root, test_dir()) : 0;
        if (!error)
            execv(arguments[0], (char *const *)arguments);
        dprintf(2, "%s: %s\n", arguments[0], strerror(error ? -error : errno));
        _exit(127);
    }
    server->pid_fd = (int)syscall(SYS_pidfd_open, server->pid, 0);
    cr_assert_geq(server->pid_fd, 0);
    return server;
}

// What the server has written until now, for the person who reads a failure.
static const char *said(const struct server *server)
{
    _cleanup_free_ char *text = read_whole_file(server->log);
    return format_text("%s", text ? text : "");
}

static bool has_ended(const struct server *server, int wait_ms)
{
    struct pollfd end = {.fd = server->pid_fd, .events = POLLIN};
    return poll(&end, 1, wait_ms) > 0;
}

// A connected socket, or -1.
static int try_connect(const struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)server->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? TAKE_FD(fd) : -1;
}

static bool is_serving(struct server *server)
{
    if (server->port) {
        _cleanup_close_ int fd = try_connect(server);
        return fd >= 0;
    }
    _cleanup_free_ char *text = read_whole_file(server->log);
    const char *where = text ? strstr(text, listening) : NULL;
    where = where ? strstr(where, at) : NULL;
    if (!where || !strchr(where, '\n'))
        return false;
    server->port = (unsigned)strtoul(where + strlen(at), NULL, 10);
    return true;
}

// Looks again and again, as there is nothing that could wake us.
static struct server *wait_serving(struct server *server)
{
    time_t until = time(NULL) + DEADLINE_S;
    while (!is_serving(server)) {
        bool ended = has_ended(server, 10);
        cr_assert(!ended && time(NULL) < until, "%s %s and said: %s", server->name,
                  ended ? "ended" : "does not serve", said(server));
    }
    return server;
}

// --- Each of them ---

// A certificate and its key; in a root, the test's folder is /mnt.
static void make_certificate(void)
{
    tls_make_certificate(test_path("cert.pem"), test_path("key.pem"));
}

static struct server *start_llama(bool tls)
{
    const char *root = servers_root(), *arguments[64];
    static const char *const extra[] = {"--ssl-cert-file", "/mnt/cert.pem", "--ssl-key-file", "/mnt/key.pem"};
    size_t count = 0;
    cr_assert_eq(root_write_model(test_path("tiny.gguf")), 0);
    for (; root_llama_server[count]; count++)
        arguments[count] = root_llama_server[count];
    for (size_t i = 0; tls && i < ARRAY_SIZE(extra); i++)
        arguments[count++] = extra[i];
    arguments[count] = NULL;
    return start("llama-server", root, arguments);
}

static struct server *start_script(const char *interpreter, const char *script, bool tls)
{
    char path[PATH_MAX];
    if (access(interpreter, X_OK) || !realpath(format_text("tests/servers/%s", script), path))
        cr_skip_test("%s is not installed, or its script is not here", interpreter);
    const char *arguments[] = {interpreter, path, tls ? test_path("cert.pem") : NULL, test_path("key.pem"),
                               NULL};
    return start(strrchr(interpreter, '/') + 1, NULL, arguments);
}

// A bound socket on a port that the kernel chooses.
static int bind_any(unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, length), 0);
    getsockname(fd, (struct sockaddr *)&address, &length);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

// Built next to this program.
static struct server *start_plain(void)
{
    const char *arguments[] = {program_beside("plain-server"), NULL};
    return start("plain-server", NULL, arguments);
}

static struct server *start_kind(enum server_kind kind, bool tls)
{
    struct server *server = NULL;
    if (tls)
        make_certificate();
    switch (kind) {
    case SERVER_LLAMA:
        server = wait_serving(start_llama(tls));
        server->closes = true; // nginx would answer 502 where it finds a connection closed that it has kept
        break;
    case SERVER_NODE:
        server = wait_serving(start_script("/usr/bin/node", "server.js", tls));
        break;
    case SERVER_PYTHON:
        server = wait_serving(start_script("/usr/bin/python3", "server.py", tls));
        break;
    case SERVER_PLAIN:
        server = wait_serving(start_plain());
    }
    server->tls = tls;
    return server;
}

struct server *server_start(enum server_kind kind)
{
    return start_kind(kind, false);
}

struct server *server_start_tls(enum server_kind kind)
{
    return start_kind(kind, true);
}

struct server *server_start_program(const char *name, const char *const *arguments)
{
    struct server *server = wait_serving(start(name, NULL, arguments));
    server->tls = true;
    return server;
}

static struct server *start_proxy(const struct server *upstream, bool tls)
{
    if (tls)
        make_certificate();
    const char *root = servers_root(), *config = test_path("nginx.conf");
    // Holds the port until nginx shares it; a socket that does not listen gets no connection.
    unsigned port;
    _cleanup_close_ int held = bind_any(&port);
    write_file(config,
               format_text("daemon off;\n"
                           "user root;\n"
                           "pid /mnt/nginx.pid;\n"
                           "error_log stderr;\n"
                           "worker_processes 1;\n"
                           "events {}\n"
                           "http {\n"
                           "    access_log off;\n"
                           "    client_body_temp_path /mnt/nginx-body;\n"
                           "    proxy_temp_path /mnt/nginx-proxy;\n"
                           "    fastcgi_temp_path /mnt/nginx-fastcgi;\n"
                           "    uwsgi_temp_path /mnt/nginx-uwsgi;\n"
                           "    scgi_temp_path /mnt/nginx-scgi;\n"
                           "    upstream server {\n"
                           "        server 127.0.0.1:%u;\n"
                           "        %s\n"
                           "    }\n"
                           "    server {\n"
                           "        listen 127.0.0.1:%u reuseport%s;\n"
                           "%s"
                           "        location / {\n"
                           "            proxy_pass http://server;\n"
                           "            proxy_http_version 1.1;\n"
                           "            proxy_set_header Connection \"%s\";\n"
                           "            proxy_buffering off;\n"
                           "        }\n"
                           "    }\n"
                           "}\n",
                           upstream->port, upstream->closes ? "" : "keepalive 16;", port, tls ? " ssl" : "",
                           tls ? "        ssl_certificate /mnt/cert.pem;\n"
                                 "        ssl_certificate_key /mnt/key.pem;\n"
                               : "",
                           upstream->closes ? "close" : ""));
    const char *arguments[] = {"/usr/sbin/nginx", "-c", "/mnt/nginx.conf", "-e", "stderr", NULL};
    struct server *server = start("nginx", root, arguments);
    server->port = port;
    server->tls = tls;
    return wait_serving(server);
}

struct server *server_start_proxy(const struct server *upstream)
{
    return start_proxy(upstream, false);
}

struct server *server_start_tls_proxy(const struct server *upstream)
{
    return start_proxy(upstream, true);
}

void server_stop(struct server *server)
{
    kill(server->pid, SIGTERM);
    bool ended = has_ended(server, DEADLINE_S * 1000);
    if (!ended)
        kill(server->pid, SIGKILL);
    wait_for_exit(server->pid);
    cr_expect(ended, "%s did not end when it was asked to, and said: %s", server->name, said(server));
    close(server->pid_fd);
    free(server);
}

void server_kill(struct server *server)
{
    kill(server->pid, SIGKILL);
    wait_for_exit(server->pid);
    close(server->pid_fd);
    free(server);
}

void server_wait_said(struct server *server, const char *text)
{
    time_t until = time(NULL) + DEADLINE_S;
    while (!strstr(said(server), text)) {
        bool ended = has_ended(server, 10);
        cr_assert(!ended && time(NULL) < until, "%s does not say '%s'", server->name, text);
    }
}

int server_connect(const struct server *server)
{
    int fd = try_connect(server);
    cr_assert_geq(fd, 0, "%s: %s", server->name, strerror(errno));
    return fd;
}

const char *server_name(const struct server *server)
{
    return server->name;
}

unsigned server_port(const struct server *server)
{
    return server->port;
}

pid_t server_pid(const struct server *server)
{
    return server->pid;
}

bool server_is_tls(const struct server *server)
{
    return server->tls;
}

// What it says at /metrics.
static char *own_metrics(const struct server *server)
{
    if (!server->tls)
        return http_get(server->port, "/metrics");
    const char *bodies[] = {"", NULL};
    struct load load = {.port = server->port,
                        .tls = true,
                        .route = "/metrics",
                        .head = "",
                        .bodies = bodies,
                        .requests = 1,
                        .at_once = 1};
    struct answer *answer = load_run(&load);
    char *text = strdup(answer->body);
    answers_free(answer, 1);
    return text;
}

struct tally server_tally(const struct server *server)
{
    _cleanup_free_ char *text = own_metrics(server);
    return (struct tally){
        .prompt_tokens = (uint64_t)(metric_of(text, "llamacpp:prompt_tokens_total", NULL) +
                                    metric_of(text, "llamacpp:prompt_tokens_cached_total", NULL)),
        .output_tokens = (uint64_t)metric_of(text, "llamacpp:tokens_predicted_total", NULL),
    };
}
