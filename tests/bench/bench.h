// What the parts of the benchmark know of each other.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

// --- place.c: the files that the workloads touch, in a directory of their own ---

struct place {
    char directory[64];
    char file[96];    // no rule names it: the kernel side drops its opens
    char decoy[96];   // named like a watched file but elsewhere: only the rules can tell it apart
    char program[96]; // a static program of a few bytes, that exits
    char rules[96];   // rules without file or connect events
    char reader[96];  // this program under a name of its own
    char turned[96];  // rules that place_turn() exchanges
};

int place_make(struct place *place);
void place_remove(const struct place *place);
// Has the exchangeable rules want what leaves the node, by name, or nothing. Replaces the file as a whole.
int place_turn(const struct place *place, bool watch);
// As the agent names the sources of rules that do.
#define TURNED_SOURCES "dns egress"

uint64_t now_ns(void);
// These sort the values. The lower quartile is for times that others on the machine make longer, and never
// shorter: a guest shares its processors with guests that it does not see.
double quartile(double *values, size_t count);
double median(double *values, size_t count);

// --- agent.c: the agent under test, seen from outside ---

struct agent {
    pid_t pid; // 0: not running
    int out_fd, err_fd;
    unsigned port; // of its metrics
    double ready_seconds;
    char ready_line[256]; // or what it says in its place once it has loaded other rules
    unsigned reloads;
    char last_error[256]; // its latest other line on standard error
    const char *marker;   // NULL, or what an alert must hold to be counted as matched
    uint64_t alerts, matched;
    char line[65536];
    size_t line_length;
};

#define INFERENCE_ONLY "--inference"
#define NETWORK_ONLY "--network"
#define EGRESS_ONLY "--egress"
#define SCHED_ONLY "--sched"
// Starts the agent and returns once it is ready. It has the rules of that file; NULL: the built-in ones;
// INFERENCE_ONLY: none, but follows requests to inference servers; NETWORK_ONLY: none, but measures TCP
// connections; EGRESS_ONLY: none, but counts what leaves the node; SCHED_ONLY: none, but follows requests and
// measures how those who serve them wait.
int agent_start(struct agent *agent, const char *path, const char *rules);
// Asks it to end and waits. A negative errno where it had ended by itself or had to be killed.
int agent_stop(struct agent *agent);
// Reads what the agent has written; waits at most so long for it, and no longer than until `pidfd`'s process
// (-1: none) has ended, which gives 1.
int agent_pump(struct agent *agent, int pidfd, int timeout_ms);
// Waits for a child of ours while reading what the agent (NULL: none) says. 0 where it ended well.
int agent_wait_child(struct agent *agent, pid_t pid);

int agent_cpu_seconds(const struct agent *agent, double *ret_seconds);
// `name` is VmRSS or VmHWM.
int agent_memory_bytes(const struct agent *agent, const char *name, double *ret_bytes);

// The text of /metrics; free() it.
int agent_scrape(struct agent *agent, char **ret_text);
// The sum over all series whose line begins with the name and holds `label` (NULL: any).
double metric_sum(const char *text, const char *name, const char *label);

struct program_cost {
    unsigned id;
    char name[32];
    uint64_t runs, run_ns;
};

// Makes the kernel measure its programs until the descriptor is closed. A negative errno where it cannot.
int program_stats_enable(void);
// How many programs of the kind that slows others down are loaded, whoever loaded them. Or a negative errno.
int programs_that_watch(void);
// The agent's programs. The number, or a negative errno.
int agent_programs(const struct agent *agent, struct program_cost *ret_costs, size_t max);

// --- work.c, run.c, turns.c: what other programs do ---

struct worker;

struct workload {
    const char *key;    // in JSON
    const char *name;   // in the table
    unsigned processes; // that do it at once
    unsigned batch;     // times between two looks at the clock
    int (*begin)(struct worker *worker);
    int (*once)(struct worker *worker);
    void (*end)(struct worker *worker);
};

enum workload_index {
    WORK_GETPID,
    WORK_OPEN,
    WORK_OPEN_TWICE,
    WORK_FORK_EXEC,
    WORK_CONNECT,
    WORK_PINGPONG_RW,
    WORK_PINGPONG_SR,
    WORK_UDP,
    WORK_COUNT,
    // Measured with INFERENCE_ONLY:
    WORK_STREAM = WORK_COUNT,
    WORK_PIPE,
    // Measured with NETWORK_ONLY:
    WORK_THROUGHPUT,
    // Measured with SCHED_ONLY:
    WORK_SWITCH,
    WORK_ALL,
};

// Those three, with INFERENCE_ONLY also the ping-pong by send and recv, with NETWORK_ONLY both of the
// ping-pongs and making connections, with EGRESS_ONLY all of these and the throughput, with
// SCHED_ONLY starting programs.
enum { METRIC_WORKS = 13 };

const struct workload *work_at(size_t index);

// Time of the work once, from many runs in processes of their own.
int work_measure(size_t index, const struct place *place, struct agent *agent, double *ret_ns);
// Opens and closes a file that often.
int work_open_times(const char *path, uint64_t times, struct agent *agent);

// Medians of one round's turns.
struct turns {
    double without, with; // ns
    double ratio;         // of two turns that follow each other
};

// What is watched or not, in turns.
struct turning {
    const struct place *place;
    const char *agent_path;
    const char
        *mode; // the agent's, which is started for each turn and stopped; NULL: it has the exchangeable rules
};

// What that costs who does this work. The agent is left as it is in a turn that watches, even where that
// fails.
int turns_measure(size_t index, const struct turning *turning, struct agent *agent, struct turns *ret_turns);

#define READER_NAME "bench-reader"

// Opens a file as a program of that name, with a pause after each. The program is this one, which has to hand
// over to reader_main() where it is called so.
int work_read_slowly(const struct place *place, const char *path, unsigned times, unsigned pause_ms,
                     struct agent *agent);
bool reader_is_asked(const char *argv0);
int reader_main(int argc, char **argv);

struct flood {
    size_t count;
    pid_t pids[16];
    uint64_t *opens; // shared: one counter each
};

// Loops of open and close until they are stopped.
int flood_start(struct flood *flood, const char *path, size_t count);
uint64_t flood_stop(struct flood *flood); // the number of opens

// --- table.c: what comes out ---

enum figure_kind { FIGURE_RATIO, FIGURE_SECONDS, FIGURE_BYTES, FIGURE_COUNT, FIGURE_RATE };

struct figure {
    const char *key;
    const char *name;
    enum figure_kind kind;
    double value;         // the ratio, or what was measured
    double low, high;     // over the rounds; both 0 where there was only one
    double without, with; // FIGURE_RATIO: ns
    double limit;         // 0: no target
    bool at_least;        // the target is a floor instead of a ceiling
    const char *falco;    // NULL: not measured
};

bool figure_missed(const struct figure *figure);
void table_print(const struct figure *figures, size_t count, bool markdown);
void programs_print(const struct program_cost *costs, size_t count, bool markdown);
int json_write(const char *path, const struct figure *figures, size_t count, const struct program_cost *costs,
               size_t costs_count);

// --- bench.c and self.c: what is measured ---

enum { ROUNDS_MAX = 99, FIGURES_MAX = 64, PROGRAMS_MAX = 256 };

struct bench {
    const char *agent_path;
    const char *rules; // NULL: the built-in ones
    const char
        *only; // INFERENCE_ONLY, NETWORK_ONLY, EGRESS_ONLY or SCHED_ONLY: measure nothing else; NULL: all
    int rounds;
    struct place place;
    struct agent agent;
    double without[WORK_COUNT][ROUNDS_MAX], with[WORK_COUNT][ROUNDS_MAX];
    double idle_without[ROUNDS_MAX], idle_with[ROUNDS_MAX];
    double metric_without[METRIC_WORKS][ROUNDS_MAX], metric_with[METRIC_WORKS][ROUNDS_MAX];
    double metric_ratio[METRIC_WORKS][ROUNDS_MAX]; // of those that are measured in turns
    double ready[ROUNDS_MAX];
    int foreign;          // programs that others have loaded: the fewest seen
    unsigned disturbed;   // measurements that had to be taken while there were more
    double lost;          // records, in the rounds
    uint64_t alerts;      // the same
    char ready_line[256]; // how the agent names its rules and sources
    struct figure figures[FIGURES_MAX];
    size_t figures_count;
    struct program_cost costs[PROGRAMS_MAX];
    size_t costs_count;
};

// Progress, for a person who waits.
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
void add_figure(struct bench *bench, const struct figure *figure);
// Records that the kernel side has lost since the agent's start.
int count_lost(struct bench *bench, double *ret_lost);

// Latency, CPU time, storms and memory, of one agent that lives through all of it.
int measure_self(struct bench *bench);

// What servers of HTTP pay: as many rounds, with an agent of its own.
int measure_http(struct bench *bench);
