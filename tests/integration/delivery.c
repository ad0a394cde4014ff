#include "delivery.h"

#include "deliver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

// A path of the test, made once: it is asked for very often.
#define PATH_ONCE(name)              \
    ({                               \
        static const char *path_;    \
        if (!path_)                  \
            path_ = test_path(name); \
        path_;                       \
    })

// Between two looks at what is not there yet.
static void pause_shortly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

// --- What makes alerts ---

const char *delivery_file(void)
{
    return PATH_ONCE("opened");
}

const char *delivery_unwatched(void)
{
    return PATH_ONCE("looked");
}

const char *delivery_rules(void)
{
    write_file(delivery_file(), "x");
    write_file(delivery_unwatched(), "x");
    return format_text("- rule: opened\n"
                       "  desc: of the first class\n"
                       "  condition: evt.type in (open, openat) and fd.name = %s\n"
                       "  output: \"%%fd.name\"\n"
                       "  priority: CRITICAL\n"
                       "- rule: looked\n"
                       "  desc: of the last class\n"
                       "  condition: evt.type in (open, openat) and fd.name = %s\n"
                       "  output: \"%%fd.name\"\n"
                       "  priority: DEBUG\n",
                       delivery_file(), delivery_unwatched());
}

void delivery_open(const char *path, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
        close(fd);
    }
}

const char *delivery_audit_log(void)
{
    return PATH_ONCE("audit.log");
}

const char *delivery_config(const char *directory, const char *outputs)
{
    const char *path = test_path("agent.yaml");
    write_file(path, format_text("spool: {directory: %s, size: 64MiB, sync: never}\n"
                                 "audit: {path: %s}\n"
                                 "outputs:\n%s",
                                 directory, delivery_audit_log(), outputs));
    return path;
}

const char *delivery_webhook(unsigned port)
{
    return format_text("  - {type: webhook, url: \"http://127.0.0.1:%u/\", timeout: 5s, "
                       "retry: {initial: 20ms, max: 200ms}}\n",
                       port);
}

// --- The receiver ---

#define KEEPER "tests/servers/keeper.py"

static const char *keeper_log(void)
{
    return PATH_ONCE("taken");
}

void keeper_start(struct keeper *keeper)
{
    int in[2], out[2];
    char port[16], answer[16];
    snprintf(port, sizeof(port), "%u", keeper->port);
    cr_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    keeper->pid = fork();
    cr_assert_geq(keeper->pid, 0);
    if (keeper->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (dup2(in[0], STDIN_FILENO) < 0 || dup2(out[1], STDOUT_FILENO) < 0)
            _exit(126);
        execlp("python3", "python3", KEEPER, port, keeper_log(), NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    // It listens once it has said where.
    ssize_t length = read(out[0], answer, sizeof(answer) - 1);
    if (length <= 0 && (access(KEEPER, R_OK) || wait_for_exit(keeper->pid) == 127))
        cr_skip_test("python3 is not installed, or %s is not here", KEEPER);
    cr_assert_gt(length, 0, "the receiver does not start at port %s", port);
    answer[length] = '\0';
    keeper->port = (unsigned)strtoul(answer, NULL, 10);
    keeper->in = in[1];
    close(out[0]);
}

void keeper_kill(struct keeper *keeper)
{
    kill(keeper->pid, SIGKILL);
    wait_for_exit(keeper->pid);
    close(keeper->in);
    keeper->pid = 0;
}

void keeper_reserve(struct keeper *keeper)
{
    keeper->port = free_port();
}

// --- What has come ---

static void arrive(struct arrivals *arrivals, uint64_t sequence, const char *uuid)
{
    cr_assert_eq(strlen(uuid), 36, "%s", uuid);
    cr_assert_gt(sequence, 0);
    if (sequence >= arrivals->capacity) {
        uint64_t capacity = 2 * sequence + 1024;
        arrivals->uuids = realloc(arrivals->uuids, capacity * sizeof(*arrivals->uuids));
        cr_assert(arrivals->uuids);
        memset(arrivals->uuids + arrivals->capacity, 0,
               (capacity - arrivals->capacity) * sizeof(*arrivals->uuids));
        arrivals->capacity = capacity;
    }
    char *known = arrivals->uuids[sequence];
    if (known[0]) {
        arrivals->repeats++;
        cr_assert_str_eq(known, uuid, "%" PRIu64 " has two names", sequence);
        return;
    }
    strcpy(known, uuid);
    arrivals->count++;
    if (sequence > arrivals->highest)
        arrivals->highest = sequence;
}

void arrivals_read_keeper(struct arrivals *arrivals)
{
    _cleanup_fclose_ FILE *file = fopen(keeper_log(), "re");
    uint64_t sequence;
    char uuid[40];
    while (file && fscanf(file, "%" SCNu64 " %39s\n", &sequence, uuid) == 2)
        arrive(arrivals, sequence, uuid);
    cr_assert(!file || feof(file));
}

void arrivals_read_file(struct arrivals *arrivals, const char *path)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    _cleanup_free_ char *line = NULL;
    size_t capacity = 0;
    cr_assert(file, "%s: %s", path, strerror(errno));
    while (getline(&line, &capacity, file) > 0) {
        // Who is killed may leave half a line, and writes it whole the next time.
        json_t *alert = json_loads(line, 0, NULL);
        if (alert)
            arrive(arrivals, (uint64_t)json_integer_value(json_object_get(alert, "sequence")),
                   json_string_value(json_object_get(alert, "uuid")));
        json_decref(alert);
    }
}

void arrivals_free(struct arrivals *arrivals)
{
    free(arrivals->uuids);
    *arrivals = (struct arrivals){};
}

void delivery_wait_taken(uint64_t count)
{
    time_t until = time(NULL) + DEADLINE_S;
    uint64_t taken = 0;
    do {
        _cleanup_arrivals_ struct arrivals arrivals = {};
        arrivals_read_keeper(&arrivals);
        taken = arrivals.count;
        if (taken < count)
            pause_shortly();
    } while (taken < count && time(NULL) < until);
    cr_assert_eq(taken, count);
}

pid_t delivery_process(struct agent *agent)
{
    const char *path = format_text("/proc/%d/task/%d/children", agent_pid(agent), agent_pid(agent));
    pid_t pid = 0;
    for (time_t until = time(NULL) + DEADLINE_S; pid <= 0 && time(NULL) < until;) {
        _cleanup_free_ char *children = read_whole_file(path);
        pid = children ? atoi(children) : 0;
    }
    cr_assert_gt(pid, 0, "there is no deliverer; the agent said: %s", agent_stderr(agent));
    return pid;
}

uint64_t delivery_last_sequence(void)
{
    char tail[8192];
    _cleanup_close_ int fd = open(delivery_audit_log(), O_RDONLY | O_CLOEXEC);
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    off_t from = size > (off_t)sizeof(tail) - 1 ? size - (off_t)sizeof(tail) + 1 : 0;
    ssize_t length = size > 0 ? pread(fd, tail, sizeof(tail) - 1, from) : 0;
    uint64_t sequence = 0;
    tail[length > 0 ? length : 0] = '\0';
    for (const char *at = tail; (at = strstr(at, ",\"sequence\":")); at++)
        sequence = strtoull(at + strlen(",\"sequence\":"), NULL, 10);
    return sequence;
}
