// What the integration tests share: an agent that runs beside the test, its alerts and its metrics.
// Every wait is for a condition and has a deadline; no test sleeps.
#pragma once

#include "base/cleanup.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

// Kernels under emulation are slow, and nobody waits that long where all is well.
enum { DEADLINE_S = 60 };

// --- The test's own directory, with a name that no other process uses. Removed when the test ends. ---

const char *test_dir(void);
// A path in it, as printf() composes it. Lives until the test ends.
__attribute__((format(printf, 1, 2))) const char *test_path(const char *format, ...);
__attribute__((format(printf, 1, 2))) char *format_text(const char *format, ...);
void write_file(const char *path, const char *text);
// The whole file, NUL-terminated; owned by the caller. NULL where it cannot be read.
char *read_whole_file(const char *path);
void copy_file(const char *from, const char *to);
void open_once(const char *path);
// Where the second version of the cgroup file system is mounted, or NULL.
const char *cgroup_mount(void);

// TestSuite(…, TEST_SUITE): makes and removes the directory, and skips where the test is not root.
void test_setup(void);
void test_teardown(void);
#define TEST_SUITE .init = test_setup, .fini = test_teardown

// --- Processes ---

// What is built next to this program.
const char *program_beside(const char *name);
// A copy of the small static program `actor` (tests/integration/actor/actor.c) under a name of its own.
const char *actor_copy(const char *name);
// Runs a program and waits for it; its exit code, or 128 + signal.
int run_program(const char *program, ...) __attribute__((sentinel));
// The same, with what it wrote to stdout and stderr, as one owned text.
int run_captured(char **ret_output, const char *program, ...) __attribute__((sentinel));
// Starts a program whose stdin is a pipe of ours.
pid_t start_waiting(int *ret_stdin, const char *program, ...) __attribute__((sentinel));
int wait_for_exit(pid_t pid);
// Runs `act` in a child, which exits with what it returns; 0 is asserted.
void in_child(int (*act)(const void *), const void *argument);
// For it: the program of that path, as the user and the group nobody.
int exec_as_nobody(const void *program);

// Stops a process by SIGSTOP; returns when it stands still.
void halt(pid_t pid);

// The process and all that it starts run on one and the same CPU from then on.
void stay_on_one_cpu(void);

// The capabilities that stay permitted for a reload: CAP_NET_ADMIN, CAP_PERFMON, and CAP_SYS_ADMIN where this
// kernel asks for it (kernel.perf_event_paranoid above 2).
unsigned long long capabilities_for_reload(void);

// The running kernel is at least that.
bool kernel_at_least(int major, int minor);

// --- The agent ---

struct agent;

// A rule of that name, about that file.
const char *open_rule(const char *name, const char *path);

// Starts `$AGENT --json --rules FILE OPTION…` and waits until it is ready. `rules` is YAML text, or NULL for
// no --rules at all; RULES_BUILT_IN stands for the built-in ones. Options end with NULL.
#define RULES_BUILT_IN ""
struct agent *agent_start(const char *rules, ...) __attribute__((sentinel));
// SIGTERM; asserts exit code 0, so that a leak that a sanitizer found fails the test.
void agent_stop(struct agent *agent);
void agent_stop_by(struct agent *agent, int signal_number);
// SIGKILL; returns when the agent and all that it started have gone.
void agent_kill(struct agent *agent);
#define _cleanup_agent_ __attribute__((cleanup(cleanup_agent)))
static inline void cleanup_agent(struct agent **agent)
{
    if (*agent)
        agent_stop(*agent);
}

const char *agent_path(void);
pid_t agent_pid(const struct agent *agent);
unsigned agent_port(const struct agent *agent);
// All that it wrote to stderr until now; valid until the next call.
const char *agent_stderr(struct agent *agent);
// Waits until these words are among that: it comes by another way than metrics and alerts, perhaps a moment
// after them.
void agent_wait_said(struct agent *agent, const char *words);

// Waits for an alert of that rule whose output fields have these values: pairs of field and value, then
// NULL. Numbers and truths compare as text; "*" is any value but null, "-" is null or left out. Each wait
// looks at all alerts so far. The alert is borrowed from the agent.
json_t *agent_wait_alert(struct agent *agent, const char *rule, ...) __attribute__((sentinel));
// How many alerts have come that match so. An action that must not alert is followed by one that does;
// when that alert was waited for, all of the action before it have come: the ring keeps the order.
size_t agent_count_alerts(struct agent *agent, const char *rule, ...) __attribute__((sentinel));
// Waits until so many alerts of a rule have come.
void agent_wait_count(struct agent *agent, const char *rule, size_t count);
// All alerts of a rule until now, in a new array.
json_t *agent_alerts(struct agent *agent, const char *rule);
// An output field of an alert as text; "" where it is null. Borrowed until the next call.
const char *alert_field(const json_t *alert, const char *field);

// --- Metrics ---

// The answer's body to GET `path`, owned; asserts status 200.
char *http_get(unsigned port, const char *path);
// The same, but NULL for another status: a server that is starting says 503.
char *http_get_if_ok(unsigned port, const char *path);
// Sum of a family's series that have these labels: pairs of label and value, then NULL. NAN: there is none.
double metric_of(const char *text, const char *name, ...) __attribute__((sentinel));
double agent_metric(struct agent *agent, const char *name, ...) __attribute__((sentinel));
// Waits until it has looked through all programs and libraries that run, of which it reads so much a second.
void agent_wait_looked(struct agent *agent);
// The same of an agent that was started otherwise, by the port of its metrics.
void wait_looked(unsigned port);
// How many descriptors it has open.
size_t agent_descriptors(struct agent *agent);
// Events of the types that open files.
double agent_open_events(struct agent *agent);
