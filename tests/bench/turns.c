// What one more thing that the agent watches costs, where that is less than a machine's speed changes from
// one second to the next. The same processes work for a few milliseconds while it is watched and for as long
// while it is not, many times, and each two turns that follow each other are compared.
#include "worker.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PAIRS_BY_RULES = 40,
    PAIRS_BY_STARTS = 10, // which take longer
    WARM_UP_NS = 1000 * 1000,
    RELOAD_MS = 5000,
    QUIET_MS = 100,
    LOOKS_MAX = 30,
};

// Works as often as it is asked to by a byte; answers with how long it took.
static int serve(const struct workload *workload, const struct place *place, int asked)
{
    static struct worker worker;
    worker.place = place;
    worker_pin(0);
    int error = workload->begin ? workload->begin(&worker) : 0;
    char byte;
    while (!error && recv(asked, &byte, 1, 0) == 1) {
        double ns = 0;
        error = worker_slice(workload, &worker, WARM_UP_NS, &ns);
        if (!error)
            error = worker_slice(workload, &worker, SLICE_NS, &ns);
        if (!error && send(asked, &ns, sizeof(ns), MSG_NOSIGNAL) != sizeof(ns))
            error = -EPIPE;
    }
    if (workload->end && !error)
        workload->end(&worker);
    return error;
}

// Returns once the agent has them.
static int rules_exchange(const struct place *place, struct agent *agent, bool watch)
{
    unsigned before = agent->reloads;
    int error = place_turn(place, watch);
    uint64_t begin = now_ns();
    while (!error && agent->reloads == before) {
        error = agent_pump(agent, -1, RELOAD_MS);
        if (!error && now_ns() - begin > RELOAD_MS * UINT64_C(1000000))
            error = -ETIMEDOUT;
    }
    if (!error && watch != (strstr(agent->ready_line, TURNED_SOURCES) != NULL))
        error = -EPROTO;
    if (error)
        fprintf(stderr, "bench: the agent does not take other rules: %s: %s\n", agent->last_error,
                strerror(-error));
    return error;
}

// Until it has done what it does at its start, which takes caches and memory from others. What the kernel
// does after its end takes no longer than the same time.
static int settle(struct agent *agent)
{
    double before = -1, now = 0;
    int error = 0;
    for (unsigned i = 0; !error && before != now && i < LOOKS_MAX; i++) {
        before = now;
        uint64_t end = now_ns() + QUIET_MS * UINT64_C(1000000);
        while (!error && now_ns() < end)
            error = agent_pump(agent, -1, QUIET_MS);
        if (!error && agent->pid > 0)
            error = agent_cpu_seconds(agent, &now);
    }
    return error;
}

static int turn(const struct turning *turning, struct agent *agent, bool watch)
{
    if (!turning->mode)
        return rules_exchange(turning->place, agent, watch);
    int error = 0;
    if (!watch)
        error = agent_stop(agent);
    else if (agent->pid <= 0)
        error = agent_start(agent, turning->agent_path, turning->mode);
    return error ? error : settle(agent);
}

static int work_once(struct agent *agent, int worker, double *ret_ns)
{
    if (send(worker, "", 1, MSG_NOSIGNAL) != 1)
        return -EPIPE;
    int error = 0;
    while (error == 0)
        error = agent_pump(agent, worker, -1);
    if (error < 0)
        return error;
    return recv(worker, ret_ns, sizeof(*ret_ns), MSG_WAITALL) == sizeof(*ret_ns) ? 0 : -ECHILD;
}

static int take_turns(const struct turning *turning, struct agent *agent, int worker, struct turns *ret_turns)
{
    double times[2][PAIRS_BY_RULES], ratios[PAIRS_BY_RULES];
    size_t pairs = turning->mode ? PAIRS_BY_STARTS : PAIRS_BY_RULES;
    bool watch = true;
    int error = turn(turning, agent, watch);
    for (size_t pair = 0; !error && pair < pairs; pair++) {
        error = work_once(agent, worker, &times[watch][pair]);
        watch = !watch; // neither is always the first
        if (!error)
            error = turn(turning, agent, watch);
        if (!error)
            error = work_once(agent, worker, &times[watch][pair]);
        ratios[pair] = times[true][pair] / times[false][pair];
    }
    if (error)
        return error;
    *ret_turns = (struct turns){.without = median(times[false], pairs),
                                .with = median(times[true], pairs),
                                .ratio = median(ratios, pairs)};
    return 0;
}

int turns_measure(size_t index, const struct turning *turning, struct agent *agent, struct turns *ret_turns)
{
    const struct workload *workload = work_at(index);
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return -errno;
    pid_t pid = worker_spawn(agent);
    if (pid == 0) {
        close(ends[0]);
        int failed = serve(workload, turning->place, ends[1]);
        if (failed)
            fprintf(stderr, "bench: %s: %s\n", workload->name, strerror(-failed));
        _exit(failed ? 1 : 0);
    }
    close(ends[1]);
    int error = pid < 0 ? -EAGAIN : take_turns(turning, agent, ends[0], ret_turns);
    close(ends[0]); // which ends it
    int status = pid < 0 ? 0 : agent_wait_child(agent, pid);
    return error ? error : status;
}
