#include "prometheus.h"

#include "deliver.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

bool is_installed(const char *program)
{
    _cleanup_free_ char *output = NULL;
    return run_captured(&output, program, "--version", NULL) == 0;
}

static struct sockaddr_in loopback(unsigned port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

// HTTP 1.0, because the body then ends with the connection, however long it is. NULL: nobody listens.
static char *ask(unsigned port, const char *path)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return NULL;
    }
    _cleanup_fclose_ FILE *stream = fdopen(fd, "r+");
    fprintf(stream, "GET %s HTTP/1.0\r\n\r\n", path);
    fflush(stream);
    char *answer = NULL;
    size_t capacity = 0;
    if (getdelim(&answer, &capacity, '\0', stream) <= 0) {
        free(answer);
        return NULL;
    }
    return answer;
}

json_t *prometheus_get(const struct prometheus *prometheus, const char *path)
{
    _cleanup_free_ char *answer = ask(prometheus->port, path);
    const char *body = answer ? strstr(answer, "\r\n\r\n") : NULL;
    json_t *whole = body ? json_loads(body, 0, NULL) : NULL;
    json_t *data = json_incref(json_object_get(whole, "data"));
    json_decref(whole);
    return data;
}

json_t *prometheus_query(const struct prometheus *prometheus, const char *expression)
{
    _cleanup_free_ char *path = NULL;
    size_t size = 0;
    FILE *text = open_memstream(&path, &size);
    fputs("/api/v1/query?query=", text);
    for (const char *p = expression; *p; p++)
        fprintf(text, isalnum((unsigned char)*p) ? "%c" : "%%%02X", (unsigned char)*p);
    fclose(text);
    json_t *data = prometheus_get(prometheus, path);
    json_t *result = json_incref(json_object_get(data, "result"));
    json_decref(data);
    return result;
}

void prometheus_start(struct prometheus *prometheus, const struct agent *agent, const char *more)
{
    prometheus->port = free_port();
    const char *config = test_path("prometheus.yml");
    write_file(config, format_text("scrape_configs:\n"
                                   "- job_name: inferscope\n"
                                   "  scrape_interval: 1s\n"
                                   "  static_configs:\n"
                                   "  - targets: ['127.0.0.1:%u']\n"
                                   "%s",
                                   agent_port(agent), more));
    const char *arguments[] = {"prometheus",
                               format_text("--config.file=%s", config),
                               format_text("--storage.tsdb.path=%s", test_path("data")),
                               format_text("--web.listen-address=127.0.0.1:%u", prometheus->port),
                               "--log.level=error",
                               NULL};
    prometheus->pid = fork();
    if (prometheus->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execvp(arguments[0], (char **)arguments);
        _exit(127);
    }
    json_t *answer = NULL;
    for (time_t deadline = time(NULL) + DEADLINE_S; !answer && time(NULL) < deadline;) {
        answer = prometheus_query(prometheus, "vector(1)");
        if (!answer)
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    cr_assert(answer, "Prometheus does not answer");
    json_decref(answer);
}

void prometheus_stop(struct prometheus *prometheus)
{
    if (prometheus->pid <= 0)
        return;
    kill(prometheus->pid, SIGTERM);
    cr_expect_eq(wait_for_exit(prometheus->pid), 0);
    prometheus->pid = 0;
}
