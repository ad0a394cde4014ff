// A real Prometheus that scrapes the agent.
#pragma once

#include "harness.h"

#include <sys/types.h>

struct prometheus {
    pid_t pid;
    unsigned port;
};

bool is_installed(const char *program);
// Scrapes that agent, as job inferscope, each second; `more` is added to its configuration. Returns when it
// answers. The test looks whether Prometheus is installed before it starts the agent.
void prometheus_start(struct prometheus *prometheus, const struct agent *agent, const char *more);
// SIGTERM; asserts exit code 0.
void prometheus_stop(struct prometheus *prometheus);
#define _cleanup_prometheus_ __attribute__((cleanup(prometheus_stop)))

// The member `data` of the answer to GET `path`, owned; NULL where it refuses.
json_t *prometheus_get(const struct prometheus *prometheus, const char *path);
// An instant query: its result, owned, or NULL where the expression is wrong.
json_t *prometheus_query(const struct prometheus *prometheus, const char *expression);
