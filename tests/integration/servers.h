// Real inference servers, run beside a test, and a client that asks them and keeps time.
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// --- Servers ---

enum server_kind {
    // llama-server of Debian's newest suite with a tiny model of random weights, in a root and a process
    // namespace
    // of its own, as in a container. It has LLAMA_SLOTS slots of LLAMA_CONTEXT tokens (tests/servers/root.h).
    SERVER_LLAMA,
    SERVER_NODE,   // tests/servers/server.js: each part of an answer is one writev() of pieces
    SERVER_PYTHON, // tests/servers/server.py: each part of an answer is several small send()s
    SERVER_PLAIN,  // tests/servers/plain.c: fast, and works where no other can be had
};

struct server;

// Where tests/servers/fetch has unpacked llama-server and nginx. Skips or fails the test like server_start().
const char *servers_root(void);
// Starts a server on a port of its own of 127.0.0.1 and waits until it serves. Skips the test where such a
// server cannot be had; fails it where tests/servers/fetch has failed.
struct server *server_start(enum server_kind kind);
// The same server, which speaks TLS.
struct server *server_start_tls(enum server_kind kind);
// As it starts a program of its own; NULL-terminated arguments. Waits until it says where it listens.
struct server *server_start_program(const char *name, const char *const *arguments);
// nginx in front of another server, in a root like llama-server's: a master and a worker.
struct server *server_start_proxy(const struct server *upstream);
// The same, and speaks TLS in front.
struct server *server_start_tls_proxy(const struct server *upstream);
// Asks it to end and waits; frees it.
void server_stop(struct server *server);
#define _cleanup_server_ __attribute__((cleanup(cleanup_server)))
static inline void cleanup_server(struct server **server)
{
    if (*server)
        server_stop(*server);
}

// SIGKILL, and frees it.
void server_kill(struct server *server);
// Waits until its output has that in it.
void server_wait_said(struct server *server, const char *text);
// A connected socket.
int server_connect(const struct server *server);

const char *server_name(const struct server *server);
unsigned server_port(const struct server *server);
pid_t server_pid(const struct server *server);
bool server_is_tls(const struct server *server);

// What tokens a server has counted by itself, since it started.
struct tally {
    uint64_t prompt_tokens; // also those that were found in a cache
    uint64_t output_tokens;
};

struct tally server_tally(const struct server *server);

// --- Asking them ---

struct load {
    unsigned port;
    const char *route; // such as "/v1/chat/completions"
    bool tls;
    const char *head; // further lines of the head, each with its \r\n; NULL: none
    // Of the requests, which take them in turns; ends with NULL. An empty one: a GET.
    const char *const *bodies;
    size_t requests;
    // Each sends its next request when it has an answer, over one connection where the server keeps that
    // open.
    size_t at_once;
    size_t leave_after; // close the connection after so many content events; 0: never
};

struct answer {
    unsigned status;
    unsigned client_port;
    // CLOCK_MONOTONIC: just before the request was sent, when the first event with a piece of the answer's
    // text had come (0: none did) and when all had.
    uint64_t sent_ns, first_ns, end_ns;
    size_t events;                         // with a piece of the answer's text
    uint64_t prompt_tokens, output_tokens; // from `usage`; 0 where the answer holds none
    char *body;                            // without framing, NUL-terminated
};

// Sends all requests and reads their answers, which answers_free() frees. Asserts that each one came, whole.
struct answer *load_run(const struct load *load);
void answers_free(struct answer *answers, size_t count);
struct tally answers_tally(const struct answer *answers, size_t count);

// A chat request for exactly so many tokens, with these words in its prompt. Lives until the test ends.
const char *chat_body(bool stream, const char *words, unsigned tokens);
// The same for /v1/completions.
const char *completion_body(bool stream, const char *words, unsigned tokens);
