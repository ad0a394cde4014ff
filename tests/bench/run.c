// Runs the workloads, each measurement in fresh processes, so that the benchmark's own descriptors and memory
// weigh nothing.
#include "worker.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLICES = 40 };

// What a worker hands back, in memory it shares with the benchmark.
struct shared {
    unsigned waiting; // workers that have begun
    double slices[PROCESSES_MAX][SLICES];
};

void worker_pin(unsigned which)
{
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof(allowed), &allowed))
        return;
    unsigned left = which % (unsigned)CPU_COUNT(&allowed);
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
        if (!CPU_ISSET(cpu, &allowed) || left-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof(one), &one);
        return;
    }
}

int worker_slice(const struct workload *workload, struct worker *worker, uint64_t slice_ns, double *ret_ns)
{
    uint64_t count = 0, begin = now_ns(), end;
    do {
        for (unsigned i = 0; i < workload->batch; i++) {
            int error = workload->once(worker);
            if (error)
                return error;
        }
        count += workload->batch;
        end = now_ns();
    } while (end - begin < slice_ns);
    *ret_ns = (double)(end - begin) / (double)count;
    return 0;
}

static int run_worker(const struct workload *workload, const struct place *place, struct shared *shared,
                      unsigned which)
{
    static struct worker worker;
    worker.place = place;
    worker_pin(which);
    int error = workload->begin ? workload->begin(&worker) : 0;
    __atomic_add_fetch(&shared->waiting, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&shared->waiting, __ATOMIC_SEQ_CST) < workload->processes)
        sched_yield();
    double warm_up;
    if (!error)
        error = worker_slice(workload, &worker, SLICE_NS, &warm_up);
    for (size_t i = 0; !error && i < SLICES; i++)
        error = worker_slice(workload, &worker, SLICE_NS, &shared->slices[which][i]);
    if (workload->end && !error)
        workload->end(&worker);
    return error;
}

pid_t worker_spawn(const struct agent *agent)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (agent) {
        close(agent->out_fd);
        close(agent->err_fd);
    }
    return 0;
}

static void *share(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

int work_measure(size_t index, const struct place *place, struct agent *agent, double *ret_ns)
{
    const struct workload *workload = work_at(index);
    struct shared *shared = share(sizeof(*shared));
    if (!shared)
        return -ENOMEM;
    pid_t pids[PROCESSES_MAX];
    int error = 0;
    for (unsigned i = 0; i < workload->processes; i++) {
        pids[i] = worker_spawn(agent);
        if (pids[i] == 0) {
            int failed = run_worker(workload, place, shared, i);
            if (failed)
                fprintf(stderr, "bench: %s: %s\n", workload->name, strerror(-failed));
            _exit(failed ? 1 : 0);
        }
        if (pids[i] < 0) // the others need not wait for it
            __atomic_add_fetch(&shared->waiting, 1, __ATOMIC_SEQ_CST);
    }
    double sum = 0;
    for (unsigned i = 0; i < workload->processes; i++) {
        int failed = pids[i] < 0 ? -EAGAIN : agent_wait_child(agent, pids[i]);
        error = error ? error : failed;
        sum += quartile(shared->slices[i], SLICES);
    }
    munmap(shared, sizeof(*shared));
    if (!error)
        *ret_ns = sum / workload->processes;
    return error;
}

int work_open_times(const char *path, uint64_t times, struct agent *agent)
{
    pid_t pid = worker_spawn(agent);
    if (pid == 0) {
        int error = 0;
        worker_pin(0);
        for (uint64_t i = 0; !error && i < times; i++)
            error = open_close(path);
        _exit(error ? 1 : 0);
    }
    return pid < 0 ? -errno : agent_wait_child(agent, pid);
}

int work_read_slowly(const struct place *place, const char *path, unsigned times, unsigned pause_ms,
                     struct agent *agent)
{
    pid_t pid = worker_spawn(agent);
    if (pid == 0) {
        char times_text[16], pause_text[16];
        snprintf(times_text, sizeof(times_text), "%u", times);
        snprintf(pause_text, sizeof(pause_text), "%u", pause_ms);
        execl(place->reader, READER_NAME, path, times_text, pause_text, NULL);
        _exit(1);
    }
    return pid < 0 ? -errno : agent_wait_child(agent, pid);
}

bool reader_is_asked(const char *argv0)
{
    return strcmp(argv0, READER_NAME) == 0;
}

int reader_main(int argc, char **argv)
{
    int error = argc == 4 ? 0 : -EINVAL;
    for (int i = 0; !error && i < atoi(argv[2]); i++) {
        error = open_close(argv[1]);
        usleep((useconds_t)atoi(argv[3]) * 1000);
    }
    return error ? 1 : 0;
}

int flood_start(struct flood *flood, const char *path, size_t count)
{
    *flood = (struct flood){.opens = share(ARRAY_SIZE(flood->pids) * sizeof(*flood->opens))};
    if (!flood->opens)
        return -ENOMEM;
    while (flood->count < count && flood->count < ARRAY_SIZE(flood->pids)) {
        pid_t pid = worker_spawn(NULL);
        if (pid == 0)
            for (;;)
                if (open_close(path) == 0)
                    flood->opens[flood->count]++;
        if (pid < 0)
            return -errno;
        flood->pids[flood->count++] = pid;
    }
    return 0;
}

uint64_t flood_stop(struct flood *flood)
{
    uint64_t opens = 0;
    for (size_t i = 0; i < flood->count; i++) {
        kill(flood->pids[i], SIGKILL);
        waitpid(flood->pids[i], NULL, 0);
        opens += flood->opens[i];
    }
    munmap(flood->opens, ARRAY_SIZE(flood->pids) * sizeof(*flood->opens));
    *flood = (struct flood){};
    return opens;
}
