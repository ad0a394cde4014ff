// tests/servers/llama.c, run beside a test: a program that calls llama_decode() and keeps its own count.
#pragma once

#include "harness.h"

#include <stdint.h>
#include <stdio.h>

enum llama_kind {
    LLAMA_DEBIAN, // the library of Debian's newest suite, in a root of its own, as in a container
    LLAMA_NODE,   // node-llama-cpp's, an older one, in no root
};

struct llama_client {
    pid_t pid;
    FILE *commands, *answers;
};

struct llama_sum {
    uint64_t calls, tokens, time_ns;
};

// Starts it with these commands, separated by commas; skips the test where the library is not here.
struct llama_client *llama_start(enum llama_kind kind, const char *commands);
// The same, as a process of a number that nobody has.
struct llama_client *llama_start_as(pid_t number, enum llama_kind kind, const char *commands);
// Gives it a command and reads the line that it answers; valid until the next one.
const char *llama_ask(struct llama_client *client, const char *command);
// `run`: a batch of prompts, then steps.
void llama_run(struct llama_client *client, int prompt, int steps, int sequences,
               struct llama_sum *ret_prefill, struct llama_sum *ret_decode);
// Asks it to end and asserts that it did, or kills it; frees it.
void llama_end(struct llama_client *client);
void llama_kill(struct llama_client *client);
// What metrics say of the test's container, with one label more; 0: nothing.
double llama_metric(const char *text, const char *name, const char *label, const char *value);
// The name that it goes by (proc.name).
const char *llama_name(void);
