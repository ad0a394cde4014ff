// Containers of real runtimes, in a node's root of the test's own (--host-root): nothing of theirs is where
// the machine's own containers are.
#pragma once

#include "harness.h"

#include <stdarg.h>

// Makes the root, and an image of three programs (copies of `actor`): /sh, /python3 and /stranger.
void box_setup(void);
void box_teardown(void);
// The root, for the agent's option --host-root.
const char *box_root(void);

#define BOX_IMAGE "registry.example:5000/lab/box"
#define BOX_TAG "1.2"

// The exit code of a command of the shell's, and what it wrote, which lives until the test ends.
int box_shell(const char *command, const char **ret_output);

// Runs a runtime's program with such arguments, in the same way.
typedef int (*box_run_fn)(const char *arguments, const char **ret_output);
// The output of a command that must go well.
const char *box_command(const char *name, box_run_fn run, const char *format, va_list args);
// Imports the image and tries it; skips the test where no container can run.
void box_import(const char *name, box_run_fn run, const char *import, const char *run_words);

// Runs `podman ARGUMENTS` (words of a shell) on a storage below the root; its output, which lives until the
// test ends. The first call imports the image. Skips the test where podman or its way to run containers is
// not there.
__attribute__((format(printf, 1, 2))) const char *box_podman(const char *format, ...);
// The options that `podman run` needs to work without what a test machine may lack: a network, limits to
// raise.
#define BOX_RUN "run --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --network=none"

// The same for containerd, whose daemon the first call starts: `ctr ARGUMENTS`. The image comes from podman.
__attribute__((format(printf, 1, 2))) const char *box_ctr(const char *format, ...);

// The same for Docker, whose daemon and client come from docker.io. The image is made anew.
__attribute__((format(printf, 1, 2))) const char *box_docker(const char *format, ...);
// What `docker run` needs where a test machine has no networks to give. --privileged wants BOX_FEWER, too:
// all capabilities but one that not each test machine has.
#define BOX_DOCKER_RUN "run --network=none"
#define BOX_FEWER "--runtime=fewer"
// Another directory than the usual one below the root for what the daemon keeps; before the first call.
void box_docker_data_root(const char *path);
void box_docker_teardown(void); // box_teardown() calls it

// box_docker and its like.
typedef __attribute__((format(printf, 1, 2))) const char *(*box_command_fn)(const char *format, ...);
// An agent that has the root for the node's.
struct agent *box_agent(const char *rules);
// Cases that hold for each runtime; `run` is BOX_RUN or the like. The image is there.
void box_case_four_rules(box_command_fn command, const char *run);
// `rule` is named "started" and shows what the cases compare.
void box_case_running(box_command_fn command, const char *run, const char *rule);

// A name that no other test's container has.
const char *box_name(const char *what);
