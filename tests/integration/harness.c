#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { ARGUMENTS_MAX = 32, PIPE_SIZE = 1 << 20 };

struct agent {
    pid_t pid;
    unsigned port;
    int out, err; // our ends of its stdout and stderr
    pthread_t reader;
    char *shown; // what agent_stderr() gave last

    // Written by the reader.
    pthread_mutex_t lock;
    pthread_cond_t changed;
    json_t *alerts;
    char *line; // an unfinished line of stdout
    size_t line_length;
    char *words; // stderr
    size_t words_length;
    bool ended;       // both streams
    char broken[512]; // a line that is not JSON
};

static struct timespec deadline(void)
{
    struct timespec when;
    clock_gettime(CLOCK_MONOTONIC, &when);
    when.tv_sec += DEADLINE_S;
    return when;
}

// --- What the agent says ---

static void append(char **text, size_t *length, const char *bytes, size_t count)
{
    char *larger = realloc(*text, *length + count + 1);
    if (!larger)
        abort();
    memcpy(larger + *length, bytes, count);
    *length += count;
    larger[*length] = '\0';
    *text = larger;
}

static void take_line(struct agent *agent)
{
    json_error_t error;
    json_t *alert = json_loadb(agent->line, agent->line_length, JSON_ALLOW_NUL, &error);
    if (alert)
        json_array_append_new(agent->alerts, alert);
    else if (!agent->broken[0])
        snprintf(agent->broken, sizeof(agent->broken), "%s: %.180s", error.text, agent->line);
    agent->line_length = 0;
}

static void take_output(struct agent *agent, const char *bytes, size_t count)
{
    while (count) {
        const char *newline = memchr(bytes, '\n', count);
        size_t part = newline ? (size_t)(newline - bytes) : count;
        append(&agent->line, &agent->line_length, bytes, part);
        if (!newline)
            return;
        take_line(agent);
        bytes += part + 1;
        count -= part + 1;
    }
}

// Reads all along, so that a full pipe never holds the agent up.
static void *read_streams(void *context)
{
    struct agent *agent = context;
    struct pollfd streams[] = {{.fd = agent->out, .events = POLLIN}, {.fd = agent->err, .events = POLLIN}};
    char buffer[65536]; // its own, as another agent's reader may run at the same time
    while (streams[0].fd >= 0 || streams[1].fd >= 0) {
        if (poll(streams, 2, -1) < 0)
            continue;
        for (int i = 0; i < 2; i++) {
            if (streams[i].fd < 0 || !streams[i].revents)
                continue;
            ssize_t count = read(streams[i].fd, buffer, sizeof(buffer));
            if (count < 0 && errno == EINTR)
                continue;
            pthread_mutex_lock(&agent->lock);
            if (count <= 0)
                streams[i].fd = -1;
            else if (i == 0)
                take_output(agent, buffer, (size_t)count);
            else
                append(&agent->words, &agent->words_length, buffer, (size_t)count);
            agent->ended = streams[0].fd < 0 && streams[1].fd < 0;
            pthread_cond_broadcast(&agent->changed);
            pthread_mutex_unlock(&agent->lock);
        }
    }
    return NULL;
}

// Waits, with the lock held, for news of the agent. False when the deadline has passed or no more can come.
static bool wait_news(struct agent *agent, const struct timespec *until)
{
    if (agent->ended)
        return false;
    return pthread_cond_clockwait(&agent->changed, &agent->lock, CLOCK_MONOTONIC, until) == 0;
}

const char *agent_stderr(struct agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    free(agent->shown);
    agent->shown = strdup(agent->words ? agent->words : "");
    pthread_mutex_unlock(&agent->lock);
    return agent->shown;
}

// --- Start and stop ---

const char *agent_path(void)
{
    const char *path = getenv("AGENT");
    return path ? path : "build/agent";
}

pid_t agent_pid(const struct agent *agent)
{
    return agent->pid;
}

unsigned agent_port(const struct agent *agent)
{
    return agent->port;
}

static bool is_ready(struct agent *agent)
{
    const char *words = agent->words ? agent->words : "";
    const char *ready = strstr(words, "agent: ready: ");
    if (!ready || !strchr(ready, '\n'))
        return false;
    const char *port = strstr(ready, "metrics on port ");
    agent->port = port ? (unsigned)strtoul(port + strlen("metrics on port "), NULL, 10) : 0;
    return true;
}

static void wait_ready(struct agent *agent)
{
    struct timespec until = deadline();
    pthread_mutex_lock(&agent->lock);
    bool ready = is_ready(agent);
    while (!ready && wait_news(agent, &until))
        ready = is_ready(agent);
    pthread_mutex_unlock(&agent->lock);
    if (!ready) {
        kill(agent->pid, SIGKILL);
        cr_assert_fail("the agent did not get ready; it said: %s", agent_stderr(agent));
    }
}

static pid_t spawn_agent(char **arguments, int out, int err)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid > 0)
        return pid;
    // A test that is killed takes its agent along.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
        _exit(126);
    execv(arguments[0], arguments);
    _exit(127);
}

static size_t rule_arguments(const char *rules, char **ret_arguments)
{
    if (!rules)
        return 0;
    ret_arguments[0] = (char *)"--rules";
    if (rules[0] == '\0')
        return 1;
    static unsigned number;
    const char *path = test_path("rules-%u.yaml", number++);
    write_file(path, rules);
    ret_arguments[1] = (char *)path;
    return 2;
}

const char *open_rule(const char *name, const char *path)
{
    return format_text("- rule: %s\n"
                       "  desc: the file was opened\n"
                       "  condition: evt.type in (open, openat) and fd.name = %s\n"
                       "  output: \"%%fd.name\"\n"
                       "  priority: NOTICE\n",
                       name, path);
}

struct agent *agent_start(const char *rules, ...)
{
    char *arguments[ARGUMENTS_MAX] = {(char *)agent_path(), (char *)"--json", (char *)"--listen",
                                      (char *)"127.0.0.1:0"};
    size_t count = 4;
    count += rule_arguments(rules, arguments + count);
    va_list options;
    va_start(options, rules);
    for (char *option; count + 1 < ARGUMENTS_MAX && (option = va_arg(options, char *));)
        arguments[count++] = option;
    va_end(options);

    struct agent *agent = calloc(1, sizeof(*agent));
    int out[2], err[2];
    cr_assert(agent);
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(err, O_CLOEXEC), 0);
    // It drops alerts when nobody has read for a second, and the reader may not run for as long.
    cr_assert_gt(fcntl(out[1], F_SETPIPE_SZ, PIPE_SIZE), 0);
    agent->out = out[0];
    agent->err = err[0];
    agent->alerts = json_array();
    pthread_mutex_init(&agent->lock, NULL);
    pthread_cond_init(&agent->changed, NULL);
    agent->pid = spawn_agent(arguments, out[1], err[1]);
    close(out[1]);
    close(err[1]);
    cr_assert_eq(pthread_create(&agent->reader, NULL, read_streams, agent), 0);
    wait_ready(agent);
    return agent;
}

static void agent_free(struct agent *agent)
{
    json_decref(agent->alerts);
    close(agent->out);
    close(agent->err);
    free(agent->line);
    free(agent->words);
    free(agent->shown);
    free(agent);
}

void agent_stop_by(struct agent *agent, int signal_number)
{
    kill(agent->pid, signal_number);
    struct timespec until = deadline();
    pthread_mutex_lock(&agent->lock);
    while (!agent->ended && wait_news(agent, &until))
        ;
    bool ended = agent->ended;
    pthread_mutex_unlock(&agent->lock);
    if (!ended)
        kill(agent->pid, SIGKILL);
    int code = wait_for_exit(agent->pid);
    pthread_join(agent->reader, NULL);
    cr_expect(ended, "the agent did not stop in time");
    cr_expect_eq(code, 0, "the agent ended with %d and said: %s", code, agent->words ? agent->words : "");
    cr_expect_eq(agent->broken[0], '\0', "an alert is not JSON: %s", agent->broken);
    agent_free(agent);
}

void agent_kill(struct agent *agent)
{
    kill(agent->pid, SIGKILL);
    wait_for_exit(agent->pid);
    // Both streams end when the last process that has them does.
    pthread_join(agent->reader, NULL);
    agent_free(agent);
}

void agent_stop(struct agent *agent)
{
    agent_stop_by(agent, SIGTERM);
}

// --- Alerts ---

const char *alert_field(const json_t *alert, const char *field)
{
    static char number[32];
    const json_t *value = json_object_get(json_object_get(alert, "output_fields"), field);
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_STRING:
        return json_string_value(value);
    case JSON_INTEGER:
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return number;
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    default:
        return "";
    }
}

static bool field_matches(const json_t *alert, const char *field, const char *wanted)
{
    const json_t *value = json_object_get(json_object_get(alert, "output_fields"), field);
    bool missing = !value || json_is_null(value);
    if (strcmp(wanted, "-") == 0 || missing)
        return missing && strcmp(wanted, "-") == 0;
    return strcmp(wanted, "*") == 0 || strcmp(alert_field(alert, field), wanted) == 0;
}

static bool alert_matches(const json_t *alert, const char *rule, va_list *pairs)
{
    const char *name = json_string_value(json_object_get(alert, "rule"));
    bool matches = name && strcmp(name, rule) == 0;
    for (const char *field; (field = va_arg(*pairs, const char *));) {
        const char *wanted = va_arg(*pairs, const char *);
        matches = matches && field_matches(alert, field, wanted);
    }
    return matches;
}

// What was waited for and what came instead, for the person who reads the failure.
static void explain(struct agent *agent, const char *rule, va_list *pairs)
{
    fprintf(stderr, "no alert of rule \"%s\" with:\n", rule);
    for (const char *field; (field = va_arg(*pairs, const char *));)
        fprintf(stderr, "    %s = %s\n", field, va_arg(*pairs, const char *));
    size_t count = json_array_size(agent->alerts);
    fprintf(stderr, "the last of %zu alerts:\n", count);
    for (size_t i = count > 8 ? count - 8 : 0; i < count; i++) {
        const json_t *alert = json_array_get(agent->alerts, i);
        fprintf(stderr, "    %s ", json_string_value(json_object_get(alert, "rule")));
        json_dumpf(json_object_get(alert, "output_fields"), stderr, JSON_COMPACT);
        fputc('\n', stderr);
    }
    fprintf(stderr, "the agent said: %s\n", agent->words ? agent->words : "");
}

void agent_wait_said(struct agent *agent, const char *words)
{
    for (time_t until = time(NULL) + DEADLINE_S; time(NULL) < until; poll(NULL, 0, 10))
        if (strstr(agent_stderr(agent), words))
            return;
    cr_assert_fail("\"%s\" is not in: %s", words, agent_stderr(agent));
}

json_t *agent_wait_alert(struct agent *agent, const char *rule, ...)
{
    struct timespec until = deadline();
    json_t *found = NULL;
    size_t seen = 0;
    pthread_mutex_lock(&agent->lock);
    do {
        for (; !found && seen < json_array_size(agent->alerts); seen++) {
            json_t *alert = json_array_get(agent->alerts, seen);
            va_list pairs;
            va_start(pairs, rule);
            if (alert_matches(alert, rule, &pairs))
                found = alert;
            va_end(pairs);
        }
    } while (!found && wait_news(agent, &until));
    if (!found) {
        va_list pairs;
        va_start(pairs, rule);
        explain(agent, rule, &pairs);
        va_end(pairs);
    }
    pthread_mutex_unlock(&agent->lock);
    if (!found)
        cr_assert_fail("no such alert of rule \"%s\" came; lost: %g records, %g alerts", rule,
                       agent_metric(agent, "inferscope_records_lost_total", NULL),
                       agent_metric(agent, "inferscope_alerts_lost_total", NULL));
    return found;
}

size_t agent_count_alerts(struct agent *agent, const char *rule, ...)
{
    size_t count = 0;
    pthread_mutex_lock(&agent->lock);
    for (size_t i = 0; i < json_array_size(agent->alerts); i++) {
        va_list pairs;
        va_start(pairs, rule);
        count += alert_matches(json_array_get(agent->alerts, i), rule, &pairs);
        va_end(pairs);
    }
    pthread_mutex_unlock(&agent->lock);
    return count;
}

void agent_wait_count(struct agent *agent, const char *rule, size_t count)
{
    struct timespec until = deadline();
    size_t seen = 0, found = 0;
    pthread_mutex_lock(&agent->lock);
    do {
        for (; seen < json_array_size(agent->alerts); seen++) {
            const json_t *name = json_object_get(json_array_get(agent->alerts, seen), "rule");
            found += strcmp(json_string_value(name), rule) == 0;
        }
    } while (found < count && wait_news(agent, &until));
    pthread_mutex_unlock(&agent->lock);
    cr_assert_geq(found, count, "only %zu of %zu alerts of rule \"%s\" came", found, count, rule);
}

json_t *agent_alerts(struct agent *agent, const char *rule)
{
    json_t *found = json_array();
    pthread_mutex_lock(&agent->lock);
    for (size_t i = 0; i < json_array_size(agent->alerts); i++) {
        json_t *alert = json_array_get(agent->alerts, i);
        if (strcmp(json_string_value(json_object_get(alert, "rule")), rule) == 0)
            json_array_append(found, alert);
    }
    pthread_mutex_unlock(&agent->lock);
    return found;
}
