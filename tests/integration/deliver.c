#include "deliver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

void pause_briefly(void)
{
    struct timespec moment = {.tv_nsec = 20000000};
    nanosleep(&moment, NULL);
}

// --- The spool ---

const char *alert_line(const char *priority, const char *rule, unsigned number)
{
    return format_text(
        "alert %s {\"hostname\":\"node-1\",\"output\":\"08:00:00.000000000: %s number %u\","
        "\"output_fields\":{\"evt.time\":%llu,\"proc.name\":\"sh\",\"user.uid\":0,"
        "\"k8s.pod.name\":\"web-1\",\"k8s.ns.name\":null},\"priority\":\"%s\",\"rule\":\"%s\","
        "\"source\":\"syscall\",\"tags\":[\"shell\",\"T1059\"],\"time\":\"2026-11-21T08:00:00Z\"}",
        priority, priority, number, (unsigned long long)time(NULL) * 1000000000 + number, priority, rule);
}

static const char **fill(const char *lines, unsigned count)
{
    const char *file = test_path("lines");
    write_file(file, lines);
    FILE *stream =
        popen(format_text("%s %s <%s", program_beside("fill-spool"), test_path("spool"), file), "re");
    cr_assert(stream);
    // Freed with the texts of the test.
    const char **uuids = (const char **)format_text("%*s", (int)((count + 1) * sizeof(char *)), "");
    char line[64];
    for (unsigned i = 0; i < count; i++) {
        cr_assert(fgets(line, sizeof(line), stream), "the spool was not filled");
        line[strcspn(line, "\n")] = '\0';
        uuids[i] = format_text("%s", line);
    }
    cr_assert_eq(pclose(stream), 0);
    return uuids;
}

const char **spool_fill(unsigned first, unsigned count)
{
    char *lines = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&lines, &size);
    for (unsigned i = 0; i < count; i++)
        fprintf(stream, "%s\n", alert_line("Warning", "Shell", first + i));
    fclose(stream);
    const char **uuids = fill(lines, count);
    free(lines);
    return uuids;
}

const char *spool_fill_line(const char *line)
{
    return fill(format_text("%s\n", line), 1)[0];
}

// --- The deliverer ---

pid_t deliver_start(const char *outputs)
{
    const char *config = test_path("deliver.yaml");
    write_file(config, format_text("spool: {directory: \"%s\"}\noutputs:\n%s", test_path("spool"), outputs));
    int said = open(test_path("said"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    cr_assert_geq(said, 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(said, STDERR_FILENO);
        dup2(said, STDOUT_FILENO);
        execl(agent_path(), "agent", "deliver", "--config", config, NULL);
        _exit(127);
    }
    close(said);
    return pid;
}

void deliver_stop(pid_t pid)
{
    kill(pid, SIGTERM);
    int code = wait_for_exit(pid);
    cr_assert_eq(code, 0, "the deliverer ended with %d: %s", code, deliver_said());
}

const char *deliver_said(void)
{
    _cleanup_free_ char *text = read_whole_file(test_path("said"));
    return format_text("%s", text ? text : "");
}

void deliver_wait_said(const char *text)
{
    for (time_t deadline = time(NULL) + DEADLINE_S; time(NULL) < deadline; pause_briefly())
        if (strstr(deliver_said(), text))
            return;
    cr_assert_fail("it does not say \"%s\" but: %s", text, deliver_said());
}

// --- Ports ---

unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, length), 0);
    getsockname(fd, (struct sockaddr *)&address, &length);
    return ntohs(address.sin_port);
}

void wait_for_port(unsigned port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (time_t deadline = time(NULL) + DEADLINE_S; time(NULL) < deadline; pause_briefly()) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool listening = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
        close(fd);
        if (listening)
            return;
    }
    cr_assert_fail("nobody listens on port %u", port);
}

// --- The receivers ---

#define RECEIVERS "tests/servers/receivers.py"

static unsigned port;

unsigned receivers_start(void)
{
    int in[2], out[2];
    cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execlp("python3", "python3", RECEIVERS, NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    _cleanup_fclose_ FILE *stream = fdopen(out[0], "r");
    bool said = fscanf(stream, "%u", &port) == 1;
    if (!said && (access(RECEIVERS, R_OK) || wait_for_exit(pid) == 127))
        cr_skip_test("python3 is not installed, or %s is not here", RECEIVERS);
    cr_assert(said, "the receivers do not run");
    return port;
}

void receivers_mode(const char *path, const char *modes)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    json_t *list = json_array(), *wanted = json_pack("{s:o}", path, list);
    char *words = format_text("%s", modes);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        json_array_append_new(list, json_string(word));
    _cleanup_free_ char *body = json_dumps(wanted, 0);
    json_decref(wanted);
    dprintf(fd, "POST /_mode HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
            strlen(body), body);
    _cleanup_fclose_ FILE *stream = fdopen(fd, "r");
    char answer[1024] = "";
    cr_assert_gt(fread(answer, 1, sizeof(answer) - 1, stream), 0);
    cr_assert_eq(strncmp(answer, "HTTP/1.1 200", 12), 0, "%s", answer);
}

json_t *receivers_state(void)
{
    _cleanup_free_ char *text = http_get(port, "/_state");
    json_t *state = json_loads(text, 0, NULL);
    cr_assert(state);
    return state;
}

size_t receivers_requests(const char *path)
{
    json_t *state = receivers_state();
    json_int_t count = json_integer_value(json_object_get(json_object_get(state, "requests"), path));
    json_decref(state);
    return (size_t)count;
}

void receivers_wait_requests(const char *path, size_t count)
{
    for (time_t deadline = time(NULL) + DEADLINE_S; time(NULL) < deadline; pause_briefly())
        if (receivers_requests(path) >= count)
            return;
    cr_assert_fail("%s: fewer than %zu requests: %s", path, count, deliver_said());
}

static size_t count_taken(const json_t *taken, const char *uuid)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(taken); i++)
        count += strcmp(json_string_value(json_array_get(taken, i)), uuid) == 0;
    return count;
}

static size_t count_missing(const json_t *taken, const char *const *uuids, size_t count)
{
    size_t missing = 0;
    for (size_t i = 0; i < count; i++)
        missing += count_taken(taken, uuids[i]) == 0;
    return missing;
}

void receivers_wait_taken(const char *path, const char *const *uuids, size_t count)
{
    json_t *state = NULL, *taken = NULL;
    size_t missing = count;
    for (time_t deadline = time(NULL) + DEADLINE_S; missing && time(NULL) < deadline;) {
        json_decref(state);
        pause_briefly();
        state = receivers_state();
        taken = json_object_get(json_object_get(state, "taken"), path);
        missing = count_missing(taken, uuids, count);
    }
    cr_assert_eq(missing, 0, "%s misses %zu of %zu alerts: %s", path, missing, count, deliver_said());
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(count_taken(taken, uuids[i]), 1, "%s took alert %zu %zu times", path, i,
                     count_taken(taken, uuids[i]));
    const json_t *problem = json_array_get(json_object_get(state, "problems"), 0);
    cr_assert_null(problem, "%s", json_string_value(problem));
    json_decref(state);
}
