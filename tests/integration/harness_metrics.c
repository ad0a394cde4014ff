// The part of the harness that reads metrics.
#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

// The whole answer, owned.
static char *http_ask(unsigned port, const char *path)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = DEADLINE_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0, "port %u: %s", port,
                 strerror(errno));
    _cleanup_fclose_ FILE *stream = fdopen(fd, "r+");
    cr_assert(stream);
    fprintf(stream, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    fflush(stream);
    // The end of the stream is the end of the body, and no body holds a NUL.
    char *answer = NULL;
    size_t capacity = 0;
    cr_assert_gt(getdelim(&answer, &capacity, '\0', stream), 0, "no answer to GET %s", path);
    return answer;
}

// Leaves only the body; false where the status is not 200.
static bool keep_body(char *answer)
{
    char *body = strstr(answer, "\r\n\r\n");
    if (!body || strncmp(answer, "HTTP/1.1 200 ", 13) != 0)
        return false;
    memmove(answer, body + 4, strlen(body + 4) + 1);
    return true;
}

char *http_get(unsigned port, const char *path)
{
    char *answer = http_ask(port, path);
    cr_assert(keep_body(answer), "GET %s: %.200s", path, answer);
    return answer;
}

char *http_get_if_ok(unsigned port, const char *path)
{
    _cleanup_free_ char *answer = http_ask(port, path);
    return keep_body(answer) ? TAKE_PTR(answer) : NULL;
}

// Whether the labels of a sample line, from `{` on, hold each pair.
static bool has_labels(const char *line, size_t length, va_list *pairs)
{
    bool all = true;
    for (const char *label; (label = va_arg(*pairs, const char *));) {
        char wanted[512];
        snprintf(wanted, sizeof(wanted), "%s=\"%s\"", label, va_arg(*pairs, const char *));
        const char *found = memmem(line, length, wanted, strlen(wanted));
        all = all && found && (found[-1] == '{' || found[-1] == ',');
    }
    return all;
}

static double sum_samples(const char *text, const char *name, va_list *all_pairs)
{
    double sum = NAN;
    size_t name_length = strlen(name);
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        if (strncmp(line, name, name_length) == 0 && (line[name_length] == '{' || line[name_length] == ' ')) {
            va_list pairs;
            va_copy(pairs, *all_pairs);
            const char *value = line + length;
            while (value > line && value[-1] != ' ')
                value--;
            if (has_labels(line + name_length, length - name_length, &pairs))
                sum = (isnan(sum) ? 0 : sum) + strtod(value, NULL);
            va_end(pairs);
        }
        line += length + (line[length] == '\n');
    }
    return sum;
}

double metric_of(const char *text, const char *name, ...)
{
    va_list pairs;
    va_start(pairs, name);
    double value = sum_samples(text, name, &pairs);
    va_end(pairs);
    return value;
}

double agent_metric(struct agent *agent, const char *name, ...)
{
    _cleanup_free_ char *text = http_get(agent_port(agent), "/metrics");
    va_list pairs;
    va_start(pairs, name);
    double value = sum_samples(text, name, &pairs);
    va_end(pairs);
    return value;
}

void wait_looked(unsigned port)
{
    for (time_t until = time(NULL) + DEADLINE_S;; poll(NULL, 0, 50)) {
        _cleanup_free_ char *text = http_get(port, "/metrics");
        if (metric_of(text, "inferscope_probe_files_put_off", NULL) != 1)
            return;
        cr_assert_lt(time(NULL), until, "it still looks through files");
    }
}

void agent_wait_looked(struct agent *agent)
{
    wait_looked(agent_port(agent));
}

double agent_open_events(struct agent *agent)
{
    return agent_metric(agent, "inferscope_events_total", "source", "file", NULL);
}

size_t agent_descriptors(struct agent *agent)
{
    return (size_t)agent_metric(agent, "process_open_fds", NULL);
}
