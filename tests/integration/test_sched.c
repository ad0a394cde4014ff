// Source `sched`: what it says of an inference process of the test's own, against the kernel's own account
// (/proc/PID/schedstat) and what the process's clock says. While accounts are read the process sits in
// read().
#include "api_pair.h"
#include "tenant.h"

#include <dirent.h>
#include <errno.h>
#include <linux/sched.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

TestSuite(sched, .init = tenant_setup, .fini = tenant_teardown);

#define OWN "k8s_container_name", tenant_name()
#define DELAY "inferscope_sched_run_queue_delay_seconds_sum"
#define DELAYS "inferscope_sched_run_queue_delay_seconds_count"
#define OFF_CPU "inferscope_sched_off_cpu_seconds_sum"
#define OFF_CPU_COUNT "inferscope_sched_off_cpu_seconds_count"
#define PREEMPTIONS "inferscope_sched_preemptions_total"

enum { NAPS = 20, NAP_NS = 20000000, SPINNERS = 2, THREADS = 12, BURNT_NS = 300000000 };

// What the inference process and the test tell each other.
static struct shared {
    pid_t pid;
    int begun;        // it has answered a request
    int turn, done;   // what it is told to do, and has done
    double clocked_s; // in naps and in read()
    double napped_s;  // by a child for which it waited
} * shared;

static int go[2]; // what it waits at

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void burn(uint64_t ns)
{
    for (uint64_t end = cpu_ns() + ns; cpu_ns() < end;)
        ;
}

// Until a thread sleeps in that state (as /proc/PID/stat has it) and is off the CPU: the state alone changes
// before it leaves, and it can be kept from that. The kernel says "running" of who has not left.
static void wait_off_cpu(const char *thread, char state)
{
    char now = 0;
    for (time_t until = time(NULL) + DEADLINE_S; now != state; poll(NULL, 0, 1)) {
        _cleanup_free_ char *status = read_whole_file(format_text("%s/stat", thread));
        _cleanup_free_ char *call = read_whole_file(format_text("%s/syscall", thread));
        const char *behind = status ? strrchr(status, ')') : NULL;
        now = behind && call && strncmp(call, "running", 7) != 0 ? behind[2] : 0;
        cr_assert_lt(time(NULL), until, "%s: %s", thread, status ? status : "gone");
    }
}

// How long a thread was ready and did not run.
static double ready_seconds(const char *path)
{
    unsigned long long ran, waited;
    _cleanup_free_ char *text = read_whole_file(path);
    cr_assert(text && sscanf(text, "%llu %llu", &ran, &waited) == 2, "this kernel has no %s", path);
    return (double)waited / 1e9;
}

// --- What the inference process does ---

static void wait_clocked(void)
{
    char byte;
    double before = seconds();
    cr_assert_eq(read(go[0], &byte, 1), 1);
    shared->clocked_s += seconds() - before;
}

static void nap(long ns)
{
    struct timespec time = {.tv_nsec = ns};
    double before = seconds();
    nanosleep(&time, NULL);
    shared->clocked_s += seconds() - before;
}

static void serve_once(void)
{
    struct pair pair = open_pair();
    ask(&pair, request_to("/v1/completions", "", "{\"model\":\"m\"}"));
    answer(&pair, json_answer(200, "{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}"));
    close_pair(&pair);
}

enum turn { TURN_FOUND, TURN_NAP, TURN_COMPETE, TURN_THREADS, TURN_BLOCK, TURN_END };

static void start_spinners(pid_t *pids)
{
    for (int i = 0; i < SPINNERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;)
                ;
        }
    }
}

static void stop_spinners(const pid_t *pids)
{
    for (int i = 0; i < SPINNERS; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
}

// With strangers in its own container, who wait for the CPU as well.
static void compete(void)
{
    pid_t spinners[SPINNERS];
    start_spinners(spinners);
    burn(BURNT_NS);
    stop_spinners(spinners);
}

static void *burn_thread(void *ignored)
{
    burn(BURNT_NS / THREADS);
    for (;;)
        pause();
    return NULL;
}

static void burn_threads(void)
{
    pthread_t thread;
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&thread, NULL, burn_thread, NULL), 0);
}

// While its child lives the parent waits as for a disk: no signal but SIGKILL ends that.
static void block(void)
{
    double before = seconds();
    const char *parent = format_text("/proc/%d", getpid());
    pid_t pid = vfork();
    if (pid == 0) {
        struct timespec time = {.tv_nsec = 10 * NAP_NS};
        wait_off_cpu(parent, 'D');
        double asleep = seconds();
        nanosleep(&time, NULL);
        shared->napped_s = seconds() - asleep;
        _exit(0);
    }
    shared->clocked_s = seconds() - before;
    waitpid(pid, NULL, 0);
}

static int infer(const void *ignored)
{
    stay_on_one_cpu();
    shared->pid = getpid();
    serve_once();
    shared->begun = 1;
    for (;;) {
        wait_clocked();
        int turn = shared->turn;
        for (int i = 0; turn == TURN_NAP && i < NAPS; i++)
            nap(NAP_NS);
        if (turn == TURN_COMPETE)
            compete();
        if (turn == TURN_THREADS)
            burn_threads();
        if (turn == TURN_BLOCK)
            block();
        if (turn == TURN_END)
            return 0;
        __atomic_add_fetch(&shared->done, 1, __ATOMIC_SEQ_CST);
    }
}

// --- What the test does ---

static struct shared *shared_make(void)
{
    void *memory = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(memory, MAP_FAILED);
    cr_assert_eq(pipe(go), 0);
    return memory;
}

// Calls a function with each thread's directory; the sum of what it returns.
static double sum_threads(double (*of)(const char *thread))
{
    const char *path = format_text("/proc/%d/task", shared->pid);
    DIR *threads = opendir(path);
    double sum = 0;
    cr_assert(threads);
    for (struct dirent *entry; (entry = readdir(threads));)
        if (entry->d_name[0] != '.')
            sum += of(format_text("%s/%s", path, entry->d_name));
    closedir(threads);
    return sum;
}

static double wait_asleep(const char *thread)
{
    wait_off_cpu(thread, 'S');
    return 0;
}

static double ready_of(const char *thread)
{
    return ready_seconds(format_text("%s/schedstat", thread));
}

// All of it sits in read() or pause() again.
static void wait_idle(void)
{
    sum_threads(wait_asleep);
}

static void take_turn(enum turn turn)
{
    int done = shared->done;
    shared->turn = turn;
    cr_assert_eq(write(go[1], "", 1), 1);
    for (int i = 0; shared->done == done && i < DEADLINE_S * 100; i++)
        poll(NULL, 0, 10);
    cr_assert_gt(shared->done, done);
    wait_idle();
}

static double metric(struct agent *agent, const char *name, const char *state)
{
    double value = agent_metric(agent, name, OWN, state ? "state" : NULL, state, NULL);
    return isnan(value) ? 0 : value;
}

static void start_inference(struct agent *agent)
{
    shared = shared_make();
    tenant_start(infer, NULL);
    for (int i = 0; !shared->begun && i < DEADLINE_S * 100; i++)
        poll(NULL, 0, 10);
    cr_assert(shared->begun);
    // It is found a moment later, and shows once it is known whose it is. How long it waited is no sign of
    // that: who runs at once where he was woken has not waited at all, by the kernel's account.
    for (time_t until = time(NULL) + DEADLINE_S; metric(agent, DELAYS, NULL) == 0; poll(NULL, 0, 200)) {
        cr_assert_lt(time(NULL), until, "%s", agent_stderr(agent));
        take_turn(TURN_FOUND);
    }
}

#define WITHIN(value, expected, share, what)                                                               \
    cr_expect(fabs((value) - (expected)) <= (share) * (expected), "%s: %g is not about %g", what, (value), \
              (expected))

static unsigned long forced_switches(void)
{
    _cleanup_free_ char *text = read_whole_file(format_text("/proc/%d/status", shared->pid));
    const char *line = strstr(text, "nonvoluntary_ctxt_switches:");
    return strtoul(line + strlen("nonvoluntary_ctxt_switches:"), NULL, 10);
}

Test(sched, waiting_for_the_cpu_is_what_the_kernel_says)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--sched", NULL);
    start_inference(agent);
    const char *path = format_text("/proc/%d/schedstat", shared->pid);
    double kernel = ready_seconds(path), ours = metric(agent, DELAY, NULL);
    double forced = (double)forced_switches(), preempted = metric(agent, PREEMPTIONS, NULL);
    take_turn(TURN_COMPETE);
    kernel = ready_seconds(path) - kernel;
    ours = metric(agent, DELAY, NULL) - ours;
    forced = (double)forced_switches() - forced;
    preempted = metric(agent, PREEMPTIONS, NULL) - preempted;
    // Each of the spinners wants as much.
    cr_expect_gt(kernel, (double)BURNT_NS / 1e9 / 2);
    WITHIN(ours, kernel, 0.05, "ready");
    WITHIN(preempted, forced, 0.05, "preempted");
}

Test(sched, sleeping_is_what_the_clock_says)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--sched", NULL);
    start_inference(agent);
    double delay = metric(agent, DELAY, NULL), asleep = metric(agent, OFF_CPU, "sleeping");
    // The wait that is under way ends in this turn, but has begun in the last one.
    double since = shared->clocked_s;
    take_turn(TURN_NAP);
    double expected = shared->clocked_s - since - (metric(agent, DELAY, NULL) - delay);
    cr_expect_gt(expected, NAPS * NAP_NS / 1e9);
    WITHIN(metric(agent, OFF_CPU, "sleeping") - asleep, expected, 0.05, "asleep");
}

Test(sched, being_blocked_is_what_the_clock_says)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--sched", NULL);
    start_inference(agent);
    double blocked = metric(agent, OFF_CPU, "blocked");
    take_turn(TURN_BLOCK);
    blocked = metric(agent, OFF_CPU, "blocked") - blocked;
    cr_expect_geq(blocked, 0.95 * shared->napped_s);
    cr_expect_leq(blocked, shared->clocked_s);
}

Test(sched, being_stopped)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--sched", NULL);
    start_inference(agent);
    kill(shared->pid, SIGSTOP);
    wait_off_cpu(format_text("/proc/%d", shared->pid), 'T');
    kill(shared->pid, SIGCONT);
    take_turn(TURN_FOUND);
    cr_expect_eq(metric(agent, OFF_CPU_COUNT, "stopped"), 1);
}

Test(sched, many_threads_are_one_process)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--sched", NULL);
    start_inference(agent);
    double ours = metric(agent, DELAY, NULL), kernel = sum_threads(ready_of);
    take_turn(TURN_THREADS);
    kernel = sum_threads(ready_of) - kernel;
    ours = metric(agent, DELAY, NULL) - ours;
    cr_expect_gt(kernel, (double)BURNT_NS / 1e9);
    WITHIN(ours, kernel, 0.05, "ready");
}

// --- Whom it is not about ---

static void work_as_stranger(void)
{
    pid_t spinners[SPINNERS];
    stay_on_one_cpu();
    start_spinners(spinners);
    burn(BURNT_NS / 10);
    stop_spinners(spinners);
    for (int i = 0; i < NAPS; i++)
        nap(NAP_NS / 10);
}

static int be_stranger(const void *ignored)
{
    work_as_stranger();
    return 0;
}

Test(sched, other_processes_of_the_container_are_not_counted)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--sched", NULL);
    start_inference(agent);
    double delay = metric(agent, DELAY, NULL), asleep = metric(agent, OFF_CPU, "sleeping");
    tenant_run(be_stranger, NULL);
    cr_expect_eq(metric(agent, DELAY, NULL), delay);
    cr_expect_eq(metric(agent, OFF_CPU, "sleeping"), asleep);
}

// A process with the number that the inference process had, in the same container.
static int be_reborn(const void *ignored)
{
    pid_t number = shared->pid;
    struct clone_args args = {
        .exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&number, .set_tid_size = 1};
    // It is free a moment after nobody has it any more.
    long pid;
    for (time_t until = time(NULL) + DEADLINE_S;
         (pid = syscall(SYS_clone3, &args, sizeof(args))) < 0 && errno == EEXIST && time(NULL) < until;)
        poll(NULL, 0, 10);
    if (pid == 0) {
        work_as_stranger();
        _exit(0);
    }
    return pid == number ? wait_for_exit((pid_t)pid) : 1;
}

Test(sched, a_number_that_is_given_away_again)
{
    _cleanup_agent_ struct agent *agent = agent_start(NULL, "--sched", NULL);
    start_inference(agent);
    double delay = metric(agent, DELAY, NULL), asleep = metric(agent, OFF_CPU, "sleeping");
    // In the middle of a wait.
    kill(shared->pid, SIGKILL);
    for (int i = 0; kill(shared->pid, 0) == 0 && i < DEADLINE_S * 100; i++)
        poll(NULL, 0, 10);
    // To die it had to run once more.
    double last_delay = metric(agent, DELAY, NULL), last_asleep = metric(agent, OFF_CPU, "sleeping");
    cr_expect_geq(last_delay, delay);
    cr_expect_geq(last_asleep, asleep);
    tenant_run(be_reborn, NULL);
    cr_expect_eq(metric(agent, DELAY, NULL), last_delay);
    cr_expect_eq(metric(agent, OFF_CPU, "sleeping"), last_asleep);
}

// --- Requests ---

static double own_ready_seconds(void)
{
    return ready_seconds("/proc/thread-self/schedstat");
}

// How long this thread waited at least while the request was under way, and at most.
static void burn_for_request(struct pair *pair, double *ret_least, double *ret_most)
{
    pid_t spinners[SPINNERS];
    *pair = open_pair();
    double before = own_ready_seconds();
    ask(pair, request_to("/v1/completions", "", "{\"model\":\"m\"}"));
    double begun = own_ready_seconds();
    start_spinners(spinners);
    burn(BURNT_NS);
    stop_spinners(spinners);
    *ret_least = own_ready_seconds() - begun;
    answer(pair, json_answer(200, "{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}"));
    *ret_most = own_ready_seconds() - before;
}

// This process serves, and is of no container.
Test(sched, a_request_knows_how_long_its_server_waited)
{
    if (!kernel_at_least(5, 17))
        cr_skip_test("before Linux 5.17 it is not known");
    const char *rules = "- rule: infer\n  desc: an inference request\n  condition: evt.type = infer\n"
                        "  output: \"%infer.run_queue_time %infer.duration %fd.cport\"\n  priority: NOTICE\n";
    _cleanup_agent_ struct agent *agent = agent_start(rules, "--sched", NULL);
    stay_on_one_cpu();
    struct pair pair;
    const json_t *alert = NULL;
    double least = 0, most = 0;
    for (time_t until = time(NULL) + DEADLINE_S; time(NULL) < until;) {
        burn_for_request(&pair, &least, &most);
        alert = agent_wait_alert(agent, "infer", "fd.cport", pair.cport, NULL);
        close_pair(&pair);
        if (alert_field(alert, "infer.run_queue_time")[0])
            break;
        poll(NULL, 0, 200); // until it is found
    }
    double waited = atof(alert_field(alert, "infer.run_queue_time")) / 1e9;
    cr_expect_gt(least, (double)BURNT_NS / 1e9 / 2);
    cr_expect(waited >= 0.95 * least && waited <= 1.05 * most, "%g is not from %g to %g", waited, least,
              most);
    cr_expect_leq(waited, atof(alert_field(alert, "infer.duration")) / 1e9);
}

Test(sched, without_it_requests_know_nothing)
{
    const char *rules = "- rule: infer\n  desc: an inference request\n  condition: evt.type = infer\n"
                        "  output: \"%infer.run_queue_time %fd.cport\"\n  priority: NOTICE\n";
    _cleanup_agent_ struct agent *agent = agent_start(rules, "--inference", NULL);
    for (int i = 0; i < 2; i++) {
        struct pair pair = open_pair();
        ask(&pair, request_to("/v1/completions", "", "{\"model\":\"m\"}"));
        answer(&pair, json_answer(200, "{}"));
        agent_wait_alert(agent, "infer", "fd.cport", pair.cport, "infer.run_queue_time", "-", NULL);
        close_pair(&pair);
    }
    cr_expect(isnan(agent_metric(agent, "inferscope_source_up", "source", "sched", NULL)));
}

Test(sched, without_inference_there_is_nobody_to_measure)
{
    const char *path = test_path("agent.yaml");
    _cleanup_free_ char *output = NULL;
    write_file(path, "sched: {enabled: true}\nrules: {enabled: true}\n");
    cr_expect_eq(run_captured(&output, agent_path(), "--config", path, "--listen", "none", NULL), 1);
    cr_expect(strstr(output, "set inference.enabled, too"), "%s", output);
}
