// Programs that use GPUs, as far as a machine without any can tell (tests/stand-in), and what the agent
// measures of them.
#pragma once

#include "harness.h"

#include <stdint.h>

// Where the stand-ins were built, "gpu-program" for example.
const char *gpu_path(const char *name);
// A new folder with copies of the libraries, which nobody else uses. `runtime`: "." for a runtime that calls
// the driver by its exported names, "table" for one that does not.
const char *gpu_folder(const char *runtime);

struct gpu;

// Starts a program with the libraries of a folder, which it loads with the first command; with `root` not
// NULL inside of that, as all paths then are.
struct gpu *gpu_start(const char *program, const char *folder, const char *root);
// Has it carry out a command (tests/stand-in/program.c); how many nanoseconds its calls took by its own
// clock.
uint64_t gpu_do(struct gpu *gpu, const char *command);
// The same until the agent counts what it does.
void gpu_wait_seen(struct gpu *gpu, struct agent *agent);
pid_t gpu_pid(const struct gpu *gpu);
void gpu_stop(struct gpu *gpu);
void gpu_kill(struct gpu *gpu);

struct agent *gpu_watch(void);
// The sum of a metric's series of the test's own pod that have these labels, waited for as long as there are
// none, since at first it is not known whose they are. Skips the test where this kernel has no such probes.
double gpu_metric(struct agent *agent, const char *name, const char *label, const char *value);
// Waits until there is no such series.
void gpu_wait_gone(struct agent *agent, const char *name);
