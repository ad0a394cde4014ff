// What the agent costs and how fast it is. Costs are ratios of runs taken in turns, without and with the
// agent, so that a machine that grows slower or busier meanwhile shifts both alike.
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { ROUNDS_DEFAULT = 7, ROUNDS_QUICK = 3, ATTEMPTS = 10 };

static struct bench bench = {.agent = {.out_fd = -1, .err_fd = -1}};

void say(const char *format, ...)
{
    if (!isatty(STDERR_FILENO))
        return;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "\r\033[K");
    vfprintf(stderr, format, args);
    va_end(args);
}

void add_figure(struct bench *to, const struct figure *figure)
{
    if (to->figures_count < FIGURES_MAX)
        to->figures[to->figures_count++] = *figure;
}

int count_lost(struct bench *of, double *ret_lost)
{
    char *metrics;
    int error = agent_scrape(&of->agent, &metrics);
    if (error) {
        fprintf(stderr, "bench: cannot read the agent's metrics: %s\n", strerror(-error));
        return error;
    }
    *ret_lost = metric_sum(metrics, "inferscope_records_lost_total", NULL);
    free(metrics);
    return 0;
}

// --- What other programs pay ---

// Programs that somebody else has loaded beside the agent's own.
static int foreign_programs(const struct agent *agent)
{
    static struct program_cost own[PROGRAMS_MAX];
    int all = programs_that_watch();
    int ours = agent && agent->pid > 0 && all >= 0 ? agent_programs(agent, own, PROGRAMS_MAX) : 0;
    return ours < 0 ? ours : all < 0 ? all : all - ours;
}

// What one measurement gives: a time, or, in turns, all of these.
union measured {
    double ns;
    struct turns turns;
};

static int measure_once(size_t work, struct agent *agent, const struct turning *turning,
                        union measured *ret_measured)
{
    return turning ? turns_measure(work, turning, agent, &ret_measured->turns)
                   : work_measure(work, &bench.place, agent, &ret_measured->ns);
}

// Another agent, or a tracer, that comes or goes would count as ours or against us: then once more.
static int measure_again(size_t work, struct agent *agent, const struct turning *turning,
                         union measured *ret_measured)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        int before = foreign_programs(agent);
        int error = measure_once(work, agent, turning, ret_measured);
        int after = foreign_programs(agent);
        if (error || before < 0 || after < 0)
            return error ? error : before < 0 ? before : after;
        int most = before > after ? before : after, least = before < after ? before : after;
        if (least < bench.foreign)
            bench.foreign = least;
        if (most <= bench.foreign)
            return 0;
        say("somebody else has %d programs in the kernel; waiting", most - bench.foreign);
        sleep(1);
    }
    bench.disturbed++;
    return 0;
}

static int measure_undisturbed(size_t work, struct agent *agent, double *ret_ns)
{
    union measured measured = {};
    int error = measure_again(work, agent, NULL, &measured);
    if (!error)
        *ret_ns = measured.ns;
    return error;
}

static int run_works(struct agent *agent, double results[][ROUNDS_MAX], int round)
{
    for (size_t i = 0; i < WORK_COUNT; i++) {
        say("round %d of %d, %s the agent: %s", round + 1, bench.rounds, agent ? "with" : "without",
            work_at(i)->name);
        int error = measure_undisturbed(i, agent, &results[i][round]);
        if (error)
            return error;
    }
    return 0;
}

// For the heading. What it says of its port differs each time.
static void keep_ready_line(const struct agent *agent)
{
    char *port = strstr(agent->ready_line, "; metrics on port");
    snprintf(bench.ready_line, sizeof(bench.ready_line), "%.*s",
             (int)(port ? port - agent->ready_line : (ptrdiff_t)strlen(agent->ready_line)),
             agent->ready_line);
}

static int run_with_agent(int round)
{
    struct agent *agent = &bench.agent;
    double lost = 0;
    int error = agent_start(agent, bench.agent_path, bench.rules);
    if (error)
        return error;
    bench.ready[round] = agent->ready_seconds;
    keep_ready_line(agent);
    error = run_works(agent, bench.with, round);
    if (!error)
        error = count_lost(&bench, &lost);
    bench.lost += lost;
    bench.alerts += agent->alerts;
    int stopped = agent_stop(agent);
    return error ? error : stopped;
}

// Rules that want neither opens nor connects: nobody who makes a system call should notice.
static int run_idle(int round)
{
    struct agent *agent = &bench.agent;
    int error = measure_undisturbed(WORK_GETPID, NULL, &bench.idle_without[round]);
    if (!error)
        error = agent_start(agent, bench.agent_path, bench.place.rules);
    if (error)
        return error;
    error = measure_undisturbed(WORK_GETPID, agent, &bench.idle_with[round]);
    int stopped = agent_stop(agent);
    return error ? error : stopped;
}

static const struct {
    const char *mode;
    size_t work;
    const char *key, *name;
    double limit;
} metric_works[METRIC_WORKS] = {
    {INFERENCE_ONLY, WORK_STREAM, "inference_stream", "--inference: stream of 32 tokens, 0.2 ms each", 1.03},
    {INFERENCE_ONLY, WORK_PINGPONG_SR, "inference_pingpong_sr", "--inference: 1 KB ping-pong, send/recv",
     1.10},
    {INFERENCE_ONLY, WORK_PIPE, "inference_pipe", "--inference: pipe, write + read", 1.02},
    // At least 0.97 of what it is without.
    {NETWORK_ONLY, WORK_THROUGHPUT, "network_throughput", "--network: 64 KB over TCP, one way", 1 / 0.97},
    {NETWORK_ONLY, WORK_PINGPONG_RW, "network_pingpong_rw", "--network: 1 KB ping-pong, read/write",
     1 / 0.97},
    {NETWORK_ONLY, WORK_PINGPONG_SR, "network_pingpong_sr", "--network: 1 KB ping-pong, send/recv", 1 / 0.97},
    {NETWORK_ONLY, WORK_CONNECT, "network_connect", "--network: TCP connect + accept", 1.10},
    {EGRESS_ONLY, WORK_THROUGHPUT, "egress_throughput", "--egress: 64 KB over TCP, one way", 1 / 0.97},
    {EGRESS_ONLY, WORK_PINGPONG_SR, "egress_pingpong_sr", "--egress: 1 KB ping-pong, send/recv", 1 / 0.97},
    {EGRESS_ONLY, WORK_PINGPONG_RW, "egress_pingpong_rw", "--egress: 1 KB ping-pong, read/write", 1 / 0.97},
    {EGRESS_ONLY, WORK_CONNECT, "egress_connect", "--egress: TCP connect + accept", 1.10},
    {SCHED_ONLY, WORK_SWITCH, "sched_switch", "--sched: two processes take turns by pipes", 1.05},
    {SCHED_ONLY, WORK_FORK_EXEC, "sched_fork_exec", "--sched: fork + exec + wait", 1.05},
};

static bool is_asked(const char *mode)
{
    return !bench.only || strcmp(bench.only, mode) == 0;
}

static bool is_work_of(const char *mode, size_t work)
{
    for (size_t i = 0; i < METRIC_WORKS; i++)
        if (metric_works[i].work == work && strcmp(metric_works[i].mode, mode) == 0)
            return true;
    return false;
}

static int run_metric_works(const char *mode, struct agent *agent, double results[][ROUNDS_MAX], int round)
{
    int error = 0;
    for (size_t i = 0; !error && i < METRIC_WORKS; i++)
        if (strcmp(metric_works[i].mode, mode) == 0)
            error = measure_undisturbed(metric_works[i].work, agent, &results[i][round]);
    return error;
}

// No rules, only metrics.
static int run_metrics(const char *mode, int round)
{
    struct agent *agent = &bench.agent;
    if (!is_asked(mode))
        return 0;
    int error = run_metric_works(mode, NULL, bench.metric_without, round);
    if (!error)
        error = agent_start(agent, bench.agent_path, mode);
    if (error)
        return error;
    if (bench.only)
        keep_ready_line(agent);
    error = run_metric_works(mode, agent, bench.metric_with, round);
    int stopped = agent_stop(agent);
    return error ? error : stopped;
}

// What costs less than a machine's speed changes from one round to the next.
static bool is_in_turns(const char *mode)
{
    return strcmp(mode, EGRESS_ONLY) == 0 || strcmp(mode, NETWORK_ONLY) == 0;
}

static int run_turns(const char *mode, int round)
{
    struct agent *agent = &bench.agent;
    // All that matters of this one can be had by rules, too, which are exchanged faster than an agent starts.
    bool by_rules = strcmp(mode, EGRESS_ONLY) == 0;
    const struct turning turning = {
        .place = &bench.place, .agent_path = bench.agent_path, .mode = by_rules ? NULL : mode};
    if (!is_asked(mode))
        return 0;
    int error = agent_start(agent, bench.agent_path, by_rules ? bench.place.turned : mode);
    if (error)
        return error;
    for (size_t i = 0; !error && i < METRIC_WORKS; i++) {
        union measured measured = {};
        if (strcmp(metric_works[i].mode, mode) != 0)
            continue;
        say("round %d of %d, in turns: %s", round + 1, bench.rounds, metric_works[i].name);
        error = measure_again(metric_works[i].work, agent, &turning, &measured);
        bench.metric_without[i][round] = measured.turns.without;
        bench.metric_with[i][round] = measured.turns.with;
        bench.metric_ratio[i][round] = measured.turns.ratio;
    }
    if (!error && bench.only)
        keep_ready_line(agent);
    int stopped = agent_stop(agent);
    return error ? error : stopped;
}

// The ratio of the lower quartiles, and the range of the rounds' own ratios.
static void add_ratio(struct figure figure, double *without, double *with)
{
    figure.kind = FIGURE_RATIO;
    for (int i = 0; i < bench.rounds; i++) {
        double ratio = with[i] / without[i];
        figure.low = i == 0 || ratio < figure.low ? ratio : figure.low;
        figure.high = i == 0 || ratio > figure.high ? ratio : figure.high;
    }
    figure.without = quartile(without, (size_t)bench.rounds);
    figure.with = quartile(with, (size_t)bench.rounds);
    figure.value = figure.with / figure.without;
    add_figure(&bench, &figure);
}

static void add_turns(struct figure figure, double *without, double *with, double *ratios)
{
    figure.kind = FIGURE_RATIO;
    figure.without = median(without, (size_t)bench.rounds);
    figure.with = median(with, (size_t)bench.rounds);
    figure.value = median(ratios, (size_t)bench.rounds); // sorts them
    figure.low = ratios[0];
    figure.high = ratios[bench.rounds - 1];
    add_figure(&bench, &figure);
}

static int measure_costs(void)
{
    for (int round = 0; round < bench.rounds; round++) {
        int error = bench.only ? 0 : run_works(NULL, bench.without, round);
        if (!error && !bench.only)
            error = run_with_agent(round);
        if (!error && !bench.only)
            error = run_idle(round);
        if (!error)
            error = run_metrics(INFERENCE_ONLY, round);
        if (!error)
            error = run_turns(NETWORK_ONLY, round);
        if (!error)
            error = run_turns(EGRESS_ONLY, round);
        if (!error)
            error = run_metrics(SCHED_ONLY, round);
        if (error)
            return error;
    }

    static const struct {
        double limit;
        const char *falco;
    } marks[WORK_COUNT] = {
        [WORK_GETPID] = {1.45, "1.67×"},      [WORK_OPEN] = {1.40, "1.65×"},
        [WORK_OPEN_TWICE] = {1.40, "2.23×"},  [WORK_FORK_EXEC] = {1.10, "1.25×"},
        [WORK_CONNECT] = {1.10, "1.24×"},     [WORK_PINGPONG_RW] = {1.05, "1.13×"},
        [WORK_PINGPONG_SR] = {1.05, "1.36×"},
    };
    for (size_t i = 0; i < WORK_COUNT && !bench.only; i++)
        add_ratio((struct figure){.key = work_at(i)->key,
                                  .name = work_at(i)->name,
                                  .limit = marks[i].limit,
                                  .falco = marks[i].falco},
                  bench.without[i], bench.with[i]);
    if (!bench.only)
        add_ratio((struct figure){.key = "getpid_idle", .name = "getpid(), no rule on files or connects"},
                  bench.idle_without, bench.idle_with);
    for (size_t i = 0; i < METRIC_WORKS; i++) {
        const char *mode = metric_works[i].mode;
        struct figure figure = {
            .key = metric_works[i].key, .name = metric_works[i].name, .limit = metric_works[i].limit};
        if (is_asked(mode) && is_in_turns(mode))
            add_turns(figure, bench.metric_without[i], bench.metric_with[i], bench.metric_ratio[i]);
        else if (is_asked(mode))
            add_ratio(figure, bench.metric_without[i], bench.metric_with[i]);
    }
    return 0;
}

static void add_rounds_rest(void)
{
    struct figure ready = {.key = "ready",
                           .name = "Start to ready",
                           .kind = FIGURE_SECONDS,
                           .value = median(bench.ready, (size_t)bench.rounds), // sorts them
                           .low = bench.ready[0],
                           .high = bench.ready[bench.rounds - 1],
                           .limit = 1.0,
                           .falco = "1.7–2.1 s"};
    struct figure lost = {
        .key = "lost", .name = "Records lost in all rounds above", .kind = FIGURE_COUNT, .value = bench.lost};
    struct figure alerts = {.key = "alerts",
                            .name = "Alerts in all rounds above",
                            .kind = FIGURE_COUNT,
                            .value = (double)bench.alerts};
    add_figure(&bench, &ready);
    add_figure(&bench, &lost);
    add_figure(&bench, &alerts);
}

// Measuring adds some 50 ns to each run, so it has a turn of its own. A kernel that cannot is no failure.
static int measure_programs(void)
{
    struct agent *agent = &bench.agent;
    int stats = program_stats_enable();
    if (stats < 0) {
        fprintf(stderr, "bench: no cost by program: %s\n", strerror(-stats));
        return 0;
    }
    int error = agent_start(agent, bench.agent_path, bench.only ? bench.only : bench.rules);
    for (size_t i = 0; !error && i < WORK_COUNT; i++)
        if (!bench.only || is_work_of(bench.only, i)) {
            double ignored;
            say("cost by program: %s", work_at(i)->name);
            error = work_measure(i, &bench.place, agent, &ignored);
        }
    int count = error ? 0 : agent_programs(agent, bench.costs, PROGRAMS_MAX);
    bench.costs_count = count > 0 ? (size_t)count : 0;
    int stopped = agent_stop(agent);
    close(stats);
    return error ? error : stopped;
}

// --- The command line ---

static void on_signal(int number)
{
    place_remove(&bench.place);
    _exit(128 + number); // the agent and the workers end with us
}

static int measure(void)
{
    int error = place_make(&bench.place);
    if (error) {
        fprintf(stderr, "bench: cannot make files in /tmp: %s\n", strerror(-error));
        return error;
    }
    bench.foreign = programs_that_watch();
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    error = measure_costs();
    if (!error && is_asked(INFERENCE_ONLY))
        error = measure_http(&bench);
    if (!error && !bench.only) {
        add_rounds_rest();
        error = measure_self(&bench);
    }
    if (!error)
        error = measure_programs();
    say("%s", "");
    place_remove(&bench.place);
    if (error)
        fprintf(stderr, "bench: could not measure: %s\n", strerror(-error));
    return error;
}

static void print_results(bool markdown)
{
    struct utsname kernel = {};
    uname(&kernel);
    printf(
        "Linux %s on %s, %ld CPUs; lower quartiles of %d rounds, taken in turns without and with the agent.\n"
        "Of --network and --egress: medians of as many rounds, in which they are watched or not by turns.\n"
        "The agent: %s.\n\n",
        kernel.release, kernel.machine, sysconf(_SC_NPROCESSORS_ONLN), bench.rounds, bench.ready_line);
    table_print(bench.figures, bench.figures_count, markdown);
    programs_print(bench.costs, bench.costs_count, markdown);
    if (bench.disturbed)
        printf("%u measurements were taken while other programs watched the kernel, and may be wrong.\n",
               bench.disturbed);
    printf("Falco's figures were measured once, on a machine of two such CPUs, and not by this run.\n");
}

struct options {
    bool markdown;
    const char *json;
};

static int parse_options(int argc, char **argv, struct options *ret_options)
{
    static const struct option options[] = {
        {"rounds", required_argument, NULL, 'n'}, {"quick", no_argument, NULL, 'q'},
        {"rules", required_argument, NULL, 'r'},  {"markdown", no_argument, NULL, 'm'},
        {"json", required_argument, NULL, 'j'},   {"inference", no_argument, NULL, 'i'},
        {"network", no_argument, NULL, 'w'},      {"egress", no_argument, NULL, 'e'},
        {"sched", no_argument, NULL, 's'},        {}};
    int option;
    bench.rounds = ROUNDS_DEFAULT;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'n')
            bench.rounds = atoi(optarg);
        else if (option == 'q')
            bench.rounds = ROUNDS_QUICK;
        else if (option == 'r')
            bench.rules = optarg;
        else if (option == 'm')
            ret_options->markdown = true;
        else if (option == 'j')
            ret_options->json = optarg;
        else if (option == 'i')
            bench.only = INFERENCE_ONLY;
        else if (option == 'w')
            bench.only = NETWORK_ONLY;
        else if (option == 'e')
            bench.only = EGRESS_ONLY;
        else if (option == 's')
            bench.only = SCHED_ONLY;
        else
            return -EINVAL;
    }
    if (optind != argc - 1 || bench.rounds < 1 || bench.rounds > ROUNDS_MAX)
        return -EINVAL;
    bench.agent_path = argv[optind];
    return 0;
}

int main(int argc, char **argv)
{
    if (reader_is_asked(argv[0]))
        return reader_main(argc, argv);
    struct options options = {};
    if (parse_options(argc, argv, &options)) {
        fprintf(stderr, "usage: bench AGENT [--quick | --rounds N] [--rules FILE | --inference | --network | "
                        "--egress | --sched] [--markdown] "
                        "[--json FILE]\n");
        return 2;
    }
    if (geteuid() != 0) {
        fprintf(stderr, "bench: the agent needs root: try sudo make bench\n");
        return 1;
    }
    if (measure())
        return 1;
    print_results(options.markdown);
    int error = 0;
    if (options.json)
        error = json_write(options.json, bench.figures, bench.figures_count, bench.costs, bench.costs_count);
    if (error)
        fprintf(stderr, "bench: cannot write %s: %s\n", options.json, strerror(-error));
    return error ? 1 : 0;
}
