// The agent as a user would run it: started, read, asked for its metrics and stopped, all from outside.
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    READY_MS = 20000,
    STOP_MS = 10000,
    METRICS_MAX = 1 << 20,
};

static const char ready_mark[] = "agent: ready: ", reloaded_mark[] = "agent: reloaded: ";

// --- What it writes ---

static void on_alert_line(struct agent *agent)
{
    agent->alerts++;
    if (agent->marker && strstr(agent->line, agent->marker))
        agent->matched++;
}

// Takes what the pipe holds. 0 also where it holds nothing; -EPIPE where the agent has closed it.
static int read_alerts(struct agent *agent)
{
    char data[65536];
    ssize_t length = read(agent->out_fd, data, sizeof(data));
    if (length <= 0)
        return length == 0 ? -EPIPE : errno == EAGAIN ? 0 : -errno;
    for (ssize_t i = 0; i < length; i++) {
        if (data[i] != '\n') {
            // What is longer than the buffer has shown its marker by then.
            if (agent->line_length < sizeof(agent->line) - 1)
                agent->line[agent->line_length++] = data[i];
            continue;
        }
        agent->line[agent->line_length] = '\0';
        on_alert_line(agent);
        agent->line_length = 0;
    }
    return 0;
}

// The agent writes each of its messages at once, so that a read holds whole lines.
static int read_messages(struct agent *agent)
{
    char data[8192];
    ssize_t length = read(agent->err_fd, data, sizeof(data) - 1);
    if (length <= 0)
        return length == 0 ? -EPIPE : errno == EAGAIN ? 0 : -errno;
    data[length] = '\0';
    char *state = NULL;
    for (char *line = strtok_r(data, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
        bool reloaded = strncmp(line, reloaded_mark, strlen(reloaded_mark)) == 0;
        agent->reloads += reloaded;
        const char *mark = reloaded ? reloaded_mark : ready_mark;
        bool ready = strncmp(line, mark, strlen(mark)) == 0;
        char *to = ready ? agent->ready_line : agent->last_error;
        snprintf(to, sizeof(agent->ready_line), "%s", ready ? line + strlen(mark) : line);
    }
    return 0;
}

int agent_pump(struct agent *agent, int pidfd, int timeout_ms)
{
    struct pollfd fds[] = {
        {.fd = agent->out_fd, .events = POLLIN},
        {.fd = agent->err_fd, .events = POLLIN},
        {.fd = pidfd, .events = POLLIN},
    };
    if (poll(fds, ARRAY_SIZE(fds), timeout_ms) < 0)
        return -errno;
    int error = fds[0].revents ? read_alerts(agent) : 0;
    if (!error && fds[1].revents)
        error = read_messages(agent);
    if (error)
        return error;
    return fds[2].revents ? 1 : 0;
}

int agent_wait_child(struct agent *agent, pid_t pid)
{
    int error = 0;
    if (agent) {
        int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0)
            return -errno;
        while (error == 0)
            error = agent_pump(agent, pidfd, -1);
        close(pidfd);
        if (error < 0) {
            fprintf(stderr, "bench: the agent has ended: %s\n", agent->last_error);
            kill(pid, SIGKILL);
        }
    }
    int status;
    if (waitpid(pid, &status, 0) != pid)
        return -errno;
    return error < 0 ? error : status ? -ECHILD : 0;
}

// --- Start and stop ---

static void become_agent(const char *path, const char *rules, const int *out, const int *err)
{
    // The file comes last and may be left out.
    bool metrics = rules && strncmp(rules, "--", 2) == 0;
    const char *mode = metrics ? rules : "--rules";
    const char *file = mode == rules ? NULL : rules;
    char *argv[] = {(char *)path, (char *)mode, "--json", "--listen", "127.0.0.1:0", (char *)file, NULL};
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    execv(path, argv);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", path, strerror(errno));
    _exit(127);
}

int agent_start(struct agent *agent, const char *path, const char *rules)
{
    int out[2], err[2];
    *agent = (struct agent){.out_fd = -1, .err_fd = -1};
    if (pipe2(out, O_CLOEXEC))
        return -errno;
    if (pipe2(err, O_CLOEXEC)) {
        close(out[0]);
        close(out[1]);
        return -errno;
    }
    uint64_t begin = now_ns();
    fflush(NULL);
    agent->pid = fork();
    if (agent->pid == 0)
        become_agent(path, rules, out, err);
    close(out[1]);
    close(err[1]);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);
    agent->out_fd = out[0];
    agent->err_fd = err[0];

    int error = agent->pid < 0 ? -EAGAIN : 0;
    while (!error && !agent->ready_line[0]) {
        error = agent_pump(agent, -1, READY_MS);
        if (!error && now_ns() - begin > READY_MS * UINT64_C(1000000))
            error = -ETIMEDOUT;
    }
    agent->ready_seconds = (double)(now_ns() - begin) / 1e9;
    const char *port = strstr(agent->ready_line, "metrics on port ");
    if (port)
        agent->port = (unsigned)atoi(port + strlen("metrics on port "));
    if (error) {
        while (read_messages(agent) == 0 && agent->last_error[0] == '\0')
            ;
        fprintf(stderr, "bench: the agent does not become ready: %s\n",
                agent->last_error[0] ? agent->last_error : strerror(-error));
        agent_stop(agent);
    }
    return error;
}

int agent_stop(struct agent *agent)
{
    if (agent->pid <= 0)
        return 0;
    kill(agent->pid, SIGTERM);
    int status, error = 0;
    int pidfd = (int)syscall(SYS_pidfd_open, agent->pid, 0);
    uint64_t deadline = now_ns() + STOP_MS * UINT64_C(1000000);
    // It may have alerts to write yet; its pipes closing is not the end of it.
    while (pidfd >= 0 && now_ns() < deadline) {
        struct pollfd end = {.fd = pidfd, .events = POLLIN};
        if (read_alerts(agent) == 0 && read_messages(agent) == 0 && poll(&end, 1, 10) == 0)
            continue;
        if (poll(&end, 1, STOP_MS) == 1)
            break;
    }
    if (waitpid(agent->pid, &status, WNOHANG) == 0) {
        kill(agent->pid, SIGKILL);
        waitpid(agent->pid, &status, 0);
    }
    if (status) {
        error = -ECHILD;
        // One that never became ready has been reported.
        if (agent->ready_line[0])
            fprintf(stderr, "bench: the agent did not end well (status 0x%x): %s\n", (unsigned)status,
                    agent->last_error);
    }
    if (pidfd >= 0)
        close(pidfd);
    close(agent->out_fd);
    close(agent->err_fd);
    agent->pid = 0;
    agent->out_fd = agent->err_fd = -1;
    return error;
}

// --- What it uses ---

static int read_proc(const struct agent *agent, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)agent->pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t length = read(fd, text, size - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    return length > 0 ? 0 : -EIO;
}

int agent_cpu_seconds(const struct agent *agent, double *ret_seconds)
{
    char text[1024];
    unsigned long user, system;
    int error = read_proc(agent, "stat", text, sizeof(text));
    if (error)
        return error;
    const char *after_name = strrchr(text, ')');
    if (!after_name ||
        sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
        return -EPROTO;
    *ret_seconds = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    return 0;
}

int agent_memory_bytes(const struct agent *agent, const char *name, double *ret_bytes)
{
    char text[4096];
    int error = read_proc(agent, "status", text, sizeof(text));
    const char *line = error ? NULL : strstr(text, name);
    if (!line)
        return error ? error : -EPROTO;
    *ret_bytes = strtod(line + strlen(name) + 1, NULL) * 1024;
    return 0;
}

// --- What it counts ---

static int connect_metrics(const struct agent *agent)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)agent->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

int agent_scrape(struct agent *agent, char **ret_text)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    // An agent that waits for us to read its alerts would not answer.
    int error = agent_pump(agent, -1, 0);
    int fd = error ? error : connect_metrics(agent);
    if (fd < 0)
        return fd;
    char *text = malloc(METRICS_MAX);
    size_t used = 0;
    if (!text || send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
        error = -EIO;
    while (!error && used < METRICS_MAX - 1) {
        ssize_t length = recv(fd, text + used, METRICS_MAX - 1 - used, 0);
        if (length <= 0) {
            error = length ? -errno : 0;
            break;
        }
        used += (size_t)length;
    }
    close(fd);
    if (!error && (used < 12 || strncmp(text + 8, " 200", 4) != 0))
        error = -EPROTO;
    if (error) {
        free(text);
        return error;
    }
    text[used] = '\0';
    *ret_text = text;
    return 0;
}

double metric_sum(const char *text, const char *name, const char *label)
{
    double sum = 0;
    size_t name_length = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *rest = line + name_length;
        if (strncmp(line, name, name_length) != 0 || (*rest != '{' && *rest != ' '))
            continue;
        const char *end = strchrnul(line, '\n');
        const char *found = label ? strstr(rest, label) : rest;
        if (!found || found > end)
            continue;
        // A label's value may hold spaces; the number stands after the last one.
        const char *number = end;
        while (number > rest && number[-1] != ' ')
            number--;
        sum += strtod(number, NULL);
    }
    return sum;
}
