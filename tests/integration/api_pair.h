// A client and an inference server for the tests of the source `api`: two sockets of the test, so that it
// says exactly which bytes pass in which call.
#pragma once

#include "harness.h"

#include <stdint.h>

#define API_RULES                                                                                     \
    "- rule: infer\n"                                                                                 \
    "  desc: an inference request\n"                                                                  \
    "  condition: evt.type = infer\n"                                                                 \
    "  output: \"%infer.route %infer.method %infer.operation %infer.model %infer.response.model\n"    \
    "    %infer.status %infer.ttft %infer.duration %infer.tokens.input %infer.tokens.output\n"        \
    "    %infer.tokens.source %infer.abandoned %infer.stream %infer.error %infer.traceparent\n"       \
    "    %fd.sip %fd.sport %fd.cip %fd.cport %proc.pid %proc.name\"\n"                                \
    "  priority: NOTICE\n"                                                                            \
    "- rule: http\n"                                                                                  \
    "  desc: another request to such a server\n"                                                      \
    "  condition: evt.type = http\n"                                                                  \
    "  output: \"%http.route %http.method %http.status %http.error %fd.sport %fd.cport %proc.pid\"\n" \
    "  priority: NOTICE\n"

struct pair {
    int client, server;
    char sport[8], cport[8];
};

int listen_here(void);
struct pair api_connect(int listener);
struct pair open_pair(void);
// To a server that listens on all addresses of IPv6; skips the test where there is no such address.
struct pair open_pair_v6(const char *address);
void close_pair(struct pair *pair);

// All of the text from one end to the other, in one write() and as many read() as it takes.
void ask(const struct pair *pair, const char *text);
void answer(const struct pair *pair, const char *text);

// Texts; they live until the test ends.
const char *request_to(const char *path, const char *headers, const char *body);
const char *json_answer(unsigned status, const char *body);
const char *chunk(const char *data);

#define CHAT_BODY "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"model\":\"tiny\",\"stream\":true}"
#define HEAD                                                                                         \
    "HTTP/1.1 200 OK\r\nServer: llama.cpp\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: " \
    "chunked\r\n\r\n"
#define ROLE \
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null}}],\"model\":\"tiny-1\"}\n\n"
#define TOKEN "data: {\"choices\":[{\"delta\":{\"content\":\" word\"}}],\"model\":\"tiny-1\"}\n\n"
#define LAST "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"model\":\"tiny-1\"}\n\n"
#define USAGE \
    "data: "  \
    "{\"choices\":[],\"model\":\"tiny-1\",\"usage\":{\"prompt_tokens\":24,\"completion_tokens\":3}}\n\n"
#define DONE "data: [DONE]\n\n"

// Waits for the event of a request with CHAT_BODY that was answered with three tokens and USAGE.
void expect_stream(struct agent *agent, const struct pair *pair);

uint64_t now_ns(void); // CLOCK_BOOTTIME
// Waits until a metric of the server at that port has that value, and returns the value that it has in the
// end.
double wait_metric(struct agent *agent, const char *name, const char *port, double wanted);
// The same of series that have another label.
double wait_metric_of(struct agent *agent, const char *name, const char *label, const char *of,
                      double wanted);
