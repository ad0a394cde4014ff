// Metrics in Prometheus and OpenMetrics text, and the small HTTP server that hands them out.
#pragma once

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

enum metric_format { METRIC_PROMETHEUS, METRIC_OPENMETRICS };

// The format that a request's Accept header asks for. NULL: Prometheus text.
enum metric_format metric_negotiate(const char *accept);
const char *metric_content_type(enum metric_format format);

// Everything registered in base/series.h, families sorted by name.
void metric_render(enum metric_format format, struct text *text);

// The same as a request of OTLP's JSON, without the name of the host, which the deliverer adds.
void metric_render_otlp(struct text *text);

// Registers the agent's own process_* metrics and inferscope_build_info.
int metric_register_self(void);

struct metric_server;

struct metric_server_options {
    const char *address; // "127.0.0.1:9560", "[::1]:9560", ":9560" (all addresses)
    bool (*ready)(void *context);
    void *context;
};

// 0; -EINVAL for an address that cannot be read; -EADDRINUSE, -EACCES and so on from the bind.
int metric_server_new(const struct metric_server_options *options, struct metric_server **ret_server);
void metric_server_free(struct metric_server **server);
int metric_server_epoll_fd(const struct metric_server *server);
// Serves what is pending, without waiting. Milliseconds until it wants to be called again, or -1.
int metric_server_run(struct metric_server *server);
unsigned metric_server_port(const struct metric_server *server);

// Calls for each metric that is registered now, by name, whether or not it has samples. Labels are separated
// by blanks. Texts are borrowed for the call.
typedef void (*metric_describe_fn)(const char *name, const char *type, const char *labels, const char *help,
                                   void *context);
void metric_describe(metric_describe_fn describe, void *context);
