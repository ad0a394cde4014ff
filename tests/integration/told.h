// Programs that use a library as a test tells them, line by line, and keep time themselves: those of
// tests/servers/ (onnx.c, throwing.cc, scripted.py).
#pragma once

#include "base/cleanup.h"
#include "harness.h"
#include "pod.h"

#include <stdint.h>
#include <sys/types.h>

struct told {
    pid_t pid;
    int in, out;
};

struct told_answer {
    uint64_t count; // calls
    uint64_t took_ns;
};

// Starts a program, in a root of its own where `root` is not NULL, in which the test's folder is /mnt. It has
// loaded nothing yet. Arguments end with NULL.
struct told told_start(const char *root, const char *program, ...) __attribute__((sentinel));
// Tells it a line and waits for its answer.
__attribute__((format(printf, 2, 3))) struct told_answer told_do(struct told *told, const char *format, ...);
// The same where it ends instead of an answer.
__attribute__((format(printf, 2, 3))) void told_last(struct told *told, const char *format, ...);
// Asserts that it ends well.
void told_end(struct told *told);

// A root that tests/servers/fetch-libraries makes; skips the test where there is none, and fails it where
// that has failed.
const char *told_root(const char *name);
// The path of a program that is built beside the tests.
const char *told_program(const char *name);

// Sum of a metric's series with these labels, of the test's own pod where it is in one; 0 where there is
// none.
#define told_metric(agent, ...)                                                                           \
    ({                                                                                                    \
        double told_metric_value =                                                                        \
            agent_metric(agent, __VA_ARGS__, pod_name() ? "k8s_container_name" : NULL, pod_name(), NULL); \
        told_metric_value == told_metric_value ? told_metric_value : 0;                                   \
    })
// Waits until a metric is that much, and asserts that it is no more.
#define told_wait_metric(agent, wanted, ...)                                          \
    do {                                                                              \
        time_t told_until = time(NULL) + DEADLINE_S;                                  \
        while (told_metric(agent, __VA_ARGS__) < (wanted) && time(NULL) < told_until) \
            poll(NULL, 0, 20);                                                        \
        cr_assert_eq(told_metric(agent, __VA_ARGS__), (double)(wanted), "%g, not %g", \
                     told_metric(agent, __VA_ARGS__), (double)(wanted));              \
    } while (0)
// Asserts that a sum of seconds agrees with a program's own clock.
void told_agrees(double seconds, uint64_t own_ns);

// Has a program tried once more until a metric grows, and gives its value then: it is probed from there on.
#define told_wait_probed(agent, told, line, ...)                      \
    ({                                                                \
        time_t told_until = time(NULL) + DEADLINE_S;                  \
        while (told_metric(agent, __VA_ARGS__) == 0) {                \
            cr_assert_lt(time(NULL), told_until, "no call was seen"); \
            told_do(told, line);                                      \
        }                                                             \
        told_metric(agent, __VA_ARGS__);                              \
    })
